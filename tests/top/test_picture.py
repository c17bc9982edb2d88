"""Two scrapes become one picture: rates, sums over workers, the worst of ages and shares; and 60 columns of ASCII."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from gateway.core.rules.lifecycle import State
from gateway.metric_families import RESOURCE
from gateway.metrics import Metrics
from gateway.top.picture import Picture, Seen, picture
from gateway.top.scrape import Scrape, buckets, increase, per_s, quantile
from gateway.top.screen import WIDTH, lines

URL = "http://127.0.0.1:18800"


def scraped(metrics: Metrics, at: float = 0.0) -> Scrape:
    return Scrape(metrics.exposition().decode(), at)


def running(hash_: str = "aaa") -> Metrics:
    metrics = Metrics()
    metrics.running("1.0", "abc", hash_)
    return metrics


def busy(metrics: Metrics, *, calls: int = 20) -> None:
    metrics.accepted("initial", 10)
    for _ in range(calls):
        metrics.provider_request("twilio", "ok", 0.04)
        metrics.queue_wait("initial", 0.2)
    metrics.provider_request("twilio", "throttled", 0.3)
    metrics.final("att", State.DELIVERED, n=8)
    metrics.final("att", State.FAILED, "filtered", n=1)
    metrics.final("att", State.UNDELIVERED, "unreachable", n=1)
    metrics.queue("initial", "att", messages=100, segments=120, oldest_age_s=30.0, drain_eta_s=7500.0)
    metrics.queue("initial", "tmobile", messages=50, segments=50, oldest_age_s=90.0, drain_eta_s=60.0)
    metrics.saturation("numbers", 0.95)
    metrics.owned(2, 1)
    metrics.people(waiting=3, volunteers=20, remaining=1000)


def seen(*, every_s: float = 2.0, workers: int = 1) -> Picture:
    found = []
    for nth in range(workers):
        metrics = running()
        before = scraped(metrics, 10.0)
        busy(metrics)
        found.append(Seen(f"{URL}{nth}", before, scraped(metrics, 10.0 + every_s)))
    return picture(found)


def test_rates_are_of_the_time_between() -> None:
    shown = seen(every_s=4.0)
    assert (shown.over_s, shown.accepted_per_s, shown.sent_per_s) == (4.0, 2.5, 5.0)
    assert (shown.delivered_per_s, shown.failed_per_s) == (2.0, 0.5)
    assert shown.provider.outcomes == {"ok": 20, "throttled": 1, "rejected": 0, "error": 0, "timeout": 0}
    assert shown.provider.bad_share == pytest.approx(1 / 21, abs=1e-4)


def test_over_workers_counts_add_up_and_the_worst_age_counts() -> None:
    one, two = seen(), seen(workers=2)
    assert (two.campaigns, two.people_waiting, two.contacts_remaining) == (4, 6, 2000)
    assert two.accepted_per_s == 2 * one.accepted_per_s
    initial = next(lane for lane in two.lanes if lane.lane == "initial")
    assert (initial.messages, initial.segments) == (300, 340)
    assert (initial.oldest_s, initial.drain_s) == (90.0, 7500.0)
    assert next(each.used for each in two.resources if each.resource == "numbers") == 0.95
    assert [each.resource for each in two.resources] == list(RESOURCE.values)


def test_what_is_no_time_and_no_traffic_has_no_quantiles() -> None:
    metrics = running()
    shown = picture([Seen(URL, scraped(metrics, 1.0), scraped(metrics, 1.0))])
    assert (shown.over_s, shown.accepted_per_s) == (0.0, 0.0)
    assert (shown.provider.p99_s, shown.provider.bad_share) == (None, None)


def test_a_worker_that_began_anew_has_done_what_it_counts() -> None:
    before, after = running(), running()
    before.accepted("initial", 1000)
    after.accepted("initial", 6)
    name = "p2p_messages_accepted_total"
    assert per_s(scraped(before, 0.0), scraped(after, 2.0), name) == 3.0
    assert increase(scraped(after, 0.0), scraped(before, 2.0), name) == 994


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_its_bucket(amounts: list[float], share: float) -> None:
    registry, bounds = CollectorRegistry(), (0.5, 1.0, 5.0, 10.0)
    histogram = Histogram("lasted_seconds", "x", registry=registry, buckets=bounds)
    before = Scrape(generate_latest(registry).decode(), 0.0)
    for amount in amounts:
        histogram.observe(amount)
    counts = buckets(before, Scrape(generate_latest(registry).decode(), 1.0), "lasted_seconds")
    found = quantile(counts, share)
    assert found is not None
    exact = sorted(amounts)[max(0, math.ceil(share * len(amounts) - 1e-9) - 1)]
    upper = next((bound for bound in bounds if exact <= bound), math.inf)
    lower = max((bound for bound in (0.0, *bounds) if bound < exact), default=0.0)
    assert lower <= found <= min(upper, bounds[-1]) or (upper == math.inf and found == bounds[-1])


def test_whoever_has_other_metrics_has_none_of_ours() -> None:
    assert not Scrape("# TYPE x gauge\nx 1\n", 0.0)
    assert scraped(running())
    with pytest.raises(ValueError, match="metric name"):
        Scrape("<html>no</html>", 0.0)


# ---------------------------------------------------------------- the screen


def text(shown: Picture) -> str:
    return "\n".join(line.text for line in lines(shown, at="12:00:00 UTC"))


def extreme() -> Picture:
    """Everything as long as it may be."""
    metrics = running()
    before = scraped(metrics, 0.0)
    for _ in range(3):
        metrics.event_loop_lag(9.0)
    metrics.accepted("initial", 10**9)
    for outcome in ("throttled", "rejected", "error", "timeout"):
        metrics.provider_request("twilio", outcome, 29.0)
    for lane in ("reply", "retry", "initial"):
        metrics.queue(
            lane, "att", messages=12_345_678, segments=12_345_678, oldest_age_s=9e5, drain_eta_s=9e5
        )
        metrics.queue_wait(lane, 1e6)
    for each in RESOURCE.values:
        metrics.saturation(each, 12.0)
    metrics.people(waiting=10**7, volunteers=10**5, remaining=10**8)
    metrics.owned(100_000, 7)
    metrics.stuck(State.UNKNOWN, 4)
    metrics.violated("quiet_hours", 2)
    metrics.database_away(90_000)
    long = "http://a-very-long-name-of-a-worker.example.org:18800"
    return picture(
        [
            Seen(long, before, scraped(metrics, 1.0)),
            Seen(URL, before, scraped(running("bbb"), 1.0)),
            Seen(long, why="does not answer"),
        ]
    )


@pytest.mark.parametrize("shown", [seen(), seen(workers=3), extreme()])
def test_it_is_60_columns_of_ascii(shown: Picture) -> None:
    written = text(shown)
    assert written.isascii()
    assert max(len(line) for line in written.splitlines()) <= WIDTH == 60


def test_what_an_operator_looks_for_is_there() -> None:
    written = text(seen())
    for found in (
        "1 worker",
        "2 campaigns",
        "2h05m",
        "3 wait for an answer",
        "20 volunteers",
        "1000 to text",
    ):
        assert found in written
    numbers = next(line for line in lines(seen()) if line.text.startswith("numbers"))
    assert (numbers.text, numbers.tone) == ("numbers               [###################.]   95.0 %", "bad")
    assert "1 campaign without a worker" in written


def test_what_must_not_be_is_told_and_nothing_else_is() -> None:
    bad = {line.text for line in lines(extreme()) if line.tone == "bad"}
    assert "2 broken promises: see the log" in bad
    assert any("does not answer" in line for line in bad)
    assert any(line.startswith("reply") for line in bad)
    assert "workers run with different settings" in text(extreme())
    metrics = running()
    well = picture([Seen(URL, scraped(metrics, 0.0), scraped(metrics, 1.0))])
    assert [line.text for line in lines(well) if line.tone in ("bad", "look")] == []
