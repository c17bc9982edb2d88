"""What happens is counted by the worker that wrote it, what nobody counted by the campaign's owner; else nobody asks."""

import pytest

from gateway.store import counts
from gateway.store.counts import Counts
from gateway.store.troubles import DatabaseGone
from gateway.upkeep import counting
from tests.pipeline.world import KEY, World

ACTION = 0  # texts of no action


async def sent(world: World) -> int:
    found = await counts.read(world.database, KEY, ACTION, world.clock.now())
    return (
        0 if not isinstance(found, Counts) else sum(row.number for row in found.rows if row.what == "initial")
    )


async def count_all(world: World) -> None:
    """Somebody else's transaction in the same PostgreSQL may have to end first."""
    await world.gateway.counting.run_once()
    while world.gateway.counting._written:
        await world.gateway.counting.run_once()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of counting, by name."""
    asked: list[str] = []
    for name in ("catch_up", "uncounted"):
        whole = getattr(counts, name)

        def noted(*args: object, name: str = name, whole: object = whole) -> object:
            asked.append(name)
            return whole(*args)

        monkeypatch.setattr(counts, name, noted)
    return asked


def test_what_was_written_here_is_counted_and_then_nobody_asks(play, asked):
    async def story(world: World) -> None:
        await count_all(world)  # what was left, once a minute
        await world.send_all(range(1, 4))
        assert await sent(world) == 0
        await count_all(world)
        assert await sent(world) == 3
        asked.clear()
        for _ in range(5):
            await world.gateway.counting.run_once()
        assert asked == []

    play(story)


def test_what_a_worker_left_that_is_gone_is_found_by_the_owner(play, asked, monkeypatch):
    monkeypatch.setattr(counting, "_LOOK_EVERY_S", 0.0)

    async def story(world: World) -> None:
        await world.send_all(range(1, 4))
        world.gateway.counting._written.clear()
        await count_all(world)
        assert await sent(world) == 3
        asked.clear()
        await world.gateway.counting.run_once()
        assert asked == ["uncounted"]

    play(story)


def test_what_can_not_be_counted_yet_is_asked_for_again(play, monkeypatch):
    whole, broken = counts.catch_up, [DatabaseGone("now"), None]

    async def catch_up(*args: object) -> bool:
        if broken:
            if (error := broken.pop(0)) is not None:
                raise error
            return False  # somebody else is counting
        return await whole(*args)

    async def story(world: World) -> None:
        await world.gateway.counting.run_once()
        monkeypatch.setattr(counts, "catch_up", catch_up)
        await world.send_all(range(1, 4))
        with pytest.raises(DatabaseGone):
            await world.gateway.counting.run_once()
        await world.gateway.counting.run_once()
        assert await sent(world) == 0
        await count_all(world)
        assert await sent(world) == 3

    play(story)
