"""How many segments a text is, as the provider and the carriers count it: the model's own count, whoever sent it.

Rules: GSM 03.38 / 3GPP TS 23.038. A text whose characters are all in the GSM-7 tables has 160 septets in one message
and 153 in each part of a longer one; any other text has 70 and 67 units of UTF-16. Parts fill from left to right;
what can't be cut (an escaped character, a grapheme cluster) goes whole into the next part.
"""

import re
from functools import lru_cache

import regex

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = "\f^{}\\[~]|€"  # two septets each
_GSM7_ONE, _GSM7_PART = 160, 153
_UCS2_ONE, _UCS2_PART = 70, 67
_PLAIN = re.compile(f"[{re.escape(_BASIC)}]*")
_GSM7 = re.compile(f"[{re.escape(_BASIC + _ESCAPED)}]*")
_CLUSTER = regex.compile(r"[\r\n]|\X")  # CR LF is two elements


@lru_cache(maxsize=1 << 14)
def segments_of(body: str) -> int:
    """Segments as billed, at least 1."""
    if len(body) <= _UCS2_ONE and body.isascii():
        return 1
    if _PLAIN.fullmatch(body):
        return 1 if len(body) <= _GSM7_ONE else -(-len(body) // _GSM7_PART)
    if _GSM7.fullmatch(body):
        return _parts([2 if each in _ESCAPED else 1 for each in body], _GSM7_ONE, _GSM7_PART)
    if _units(body) <= _UCS2_ONE:
        return 1
    return _parts([_units(each) for each in _CLUSTER.findall(body)], _UCS2_ONE, _UCS2_PART)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _parts(costs: list[int], one: int, part: int) -> int:
    if sum(costs) <= one:
        return 1
    parts, used = 1, 0
    for cost in costs:
        if used + cost > part:
            parts, used = parts + 1, 0
        used += cost
    return parts
