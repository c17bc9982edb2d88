"""What a text costs: the gateway's prices and its bill, made wrong on purpose."""

import pytest
from msgspec.structs import replace

from gateway import metrics
from gateway.core.bank import billing
from gateway.core.rules.registration import Limits
from gateway.core.text import segments
from gateway.core.text.segments import PRICES
from gateway.metrics import Metrics
from gateway.store import receipts, stories, usage
from simulator.model.faults import FaultParameters
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import Plant, World, assert_clean, assert_named, rewrite
from tests.rehearsal.small_worlds import A_DAY, SMALL_TOWN, campaign, small

Patch = pytest.MonkeyPatch

_LATE_ANSWERS = replace(
    A_DAY,
    faults=FaultParameters(answers_lost_after_share=0.3),
    inventory=replace(A_DAY.inventory, provisioning_lag_s=300.0, provisioning_p99_s=300.0),
)
WORLDS = {
    "a day": World(A_DAY),
    "two segments each": World(small(SMALL_TOWN, hours=1.5, volunteers=8)),
    "a charity": World(campaign(A_DAY, brand_kind="charity", campaign_kind="charity", score=80)),
    "numbers that nobody knows, answers that are lost": World(_LATE_ANSWERS),
}


def prices_of_january(patch: Patch) -> None:
    """A table that was true before the carriers raised their fees."""
    january = segments.PRICES_BY_MONTH["2026-01"]
    told = segments.cost_usd
    patch.setattr(billing, "cost_usd", lambda *a, **k: told(*a, january, **k))


def texts_are_counted_not_segments(patch: Patch) -> None:
    told = segments.cost_usd
    patch.setattr(billing, "cost_usd", lambda _segments, *a, **k: told(1, *a, **k))


def a_filtered_text_is_free(patch: Patch) -> None:
    billed = billing.billed
    patch.setattr(billing, "billed", lambda code, status: billed(code, "blocked" if code else status))


def attempts_before_are_forgotten(patch: Patch) -> None:
    rewrite(patch, stories, "_ATTEMPTS", "ORDER BY a.attempt", "AND false ORDER BY a.attempt")


def a_lost_answer_forgets_a_failure(patch: Patch) -> None:
    rewrite(patch, receipts, "_LATE", r"AND \(t.state IN .*?a.code IS NULL\)\n\)", ")")


def the_metrics_count_what_comes_in(patch: Patch) -> None:
    fees = replace(
        PRICES,
        carriers={name: replace(each, sms_usd=each.sms_in_usd) for name, each in PRICES.carriers.items()},
    )
    patch.setattr(metrics, "PRICES", fees)


def the_metrics_count_texts(patch: Patch) -> None:
    count = Metrics.segments
    patch.setattr(
        Metrics, "segments", lambda m, carrier, encoding, n, *a, **k: count(m, carrier, encoding, 1, *a, **k)
    )


def the_bill_counts_texts(patch: Patch) -> None:
    rewrite(patch, usage, "_USAGE", r"sum\(b\.segments\)", "count(*)")


def nobody_waives_a_fee(patch: Patch) -> None:
    patch.setattr(Limits, "pays_no_fee", lambda _limits, _carrier: False)


_COSTS = "costs_told"
PLANTS = {
    "prices are those of January": Plant(prices_of_january, "a day", _COSTS),
    "a price is that of one segment": Plant(texts_are_counted_not_segments, "two segments each", _COSTS),
    "a filtered text is free": Plant(a_filtered_text_is_free, "a day", _COSTS),
    "attempts before are not billed": Plant(
        attempts_before_are_forgotten, "numbers that nobody knows, answers that are lost", _COSTS
    ),
    "a lost answer forgets a failure": Plant(
        a_lost_answer_forgets_a_failure, "numbers that nobody knows, answers that are lost", _COSTS
    ),
    "the metrics take the inbound fee": Plant(the_metrics_count_what_comes_in, "a day", _COSTS),
    "the metrics count texts": Plant(the_metrics_count_texts, "two segments each", _COSTS),
    "the campaign's bill counts texts": Plant(the_bill_counts_texts, "two segments each", _COSTS),
    "the fee that T-Mobile waives is counted": Plant(nobody_waives_a_fee, "a charity", _COSTS),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])
