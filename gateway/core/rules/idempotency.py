"""Whose word a request is known by when it comes again."""

import msgspec


class Key(msgspec.Struct, frozen=True, gc=False):
    """A client's word for one request. `owner`: whose it is, an API key or a person; the same word of another is
    another key."""

    owner: str
    word: str
