"""Settings changed over HTTP: at any worker's door, in force at the campaign's owner within two seconds."""

import asyncio

import pytest

from gateway.core.bank.permissions import Role
from gateway.p2p.bank import Scripts
from gateway.p2p.buckets import Volunteer
from gateway.pipeline.campaigns import Campaign
from tests.http.house import CAMPAIGN, House
from tests.http.test_known_campaigns import second  # noqa: F401 - a fixture

IN_FORCE_S = 2.0
PATH = f"/v1/campaigns/{CAMPAIGN}"
SLOWER = {"registration": {"total_per_s": 7.0}}


def told_of_changes(house: House) -> "asyncio.Queue[Campaign]":
    """What the worker's roads are told of."""
    changes: asyncio.Queue[Campaign] = asyncio.Queue()
    follow = house.worker.gateway.campaigns.changed

    def also_tell(campaign: Campaign) -> None:
        follow(campaign)
        changes.put_nowait(campaign)

    house.worker.gateway.campaigns.changed = also_tell
    return changes


async def test_settings_are_changed_and_shown(house: House) -> None:
    answer = await house.call("PATCH", PATH, {"settings": SLOWER})
    assert (answer.status, answer.body["settings"]["registration"]["total_per_s"]) == (200, 7.0)
    assert house.worker.gateway.dispatch.roads[CAMPAIGN].pacer.limits.total_per_s == 7.0
    assert (await house.call("GET", f"{PATH}/registration")).body["total_per_s"] == 7.0


async def test_another_workers_road_follows(house: House, second: House) -> None:  # noqa: F811
    owner, other = (house, second) if CAMPAIGN in house.worker.gateway.dispatch.roads else (second, house)
    changes = told_of_changes(owner)
    assert (await other.call("PATCH", PATH, {"settings": SLOWER})).status == 200
    changed = await asyncio.wait_for(changes.get(), IN_FORCE_S)
    assert (changed.campaign_id, changed.limits.total_per_s) == (CAMPAIGN, 7.0)


async def test_an_action_is_published_whatever_the_hours(house: House) -> None:
    """F035: what is refused is a text, not an action."""
    shut = {"hours": {"start_minute": 540, "end_minute": 541}}
    assert (await house.call("PATCH", PATH, {"settings": shut})).status == 200
    bank = house.worker.gateway.bank
    assert await bank.publish(CAMPAIGN, 1, "Vote", Scripts(initials=("Hello",)), seed=1) > 0
    assert (await house.send(1)).body["code"] == 1202


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"paused": None},
        {"settings": {"hours": {"start_minute": 600, "end_minute": 500}}},
        {"settings": {"registration": {"total_per_s": 0}}},
        {"settings": {"hour": {}}},
        {"settings": []},
        {"paused": "yes"},
    ],
)
async def test_an_impossible_change_is_refused_and_changes_nothing(house: House, body: object) -> None:
    before = (await house.call("GET", PATH)).body
    answer = await house.call("PATCH", PATH, body)
    assert (answer.status, bool(answer.body["detail"])) == (422, True)
    assert (await house.call("GET", PATH)).body == before


async def test_only_an_admin_changes_settings(house: House) -> None:
    assert (await house.call("PATCH", PATH, {"settings": SLOWER}, key=Role.KEY_SENDER)).status == 403


async def test_volunteers_of_every_worker_get_the_new_words(house: House, second: House) -> None:  # noqa: F811
    """F012 F100: the suffix and the word for a missing name are in the next bucket, at the worker that changed them
    and at the other."""
    scripts = Scripts(initials=("Hi {{first_name}} from {{user.first_name}}",))
    await house.store.execute("UPDATE contacts SET first_name = ''")
    await house.worker.gateway.bank.publish(CAMPAIGN, 1, "Vote", scripts, seed=1)
    await second.worker.gateway.bank.open(CAMPAIGN, 1)
    changes = told_of_changes(second)
    wording = {"contact_fallback": "neighbour", "sender_fallback": "us", "opt_out_suffix": True}
    assert (await house.call("PATCH", PATH, {"settings": {"wording": wording}})).status == 200
    await asyncio.wait_for(changes.get(), IN_FORCE_S)
    for volunteer, each in enumerate((house, second), start=1):
        claiming = each.worker.gateway.buckets.claim(CAMPAIGN, 1, Volunteer(volunteer), known=None, size=1)
        [item] = (await claiming).items
        assert item.body == "Hi neighbour from us Reply STOP to unsubscribe."
