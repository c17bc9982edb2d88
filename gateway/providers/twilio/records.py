"""Twilio's answers, as far as they are read; unknown fields are ignored, since new ones come without notice."""

from math import inf
from typing import Annotated, Final
from unicodedata import normalize

import msgspec

from gateway.providers.base import Found, InboundText, Line, Listed, Media
from gateway.providers.twilio import base64_body
from gateway.providers.twilio.skew import unix_time
from gateway.providers.twilio.webhooks import media_count

INVALID = "invalid"
"""The line type of a number that can't exist."""


Sid = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9]{1,64}$")]
Short = Annotated[str, msgspec.Meta(max_length=64)]
_MOST_CODE = 10**9
_MOST_BODY = 20_000  # characters; Twilio's most is 1,600


class Message(msgspec.Struct, gc=False):
    """A Message resource. Dates are RFC 2822, UTC."""

    sid: Sid
    status: Short
    error_code: int | str | None = None
    direction: Short | None = None
    to: Short | None = None
    from_: Short | None = msgspec.field(default=None, name="from")
    body: str | None = None
    num_media: int | str | None = None
    date_created: str | None = None
    date_sent: str | None = None
    date_updated: str | None = None

    @property
    def created_at(self) -> float:
        """Unix seconds, whole ones as Twilio gives; unreadable counts as late, so that no text is overlooked."""
        at = unix_time(self.date_created)
        return inf if at is None else at

    @property
    def code(self) -> int | None:
        """The error's code; 0, and what no code can be, counts as none."""
        digits = str(self.error_code or "")
        code = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
        return code if 0 < code < _MOST_CODE else None

    def found(self) -> Found:
        return Found(self.sid, _plain(self.status), self.code)

    def listed(self) -> Listed:
        """`at` is by Twilio's clock, 0 when it names none."""
        at = unix_time(self.date_updated or self.date_sent or self.date_created)
        return Listed(self.sid, _plain(self.to), _plain(self.status), self.code, at or 0.0)

    def inbound(self) -> InboundText:
        """`at` is by Twilio's clock, 0 when it names none."""
        at = unix_time(self.date_sent or self.date_created)
        body = base64_body.said(_plain(self.body))[:_MOST_BODY]
        media = (Media(),) * media_count(str(self.num_media or "0"))
        return InboundText(self.sid, _plain(self.from_), _plain(self.to), body, at or 0.0, media)


def _plain(text: str | None) -> str:
    """PostgreSQL keeps no NUL."""
    return (text or "").replace("\x00", "")


class MessagePage(msgspec.Struct):
    """Each message is read by itself: one that can't be read harms no other."""

    messages: list[msgspec.Raw]
    next_page_uri: str | None = None


Phone = Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{6,14}$")]


class PhoneNumber(msgspec.Struct):
    sid: Sid
    phone_number: Phone
    friendly_name: str | None = None
    sms_url: str | None = None


class PhoneNumberPage(msgspec.Struct):
    incoming_phone_numbers: list[msgspec.Raw]
    next_page_uri: str | None = None


class ForSale(msgspec.Struct):
    phone_number: Phone


class ForSalePage(msgspec.Struct):
    available_phone_numbers: list[msgspec.Raw]


class Service(msgspec.Struct):
    inbound_request_url: str | None = None
    use_inbound_webhook_on_number: bool = False


class AccountState(msgspec.Struct):
    status: str


class _LineType(msgspec.Struct):
    type: Short | None = None
    carrier_name: str | None = None


class Lookup(msgspec.Struct):
    """Lookup v2: an invalid number is a good answer too."""

    valid: bool = False
    line_type_intelligence: _LineType | None = None

    def line(self) -> Line:
        if not self.valid:
            return Line(INVALID, None)
        package = self.line_type_intelligence or _LineType()
        line_type = package.type or "unknown"
        return Line(line_type, carrier_of(line_type, package.carrier_name or ""))


# Words in Twilio's carrier names; merged brands and the biggest resellers count for their host network.
_CARRIERS: Final = {
    "verizon": "verizon",
    "cellco": "verizon",
    "t-mobile": "tmobile",
    "tmobile": "tmobile",
    "metropcs": "tmobile",
    "metro pcs": "tmobile",
    "sprint": "tmobile",
    "at&t": "att",
    "cingular": "att",
    "cricket": "att",
    "us cellular": "uscellular",
    "u.s. cellular": "uscellular",
    "uscellular": "uscellular",
    "united states cellular": "uscellular",
}


def carrier_of(line_type: str, name: str) -> str | None:
    """One of our carrier names, None when the look-up does not say.

    A number of a VoIP service is that service's, whoever's name it carries (Google Voice over Bandwidth).
    """
    if line_type in ("fixedVoip", "nonFixedVoip"):
        return "voip"
    spelled = name.casefold()
    for word, carrier in _CARRIERS.items():
        if word in spelled:
            return carrier
    return "regional" if spelled and line_type == "mobile" else None


_TRIAL = "SentfromyourTwiliotrialaccount"


def same_text(ours: str, theirs: str) -> bool:
    """Whether theirs is ours as Twilio may have changed it: smart quotes, a trial account's prefix, redaction."""
    if not theirs:
        return True
    ours_left, theirs_left = _letters(ours), _letters(theirs).removeprefix(_TRIAL)
    if not ours_left and not theirs_left:  # no Latin letter in it, so that smart encoding leaves it alone
        return _marks(ours) == _marks(theirs)
    return ours_left == theirs_left


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isascii() and char.isalnum())


def _marks(text: str) -> str:
    return "".join(normalize("NFKC", text).split())
