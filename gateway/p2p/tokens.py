"""Tokens of sessions, invitations and password resets: a prefix, the organisation, 256 random bits. Only their SHA-256 is stored."""

import hashlib
import re
from typing import Final, NamedTuple

SESSION: Final = "tbs"
INVITATION: Final = "tbi"
RESET: Final = "tbr"
TOKEN_BYTES: Final = 32
_SHAPE: Final = re.compile(r"(tb[sir])_([1-9][0-9]{0,18})_([0-9a-f]{64})", re.ASCII)
_LARGEST: Final = 2**63 - 1


class Token(NamedTuple):
    """What is stored of a token, and looked for."""

    organisation_id: int
    token_hash: str


def made(prefix: str, organisation_id: int, random: bytes) -> str:
    """A token's text, to be shown once, from `TOKEN_BYTES` random bytes."""
    return f"{prefix}_{organisation_id}_{random.hex()}"


def read(prefix: str, text: str) -> Token | None:
    """What to look for; None for what has not a token's shape. The hash is of the whole text, prefix and all."""
    shaped = _SHAPE.fullmatch(text)
    if shaped is None or shaped[1] != prefix or int(shaped[2]) > _LARGEST:
        return None
    return Token(int(shaped[2]), hashlib.sha256(text.encode()).hexdigest())
