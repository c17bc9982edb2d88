"""Which pictures a script may carry (F090), and which of those that people send are shown: told by their first bytes.

A script's is of a kind that phones show, below 0.6 MB.
"""

from typing import Final

from gateway.core.rules.errors import BadFields

MOST_BYTES: Final = 600_000
MOST_PICTURES: Final = 200
_SIGNS: Final = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def type_of(picture: bytes) -> str:
    """Its media type. Raises BadFields for one that is too large, and for what is none of these."""
    if len(picture) >= MOST_BYTES:
        raise BadFields([("image", f"it has {len(picture)} bytes, and must have fewer than {MOST_BYTES}")])
    for sign, name in _SIGNS.items():
        if picture.startswith(sign):
            return name
    raise BadFields([("image", "this is no JPEG, PNG or GIF")])


def shown_as(content: bytes) -> str | None:
    """The media type of a picture that a browser can show and that runs nothing: no SVG, no HTML. None: it is none."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((name for sign, name in _SIGNS.items() if content.startswith(sign)), None)
