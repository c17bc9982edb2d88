import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.core.text import phone
from gateway.core.text.phone import Phone, PhoneFault, masked, national, parse, place

PHONE = Phone("+12155550123", "215", "PA", ("America/New_York",))


@pytest.mark.parametrize(
    "text",
    [
        "2155550123",
        "12155550123",
        "+12155550123",
        "(215) 555-0123",
        "(215)555-0123",
        "215.555.0123",
        "215-555-0123",
        "215 555 0123",
        "215/555-0123",
        "215_555_0123",
        "215 - 555 - 0123",
        "1-215-555-0123",
        "1 (215) 555-0123",
        "+1 215 555 0123",
        "+1 (215) 555-0123",
        "  2155550123\t",
        "tel:+1-215-555-0123",
        "2155550123.0",
        "2.155550123E+09",
        "1.2155550123E10",
        '="2155550123"',
        "'2155550123",
        "２１５５５５０１２３",
        "215\u00a0555\u00a00123",
        "215\u2011555\u20110123",
        "\u202a215-555-0123\u202c",
        "\ufeff2155550123",
        "215-555-0123 (cell)",
        "215-555-0123 cell",
        "2155550123 - Mobile",
        "(215) 555 0123 VZW",
        "Cell: 215-555-0123",
        "215-555-0123 ext",
        "[215] 555-0123",
    ],
)
def test_usual_spellings(text):
    assert parse(text) == PHONE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", PhoneFault.BLANK),
        (" \u00a0\t", PhoneFault.BLANK),
        ('""', PhoneFault.BLANK),
        ("n/a", PhoneFault.NOT_A_NUMBER),
        ("-", PhoneFault.NOT_A_NUMBER),
        ("voter@example.org", PhoneFault.NOT_A_NUMBER),
        ("2.16E+09", PhoneFault.NOT_A_NUMBER),
        ("1-215-GET-FOOD", PhoneFault.TOO_SHORT),
        ("215-555-GET1", PhoneFault.NOT_A_NUMBER),
        ("215-5550-HOM", PhoneFault.TOO_SHORT),
        ("215555O123", PhoneFault.NOT_A_NUMBER),
        ("2155550123 is his number " * 9, PhoneFault.NOT_A_NUMBER),
        ("555-0123", PhoneFault.TOO_SHORT),
        ("555-0123 (cell)", PhoneFault.TOO_SHORT),
        ("215-555-012", PhoneFault.TOO_SHORT),
        ("21555501234", PhoneFault.TOO_LONG),
        ("215-555-0123 / 267-555-0199", PhoneFault.TOO_LONG),
        ("2155550123, 2675550199", PhoneFault.TOO_LONG),
        ("2155550123;2675550199", PhoneFault.TOO_LONG),
        ("215-555-0123 x12", PhoneFault.EXTENSION),
        ("215-555-0123x12", PhoneFault.EXTENSION),
        ("215-555-0123 (ext. 12)", PhoneFault.EXTENSION),
        ("215-555-0123 Extension 4", PhoneFault.EXTENSION),
        ("215-555-0123 #4", PhoneFault.EXTENSION),
        ("215-555-0123,,12", PhoneFault.EXTENSION),
        ("tel:+1-215-555-0123;ext=5", PhoneFault.EXTENSION),
        ("+44 20 7946 0958", PhoneFault.FOREIGN),
        ("011 44 20 7946 0958", PhoneFault.FOREIGN),
        ("00442079460958", PhoneFault.FOREIGN),
        ("+2155550123", PhoneFault.FOREIGN),
        ("416-555-0123", PhoneFault.FOREIGN),
        ("876-555-0123", PhoneFault.FOREIGN),
        ("787-555-0123", PhoneFault.FOREIGN),
        ("+1 671 555 0123", PhoneFault.FOREIGN),
        ("800-555-0123", PhoneFault.TOLL_FREE),
        ("1 (833) 555-0123", PhoneFault.TOLL_FREE),
        ("900-555-0123", PhoneFault.PREMIUM),
        ("500-555-0006", PhoneFault.PREMIUM),
        ("215-911-0123", PhoneFault.NOT_ASSIGNABLE),
        ("215-055-0123", PhoneFault.NOT_ASSIGNABLE),
        ("211-555-0123", PhoneFault.NOT_ASSIGNABLE),
        ("000-000-0000", PhoneFault.NOT_ASSIGNABLE),
        ("999-999-9999", PhoneFault.NOT_ASSIGNABLE),
    ],
)
def test_faults(text, fault):
    assert parse(text) is fault


def test_each_fault_has_its_own_sentence():
    reasons = [fault.reason for fault in PhoneFault]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.endswith(".") for reason in reasons)


SHAPES = st.sampled_from(
    [
        "{}{}{}", "({}) {}-{}", "({}){}-{}", "{}.{}.{}", "{}-{}-{}", "{} {} {}", "1{}{}{}", "1-{}-{}-{}",
        "+1{}{}{}", "+1 {} {} {}", "+1 ({}) {}-{}", " {}{}{} ", "{}{}{}.0", "{}-{}-{} ", "{}. {}.{}", "{}--{}-{}",
        "+{}{}{}", "{}{}{}1", "({} {}-{}", "{}) {}-{}",
    ]
)  # fmt: skip
AREA_CODES = st.one_of(
    st.sampled_from(sorted(phone.PLACES)),
    st.integers(0, 999).map("{:03}".format),
    st.sampled_from(["800", "416"]),
)


@settings(max_examples=100, deadline=None)
@given(SHAPES, AREA_CODES, st.integers(0, 999).map("{:03}".format), st.integers(0, 9999).map("{:04}".format))
@example("{}{}{}", "215", "911", "0123")
@example("({}) {}-{}", "787", "555", "0123")
def test_the_fast_way_is_the_careful_way(shape, area_code, exchange, line):
    text = shape.format(area_code, exchange, line)
    assert parse(text) == phone._parse_cleaned(phone._clean(text))


def test_every_area_code_agrees_with_the_library():
    for number in range(200, 1000):
        text = f"{number}5550123"
        assert parse(text) == phone._parse_cleaned(phone._clean(text)), text


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="0123456789()+-. x#,;ext=ab\u00a0２", max_size=24))
def test_whatever_is_accepted_is_a_valid_us_number(text):
    parsed = parse(text)
    if isinstance(parsed, Phone):
        number = phonenumbers.parse(parsed.e164, None)
        assert phonenumbers.is_valid_number(number)
        assert phonenumbers.region_code_for_number(number) == "US"
        assert parse(parsed.e164) == parsed
        assert parse(national(parsed.e164)) == parsed


@pytest.mark.parametrize(
    ("e164", "state", "zones"),
    [
        ("+12155550123", "PA", ("America/New_York",)),
        ("+19285550123", "AZ", ("America/Denver", "America/Phoenix")),
        ("+18085550123", "HI", ("Pacific/Honolulu",)),
        ("+17875550123", "PR", ("America/Puerto_Rico",)),
        ("+19995550123", None, phone.ALL_ZONES),
        ("+442079460958", None, phone.ALL_ZONES),
    ],
)
def test_place(e164, state, zones):
    assert (place(e164).state, place(e164).zones) == (state, zones)


def test_an_unknown_place_may_be_in_any_state_but_no_territory():
    assert {"America/New_York", "Pacific/Honolulu", "America/Adak"} <= set(phone.ALL_ZONES)
    assert not {"Pacific/Guam", "America/Puerto_Rico"} & set(phone.ALL_ZONES)


def test_display_forms():
    assert national("+12155550123") == "(215) 555-0123"
    assert masked("+12155550123") == "+1215•••0123"
