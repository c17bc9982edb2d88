"""Whose opt-outs count is what the campaign's row says, whatever a worker believes (C5)."""

from gateway.core.rules.campaign import WHOLE_ORGANISATION
from gateway.store import conversations
from tests.pipeline.test_dispatch import one_per_s
from tests.pipeline.world import SCOPE, World, phone

CHANGED = "UPDATE campaigns SET opt_out_scope = $1, other_scope = $2, other_scope_until = 'infinity'"


def test_a_worker_that_has_not_heard_of_another_list_goes_by_it_all_the_same(play):
    """Who left the organisation says STOP once more, at a worker that knows: there is nothing to write, and it holds."""

    async def story(world: World) -> None:
        at = world.clock.now()
        await conversations.import_opt_outs(world.store, 1, WHOLE_ORGANISATION, [phone(5), phone(9)], at)
        outcomes = await world.send_all(range(1, 9))
        await world.wait(1.2)
        assert all(each.admitted for each in outcomes)
        assert not world.texts_to(5)
        await world.store.execute(CHANGED, WHOLE_ORGANISATION, SCOPE)
        late = await world.submit(9)
        await world.wait(60)
        assert (late.code, world.texts_to(5), len(world.handed)) == (1302, [], 7)
        assert (await world.message(outcomes[4].message_id))["code"] == 1302

    play(story, campaign=one_per_s())
