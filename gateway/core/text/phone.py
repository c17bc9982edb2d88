"""Phone numbers of US mobiles: every usual spelling to E.164, area code to state and time zones.

Common spellings take a regular expression and a table; the rest goes through `phonenumbers`, with the same
result (a property test compares both).
"""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from importlib.resources import files
from typing import Final

import msgspec
import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType

# Own regions of the numbering plan: foreign price and permission, so not texted.
TERRITORIES: Final = frozenset({"AS", "GU", "MP", "PR", "VI"})


# A longer cell is prose. E.164 allows 15 digits: more are several numbers.
LONGEST_CELL: Final = 120
MOST_DIGITS: Final = 15


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where an area code lies. Several zones: it lies in one of them, which is not known.

    `state` is a USPS abbreviation, None when the area code is unknown; then `zones` are those of all states.
    """

    area_code: str
    state: str | None
    zones: tuple[str, ...]


class Phone(msgspec.Struct, frozen=True, gc=False):
    """A number that may be texted: E.164, and its area code's place."""

    e164: str
    area_code: str
    state: str | None
    zones: tuple[str, ...]


class PhoneFault(StrEnum):
    """Why a text is no number that may be texted; the value is stable, for reports."""

    BLANK = "blank"
    NOT_A_NUMBER = "not_a_number"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    EXTENSION = "extension"
    FOREIGN = "foreign"
    TOLL_FREE = "toll_free"
    PREMIUM = "premium"
    NOT_ASSIGNABLE = "not_assignable"

    @property
    def reason(self) -> str:
        """One sentence for the owner of the list."""
        return _REASONS[self]


_REASONS: Final[Mapping[PhoneFault, str]] = {
    PhoneFault.BLANK: "There is no phone number.",
    PhoneFault.NOT_A_NUMBER: "This is not a phone number.",
    PhoneFault.TOO_SHORT: "Digits are missing: a US number has ten, with its area code.",
    PhoneFault.TOO_LONG: "There are too many digits: a US number has ten; keep one number per cell.",
    PhoneFault.EXTENSION: "A number with an extension is an office line and can't be texted.",
    PhoneFault.FOREIGN: "The number is outside the 50 states and DC (abroad, or a US territory).",
    PhoneFault.TOLL_FREE: "Toll-free numbers belong to businesses, not to voters.",
    PhoneFault.PREMIUM: "Premium-rate and special-service numbers can't be texted.",
    PhoneFault.NOT_ASSIGNABLE: "No phone has this number: its area code or exchange is not in use.",
}


class _AreaCodes(msgspec.Struct):
    area_codes: dict[str, tuple[str, tuple[str, ...]]]


def _load_places() -> dict[str, Place]:
    raw = files("gateway.core").joinpath("data", "nanp-us.json").read_bytes()
    codes = msgspec.json.decode(raw, type=_AreaCodes).area_codes
    return {code: Place(code, state, zones) for code, (state, zones) in codes.items()}


PLACES: Final[Mapping[str, Place]] = _load_places()
ALL_ZONES: Final = tuple(
    sorted({zone for place in PLACES.values() if place.state not in TERRITORIES for zone in place.zones})
)
_TEXTABLE: Final = {code: place for code, place in PLACES.items() if place.state not in TERRITORIES}
_TOLL_FREE: Final = frozenset({"800", "833", "844", "855", "866", "877", "888"})

_COMMON = re.compile(
    r"\s*(?:\+?1[-. ]?)?\(?([2-9][0-9]{2})\)?[-. ]{0,2}([2-9][0-9]{2})[-. ]?([0-9]{4})(?:\.0)?\s*", re.ASCII
)


def parse(text: str) -> Phone | PhoneFault:
    """The number that a person wrote in any usual way, or why it can't be texted (F062).

    555-0100 to 555-0199 are accepted: fictitious, for tests and rehearsals.
    """
    found = _parse_common(text)
    if found is None:
        if len(text) > LONGEST_CELL:
            return PhoneFault.NOT_A_NUMBER
        cleaned = _clean(text)
        found = _parse_common(cleaned)
        if found is None:
            found = _parse_cleaned(cleaned)
    return found


def place(e164: str) -> Place:
    """State and possible zones by area code; an unknown one may be anywhere in the states (C1)."""
    area_code = e164[2:5] if e164.startswith("+1") else ""
    return PLACES.get(area_code) or Place(area_code, None, ALL_ZONES)


def national(e164: str) -> str:
    """ "(215) 555-0123", for people."""
    return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"


