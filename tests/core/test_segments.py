import json
import math
import unicodedata
from pathlib import Path

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.core.text import segments
from gateway.core.text.segments import (
    Encoding,
    cost_usd,
    culprits,
    legacy_segments,
    measure,
    normalise,
    split,
)

EXAMPLES = json.loads((Path(__file__).parent / "data" / "segments-examples.json").read_text())
FAMILY = "👨‍👩‍👧‍👦"

TRICKY = st.sampled_from(
    [
        *"aZ 1€[^{~é ñáçΩ’—`\n\r\t",
        "👍",
        "👍🏽",
        "🇺🇸",
        FAMILY,
        "❤️",
        "e\u0301",
        "\r\n",
        "한",
        "क्षि",
        "\u0301" * 5,
        "\u0600",
        "©",
        "\u200d",
        "💛",
    ]
)
TEXTS = st.one_of(
    st.lists(TRICKY, max_size=12).map("".join),
    st.tuples(st.integers(0, 170), st.lists(TRICKY, max_size=30)).map(lambda p: "a" * p[0] + "".join(p[1])),
    st.text(alphabet=segments.BASIC + segments.EXTENSION, max_size=400),
    st.text(max_size=200),
)
SETTINGS = settings(max_examples=100, deadline=None)


def reference_units(text: str) -> tuple[Encoding, list[int]]:
    """The published pseudo-code, written down without any short cut."""
    if all(c in segments.BASIC + segments.EXTENSION for c in text):
        return Encoding.GSM7, [2 if c in segments.EXTENSION else 1 for c in text]
    clusters = regex.findall(r"[\r\n]|\X", text)
    costs = []
    for cluster in clusters:
        units = len(cluster.encode("utf-16-le")) // 2
        costs += [units] if units <= 67 else [len(c.encode("utf-16-le")) // 2 for c in cluster]
    return Encoding.UCS2, costs


def reference_segments(text: str) -> tuple[Encoding, int, int]:
    encoding, costs = reference_units(text)
    single, many = (160, 153) if encoding is Encoding.GSM7 else (70, 67)
    if sum(costs) <= single:
        return encoding, 1, sum(costs)
    segments_, used = 1, 0
    for cost in costs:
        if used + cost > many:
            segments_, used = segments_ + 1, 0
        used += cost
    return encoding, segments_, sum(costs)


def triple(text: str) -> tuple[Encoding, int, int]:
    measured = measure(text)
    return measured.encoding, measured.segments, measured.units


def test_there_are_seventy_examples():
    assert len(EXAMPLES) == 70


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case["note"])
def test_examples_of_the_calculator(case):
    assert triple(case["text"]) == (case["encoding"], case["segments"], case["units"])


def test_basic_table_has_its_127_characters():
    assert len(set(segments.BASIC)) == len(segments.BASIC) == 127
    assert len(set(segments.EXTENSION)) == 10


@pytest.mark.parametrize(
    ("text", "segments_", "left"),
    [
        ("", 1, 160),
        ("a", 1, 159),
        ("a" * 160, 1, 0),
        ("a" * 161, 2, 145),
        ("a" * 158 + "€", 1, 0),
        ("a" * 152 + "€" + "a" * 10, 2, 141),  # the euro moves whole, one septet is lost
        ("’", 1, 69),
        ("’" * 71, 2, 63),
        ("’" * 66 + "👍" + "’" * 4, 2, 61),
        ("’" * 60 + FAMILY + "’" * 60, 3, 63),  # 60 | family and 56 | 4
    ],
)
def test_room_left_in_the_last_segment(text, segments_, left):
    assert (measure(text).segments, measure(text).left) == (segments_, left)


@SETTINGS
@given(TEXTS)
@example("a" * 60 + FAMILY + "a" * 60)
@example("a" * 70 + "e" + "\u0301" * 80)
@example("’" * 65 + "\u0600ab💛\u200d©c\u0301" + "’" * 70)
def test_measure_is_the_published_rule(text):
    """F003 and F005: the real sizes, not 160 for all (C3)."""
    assert triple(text) == reference_segments(text)


@SETTINGS
@given(TEXTS)
@example("a" * 160 + "€" * 80)
@example("’" * 66 + "👍" * 40)
def test_split_gives_the_parts_that_are_charged(text):
    parts, measured = split(text), measure(text)
    assert "".join(parts) == text
    assert len(parts) == measured.segments
    single, many = (160, 153) if measured.encoding is Encoding.GSM7 else (70, 67)
    units = [sum(reference_units(p)[1]) for p in parts]
    if measured.encoding is Encoding.UCS2:
        units = [len(p.encode("utf-16-le")) // 2 for p in parts]
    assert max(units) <= (single if len(parts) == 1 else many)
    assert measured.left == (single if len(parts) == 1 else many) - units[-1]


@SETTINGS
@given(TEXTS, TEXTS)
def test_appending_never_lowers_the_count(text, more):
    assert measure(text).segments <= measure(text + more).segments


@SETTINGS
@given(TEXTS)
def test_never_fewer_parts_than_the_units_need(text):
    measured = measure(text)
    if measured.segments > 1:
        assert measured.segments >= math.ceil(measured.units / segments.ROOM[measured.encoding].part)


@SETTINGS
@given(st.text(alphabet=segments.BASIC, min_size=1, max_size=400), st.data())
def test_an_extension_character_never_lowers_the_count(text, data):
    position = data.draw(st.integers(0, len(text) - 1))
    changed = text[:position] + data.draw(st.sampled_from(segments.EXTENSION)) + text[position + 1 :]
    assert measure(text).segments <= measure(changed).segments


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("\r\r\n\n", "\n\n\n"),
        ("Ren\u0065\u0301e", "Renée"),
        ("plain", "plain"),
        ("n\u0303\r\n", "ñ\n"),
    ],
)
def test_normalise(text, normal):
    assert normalise(text) == normal


