"""The scenarios that come with Textbank, made small: each shows what it is for. Clocks are read by zoneinfo."""

from collections import Counter
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from simulator.model.carriers import TMOBILE
from simulator.model.scenario import Scenario, load
from simulator.report.result import Rehearsed
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import SMALL_TOWN, WINDOW_CLOSE, broken, limited, told

_PACIFIC = ZoneInfo("America/Los_Angeles")


CAPPED_TOWN = replace(
    limited(SMALL_TOWN, tmobile_daily_segments=200),
    volunteers=replace(SMALL_TOWN.volunteers, count=80, late_at_most_s=0.0),
)


def staffed(scenario: Scenario, count: int, **changes: object) -> Scenario:
    return replace(scenario, volunteers=replace(scenario.volunteers, count=count, **changes))


def clock(done: Rehearsed, at: float, zone: str | ZoneInfo | None = None) -> datetime:
    """The wall clock at so many seconds of the world; the campaign's unless another zone is given."""
    scenario = done.plan.scenario
    where = zone or scenario.campaign.zone
    return datetime.fromtimestamp(scenario.start_at + at, ZoneInfo(str(where)))


def test_election_day_may_go_ahead(rehearse: Rehearse) -> None:
    done = rehearse(load("election-day"), contacts=400)
    result = done.result
    assert broken(done) == set(), told(done)
    assert result.verdict in {"GO", "GO with limits"}, result.verdict_reasons
    assert result.messages.delivered > 0.85 * 400
    assert 0 <= result.virtual_seconds - load("election-day").duration_s < 10
    assert (result.replies > 10, result.cost_usd > 1, result.numbers.bought >= 1) == (True, True, True)


def test_a_bad_list_is_filtered_and_stopped(rehearse: Rehearse) -> None:
    done = rehearse(load("bad-list"), contacts=3000)
    assert broken(done) == set(), told(done)
    assert done.result.verdict == "NO-GO"
    filtered = done.result.messages.undelivered.get("30007", 0)
    assert filtered > 0.03 * done.result.messages.requested
    assert any("filtered" in reason for reason in done.result.verdict_reasons), done.result.verdict_reasons
    assert any("landlines or numbers not in service" in r for r in done.result.verdict_reasons)


def test_nothing_leaves_after_the_window_closes(rehearse: Rehearse) -> None:
    """Four volunteers tap faster than the account's rate; at 21:00 the rest must stay."""
    world = staffed(limited(WINDOW_CLOSE, total_per_s=0.1), 4)
    done = rehearse(world, contacts=600)
    assert broken(done) == set(), told(done)
    submissions, accepts = done.ledger.submissions.columns(), done.ledger.accepts.columns()
    moments = np.concatenate((submissions["handed_at"], accepts["departed_at"]))
    shut = world.campaign.hours_end
    assert shut == time(21, 0)
    assert len(submissions) > 100
    assert [at for at in moments.tolist() if not clock(done, at).time() < shut] == []
    late = [at for at in submissions["handed_at"].tolist() if clock(done, at).time() > time(20, 50)]
    assert late, "it stopped long before the window closed"
    messages = done.result.messages
    left = messages.blocked.get("1202", 0) + messages.queued
    assert left > 20
    handed_over = len(np.unique(submissions["message_id"]))  # some more than once, from numbers not known yet
    others = sum(count for code, count in messages.blocked.items() if code != "1202")
    assert 0 <= left + handed_over + others - messages.requested <= 3, "a few were refused, and waited again"
    assert any("end of the texting hours" in reason for reason in done.result.verdict_reasons)


def most_within(at: NDArray[np.float64], sizes: NDArray[np.int64], window_s: float) -> int:
    """The most segments in any window that ends with a message, the message before which it was full not counted."""
    upto = np.concatenate(([0], np.cumsum(sizes)))
    first = np.searchsorted(at, at - window_s + 1e-6, side="right")
    return int((upto[:-1] - upto[first]).max())


def test_a_small_town_keeps_its_rate_and_its_cap(rehearse: Rehearse) -> None:
    done = rehearse(CAPPED_TOWN, contacts=700)
    assert broken(done) == set(), told(done)
    rows = np.sort(done.ledger.submissions.columns(), order="handed_at")
    at, sizes = rows["handed_at"], rows["segments"].astype(np.int64)
    for window_s in (1.0, 5.0, 30.0):
        assert most_within(at, sizes, window_s) <= 12 * window_s
    assert most_within(at, sizes, 5.0) > 0.7 * 60, "the rate never bound"
    days: Counter[date] = Counter()
    for row in rows[rows["carrier"] == TMOBILE]:
        days[clock(done, row["handed_at"], _PACIFIC).date()] += int(row["segments"])
    assert max(days.values()) <= 200
    assert days[date(2026, 10, 14)] > 150, "the cap never bound"


def test_the_verdict_names_the_cap_that_held_texts_back(rehearse: Rehearse) -> None:
    """The scenario's own question; the gateway also counts texts of unknown carrier against the cap."""
    done = rehearse(CAPPED_TOWN, contacts=700)
    assert done.result.messages.blocked.get("1202", 0) > 100, "the cap held nothing back"
    assert any("daily cap" in reason for reason in done.result.verdict_reasons), done.result.verdict_reasons


def test_a_brownout_slows_one_carrier_for_its_hour(rehearse: Rehearse) -> None:
    scenario = load("carrier-brownout")
    done = rehearse(staffed(scenario, 12), contacts=2500)
    assert broken(done) == set(), told(done)
    slow, calm = latencies_s(done, "verizon", during=True), latencies_s(done, "verizon", during=False)
    other = latencies_s(done, "att", during=True)
    assert min(len(slow), len(calm), len(other)) > 20
    assert np.median(slow) > 20 * np.median(calm)
    assert np.median(other) < 3 * np.median(calm)


def latencies_s(done: Rehearsed, carrier: str, *, during: bool) -> NDArray[np.float64]:
    """From the provider to the carrier, of texts that left within the brownout (or two hours off it)."""
    names = ("att", "tmobile", "verizon", "uscellular", "regional", "voip")
    accepts = done.ledger.accepts.columns()
    ours = done.ledger.submissions.columns()["carrier"][accepts["n"]] == names.index(carrier)
    left = accepts["departed_at"]
    within = (left >= 10_800) & (left < 14_400)
    chosen = within if during else (left < 10_800) | (left > 21_600)
    return (accepts["at"] - left)[ours & chosen]
