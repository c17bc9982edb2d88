"""Breakers with a mistake in them: replies held too, too much held, or nothing at all. The auditor counts by itself."""

import pytest
from msgspec.structs import replace

from gateway.core.bank.rates import rate
from gateway.core.sending.breakers import Tally
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.road import CampaignRoad
from gateway.store import breakers, claims, first_texts, messages
from gateway.upkeep.breakers import BreakerWatch
from simulator.model.population import CarrierShares
from simulator.model.scenario import BreakerParameters, load
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import Plant, World, assert_clean, assert_named, rewrite
from tests.rehearsal.small_worlds import (
    ELECTION_DAY,
    TALKATIVE,
    broken,
    campaign,
    known_at_once,
    limited,
    small,
    told,
)

Patch = pytest.MonkeyPatch

_PLAIN, _LINK = (
    "Hi {{first_name}}, it's {{user.first_name}}. Will you vote? Reply STOP to opt out",
    "Hi {{first_name}}, it's {{user.first_name}}. Your place: https://bit.ly/3VotePlan Reply STOP to opt out",
)
_TWO_CARRIERS = CarrierShares(att=0.5, tmobile=0.0, verizon=0.5, uscellular=0.0, regional=0.0, voip=0.0)
_FILTERED = limited(
    campaign(
        known_at_once(small(ELECTION_DAY, hours=1.5, volunteers=8)),
        scripts=(_PLAIN, _LINK),
        breaker=BreakerParameters(least_texts=20),
    ),
    total_per_s=0.1,  # so that texts still wait when it is plain
)
# One carrier filters, and what it filters is the link: nothing is held against anybody's record.
_LINKS = replace(
    ELECTION_DAY.filtering,
    base_share=0.0005,
    link_factor=40.0,
    shortener_share=0.0,
    opt_out_most_share=0.0,
    complaint_most_share=0.0,
    dead_most_share=0.0,
    identical_share=0.0,
)
WORLDS = {
    "one script of two is filtered": World(
        replace(
            _FILTERED,
            people=replace(TALKATIVE, reply_median_s=900.0),  # some write once their carrier is held
            filtering=_LINKS,
            carriers=replace(ELECTION_DAY.carriers, filter_factor={"att": 35.0}),
            population=replace(ELECTION_DAY.population, carriers=_TWO_CARRIERS),
        )
    ),
}
_PAIR = r"m\.kind = 'initial'\s+AND concat\(m\.action_id, '/', c\.carrier, '/', m\.script\)"


def replies_wait_as_well(patch: Patch) -> None:
    all_of_it = "concat(m.action_id, '/', c.carrier, '/', CASE m.kind WHEN 'initial' THEN m.script ELSE 'initial-2' END)"
    for name in ("_CLAIM", "_CLAIM_FREE"):
        rewrite(patch, claims, name, _PAIR, all_of_it)


def it_opens_for_all_carriers(patch: Patch) -> None:
    rewrite(patch, breakers, "_HOLD", r"b\.carrier, '/', b\.script\) FROM breakers b", """k.carrier, '/', b.script)
        FROM breakers b CROSS JOIN (VALUES ('att'), ('verizon')) AS k (carrier)""")  # fmt: skip


def it_holds_both_scripts(patch: Patch) -> None:
    rewrite(patch, breakers, "_HOLD", r"b\.carrier, '/', b\.script\) FROM breakers b", """b.carrier, '/', s.script)
        FROM breakers b CROSS JOIN (VALUES ('initial-1'), ('initial-2')) AS s (script)""")  # fmt: skip


def it_never_opens(patch: Patch) -> None:
    async def nothing(_watch: BreakerWatch) -> None:
        pass

    patch.setattr(BreakerWatch, "run_once", nothing)


def one_filtered_text_in_ten_is_counted(patch: Patch) -> None:
    patch.setattr(Tally, "filtered_share", property(lambda tally: rate(tally.filtered // 10, tally.finals)))


def carriers_are_mixed_up(patch: Patch) -> None:
    rewrite(
        patch,
        breakers,
        "_HOLD",
        r"b\.carrier, '/'",
        "CASE b.carrier WHEN 'att' THEN 'verizon' ELSE 'att' END, '/'",
    )


def what_waits_already_goes_on(patch: Patch) -> None:
    async def nothing(*_: object) -> int:
        return 0

    for name in ("_CLAIM", "_CLAIM_FREE"):
        rewrite(patch, claims, name, _PAIR, "false AND concat(m.action_id, '/', c.carrier, '/', m.script)")
    patch.setattr(first_texts, "line_up", nothing)
    patch.setattr(CampaignRoad, "_is_held", lambda *_: False)
    patch.setattr(
        claims, "_STOPPED", claims._STOPPED.replace("cardinality(held_pairs) > 0 FROM", "0 > 0 FROM")
    )


def buckets_have_not_heard_of_it(patch: Patch) -> None:
    """And what is pressed goes on, as if only what waited were held."""
    what_waits_already_goes_on(patch)
    patch.setattr(Campaign, "holds", lambda *_: False)
    rewrite(
        patch,
        messages,
        "_ADMIT",
        r"CASE WHEN \(SELECT cardinality\(held_pairs\)",
        "CASE WHEN 0 * (SELECT cardinality(held_pairs)",
    )


_PRESSES, _IDLE, _STOPPED = "presses_sent", "nothing_idles", "filtered_scripts_stopped"
_THE = "one script of two is filtered"
PLANTS = {
    "an open breaker holds replies too": Plant(replies_wait_as_well, _THE, _PRESSES, frozenset({_IDLE})),
    "a breaker opens for all carriers": Plant(
        it_opens_for_all_carriers, _THE, _PRESSES, frozenset({_STOPPED})
    ),
    "a breaker holds every script": Plant(it_holds_both_scripts, _THE, _PRESSES),
    "breakers never open": Plant(it_never_opens, _THE, _STOPPED),
    "one filtered text in ten is counted": Plant(one_filtered_text_in_ten_is_counted, _THE, _STOPPED),
    "what waits already goes on": Plant(what_waits_already_goes_on, _THE, _STOPPED),
    "a breaker opens and nobody minds": Plant(buckets_have_not_heard_of_it, _THE, _STOPPED),
    "carriers are mixed up": Plant(carriers_are_mixed_up, _THE, _STOPPED, frozenset({_PRESSES})),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])


def test_a_filtered_script_is_stopped_and_far_fewer_texts_are_lost(rehearse: Rehearse) -> None:
    """The shipped scenario's own question, made small: with breakers, and without."""
    shipped = load("filtered-script")
    lost = {}
    for opens in (True, False):
        world = replace(
            campaign(shipped, breaker=replace(shipped.campaign.breaker, opens=opens, least_texts=40)),
            filtering=replace(shipped.filtering, shortener_share=0.4),
        )
        done = rehearse(world, contacts=1000)
        assert broken(done) == set(), told(done)
        assert done.result.answer.startswith("The breaker of script 2 at" if opens else "No breaker was on")
        lost[opens] = done.result.messages.undelivered["30007"]
    assert lost[True] < 0.6 * lost[False]
