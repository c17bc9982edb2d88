"""Metrics: the names exist, the label sets are closed, the series stay within their budget."""

import re
from itertools import product

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.rules.errors import Reason
from gateway.core.rules.lifecycle import MOVES, State
from gateway.core.rules.registration import BIG_CARRIERS
from gateway.core.sending.waiting import Lane
from gateway.core.text.segments import PRICES, cost_usd
from gateway.metric_families import CARRIERS, FAMILIES, LANE, LIMIT_SCOPE, SERIES_BUDGET
from gateway.metrics import Metrics
from gateway.providers.twilio.provider import TwilioProvider
from gateway.routes import ROUTES
from simulator.rehearsal.provider import SimulatedProvider

# Labels that would grow with the traffic, the list or the staff.
UNBOUNDED = {
    "phone",
    "sid",
    "contact",
    "volunteer",
    "script",
    "campaign",
    "trace",
    "message",
    "number",
    "url",
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, sample: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(sample, labels)


def samples(metrics: Metrics) -> list[str]:
    return [line for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]


def test_the_series_stay_within_the_budget(metrics: Metrics) -> None:
    """Even when every route that there is served three methods."""
    for route, method in product(ROUTES, ("GET", "HEAD", "POST")):
        metrics.serves(route, method)
    metrics.running("1.0", "abc", "def")
    assert len(samples(metrics)) <= SERIES_BUDGET


def test_our_own_writer_says_what_the_clients_says(metrics: Metrics) -> None:
    """The client's is the reference; ours is there because a scrape shares the interpreter with the event loop."""
    for nth in range(1, 40):
        metrics.queue_wait("reply", nth / 7)
        metrics.delivery_duration("att", nth * 3.0, 1, nth, 1_700_000_000.5)
        metrics.segments("verizon", "GSM-7", nth)
    metrics.final("tmobile", State.FAILED, Reason.FILTERED)
    metrics.running('a "version"\\', "abc", "def")
    ours = text_string_to_metric_families(metrics.exposition().decode())
    told = {family.name: family for family in ours if not family.name.startswith(("process_", "python_"))}
    expected = {
        each.name: each for each in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }
    assert told == expected
    open_ones = open_metrics_families(metrics.exposition(open_metrics=True).decode())
    values = {
        (each.name, frozenset(each.labels.items())): each.value
        for family in open_ones
        for each in family.samples
        if not each.name.startswith(("process_", "python_"))
    }
    assert values == {
        (each.name, frozenset(each.labels.items())): each.value
        for family in expected.values()
        for each in family.samples
    }


def test_a_bucket_names_the_message_that_it_counted_last(metrics: Metrics) -> None:
    metrics.delivery_duration("att", 4.0, 9, 77, 1_700_000_000.0)
    metrics.delivery_duration("att", 4.5, 9, 78, 1_700_000_001.0)
    metrics.first_reply(100_000.0, 9, 79, 1_700_000_002.0)
    found = {
        (each.name, each.labels["le"]): (
            each.exemplar.labels,
            each.exemplar.value,
            float(each.exemplar.timestamp),
        )
        for family in open_metrics_families(metrics.exposition(open_metrics=True).decode())
        for each in family.samples
        if each.exemplar is not None
    }
    assert found == {
        ("p2p_delivery_duration_seconds_bucket", "5.0"): (
            {"campaign_id": "9", "message_id": "78"},
            4.5,
            1_700_000_001.0,
        ),
        ("p2p_first_reply_seconds_bucket", "+Inf"): (
            {"campaign_id": "9", "message_id": "79"},
            100_000.0,
            1_700_000_002.0,
        ),
    }
    assert b'message_id="' not in metrics.exposition()  # the old format has no place for them


def test_the_process_is_told_of_once_it_runs(metrics: Metrics) -> None:
    metrics.running("1.0", "abc", "def")
    names = {line.partition("{")[0].partition(" ")[0] for line in samples(metrics)}
    assert {"process_cpu_seconds_total", "process_open_fds", "process_max_fds"} <= names
    assert {"process_resident_memory_bytes", "python_gc_collections_total"} <= names


def test_what_is_asked_for_its_saturation_is_asked_at_each_look(metrics: Metrics) -> None:
    full = iter((0.25, 0.5))
    metrics.ask_saturation("door", lambda: next(full))
    for expected in (0.25, 0.5):
        metrics.look()
        assert value(metrics, "p2p_saturation_ratio", resource="door") == expected


def test_every_rates_use_is_a_saturation_as_well(metrics: Metrics) -> None:
    for scope in LIMIT_SCOPE.values:
        metrics.rate_limit(scope, 0.8)
    rates = ("number_rate", "campaign_rate", "carrier_rate", "provider_calls")
    assert [value(metrics, "p2p_saturation_ratio", resource=each) for each in rates] == [0.8] * 4


def test_a_request_that_the_door_does_not_serve_is_counted_all_the_same(metrics: Metrics) -> None:
    metrics.serves("/v1/messages", "POST")
    metrics.http_request("/v1/messages", "POST", 202, 0.01)
    metrics.http_request("/v1/messages", "PURGE", 405, 0.01)
    labels = {"route": "other", "method": "other", "status": "4xx"}
    assert value(metrics, "p2p_http_requests_total", **labels) == 1
    assert value(metrics, "p2p_http_requests_total", route="/v1/messages", method="POST", status="2xx") == 1


def test_traffic_adds_no_series(metrics: Metrics) -> None:
    before = len(samples(metrics))
    metrics.accepted("reply", 3)
    metrics.blocked(1302)
    metrics.blocked(77_777)
    metrics.final(None, State.FAILED, "a class nobody knows")
    metrics.final("a carrier nobody knows", State.DELIVERED)
    metrics.transition(State.QUEUED, State.SENDING)
    metrics.provider_request("pigeon", "ok", 0.2)
    metrics.delivery_duration(None, 4.0, 1, 2, 1_700_000_000.0)
    assert len(samples(metrics)) == before


def test_no_created_series(metrics: Metrics) -> None:
    assert not [line for line in samples(metrics) if "_created" in line.partition("{")[0]]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_follows_the_rules_of_names(family) -> None:
    assert re.fullmatch(r"p2p_[a-z0-9_]+", family.name)
    assert family.name.endswith("_total") == (family.type == "counter")
    assert family.help
    assert not {label.name for label in family.labels} & UNBOUNDED
    if family.type == "histogram":
        assert family.name.endswith("_seconds")
        assert list(family.buckets) == sorted(set(family.buckets))


def test_a_name_is_declared_once() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("sample", "labels"),
    [
        ("p2p_messages_accepted_total", {"kind": "initial", "channel": "sms"}),
        ("p2p_safeguard_blocks_total", {"code": "1302"}),
        ("p2p_messages_final_total", {"carrier": "tmobile", "status": "delivered", "reason": "none"}),
        ("p2p_optout_apply_seconds_count", {}),
    ],
)
def test_series_exist_before_their_first_event(metrics: Metrics, sample: str, labels: dict[str, str]) -> None:
    assert value(metrics, sample, **labels) == 0


