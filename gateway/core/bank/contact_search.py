"""What somebody types to find a contact: a phone, the end of one, or a name."""

import re
from typing import Final

import msgspec

from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import Phone, parse

FEWEST_DIGITS: Final = 4
_FEWEST_LETTERS: Final = 2
_SIGNS: Final = re.compile(r"[\s().+\-]+")


class Sought(msgspec.Struct, frozen=True):
    """One of the three: `phone` in E.164, the last digits of one, or the beginnings of a name's words, case folded."""

    phone: str | None = None
    last_digits: str | None = None
    name: tuple[str, ...] = ()


def sought(text: str) -> Sought:
    """Raises BadInput for what would find too many."""
    phone = parse(text)
    if isinstance(phone, Phone):
        return Sought(phone=phone.e164)
    digits = _SIGNS.sub("", text)
    if digits.isascii() and digits.isdigit():
        if len(digits) < FEWEST_DIGITS:
            raise BadInput("too few digits", "q", f"give at least the last {FEWEST_DIGITS} of the phone")
        return Sought(last_digits=digits)
    words = text.replace(",", " ").lower().split()
    if not words or len(words[0]) < _FEWEST_LETTERS:
        raise BadInput(
            "this finds too many", "q", f"give at least {_FEWEST_LETTERS} letters of a name, or digits"
        )
    return Sought(name=(words[0],) if len(words) == 1 else (words[-1], words[0]))
