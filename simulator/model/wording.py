"""The words of a script for one person: the model's own renderer, for scripts of words and plain variables.

It shares nothing with the gateway's, so that each text on the wire can be held against it. Scripts with tags, filters or
custom fields are beyond it: `Wording.of` returns None for them, and nobody judges their texts.
"""

import re
import unicodedata
from zlib import crc32

import msgspec

SUFFIX = "Reply STOP to unsubscribe."  # what a campaign may have added to its first texts (F012)

_VARIABLE = re.compile(r"\{\{\s*([a-z_.]+)\s*\}\}")
_NAMES = frozenset({"first_name", "last_name", "full_name", "fullname"})
_KNOWN = _NAMES | {f"user.{name}" for name in _NAMES}
_NOTHING = "\0"
_GAP = re.compile(rf"[ \t]*(?:{_NOTHING}[ \t]*)+")
_PUNCTUATION = re.compile(r"[,.!?;:]+(?:\s|\Z)")


class Names(msgspec.Struct, frozen=True):
    """A person's or a sender's names; "" where not known."""

    first: str = ""
    last: str = ""

    def value(self, variable: str, fallback: str) -> str:
        """A variable's text. The fallback stands in for a missing first or full name (F100)."""
        if variable == "first_name":
            return self.first.strip() or fallback
        if variable == "last_name":
            return self.last.strip()
        return f"{self.first} {self.last}".strip() or fallback


class Wording(msgspec.Struct, frozen=True):
    """A script cut at its variables: words, variable, words, variable, …, words."""

    parts: tuple[str, ...]
    suffix: bool
    contact_fallback: str
    sender_fallback: str

    @classmethod
    def of(
        cls, source: str, *, suffix: bool = False, contact_fallback: str = "", sender_fallback: str = ""
    ) -> "Wording | None":
        """None for a script with more than words and names."""
        parts = _VARIABLE.split(_tidy_breaks(source))
        is_plain = "{{" not in "".join(parts[::2]) and "{%" not in source
        if not is_plain or not _KNOWN.issuperset(parts[1::2]):
            return None
        return cls(tuple(parts), suffix, contact_fallback.strip(), sender_fallback.strip())

    @property
    def variables(self) -> tuple[str, ...]:
        """What it asks for, such as "first_name" and "user.first_name"."""
        return self.parts[1::2]

    def text(self, contact: Names, sender: Names) -> str:
        """The text as it has to be on the wire."""
        said = list(self.parts)
        said[1::2] = [self._value(name, contact, sender) or _NOTHING for name in self.variables]
        text = "".join(said)
        if _NOTHING in text:
            text = _GAP.sub(_close, text)
        text = _tidy_breaks(text).strip()
        if self.suffix and text and SUFFIX[:-1].lower() not in text.lower():
            return f"{text} {SUFFIX}"
        return text

    def _value(self, variable: str, contact: Names, sender: Names) -> str:
        if variable.startswith("user."):
            return sender.value(variable.removeprefix("user."), self.sender_fallback)
        return contact.value(variable, self.contact_fallback)


def key_of(text: str) -> int:
    """What the ledger keeps of a text: the same for the same words."""
    return crc32(text.encode())


def variant_of(luck: float, variants: int) -> int:
    """Which of several first texts a person gets: an even draw (F087)."""
    return min(int(luck * variants), variants - 1)


def _tidy_breaks(text: str) -> str:
    plain = text if text.isascii() else unicodedata.normalize("NFC", text)
    return plain.replace("\r\n", "\n").replace("\r", "\n")


def _close(gap: re.Match[str]) -> str:
    """One blank where something is missing; none at a line's ends or before punctuation."""
    text = gap.string
    begins_line = gap.start() == 0 or text[gap.start() - 1] == "\n"
    ends_line = gap.end() == len(text) or text[gap.end()] == "\n"
    if begins_line or ends_line or _PUNCTUATION.match(text, gap.end()):
        return ""
    return " " if gap.group().strip(_NOTHING) else ""
