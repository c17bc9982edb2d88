"""Each rule about people, its safeguard switched off: the auditor sees it (invariants 1, 2, 6, 9 and 10)."""

import asyncio

import asyncpg
import pytest
from msgspec.structs import replace

import gateway.p2p.bank
import gateway.pipeline.inbound
from gateway.app import Gateway, Undurable
from gateway.core.rules.hours import Open
from gateway.core.sending.numbers import NumberPool
from gateway.pipeline import decision, road
from gateway.pipeline.dispatch import Dispatch
from gateway.pipeline.hand_over import HandOver
from gateway.pipeline.lease import Held
from gateway.pipeline.road import CampaignRoad
from gateway.pipeline.second_look import SecondLook
from gateway.store import claims, conversations, messages
from gateway.upkeep.inbound_poll import InboundPoll
from simulator.model.faults import Brownout, FaultParameters, Window
from simulator.rehearsal.provider import SimulatedProvider
from simulator.rehearsal.run import rehearse_on
from simulator.report.result import Plan
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import (
    Plant,
    World,
    assert_clean,
    assert_named,
    assert_seen,
    blind_to_opt_outs,
    claims_of,
    longer_waits,
    people_change_their_minds,
    rewrite,
)
from tests.rehearsal.small_worlds import (
    A_DAY,
    ELECTION_DAY,
    NEARLY_SHUT,
    TALKATIVE,
    WINDOW_CLOSE,
    campaign,
    limited,
    small,
    starting,
)

Patch = pytest.MonkeyPatch

_SLOW = limited(small(ELECTION_DAY, hours=1.0, volunteers=8, people=TALKATIVE), total_per_s=0.05)
_EVENING = starting(small(WINDOW_CLOSE, hours=1.0, volunteers=8, people=TALKATIVE), NEARLY_SHUT)
_OUTAGE = FaultParameters(outages=(Window(900.0, 1500.0),))
_VERIZON_CRAWLS = FaultParameters(brownouts=(Brownout(0.0, 3600.0, "verizon", 4000.0),))
_CRASHES = FaultParameters(gateway_crashes_at_s=(900.0, 1500.0, 2100.0, 2700.0))
_STOP_THEN_ABUSE = replace(TALKATIVE, hostile_share=0.5, opt_out_share=0.05)


def _slots_far_ahead(patch: Patch) -> None:
    """Claimed minutes before the hand-over, so that a STOP comes between."""
    longer_waits(patch, dispatch={"horizon_s": 300.0})
    people_change_their_minds(patch, after_s=200.0)


WORLDS = {
    "a day": World(A_DAY),
    "STOP, then abuse": World(replace(A_DAY, people=_STOP_THEN_ABUSE)),
    "answers wait for the provider": World(
        replace(A_DAY, faults=_OUTAGE), lambda patch: people_change_their_minds(patch, after_s=400.0)
    ),
    "claimed long before": World(_SLOW, _slots_far_ahead),
    "an evening": World(_EVENING),
    "an evening with a long queue": World(limited(_EVENING, total_per_s=0.05)),
    "an evening with a slow carrier": World(replace(_EVENING, faults=_VERIZON_CRAWLS)),
    "many numbers": World(campaign(A_DAY, rotate_after=15)),
    "crashes": World(
        replace(A_DAY, faults=_CRASHES), lambda patch: longer_waits(patch, windows={"inbound_s": 30.0})
    ),
}


# ---- 1: no text after an opt-out


def admission_ignores_opt_outs(patch: Patch) -> None:
    facts = decision._facts
    patch.setattr(decision, "_facts", lambda *a, **k: replace(facts(*a, **k), opted_out=False))
    blind_to_opt_outs(patch, messages, "_ADMIT")
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"CASE WHEN coalesce\(max\(w\.intent\).*?END",
        "to_timestamp(min(f.received_at))",
    )


def the_second_look_ignores_opt_outs(patch: Patch) -> None:
    blind_to_opt_outs(patch, claims, "_CLAIM")


def nobody_stops_what_is_claimed(patch: Patch) -> None:
    async def nobody(*_: object) -> set[int]:
        return set()

    patch.setattr(Dispatch, "_look", nobody)


# ---- 2: lawful hours


def it_is_always_open(patch: Patch) -> None:
    for module in (decision, gateway.p2p.bank, road):
        patch.setattr(module, "verdict", lambda *_: Open(4e9))


def nobody_looks_at_the_clock_again(patch: Patch) -> None:
    async def no_sweep(*_: object) -> bool:
        return False

    call = HandOver._call

    def two_hours_later(hand_over: HandOver, held: Held) -> None:
        held.not_after += 7200.0
        call(hand_over, held)

    patch.setattr(CampaignRoad, "_in_time", lambda *_: True)
    patch.setattr(CampaignRoad, "_ends_at", lambda _, message, __: message.not_after)
    patch.setattr(SecondLook, "sweep", no_sweep)
    patch.setattr(HandOver, "_call", two_hours_later)
    rewrite(patch, claims, "_CLAIM", r"m\.not_after <= ", "'infinity' <= ")


