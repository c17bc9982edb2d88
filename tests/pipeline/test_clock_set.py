"""The time of day is set while a bank goes on: it goes on, by the new one, whichever way it was set."""

import pytest

from tests.pipeline.world import World


@pytest.mark.parametrize("by_s", [-3600.0, 3600.0, -30.0])
def test_texts_go_on_when_the_time_of_day_was_set(play, by_s):
    async def story(world: World) -> None:
        first = await world.submit(1)
        await world.wait(5)
        assert await world.state(first.message_id) == "sent"
        world.clock._offset_s += by_s
        world.gateway.dispatch.restart("the time of day was set")
        second = await world.submit(2)
        await world.wait(90)
        assert await world.state(second.message_id) == "sent"
        world.nobody_got_a_text_twice()

    play(story)


def test_what_took_long_is_forgotten_also_when_the_time_of_day_was_set_back(play):
    """And when nobody is looked at any more. Else looks would be good, and STOPs wait, for much longer than needed."""

    async def story(world: World) -> None:
        world.database.answer_s = 1.0
        await world.submit(1)
        await world.submit(2)
        await world.wait(10)
        validity = world.gateway.dispatch.hand_over.look_validity
        assert validity.took.longest_s >= 1.0
        world.database.answer_s = 0.0
        world.clock._offset_s -= 3600.0
        world.gateway.dispatch.restart("the time of day was set")
        await world.wait(90)
        assert validity.took.longest_s < 1.0

    play(story)
