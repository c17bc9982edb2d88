"""THE WIRE OUT."""
