"""Texts: segments, scripts and their lint, people's words, phones."""
