"""How a text travels and what it costs: encoding, parts, prices (C3, C4).

Rules: GSM 03.38 / 3GPP TS 23.038. Call `normalise` first; everything else measures the text as it stands.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from typing import Final, Literal, NamedTuple, assert_never

import msgspec
import regex


class Encoding(StrEnum):
    """How the characters of a message are written on the air."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


class Measure(msgspec.Struct, frozen=True, gc=False):
    """What a text weighs. `units` and `left` are septets (GSM-7) or UTF-16 units (UCS-2).

    `left` is the room in the last segment, gaps counted as lost.
    """

    encoding: Encoding
    segments: int
    units: int
    left: int


class Replacement(msgspec.Struct, frozen=True, gc=False):
    """One character that `suggest_smart` changed; `position` counts in the normalised text."""

    position: int
    was: str
    becomes: str


class Room(NamedTuple):
    """Units that fit into a single message, and into each part of a longer one."""

    single: int
    part: int


ROOM: Final[Mapping[Encoding, Room]] = {Encoding.GSM7: Room(160, 153), Encoding.UCS2: Room(70, 67)}
LEGACY_CHARACTERS: Final = (160, 67)  # F003, F004: without and with emoji

BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = "\f^{}\\[~]|€"

_ASCII_BASIC = "".join(filter(str.isascii, BASIC)).encode()
_ASCII_EXTENSION = "".join(filter(str.isascii, EXTENSION)).encode()
_NOT_GSM7 = re.compile(f"[^{re.escape(BASIC + EXTENSION)}]")
_EXTENSION_CHARACTER = re.compile(f"[{re.escape(EXTENSION)}]")
# Blocks in which every character is one unit and a cluster of its own: Latin, punctuation, currency.
_PLAIN = "\n\x20-\x7e\xa0-\xac\xae-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20bf"
_COMPLEX = re.compile(f"[^{_PLAIN}]")
# Only here can characters belong together: everything else, with the plain neighbours it may bind to.
_STRETCH = re.compile(f"[{_PLAIN}]?(?:[^{_PLAIN}]+[{_PLAIN}]?)+")
# CR LF is one grapheme cluster by Unicode, two elements by the provider's calculator.
_CLUSTER = regex.compile(r"[\r\n]|\X")
_EMOJI = regex.compile(r"(?![©®™‼⁉ℹ])\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20e3")


def _singles(encoding: Encoding) -> list[Measure]:
    single = ROOM[encoding].single
    return [Measure(encoding, 1, units, single - units) for units in range(single + 1)]


_SINGLE_GSM7 = _singles(Encoding.GSM7)
_SINGLE_UCS2 = _singles(Encoding.UCS2)


