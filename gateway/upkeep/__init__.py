"""UPKEEP: what a worker does again and again beside the messages."""
