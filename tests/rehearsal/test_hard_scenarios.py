"""The scenarios in which the world is hard, with fewer people: each answers its question, and no rule breaks."""

from collections import Counter
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from simulator.model.carriers import TMOBILE
from simulator.model.scenario import load
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import broken, limited, told
from tests.rehearsal.test_shipped_scenarios import clock, most_within, staffed

_PACIFIC = ZoneInfo("America/Los_Angeles")


def test_every_rule_has_its_chances_when_everything_breaks(rehearse: Rehearse) -> None:
    done = rehearse(load("everything-breaks"), contacts=1500)
    assert broken(done) == set(), told(done)
    assert done.result.not_tested == ()


def test_one_stranger_in_five_opts_out(rehearse: Rehearse) -> None:
    done = rehearse(load("cold-list"), contacts=1500)
    assert broken(done) == set(), told(done)
    said = done.result.opt_outs
    shown = np.unique(done.ledger.arrivals.columns()["n"][done.ledger.arrivals.columns()["shown"] == 1])
    people = len(np.unique(done.ledger.submissions.columns()["to"][shown]))
    assert 0.15 < (said.keyword + said.manual) / people < 0.24
    assert done.result.verdict == "NO-GO"


def test_what_tmobiles_day_holds_back(rehearse: Rehearse) -> None:
    """Nobody else waits, and T-Mobile's subscribers get no more than the brand's day."""
    done = rehearse(limited(load("capped-nonprofit"), tmobile_daily_segments=100), contacts=500)
    assert broken(done) == set(), told(done)
    rows = done.ledger.submissions.columns()
    days: Counter[date] = Counter()
    for row in rows[rows["carrier"] == TMOBILE]:
        days[clock(done, row["handed_at"], _PACIFIC).date()] += int(row["segments"])
    assert 90 < max(days.values()) <= 100
    mobile = np.flatnonzero(done.population.line == 0)
    texted = np.isin(done.population.phones[mobile], rows["to"])
    with_tmobile = done.population.carrier[mobile] == TMOBILE
    assert texted[~with_tmobile].mean() > 0.98
    assert texted[with_tmobile].mean() < 0.75
    assert done.result.messages.blocked.get("1202", 0) > 30


def test_election_week_is_late_at_the_full_hour(rehearse: Rehearse) -> None:
    done = rehearse(load("election-week"), contacts=1200)
    assert broken(done) == set(), told(done)
    accepts = done.ledger.accepts.columns()
    late_s = accepts["at"] - accepts["departed_at"]
    past_the_hour_s = (done.plan.scenario.start_at + accepts["departed_at"]) % 3600
    at_the_hour, later = late_s[past_the_hour_s < 300], late_s[past_the_hour_s > 1200]
    assert min(len(at_the_hour), len(later)) > 50
    assert np.median(at_the_hour) > 2 * np.median(later)


def test_fast_thumbs_meet_the_rate_and_pass_none(rehearse: Rehearse) -> None:
    done = rehearse(staffed(limited(load("fast-thumbs"), total_per_s=4.0), 15), contacts=900)
    assert broken(done) == set(), told(done)
    rows = np.sort(done.ledger.submissions.columns(), order="handed_at")
    at, sizes = rows["handed_at"], rows["segments"].astype(np.int64)
    for window_s in (1.0, 5.0, 30.0):
        assert most_within(at, sizes, window_s) <= 4 * window_s
    assert most_within(at, sizes, 30.0) > 0.7 * 120, "the rate never bound"
    assert done.result.chances["rates_and_caps"] > 300