@SETTINGS
@given(TEXTS)
def test_normalise_is_settled_after_one_pass(text):
    once = normalise(text)
    assert normalise(once) == once
    assert "\r" not in once
    assert unicodedata.is_normalized("NFC", once)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("á" * 160, 1),  # the documents know emoji only
        ("👍" + "a" * 66, 1),
        ("👍" + "a" * 67, 2),
        ("©" + "a" * 100, 1),
        ("🇺🇸" + "a" * 66, 2),
    ],
)
def test_legacy_figure(text, count):
    """F003, F004: the documented 160 and 67, for those who want to see them (C3)."""
    assert legacy_segments(text) == count


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hola José", []),
        ("Martí", [(4, "í")]),
        ("It’s `go`", [(2, "’"), (5, "`"), (8, "`")]),
        (f"hi {FAMILY}!", [(3, FAMILY)]),
        ("€[]", []),
    ],
)
def test_culprits(text, found):
    """F004: which character makes a text UCS-2."""
    assert culprits(text) == found


@SETTINGS
@given(TEXTS)
def test_culprits_are_there_exactly_when_the_text_is_ucs2(text):
    assert bool(culprits(text)) == (measure(text).encoding is Encoding.UCS2)
    assert all(text.startswith(character, position) for position, character in culprits(text))


@pytest.mark.parametrize(
    ("text", "smart"),
    [
        ("It’s “go” time — see you…", 'It\'s "go" time - see you...'),
        ("a\u00a0b\u2003c\td", "a b c d"),
        ("zero\u200bwidth", "zerowidth"),
        ("¿Podrá?", "¿Podrá?"),
        ("cafe\u0301", "café"),
        ("q\u0303 stays", "q\u0303 stays"),
        ("Señor Muñoz, árbol", "Señor Muñoz, árbol"),
        ("👍🏽 ok", "👍🏽 ok"),
        (FAMILY, FAMILY),
        ("½ price", "1/2 price"),
        ("line\r\nend", "line\nend"),
    ],
)
def test_smart_suggestion(text, smart):
    assert segments.suggest_smart(text)[0] == smart


@SETTINGS
@given(TEXTS)
def test_smart_suggestion_reports_each_change_and_forces_nothing(text):
    smart, changes = segments.suggest_smart(text)
    rebuilt = list(normalise(text))
    for change in changes:
        assert rebuilt[change.position] == change.was
        rebuilt[change.position] = change.becomes
    assert "".join(rebuilt) == smart
    assert len(culprits(smart)) <= len(culprits(normalise(text)))
    accents = [c for c in normalise(text) if unicodedata.combining(c) or c in "áíóúéñç"]
    assert accents == [c for c in smart if unicodedata.combining(c) or c in "áíóúéñç"]


@pytest.mark.parametrize(
    ("count", "carrier", "billing", "usd"),
    [
        (1, "verizon", "full", 0.0128),
        (3, "att", "full", 0.0354),
        (2, "tmobile", "full", 0.0256),
        (1, "uscellular", "full", 0.0128),
        (1, "regional", "full", 0.0118),
        (1, "voip", "full", 0.0103),
        (1, None, "full", 0.0123),
        (1, "a carrier of next year", "full", 0.0123),
        (7, "att", "fee", 0.001),
        (7, "att", "free", 0.0),
    ],
)
def test_cost(count, carrier, billing, usd):
    assert cost_usd(count, carrier, billing) == pytest.approx(usd, abs=1e-9)


def test_an_mms_is_one_unit_by_price():
    """F002, F013."""
    assert cost_usd(5, "att", "full", mms=True) == pytest.approx(0.031)


def test_inbound_has_its_own_fees():
    assert segments.inbound_cost_usd(2, "tmobile") == pytest.approx(0.0216)
    assert segments.inbound_cost_usd(1, "verizon") == pytest.approx(0.0083)
    assert segments.inbound_cost_usd(9, "att", mms=True) == pytest.approx(0.024)


def test_price_tables_are_dated():
    january = segments.PRICES_BY_MONTH["2026-01"]
    assert segments.PRICES.as_of == "2026-05"
    assert cost_usd(1, "att", "full", january) == pytest.approx(0.0113)
