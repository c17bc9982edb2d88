"""The one place where secrets are drawn: keys, tokens, codes. Who needs some is handed this function."""

import os


def secret(count: int) -> bytes:
    """`count` bytes that nobody can guess."""
    return os.urandom(count)
