"""Sending: which number, in which order, at which moment."""
