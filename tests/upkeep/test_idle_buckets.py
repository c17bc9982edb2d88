"""C22: whoever leaves without a word keeps nobody from being texted; whoever goes on keeps their people."""

from gateway.app import chores_of
from gateway.p2p.bank import Scripts
from gateway.p2p.buckets import Press, Volunteer
from gateway.store import buckets
from gateway.upkeep import idle_buckets
from tests.pipeline.world import ACTION, CAMPAIGN, KEY, SETTINGS, World

ANN, BEN = Volunteer(1), Volunteer(2)


async def due(world: World) -> bool:
    await world.store.execute("UPDATE chores SET due_at = '-infinity'")
    [chore] = [each for each in chores_of(SETTINGS, world.gateway) if each.name == "idle_buckets"]
    return await chore.run_once()


async def earlier(world: World, seconds: float) -> None:
    """So many seconds have passed."""
    for table, column in (("buckets", "look_at"), ("messages", "requested_at")):
        await world.store.execute(
            f"UPDATE {table} SET {column} = {column} - make_interval(secs => $1)", seconds
        )


def test_idle_buckets_are_for_others_again(play, monkeypatch):
    monkeypatch.setattr(idle_buckets, "_PIECE", 1)

    async def story(world: World) -> None:
        ours, bank = world.gateway.buckets, world.gateway.bank
        await bank.publish(CAMPAIGN, ACTION, "Polls", Scripts(initials=("Hello",)), seed=1)
        anns = await ours.take(CAMPAIGN, ACTION, ANN, size=3)
        bens = await ours.take(CAMPAIGN, ACTION, BEN, size=3)
        item = anns.items[0]
        assert (
            await ours.send(CAMPAIGN, ACTION, ANN, Press(item.contact_id, item.script, item.text_hash))
        ).admitted
        await earlier(world, 3500)
        assert await due(world)
        assert (await ours.mine(CAMPAIGN, ACTION, BEN)).items == bens.items
        await earlier(world, 200)
        assert await due(world)
        for volunteer in (ANN, BEN):
            assert (await ours.mine(CAMPAIGN, ACTION, volunteer)).items == []
        assert (await buckets.standing(world.store, KEY, ACTION)).held == {}
        late = bens.items[0]
        pressed = await ours.send(CAMPAIGN, ACTION, BEN, Press(late.contact_id, late.script, late.text_hash))
        assert pressed.code == 1303
        released = await world.store.fetch_value("SELECT count(*) FROM events WHERE kind = 'released'")
        assert released == 2
        everybody = await ours.take(CAMPAIGN, ACTION, ANN, size=500)
        assert {each.contact_id for each in bens.items} <= {each.contact_id for each in everybody.items}

    play(story)
