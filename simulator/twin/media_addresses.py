"""Where the pictures of a message are: an application's where it said, a person's at this very server."""

import mimetypes
from typing import Final
from urllib.parse import urlsplit

from simulator.model.pictures import PICTURES
from simulator.twin.accounts import Message

DELETED: Final = ""  # keeps the place of a picture, so that the others keep their sids
_OWN: Final = "/twin/pictures/"
_TYPES: Final = {
    "image/png": "picture.png",
    "image/gif": "picture.gif",
    "image/svg+xml": "picture.svg",
    "text/vcard": "card.vcf",
}
OWN: Final = {f"{_OWN}{name}": (kind, PICTURES[kind]) for kind, name in _TYPES.items()}
"""What people send, by its path here: media type and bytes."""


def own_url(media_type: str) -> str:
    """The path of a person's picture."""
    return f"{_OWN}{_TYPES[media_type]}"


def sid_of_media(message: Message, nth: int, url: str) -> str:
    return message.account.make_sid("ME", f"{message.sid} {nth} {url}")


def named(message: Message) -> list[tuple[str, str]]:
    """(sid, address) of the pictures that are still there."""
    return [(sid_of_media(message, nth, url), url) for nth, url in enumerate(message.media) if url != DELETED]


def content_type_of(url: str) -> str:
    """As the end of the URL's path says."""
    if url in OWN:
        return OWN[url][0]
    return mimetypes.guess_type(urlsplit(url).path)[0] or "image/jpeg"
