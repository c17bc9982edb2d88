"""Which groups of recipients may be texted is worked out when it changes, and never a minute later."""

from gateway.core.rules.hours import CampaignHours, Open, group_key, verdict
from gateway.p2p import bank

_HOURS = CampaignHours(9 * 60, 21 * 60, "America/New_York")
_GROUPS = [
    group_key(state, [zone])
    for state, zone in (
        ("PA", "America/New_York"),
        ("AZ", "America/Phoenix"),
        ("NV", "America/Los_Angeles"),
        ("WI", "America/Chicago"),
    )
]
_BEGIN = 1_793_404_800  # 2026-10-31 00:00 UTC: summer time ends in the night after
_DAYS = 3


def test_they_are_as_of_this_minute_and_worked_out_seldom() -> None:
    known, times = None, 0
    for now in range(_BEGIN, _BEGIN + _DAYS * 86_400, 60):
        if known is None or not known.is_good(now, _HOURS, _GROUPS):
            known, times = bank._looked_up(now, _HOURS, _GROUPS, "reply"), times + 1
        right = [group for group in _GROUPS if isinstance(verdict(now, _HOURS, group, "reply"), Open)]
        assert known.open == right, now
    assert times <= _DAYS * (24 + 2 * len(_GROUPS))


def test_other_hours_and_other_groups_are_worked_out_anew() -> None:
    known = bank._looked_up(_BEGIN, _HOURS, _GROUPS, "reply")
    assert known.is_good(_BEGIN, _HOURS, _GROUPS)
    assert not known.is_good(_BEGIN - 1, _HOURS, _GROUPS), "the clock was set back"
    assert not known.is_good(_BEGIN, CampaignHours(10 * 60, 21 * 60, "America/New_York"), _GROUPS)
    assert not known.is_good(_BEGIN, _HOURS, _GROUPS[:2])
