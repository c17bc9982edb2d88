"""Every rule of the table can be met through admission's door: none is only written down."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.safeguards import GATEWAY, RULES, Kind, Rule
from gateway.pipeline.admission import Outcome
from gateway.store import broadcasts, campaigns, contacts
from gateway.store.broadcasts import ConsentRow
from gateway.store.contacts import ContactRow
from tests.pipeline.world import ACTION, CAMPAIGN, FIVE, GROUP, KEY, START_AT, VOLUNTEER, World, phone

Way = Callable[[World], Awaitable[Outcome]]


async def no_such_contact(world: World) -> Outcome:
    return await world.submit(99)


async def a_landline(world: World) -> Outcome:
    await contacts.add(world.store, KEY, [ContactRow(30, phone(30), GROUP, line_type="landline")])
    return await world.submit(30)


async def nothing_to_read(world: World) -> Outcome:
    return await world.submit(1, " ")


async def said_stop(world: World) -> Outcome:
    await world.write(1, "STOP")
    return await world.submit(1)


async def broadcast(world: World, *, is_set_up: bool = True, consents: bool = True) -> Outcome:
    """A text of a broadcast to somebody who has agreed, as far as the rule before the one that is meant."""
    changed = msgspec.structs.replace(CampaignSettings(), broadcasts=is_set_up)
    await campaigns.save_settings(world.store, KEY, changed.to_json())
    await world.gateway.campaigns.load()
    if consents:
        row = ConsentRow(contact_id=1, given_at=START_AT - 60, source="a form", words="")
        await broadcasts.give(world.store, KEY, [row], "key:a", START_AT)
    return await world.submit(1, kind=Kind.BROADCAST, action_id=ACTION, sender_id=GATEWAY)


async def not_set_up(world: World) -> Outcome:
    return await broadcast(world, is_set_up=False)


async def somebodys_own(world: World) -> Outcome:
    await world.store.execute("UPDATE contacts SET assignee_id = $1 WHERE contact_id = 1", VOLUNTEER)
    return await broadcast(world)


async def never_agreed(world: World) -> Outcome:
    return await broadcast(world, consents=False)


async def toll_free(world: World) -> Outcome:
    await contacts.add(world.store, KEY, [ContactRow(30, phone(30), GROUP, line_type="tollFree")])
    return await world.submit(30)


async def failed_lately(world: World) -> Outcome:
    await world.submit(1)
    await world.wait(5)
    await world.provider.say(world.handed[-1].text, "undelivered", 30003)
    return await world.submit(1)


async def after_five(world: World) -> Outcome:
    await world.wait(FIVE - START_AT + 1)
    return await world.submit(1)


async def another_volunteers(world: World) -> Outcome:
    await world.store.execute(
        "INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn, volunteer_id)"
        " VALUES (1, $1, $2, 1, $3, 1, $4)",
        CAMPAIGN,
        ACTION,
        GROUP,
        VOLUNTEER + 1,
    )
    return await world.submit(1, action_id=ACTION)


async def has_this_actions_message(world: World) -> Outcome:
    await world.submit(1, action_id=ACTION)
    return await world.submit(1, "Another", action_id=ACTION)


async def the_same_words(world: World) -> Outcome:
    await world.write(1, "Hi")
    await world.submit(1, kind=Kind.REPLY)
    return await world.submit(1, kind=Kind.REPLY)


async def a_second_initial(world: World) -> Outcome:
    await world.submit(1)
    return await world.submit(1, "Another")


async def changes_at_every_try(world: World) -> Outcome:
    async def changes() -> None:
        await world.store.execute(
            "INSERT INTO conversations AS v (organisation_id, campaign_id, contact_id) VALUES (1, $1, 1)"
            " ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET revision = v.revision + 1",
            CAMPAIGN,
        )

    world.database.before.append((lambda sql, _count: "INSERT INTO messages" in sql, changes))
    return await world.submit(1)


WAYS: dict[str, Way] = {
    "contact": no_such_contact,
    "recipient_number": a_landline,
    "blank": nothing_to_read,
    "broadcast_set_up": not_set_up,
    "users_own_contact": somebodys_own,
    "opt_out": said_stop,
    "consent": never_agreed,
    "valid_mobile": toll_free,
    "failure_memory": failed_lately,
    "hours": after_five,
    "assignment": another_volunteers,
    "already_canvassed": has_this_actions_message,
    "identical_text": the_same_words,
    "outbound_lock": a_second_initial,
    "message_lock": changes_at_every_try,
}


def test_there_is_a_way_to_every_rule() -> None:
    assert list(WAYS) == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_rule_is_met(play, rule: Rule) -> None:
    async def story(world: World) -> None:
        outcome = await WAYS[rule.name](world)
        assert outcome.code == rule.code
        assert rule.sub_reason is None or outcome.reason == rule.sub_reason
        assert [each.text for each in world.handed if each.text.message_id == outcome.message_id] == []

    play(story, connections=2)
