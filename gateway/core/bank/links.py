"""Tracked links (F107): the address that one person finds in one text, and whose it is when somebody presses it.

A token is the ids of campaign, script, link and contact with a seal of 56 bits under the campaign's secret: whoever
renders a text works it out, and nothing is written until it is pressed. The ids are no secret; without a seal none opens.
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final, NamedTuple

from gateway.core.rules.errors import BadInput

SECRET_BYTES: Final = 32
MOST_CLICKS: Final = 20
"""Clicks of one text's link that are kept: a robot that presses it again and again fills no table."""
LONGEST_SLUG: Final = 50
_SEAL_BYTES: Final = 7
_SLUG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}", re.ASCII)
SHAPE: Final = r"[A-Za-z0-9_-]{15,60}"
"""A token as a regular expression."""


class Pressed(NamedTuple):
    """Whose link it is. `script_id` and `link_id` are 0 in a referral, which is of the contact alone."""

    campaign_id: int
    script_id: int
    link_id: int
    contact_id: int


def token_of(secret: bytes, pressed: Pressed) -> str:
    """The token of a person's link: some 22 characters of URL-safe base64."""
    ids = b"".join(map(_varint, pressed))
    return base64.urlsafe_b64encode(ids + _seal(secret, ids)).rstrip(b"=").decode()


def read(token: str) -> Pressed | None:
    """What a token says, before it is proved; None for what is none."""
    raw = _bytes(token)
    if raw is None or len(raw) <= _SEAL_BYTES:
        return None
    numbers = _numbers(raw[:-_SEAL_BYTES])
    return Pressed(*numbers) if len(numbers) == len(Pressed._fields) else None


def is_sealed(secret: bytes, token: str) -> bool:
    """Whether the campaign of this secret made the token."""
    raw = _bytes(token)
    if raw is None:
        return False
    return hmac.compare_digest(raw[-_SEAL_BYTES:], _seal(secret, raw[:-_SEAL_BYTES]))


def clean_slug(text: str) -> str:
    """A link's name as scripts write it. Raises BadInput."""
    slug = text.strip()
    if _SLUG.fullmatch(slug) is None:
        raise BadInput("this can't be a link's name", "slug", "take letters, digits, - and _, 50 at most")
    return slug


def _seal(secret: bytes, ids: bytes) -> bytes:
    return hashlib.blake2b(ids, key=secret, digest_size=_SEAL_BYTES, person=b"textbank link").digest()


def _bytes(token: str) -> bytes | None:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the last byte is below 128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _numbers(raw: bytes) -> list[int]:
    """Empty for what is no row of whole numbers of 63 bits."""
    numbers: list[int] = []
    number = shift = 0
    for byte in raw:
        number |= (byte & 0x7F) << shift
        shift += 7
        if number >= 2**63 or shift > 63:
            return []
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    return numbers if shift == 0 else []
