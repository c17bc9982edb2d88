"""Twilio's answers, as far as they are read; unknown fields are ignored, since new ones come without notice."""

from email.utils import parsedate_to_datetime
from math import inf
from typing import Final

import msgspec

from gateway.providers.base import Found, InboundText, Line, Listed

INVALID = "invalid"
"""The line type of a number that can't exist."""


class Message(msgspec.Struct, gc=False):
    """A Message resource. Dates are RFC 2822, UTC."""

    sid: str
    status: str
    error_code: int | None = None
    direction: str = ""
    to: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    body: str | None = None
    date_created: str | None = None
    date_sent: str | None = None
    date_updated: str | None = None

    @property
    def created_at(self) -> float:
        """Unix seconds, whole ones as Twilio gives; unreadable counts as late, so that no text is overlooked."""
        at = _at(self.date_created)
        return inf if at is None else at

    def found(self) -> Found:
        return Found(self.sid, self.status, self.error_code)

    def listed(self) -> Listed:
        at = _at(self.date_updated or self.date_sent or self.date_created)
        return Listed(self.sid, self.to or "", self.status, self.error_code, at or 0.0)

    def inbound(self) -> InboundText:
        at = _at(self.date_sent or self.date_created)
        body = (self.body or "").replace("\x00", "")  # PostgreSQL keeps no NUL
        return InboundText(self.sid, self.from_ or "", self.to or "", body, at or 0.0)


class MessagePage(msgspec.Struct):
    messages: list[Message]
    next_page_uri: str | None = None


class PhoneNumber(msgspec.Struct):
    sid: str
    phone_number: str
    friendly_name: str = ""
    sms_url: str | None = None


class PhoneNumberPage(msgspec.Struct):
    incoming_phone_numbers: list[PhoneNumber]
    next_page_uri: str | None = None


class ForSale(msgspec.Struct):
    phone_number: str


class ForSalePage(msgspec.Struct):
    available_phone_numbers: list[ForSale]


class Service(msgspec.Struct):
    inbound_request_url: str | None = None
    use_inbound_webhook_on_number: bool = False


class AccountState(msgspec.Struct):
    status: str


class _LineType(msgspec.Struct):
    type: str | None = None
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


def same_text(ours: str, theirs: str) -> bool:
    """Whether theirs is ours as Twilio may have changed it: smart quotes, a trial account's prefix, redaction."""
    return not theirs or _letters(theirs).endswith(_letters(ours))


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isascii() and char.isalnum())


def _at(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None