def masked(e164: str) -> str:
    """ "+1215•••0123", for logs."""
    return f"{e164[:5]}•••{e164[-4:]}"


def _parse_common(text: str) -> Phone | PhoneFault | None:
    matched = _COMMON.fullmatch(text)
    if matched is None:
        return None
    area_code, exchange, line = matched.groups()
    where = _TEXTABLE.get(area_code)
    if where is None:
        return PhoneFault.TOLL_FREE if area_code in _TOLL_FREE else None
    if exchange.endswith("11"):
        return PhoneFault.NOT_ASSIGNABLE
    return Phone(f"+1{area_code}{exchange}{line}", area_code, where.state, where.zones)


_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_LABEL = re.compile(r"^[^\d+(]*[a-z][^\d+(]*", re.IGNORECASE)
_EXTENSION = re.compile(r"\d\W*(?:x|ext|extn|extension|#)[\s.:#=]*\d+\W*$", re.IGNORECASE)
_NOTE = re.compile(r"(?<=\d)[^\da-z]*[a-z][^\d]*$", re.IGNORECASE)
_DECIMALS = re.compile(r"(?<=\d)\.0+$")
_SCIENTIFIC = re.compile(r"(\d)\.(\d{9,10})e\+?(09|9|10)", re.IGNORECASE)


def _clean(text: str) -> str:
    """Take off what spreadsheets and people put around a number: quotes, labels, notes, ".0"."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).replace("_", "-")
    text = text.strip().strip("='\"`").strip()
    scientific = _SCIENTIFIC.fullmatch(text)
    if scientific and len(scientific[2]) == int(scientific[3]):
        return scientific[1] + scientific[2]
    if any(map(str.isdigit, text)):
        text = _LABEL.sub("", text)
    if not _EXTENSION.search(text):
        text = _NOTE.sub("", text)
    return _DECIMALS.sub("", text)


def _parse_cleaned(text: str) -> Phone | PhoneFault:
    """The careful way, for a cleaned text. Letters are never read as digits: that would be a stranger's."""
    if not text:
        return PhoneFault.BLANK
    if _EXTENSION.search(text):
        return PhoneFault.EXTENSION
    if sum(map(str.isdigit, text)) > MOST_DIGITS:
        return PhoneFault.TOO_LONG
    if any(map(str.isalpha, text)) and "ext=" not in text and "phone-context=" not in text:
        return PhoneFault.NOT_A_NUMBER
    try:
        parsed = phonenumbers.parse(re.sub(r"^00(?=[1-9])", "+", text), "US")
    except NumberParseException as error:
        return _PARSE_FAULTS.get(error.error_type, PhoneFault.NOT_A_NUMBER)
    return _judge(parsed)


_PARSE_FAULTS: Final[Mapping[int, PhoneFault]] = {
    NumberParseException.INVALID_COUNTRY_CODE: PhoneFault.FOREIGN,
    NumberParseException.TOO_SHORT_AFTER_IDD: PhoneFault.TOO_SHORT,
    NumberParseException.TOO_SHORT_NSN: PhoneFault.TOO_SHORT,
    NumberParseException.TOO_LONG: PhoneFault.TOO_LONG,
}
_KIND_FAULTS: Final[Mapping[int, PhoneFault]] = {
    PhoneNumberType.TOLL_FREE: PhoneFault.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: PhoneFault.PREMIUM,
    PhoneNumberType.PERSONAL_NUMBER: PhoneFault.PREMIUM,
    PhoneNumberType.UAN: PhoneFault.PREMIUM,
}


def _judge(parsed: PhoneNumber) -> Phone | PhoneFault:
    if parsed.extension:
        return PhoneFault.EXTENSION
    if parsed.country_code != 1:
        return PhoneFault.FOREIGN
    digits = phonenumbers.national_significant_number(parsed)
    if len(digits) != 10:
        return PhoneFault.TOO_SHORT if len(digits) < 10 else PhoneFault.TOO_LONG
    kind = _KIND_FAULTS.get(phonenumbers.number_type(parsed))
    if kind is not None:
        return kind
    # The library knows of no N11 exchanges (911 and its kin): they are service codes.
    if not phonenumbers.is_valid_number(parsed) or digits[4:6] == "11":
        return PhoneFault.NOT_ASSIGNABLE
    if phonenumbers.region_code_for_number(parsed) != "US":
        return PhoneFault.FOREIGN
    where = place(f"+1{digits}")
    return Phone(f"+1{digits}", where.area_code, where.state, where.zones)
