"""A person's text that Twilio passes on in base64: now and then a long SMS that came in as an MMS.

Twilio does not document it; nyaruka/courier, which receives for Twilio customers, decodes them too. What decides is
the content: only text that anybody could have written is taken for decoded.
"""

import codecs
import re
import unicodedata
from base64 import b64decode
from typing import Final

_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_LEAST: Final = 20  # characters without padding, which a word of so many letters almost never spells
_NOT_WRITTEN: Final = frozenset(
    {"Cc", "Cn", "Co", "Cs"}
)  # categories of Unicode: control, unassigned, private
_BLANKS: Final = frozenset("\n\r\t")


def said(body: str) -> str:
    """What the person wrote: the body itself, or what it encodes."""
    bare = body.replace("\r", "").replace("\n", "").strip()
    if not bare.endswith("=") and len(bare) < _LEAST:
        return body
    if not _BASE64.fullmatch(bare):
        return body
    try:  # the last character may have been cut in two
        decoded = codecs.getincrementaldecoder("utf-8")().decode(b64decode(bare))
    except UnicodeDecodeError:
        return body
    return decoded if decoded.strip() and all(map(_is_written, decoded)) else body


def _is_written(character: str) -> bool:
    return character in _BLANKS or unicodedata.category(character) not in _NOT_WRITTEN