def normalise(text: str) -> str:
    """NFC, and CR LF or CR as LF: the form in which a text is stored, compared, measured and sent."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def measure(text: str) -> Measure:
    """Encoding, segments and units of a text exactly as it would be charged (C3); empty counts as 1."""
    if not text.isascii():
        return _measure_ucs2(text) if _NOT_GSM7.search(text) else _measure_extended(text)
    beyond_basic = text.encode().translate(None, _ASCII_BASIC)
    if beyond_basic:
        foreign = beyond_basic.translate(None, _ASCII_EXTENSION)
        return _measure_ucs2(text) if foreign else _measure_extended(text)
    return _even(Encoding.GSM7, len(text)) if len(text) > 160 else _SINGLE_GSM7[len(text)]


def split(text: str) -> list[str]:
    """The parts as they go on the air; joined they are the text. A text of one segment is one part."""
    measured = measure(text)
    if measured.segments == 1:
        return [text]
    elements = list(text) if measured.encoding is Encoding.GSM7 else _elements(text)
    costs = _septets(text) if measured.encoding is Encoding.GSM7 else list(map(_units, elements))
    return _cut(elements, costs, ROOM[measured.encoding].part)


def legacy_segments(text: str) -> int:
    """The documented "160/67" figure (F003, F004, C3), for display beside the real one, never for billing."""
    characters = LEGACY_CHARACTERS[1 if _EMOJI.search(text) else 0]
    return max(1, -(-len(text) // characters))


def culprits(text: str) -> list[tuple[int, str]]:
    """(position, character as a reader sees it) of whatever forces a text out of GSM-7."""
    if not _NOT_GSM7.search(text):
        return []
    return [(found.start(), found[0]) for found in _CLUSTER.finditer(text) if _NOT_GSM7.search(found[0])]


def suggest_smart(text: str) -> tuple[str, list[Replacement]]:
    """The normalised text with look-alikes of GSM-7 characters replaced, for the author to see and accept.

    Accents stay. Wide blanks and tabs become one space (the provider's two and seven look like quirks).
    """
    text = normalise(text)
    changes = [Replacement(i, was, _SMART[was]) for i, was in enumerate(text) if was in _SMART]
    return (text.translate(_SMART_TABLE) if changes else text), changes


def _even(encoding: Encoding, units: int) -> Measure:
    """A long text of one-unit characters: parts fill without gaps."""
    part = ROOM[encoding].part
    segments = -(-units // part)
    return Measure(encoding, segments, units, segments * part - units)


def _measure_extended(text: str) -> Measure:
    units = len(text) + len(_EXTENSION_CHARACTER.findall(text))
    if units <= ROOM[Encoding.GSM7].single:
        return _SINGLE_GSM7[units]
    return _even(Encoding.GSM7, units) if units == len(text) else _fill(Encoding.GSM7, _septets(text))


def _measure_ucs2(text: str) -> Measure:
    units = _units(text)
    if units <= ROOM[Encoding.UCS2].single:
        return _SINGLE_UCS2[units]
    if not _COMPLEX.search(text):
        return _even(Encoding.UCS2, units)
    return _fill(Encoding.UCS2, _ucs2_costs(text))


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _septets(text: str) -> list[int]:
    return [2 if character in EXTENSION else 1 for character in text]


def _elements(text: str) -> list[str]:
    """What may not be cut: grapheme clusters. Clusters are dear to find, so only where there may be any."""
    elements: list[str] = []
    done = 0
    for stretch in _STRETCH.finditer(text):
        elements.extend(text[done : stretch.start()])
        for cluster in _CLUSTER.findall(stretch[0]):
            elements.extend(_whole(cluster))
        done = stretch.end()
    elements.extend(text[done:])
    return elements


def _whole(cluster: str) -> Sequence[str]:
    """A cluster too long for any part falls into its code points: the rule leaves it undefined."""
    return cluster if len(cluster) > 1 and _units(cluster) > ROOM[Encoding.UCS2].part else (cluster,)


def _ucs2_costs(text: str) -> list[int]:
    """The units of each of `_elements`, without making them where all cost one."""
    costs: list[int] = []
    done = 0
    for stretch in _STRETCH.finditer(text):
        costs += [1] * (stretch.start() - done)
        costs += map(_units, _elements(stretch[0]))
        done = stretch.end()
    return costs + [1] * (len(text) - done)


def _fill(encoding: Encoding, costs: list[int]) -> Measure:
    """Fill parts greedily from left to right; what does not fit moves whole to the next part."""
    part = ROOM[encoding].part
    segments, used = 1, 0
    for cost in costs:
        if used + cost > part:
            segments, used = segments + 1, 0
        used += cost
    return Measure(encoding, segments, sum(costs), part - used)


def _cut(elements: list[str], costs: list[int], part: int) -> list[str]:
    parts: list[list[str]] = [[]]
    used = 0
    for element, cost in zip(elements, costs, strict=True):
        if used + cost > part:
            parts.append([])
            used = 0
        parts[-1].append(element)
        used += cost
    return ["".join(piece) for piece in parts]


class _SmartMap(msgspec.Struct):
    map: dict[str, str]


def _load_smart() -> dict[str, str]:
    """The provider's table without combining marks (accents stay) and with single blanks."""
    raw = files("gateway.core").joinpath("data", "smart-encoding-map.json").read_bytes()
    pairs = ((chr(int(code, 16)), to) for code, to in msgspec.json.decode(raw, type=_SmartMap).map.items())
    return {
        was: " " if becomes and not becomes.strip(" ") else becomes
        for was, becomes in pairs
        if not unicodedata.combining(was)
    }


_SMART: Final = _load_smart()
_SMART_TABLE: Final = str.maketrans(_SMART)


class Tariff(msgspec.Struct, frozen=True):
    """Dollars per outbound and inbound segment (sms) or message (mms)."""

    sms_usd: float
    sms_in_usd: float
    mms_usd: float
    mms_in_usd: float


NO_FEES: Final = Tariff(0.0, 0.0, 0.0, 0.0)


class Prices(Tariff, frozen=True):
    """A dated price table: the provider's own tariff, and each carrier's fees on top of it."""

    as_of: str
    failed_usd: float
    planning: Tariff
    carriers: dict[str, Tariff]

    def fees(self, carrier: str | None) -> Tariff:
        """The carrier's fees; the planning value where the carrier is not known."""
        return self.planning if carrier is None else self.carriers.get(carrier, self.planning)


class _PriceFile(msgspec.Struct):
    default: str
    tables: list[Prices]


def _load_prices() -> tuple[Prices, dict[str, Prices]]:
    raw = files("gateway.core").joinpath("data", "prices.json").read_bytes()
    loaded = msgspec.json.decode(raw, type=_PriceFile)
    by_month = {prices.as_of: prices for prices in loaded.tables}
    return by_month[loaded.default], by_month


PRICES, PRICES_BY_MONTH = _load_prices()

Billing = Literal["free", "fee", "full"]


def cost_usd(
    segments: int,
    carrier: str | None,
    billing: Billing,
    prices: Prices = PRICES,
    *,
    mms: bool = False,
    pays_no_fee: bool = False,
) -> float:
    """Dollars for one outbound message: nothing, the flat fee of a failed one (C17), or all of it.

    An MMS is one unit whatever its text (C3). `pays_no_fee`: the carrier takes nothing from this campaign.
    """
    match billing:
        case "free":
            return 0.0
        case "fee":
            return prices.failed_usd
        case "full":
            fees = NO_FEES if pays_no_fee else prices.fees(carrier)
            if mms:
                return prices.mms_usd + fees.mms_usd
            return segments * (prices.sms_usd + fees.sms_usd)
        case _:
            assert_never(billing)


def inbound_cost_usd(
    segments: int, carrier: str | None, prices: Prices = PRICES, *, mms: bool = False
) -> float:
    """Dollars for one message received."""
    fees = prices.fees(carrier)
    return prices.mms_in_usd + fees.mms_in_usd if mms else segments * (prices.sms_in_usd + fees.sms_in_usd)