def test_every_move_of_an_admitted_message_has_a_series_and_no_other(metrics: Metrics) -> None:
    for source in State:
        for target in State:
            if target in MOVES[source] and source is not State.DRAFT:
                metrics.transition(source, target, 2)
                assert value(metrics, "p2p_state_transitions_total", **{"from": source, "to": target}) == 2
            else:
                with pytest.raises(KeyError):
                    metrics.transition(source, target)


def test_reasons_are_few() -> None:
    assert len({"none", *Reason}) <= 12


def test_an_unknown_carrier_and_an_unknown_code_are_counted_as_such(metrics: Metrics) -> None:
    metrics.segments(None, "GSM-7", 3)
    metrics.blocked(31_337, 2)
    assert value(metrics, "p2p_segments_total", carrier="unknown", encoding="GSM-7", channel="sms") == 3
    assert value(metrics, "p2p_safeguard_blocks_total", code="other") == 2


def test_a_value_without_a_place_is_refused(metrics: Metrics) -> None:
    with pytest.raises(KeyError, match="p2p_inbound_total"):
        metrics.inbound("shouting")


def test_batches_count_with_one_call(metrics: Metrics) -> None:
    metrics.final("att", State.UNDELIVERED, Reason.FILTERED, 40)
    labels = {"carrier": "att", "status": "undelivered", "reason": "filtered"}
    assert value(metrics, "p2p_messages_final_total", **labels) == 40


