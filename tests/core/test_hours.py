import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.core.rules import hours as hours_module
from gateway.core.rules.hours import (
    CampaignHours,
    Open,
    Shut,
    Why,
    group_key,
    parse_minute,
    verdict,
    zone_of_zip,
)
from gateway.core.text.phone import PLACES

WIDE = CampaignHours(0, 24 * 60, "America/New_York")
NEW_YORK, CHICAGO, DENVER, LOS_ANGELES, PHOENIX, HONOLULU = (
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Phoenix",
    "Pacific/Honolulu",
)  # fmt: skip

# Written down again from the sources, not read from the package's table.
ENDS_AT_20 = {"FL", "OK", "MD", "WA", "MS", "NJ", "AL", "LA", "MA", "CT"}


def expected_minutes(states: set[str], weekday: int, kind: str) -> tuple[int, int]:
    start, end = 9, 21
    for state in states:
        last = 20 if state in ENDS_AT_20 else 21
        if state == "KY" or (state == "RI" and weekday > 4):
            start = max(start, 10)
        if state == "TX" and weekday == 6:
            start = 12
        if state == "RI":
            last = 18 if weekday < 5 else 17
        end = min(end, last)
    return start * 60, (21 if kind == "reply" else end) * 60


def at(text: str, zone: str = NEW_YORK, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def key(area_code: str, **address: str) -> str:
    return group_key(PLACES[area_code].state, PLACES[area_code].zones, **address)


def stands_open(now: float, hours: CampaignHours, group: str, kind: str) -> bool:
    """The law read off the wall clocks, one zone at a time."""
    states, zones = (part.split("+") for part in group.split("@"))
    local = datetime.fromtimestamp(now, ZoneInfo(hours.zone))
    if not hours.start_minute <= local.hour * 60 + local.minute < hours.end_minute:
        return False
    for zone in zones:
        local = datetime.fromtimestamp(now, ZoneInfo(zone))
        start, end = expected_minutes(set(states), local.weekday(), kind)
        if not start <= local.hour * 60 + local.minute < end:
            return False
    return True


# 2026-03-08: spring forward; 2026-11-01 and 2027-11-07: fall back. 2026-06-07 is a Sunday.
@pytest.mark.parametrize(
    ("person", "kind", "local", "zone", "is_open"),
    [
        (("215", {}), "initial", "2026-06-08T08:59:59", NEW_YORK, False),
        (("215", {}), "initial", "2026-06-08T09:00:00", NEW_YORK, True),
        (("215", {}), "initial", "2026-06-08T20:59:59", NEW_YORK, True),
        (("215", {}), "initial", "2026-06-08T21:00:00", NEW_YORK, False),
        (("215", {}), "reply", "2026-06-08T21:00:00", NEW_YORK, False),
        # summer time: the morning after, and the evening of the change
        (("215", {}), "initial", "2026-03-08T08:59:59", NEW_YORK, False),
        (("215", {}), "initial", "2026-03-08T09:00:00", NEW_YORK, True),
        (("215", {}), "initial", "2026-11-01T09:00:00", NEW_YORK, True),
        (("215", {}), "initial", "2026-11-01T20:59:59", NEW_YORK, True),
        (("215", {}), "initial", "2026-11-01T21:00:00", NEW_YORK, False),
        # state hours, and replies beyond them
        (("305", {}), "initial", "2026-06-08T20:00:00", NEW_YORK, False),
        (("305", {}), "reply", "2026-06-08T20:00:00", NEW_YORK, True),
        (("203", {}), "initial", "2026-06-08T09:00:00", NEW_YORK, True),
        (("502", {}), "initial", "2026-06-08T09:59:59", NEW_YORK, False),
        (("502", {}), "initial", "2026-06-08T10:00:00", NEW_YORK, True),
        (("401", {}), "initial", "2026-06-08T17:59:59", NEW_YORK, True),
        (("401", {}), "initial", "2026-06-08T18:00:00", NEW_YORK, False),
        (("401", {}), "initial", "2026-06-07T09:59:59", NEW_YORK, False),
        (("401", {}), "initial", "2026-06-07T17:00:00", NEW_YORK, False),
        (("214", {}), "initial", "2026-06-06T09:00:00", CHICAGO, True),
        (("214", {}), "initial", "2026-06-07T11:59:59", CHICAGO, False),
        (("214", {}), "initial", "2026-06-07T12:00:00", CHICAGO, True),
        # Arizona keeps standard time, the Navajo Nation in 928 does not
        (("602", {}), "initial", "2026-06-08T09:00:00", PHOENIX, True),
        (("602", {}), "initial", "2026-06-08T20:59:59", PHOENIX, True),
        (("928", {}), "initial", "2026-06-08T09:00:00", PHOENIX, True),
        (("928", {}), "initial", "2026-06-08T20:00:00", PHOENIX, False),
        (("928", {}), "initial", "2026-12-08T20:59:59", PHOENIX, True),
        (("928", {}), "initial", "2026-06-08T09:00:00", DENVER, False),
        # split area codes: both zones
        (("850", {}), "initial", "2026-06-08T09:30:00", NEW_YORK, False),
        (("850", {}), "initial", "2026-06-08T10:00:00", NEW_YORK, True),
        (("850", {}), "initial", "2026-06-08T19:59:59", NEW_YORK, True),
        (("850", {}), "initial", "2026-06-08T19:30:00", CHICAGO, False),
        (("808", {}), "initial", "2026-06-08T09:00:00", HONOLULU, True),
        (("907", {}), "initial", "2026-06-08T09:00:00", "America/Anchorage", False),
        (("907", {}), "initial", "2026-06-08T20:30:00", "America/Anchorage", True),
        # a ZIP narrows: Philadelphia's number, a Californian's address
        (("215", {"zip_code": "90012"}), "initial", "2026-06-08T11:59:59", NEW_YORK, False),
        (("215", {"zip_code": "90012"}), "initial", "2026-06-08T12:00:00", NEW_YORK, True),
        (("215", {"zip_code": "90012"}), "initial", "2026-06-08T21:00:00", NEW_YORK, False),
        (("215", {"zip_code": "33101"}), "initial", "2026-06-08T20:00:00", NEW_YORK, False),
        (("215", {"zip_code": "00000"}), "initial", "2026-06-08T20:00:00", NEW_YORK, True),
        (("215", {"address_state": "CA"}), "initial", "2026-06-08T09:00:00", NEW_YORK, False),
        (("305", {"address_state": "FL"}), "initial", "2026-06-08T09:00:00", NEW_YORK, True),
    ],
)
def test_tricky_instants(person, kind, local, zone, is_open):
    """F031: the recipient's own zone decides. F032: first texts and replies alike."""
    area_code, address = person
    answer = verdict(at(local, zone), WIDE_IN[zone], key(area_code, **address), kind)
    assert isinstance(answer, Open) is is_open


WIDE_IN = {
    zone: CampaignHours(0, 24 * 60, zone)
    for zone in (NEW_YORK, CHICAGO, DENVER, LOS_ANGELES, PHOENIX, HONOLULU, "America/Anchorage")
}


def test_default_campaign_hours_are_nine_to_five_in_new_york_all_year():
    """F028, F029 (C1)."""
    for day in ("2026-01-15", "2026-07-15"):
        assert isinstance(verdict(at(f"{day}T08:59:59"), CampaignHours(), key("215")), Shut)
        assert verdict(at(f"{day}T09:00"), CampaignHours(), key("215")) == Open(at(f"{day}T17:00"))


def test_campaign_hours_come_first_and_opening_is_when_both_are_open():
    """F030: the campaign's window, and the recipient's."""
    answer = verdict(at("2026-06-08T08:00"), CampaignHours(), key("213"))
    assert answer == Shut(Why.CAMPAIGN_HOURS, at("2026-06-08T12:00"), NEW_YORK)
    answer = verdict(at("2026-06-08T09:00"), CampaignHours(), key("213"))
    assert answer == Shut(Why.RECIPIENT_HOURS, at("2026-06-08T12:00"), LOS_ANGELES)


def test_a_campaign_window_in_the_hour_that_comes_twice():
    hours = CampaignHours(90, 120, NEW_YORK)  # 01:30 to 02:00, while Guam has its afternoon
    group = group_key("GU", ["Pacific/Guam"])
    first, second = at("2026-11-01T01:30"), at("2026-11-01T01:30", fold=1)
    assert verdict(first, hours, group) == Open(first + 1800)
    assert verdict(first + 1800, hours, group) == Shut(Why.CAMPAIGN_HOURS, second, NEW_YORK)
    assert verdict(second, hours, group) == Open(second + 1800)


def test_a_campaign_window_in_the_hour_that_never_comes():
    hours = CampaignHours(150, 170, NEW_YORK)
    answer = verdict(at("2026-03-08T00:00"), hours, group_key("GU", ["Pacific/Guam"]))
    assert answer == Shut(Why.CAMPAIGN_HOURS, at("2026-03-09T02:30"), NEW_YORK)


def test_hours_that_never_meet():
    answer = verdict(at("2026-06-08T09:30"), CampaignHours(540, 600, NEW_YORK), key("808"))
    assert isinstance(answer, Shut)
    assert answer.opens_at == math.inf
    assert "never meet" in answer.text(at("2026-06-08T09:30"))


def test_what_the_volunteer_reads():
    """F033, F053."""
    now = at("2026-06-08T21:05")
    answer = verdict(now, WIDE, key("215"))
    assert isinstance(answer, Shut)
    assert answer.text(now) == (
        "It is 9:05 PM New York time where this person may be: too early or too late to text. "
        "Texting opens tomorrow at 9:00 AM."
    )
    now = at("2026-06-06T23:30", CHICAGO)
    answer = verdict(now, CampaignHours(600, 1020, CHICAGO), key("214"))
    assert isinstance(answer, Shut)
    assert answer.text(now) == (
        "It is 11:30 PM Chicago time, outside this campaign's texting hours. Texting opens tomorrow at 12:00 PM."
    )


CHANGES = [at("2026-03-08T02:00"), at("2026-11-01T02:00"), at("2027-03-14T02:00"), at("2027-11-07T02:00")]
INSTANTS = st.one_of(
    st.floats(at("2026-01-01T00:00"), at("2028-01-01T00:00")),
    st.tuples(st.sampled_from(CHANGES), st.integers(-40 * 60, 40 * 60)).map(
        lambda pair: pair[0] + pair[1] * 60.0
    ),
)
HOURS = st.builds(
    lambda start, length, zone: CampaignHours(start, min(1440, start + length), zone),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.sampled_from(
        [NEW_YORK, CHICAGO, LOS_ANGELES, PHOENIX, HONOLULU, "America/St_Johns", "Australia/Lord_Howe"]
    ),
)
GROUPS = st.builds(
    lambda code, zip_code: key(code, zip_code=zip_code),
    st.sampled_from([*sorted(PLACES), "401", "214", "928", "850", "907", "808", "502"]),
    st.sampled_from(["", "", "02903", "75201", "90012", "86515", "96813", "32456", "99546"]),
)


@settings(max_examples=100, deadline=None)
@given(INSTANTS, HOURS, GROUPS, st.sampled_from(["initial", "reply"]), st.floats(0, 1, exclude_max=True))
def test_verdict_is_what_the_wall_clocks_say(now, hours, group, kind, part):
    answer = verdict(now, hours, group, kind)
    assert isinstance(answer, Open) == stands_open(now, hours, group, kind)
    ends_at = answer.until if isinstance(answer, Open) else answer.opens_at
    if math.isinf(ends_at):
        assert not any(stands_open(now + 600 * i, hours, group, kind) for i in range(8 * 144))
        return
    between = now + (ends_at - now) * part
    assume(between < ends_at)
    assert stands_open(between, hours, group, kind) == isinstance(answer, Open)
    assert stands_open(ends_at - 0.01, hours, group, kind) == isinstance(answer, Open)
    assert stands_open(ends_at, hours, group, kind) != isinstance(answer, Open)


@settings(max_examples=100, deadline=None)
@given(INSTANTS, HOURS, GROUPS)
def test_the_reason_is_the_window_that_is_shut(now, hours, group):
    answer = verdict(now, hours, group)
    if isinstance(answer, Shut):
        local = datetime.fromtimestamp(now, ZoneInfo(hours.zone))
        campaign_open = hours.start_minute <= local.hour * 60 + local.minute < hours.end_minute
        assert (answer.why is Why.RECIPIENT_HOURS) == campaign_open
        assert answer.zone == hours.zone if not campaign_open else answer.zone in group
        assert answer.text(now).endswith((".", "!"))


def test_every_area_code_opens_on_every_day():
    for place in PLACES.values():
        group = group_key(place.state, place.zones)
        answer = verdict(at("2026-06-08T00:00"), WIDE, group)
        opens_at = answer.opens_at if isinstance(answer, Shut) else answer.until
        assert opens_at < at("2026-06-09T00:00")


@pytest.mark.parametrize(
    ("zip_code", "place"),
    [
        ("19104", ("PA", (NEW_YORK,))),
        ("19104-1234", ("PA", (NEW_YORK,))),
        ("191041234", ("PA", (NEW_YORK,))),
        (" 08540 ", ("NJ", (NEW_YORK,))),
        ("8540", ("NJ", (NEW_YORK,))),
        ("501", ("NY", (NEW_YORK,))),
        ("85401234", ("NJ", (NEW_YORK,))),
        ("60601", ("IL", (CHICAGO,))),
        ("79901", ("TX", (DENVER,))),
        ("79830", ("TX", (CHICAGO, DENVER))),
        ("37402", ("TN", (NEW_YORK,))),
        ("32501", ("FL", (CHICAGO,))),
        ("86515", ("AZ", (DENVER, PHOENIX))),
        ("85003", ("AZ", (PHOENIX,))),
        ("99501", ("AK", ("America/Anchorage",))),
        ("99546", ("AK", ("America/Adak",))),
        ("96799", ("AS", ("Pacific/Pago_Pago",))),
        ("09012", None),
        ("00000", None),
        ("", None),
        ("K1A 0B1", None),
        ("12", None),
        ("191045", None),
    ],
)
def test_zone_of_zip(zip_code, place):
    assert zone_of_zip(zip_code) == place


def test_each_state_has_a_zip_and_a_zip_zone_that_its_area_codes_know():
    by_area_code: dict[str, set[str]] = {}
    for place in PLACES.values():
        by_area_code.setdefault(place.state, set()).update(place.zones)
    by_area_code["AL"].add(NEW_YORK)  # Phenix City keeps the time of Columbus, Georgia, across the river
    by_zip = hours_module._zones_by_state()
    assert set(by_zip) == set(by_area_code)
    for state, zones in by_zip.items():
        assert set(zones) <= by_area_code[state], state


def test_group_key_does_not_depend_on_order_and_joins_people_with_the_same_hours():
    assert group_key("AZ", [PHOENIX, DENVER]) == group_key("AZ", (DENVER, PHOENIX)) == key("928")
    assert (
        key("215") == key("267", zip_code="19104", address_state="NJ") == key("215", address_state="nowhere")
    )
    assert group_key(None, [NEW_YORK]) != key("215")


@pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("9:05", 545), ("09:00", 540), ("24:00", 1440)])
def test_parse_minute(text, minute):
    assert parse_minute(text) == minute


@pytest.mark.parametrize("text", ["", "9", "9am", "24:01", "12:60", "12:5", "-1:00", "٠٩:٠٠", "012:00"])
def test_a_bad_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="not a time of day"):
        parse_minute(text)


@pytest.mark.parametrize(
    ("start", "end", "zone", "message"),
    [
        ("17:00", "09:00", NEW_YORK, "must end after they start"),
        ("09:00", "09:00", NEW_YORK, "must end after they start"),
        ("09:00", "17:00", "EST", "not an IANA time zone"),
        ("09:00", "17:00", "Etc/GMT+5", "not an IANA time zone"),
        ("09:00", "17:00", "America/Nowhere", "not an IANA time zone"),
        ("09:00", "17:00", "../etc/passwd", "not an IANA time zone"),
    ],
)
def test_bad_campaign_hours_are_refused(start, end, zone, message):
    with pytest.raises(ValueError, match=message):
        CampaignHours.parse(start, end, zone)


def test_a_group_that_is_none_is_refused():
    with pytest.raises(ValueError, match="use group_key"):
        verdict(0.0, CampaignHours(), "215")
