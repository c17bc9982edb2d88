"""What is idle for two months leaves the inbox (F207), and comes back with the person's next text (F205)."""

from gateway.app import chores_of
from gateway.core.bank.inbox import Filter
from gateway.store import inbox
from gateway.upkeep import idle_conversations
from tests.pipeline.world import KEY, SETTINGS, World

DAY_S = 86_400.0


async def counts(world: World) -> dict[Filter, int]:
    return await inbox.counts(world.database, KEY, volunteer_id=None, action_id=None)


async def pass_days(world: World, days: float, contact_ids: range) -> None:
    columns = ("last_initial_at", "last_outbound_at", "last_inbound_at")
    changes = ", ".join(f"{column} = {column} - make_interval(secs => $1)" for column in columns)
    await world.store.execute(
        f"UPDATE conversations SET {changes} WHERE contact_id = ANY ($2)", days * DAY_S, list(contact_ids)
    )


def test_what_is_idle_for_two_months_is_archived_and_comes_back(play, monkeypatch):
    monkeypatch.setattr(idle_conversations, "_PIECE", 2)

    async def story(world: World) -> None:
        await world.send_all(range(1, 7))
        for contact_id in range(1, 7):
            await world.write(contact_id, "Hi")
        await pass_days(world, 62, range(1, 6))
        await pass_days(world, 60, range(6, 7))
        [chore] = [each for each in chores_of(SETTINGS, world.gateway) if each.name == "idle_conversations"]
        assert await chore.run_once()
        assert await counts(world) == {
            Filter.ALL: 1,
            Filter.UNREAD: 1,
            Filter.NEEDS_ATTENTION: 1,
            Filter.ARCHIVED: 5,
        }
        await world.write(2, "Still there?")
        found = await counts(world)
        assert (found[Filter.ALL], found[Filter.NEEDS_ATTENTION], found[Filter.ARCHIVED]) == (2, 2, 4)

    play(story)