def test_the_cost_is_the_price_of_what_the_provider_took(metrics: Metrics) -> None:
    metrics.segments("att", "GSM-7", 2)
    metrics.segments("att", "UCS-2", 3)
    metrics.segments("att", "GSM-7", 4, "mms")
    metrics.segments(None, "GSM-7", 10)
    for _ in range(2):  # a second scrape adds nothing
        metrics.exposition()
    cost = {
        (carrier, component): value(metrics, "p2p_cost_dollars_total", carrier=carrier, component=component)
        for carrier in ("att", "unknown")
        for component in ("base", "surcharge", "mms")
    }
    att, planning = PRICES.carriers["att"], PRICES.planning
    assert cost == {
        ("att", "base"): pytest.approx(5 * PRICES.sms_usd),
        ("att", "surcharge"): pytest.approx(5 * att.sms_usd + 4 * att.mms_usd),
        ("att", "mms"): pytest.approx(4 * PRICES.mms_usd),
        ("unknown", "base"): pytest.approx(10 * PRICES.sms_usd),
        ("unknown", "surcharge"): pytest.approx(10 * planning.sms_usd),
        ("unknown", "mms"): 0,
    }
    total = sum(each for (carrier, _), each in cost.items() if carrier == "unknown")
    assert total == pytest.approx(cost_usd(10, None, "full"))


def test_every_method_reaches_its_series(metrics: Metrics) -> None:
    metrics.queue("reply", "att", messages=7, segments=9, oldest_age_s=1.5, drain_eta_s=0.5)
    metrics.queue_wait("reply", 0.3)
    metrics.rate_limit("campaign", 0.8)
    metrics.daily_cap("tmobile", 1999, 2000)
    metrics.numbers("active", 12)
    metrics.number_selected("fallback")
    metrics.webhooks("status", "unknown", 2)
    metrics.inbound("stop")
    metrics.opt_outs("keyword")
    metrics.opt_out_applied(0.02)
    metrics.stuck(State.UNKNOWN, 3)
    metrics.outbox_lag(0.25)
    metrics.pool_in_use(5)
    metrics.pool_wait(0.01)
    metrics.event_loop_lag(0.002)
    expected = {
        ("p2p_queue_segments", ("reply", "att")): 9,
        ("p2p_queue_drain_eta_seconds", ("reply", "att")): 0.5,
        ("p2p_queue_wait_seconds_count", ("reply",)): 1,
        ("p2p_rate_limit_utilization_ratio", ("campaign",)): 0.8,
        ("p2p_daily_cap_limit_segments", ("tmobile",)): 2000,
        ("p2p_numbers", ("active",)): 12,
        ("p2p_number_selection_total", ("fallback",)): 1,
        ("p2p_webhooks_total", ("status", "unknown")): 2,
        ("p2p_inbound_total", ("stop",)): 1,
        ("p2p_optouts_total", ("keyword",)): 1,
        ("p2p_optout_apply_seconds_count", ()): 1,
        ("p2p_stuck_messages", ("unknown",)): 3,
        ("p2p_outbox_lag_seconds", ()): 0.25,
        ("p2p_db_pool_in_use", ("main",)): 5,
        ("p2p_db_pool_wait_seconds_count", ("main",)): 1,
        ("p2p_event_loop_lag_seconds_count", ()): 1,
    }
    found = {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }
    assert {(name, values): found.get((name, frozenset(values))) for name, values in expected} == expected


def test_the_labels_know_the_gateways_own_names() -> None:
    assert {lane.name.lower() for lane in Lane} == set(LANE.values)
    assert {*BIG_CARRIERS, *PRICES.carriers} <= set(CARRIERS)


@pytest.mark.parametrize("provider", [TwilioProvider, SimulatedProvider])
def test_a_provider_is_counted_under_its_own_name(metrics: Metrics, provider) -> None:
    metrics.provider_request(provider.name, "ok", 0.1)
    labels = {"provider": provider.name, "outcome": "ok"}
    assert value(metrics, "p2p_provider_requests_total", **labels) == 1


def test_two_of_them_do_not_share_anything(metrics: Metrics) -> None:
    other = Metrics()
    other.inbound("help")
    assert value(metrics, "p2p_inbound_total", intent="help") == 0
