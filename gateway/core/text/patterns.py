"""Regular expressions for what clients send: the same in Python and in the OpenAPI document."""

from typing import Final


def whole(pattern: str) -> str:
    """A text that is this and nothing else. Python's `$` alone also lets a line break at the end in."""
    return rf"^(?:{pattern})$(?!\n)"


URL: Final = r"https?://[^\s/?#\x00-\x1f\x7f]+[^\s\x00-\x1f\x7f]*"
"""An address of the web, which may stand in a header as it is: no blanks, no control characters."""
DOMAIN: Final = r"https?://[^\s/?#\x00-\x1f\x7f]+/?"