def the_provider_may_keep_it_all_night(patch: Patch) -> None:
    send = SimulatedProvider.send
    patch.setattr(
        SimulatedProvider, "send", lambda self, text: send(self, replace(text, validity_s=36_000.0))
    )


# ---- 6: one number a contact


def numbers_do_not_stick(patch: Patch) -> None:
    choose = NumberPool.choose
    patch.setattr(NumberPool, "choose", lambda self, now, **k: choose(self, now, **{**k, "sticky": None}))


# ---- 9: each inbound text once


def what_was_not_durable_is_forgotten(patch: Patch) -> None:
    """And what the provider had meanwhile is fetched by nobody."""
    crash = Gateway.crash

    async def fetch_nothing(*_: object) -> None:
        pass

    def forget(worker: Gateway) -> Undurable:
        return Undurable(crash(worker).statuses, [])

    patch.setattr(Gateway, "crash", forget)
    patch.setattr(InboundPoll, "_keep", fetch_nothing)


def contacts_are_strangers(patch: Patch) -> None:
    rewrite(patch, conversations, "_HEAR", r"LEFT JOIN contacts c ON ", "LEFT JOIN contacts c ON false AND ")


def each_callback_is_a_text_of_its_own(patch: Patch) -> None:
    heard = gateway.pipeline.inbound._heard

    def named_anew(item: object) -> conversations.Heard:
        return replace(heard(item), provider_sid=f"SM{item.inbound_id:032x}")

    patch.setattr(gateway.pipeline.inbound, "_heard", named_anew)


# ---- 10: one volunteer a contact


def buckets_overlap(patch: Patch) -> None:
    claims_of(patch, "a.turn >= open.front")


PLANTS = {
    "admission ignores opt-outs": Plant(
        admission_ignores_opt_outs, "STOP, then abuse", "no_text_after_opt_out"
    ),
    "the second look ignores opt-outs": Plant(
        the_second_look_ignores_opt_outs, "answers wait for the provider", "no_text_after_opt_out"
    ),
    "nobody stops what is claimed": Plant(
        nobody_stops_what_is_claimed, "claimed long before", "no_text_after_opt_out"
    ),
    "it is always open": Plant(it_is_always_open, "an evening", "lawful_hours"),
    "nobody looks at the clock again": Plant(
        nobody_looks_at_the_clock_again, "an evening with a long queue", "lawful_hours"
    ),
    "the provider may keep it all night": Plant(
        the_provider_may_keep_it_all_night, "an evening with a slow carrier", "lawful_hours"
    ),
    "numbers do not stick": Plant(numbers_do_not_stick, "many numbers", "one_number_a_contact"),
    # a text that nobody knows is shown to nobody, and its STOP is not heard
    "what was not durable is forgotten": Plant(
        what_was_not_durable_is_forgotten,
        "crashes",
        "inbound_once",
        frozenset({"replies_shown", "consent_kept"}),
    ),
    "contacts are strangers": Plant(
        contacts_are_strangers, "a day", "inbound_once", frozenset({"replies_shown"})
    ),
    "each callback is a text of its own": Plant(
        each_callback_is_a_text_of_its_own, "a day", "inbound_once", frozenset({"replies_shown"})
    ),
    "buckets overlap": Plant(buckets_overlap, "a day", "one_volunteer_a_contact"),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])


async def _allow_doubles(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    names = await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'inbound_ids'::regclass"
        " AND contype IN ('u', 'p') AND pg_get_constraintdef(oid) LIKE '%provider_sid%'"
    )
    assert names, "nothing keeps a text from being stored twice"
    for (name,) in names:
        await connection.execute(f'ALTER TABLE inbound_ids DROP CONSTRAINT "{name}"')
    await connection.close()


def test_the_auditor_sees_a_text_stored_twice(own_dsn: str, monkeypatch: Patch) -> None:
    asyncio.run(_allow_doubles(own_dsn))
    rewrite(
        monkeypatch,
        conversations,
        "_HEAR",
        r"ON CONFLICT \(organisation_id, campaign_id, provider_sid\) DO NOTHING",
        "",
    )
    done = rehearse_on(own_dsn, Plan(A_DAY, contacts=150, seed=3))
    assert_seen(
        done, Plant(each_callback_is_a_text_of_its_own, "a day", "inbound_once", frozenset({"replies_shown"}))
    )
    assert any("more than once" in violation.what for violation in done.violations)
