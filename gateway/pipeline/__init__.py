"""THE ROAD of a message, one file a station: admission, dispatch, delivery, inbound, recovery."""
