"""The digital twin: carriers, handsets and people in virtual time."""
