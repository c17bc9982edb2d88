"""A brand's campaigns share one list of opt-outs; the list that is not asked, or not written, on purpose."""

import pytest
from msgspec.structs import replace

from gateway.core.rules.campaign import CampaignKey
from gateway.pipeline import campaigns
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import claims, messages, opt_outs
from gateway.store.campaigns import CampaignRow
from gateway.store.opt_outs import OwnOptOut
from simulator.model.scenario import OptOutScope, Scenario, load
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import (
    CONTACTS,
    FIRST_SEED,
    Plant,
    World,
    assert_clean,
    assert_named,
    rewrite,
)
from tests.rehearsal.small_worlds import TALKATIVE, broken, chaotic, known_at_once, small, told

Patch = pytest.MonkeyPatch

_TWO = load("two-campaigns-one-brand")


def together(scenario: Scenario, scope: OptOutScope) -> Scenario:
    """Two campaigns that text the same people at the same time, and share their opt-outs."""
    companions = tuple(replace(each, volunteers=4) for each in _TWO.companions)
    return replace(scenario, companions=companions, opt_out_scope=scope)


_A_BRAND = together(known_at_once(small(_TWO, hours=2.0, people=TALKATIVE)), "brand")
_STRANGERS = tuple(replace(each, volunteers=4, brand="Somebody Else") for each in _TWO.companions)
WORLDS = {"a brand with one list": World(_A_BRAND)}


def campaigns_forget_whose_list_is_theirs(patch: Patch) -> None:
    def forgetful(row: CampaignRow) -> Campaign:
        return made(replace(row, opt_out_scope=row.campaign_id))

    made = campaigns._campaign
    patch.setattr(campaigns, "_campaign", forgetful)
    for module, name in ((messages, "_ADMIT"), (claims, "_CLAIM"), (claims, "_STOPPED")):
        rewrite(patch, module, name, r"coalesce\(\(SELECT opt_out_scope FROM [^)]*\), \$3\)", "$3")


def a_stop_holds_for_its_campaign_alone(patch: Patch) -> None:
    patch.setattr(Campaigns, "opt_out_scope", lambda _, campaign_id: campaign_id)


def a_mark_holds_for_its_campaign_alone(patch: Patch) -> None:
    opt_out = opt_outs.opt_out_own

    async def alone(database: object, key: CampaignKey, _scope: int, *rest: object) -> OwnOptOut:
        return await opt_out(database, key, key.campaign_id, *rest)

    patch.setattr(opt_outs, "opt_out_own", alone)


PLANTS = {
    "campaigns forget whose list is theirs": Plant(
        campaigns_forget_whose_list_is_theirs,
        "a brand with one list",
        "no_text_after_opt_out",
        frozenset({"consent_kept"}),
    ),
    "a STOP holds for its campaign alone": Plant(
        a_stop_holds_for_its_campaign_alone,
        "a brand with one list",
        "consent_kept",
        frozenset({"no_text_after_opt_out"}),
    ),
    "a mark holds for its campaign alone": Plant(
        a_mark_holds_for_its_campaign_alone,
        "a brand with one list",
        "consent_kept",
        frozenset({"no_text_after_opt_out"}),
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])


def test_a_list_of_the_organisation_in_a_chaotic_world(rehearse: Rehearse) -> None:
    """Two brands and one list: whoever leaves one is left alone by both, through crashes and lost webhooks."""
    world = replace(together(chaotic(_TWO, hours=2.0), "organisation"), companions=_STRANGERS)
    done = rehearse(world, contacts=CONTACTS, seed=FIRST_SEED)
    assert broken(done) == set(), told(done)


def test_an_opt_out_counts_for_as_many_campaigns_as_share_it(rehearse: Rehearse) -> None:
    """Whoever asked one campaign to stop is texted by the other all the same, unless they share a list."""
    alone, shared = (
        rehearse(replace(_A_BRAND, opt_out_scope=scope), contacts=CONTACTS, seed=FIRST_SEED)
        for scope in ("campaign", "brand")
    )
    assert broken(alone) == broken(shared) == set()
    assert shared.result.messages.blocked["1302"] > alone.result.messages.blocked.get("1302", 0) + 5
