"""Promises that are broken in front of the gateway's eyes are counted: each is broken here once, and kept first."""

import pytest

from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import Kind
from gateway.pipeline.call_record import CallRecord
from gateway.providers.base import StatusReport
from gateway.upkeep.promises import PromiseWatch
from tests.pipeline.scripted_provider import sid
from tests.pipeline.test_metrics_of_the_road import value
from tests.pipeline.world import CAMPAIGN, World

ALL_KEPT = {
    "send_after_optout": 0,
    "quiet_hours": 0,
    "duplicate_send": 0,
    "illegal_transition": 0,
    "ledger": 0,
}


def violations(world: World) -> dict[str, float]:
    return {each: value(world, "p2p_invariant_violations_total", invariant=each) for each in ALL_KEPT}


async def looked(world: World) -> float:
    gateway = world.gateway
    watch = PromiseWatch(gateway.database, gateway.campaigns, gateway.clock, gateway.metrics)
    return await watch.run()


def test_a_bank_with_a_stop_and_receipts_that_come_twice_breaks_none(play):
    async def story(world: World) -> None:
        await world.send_all(range(1, 6))
        await world.wait(5)
        for handed in world.handed:
            for status in ("sent", "delivered", "delivered"):
                await world.provider.say(handed.text, status)
        await world.write(1, "STOP")
        assert (await world.submit(1, "Still there?", kind=Kind.REPLY)).code == 1302
        await world.wait(600)
        await looked(world)
        assert violations(world) == ALL_KEPT

    play(story)


def test_two_texts_of_one_attempt_are_a_text_too_many(play):
    async def story(world: World) -> None:
        await world.submit(1)
        await world.wait(2)
        text = world.handed[0].text
        said = StatusReport(
            CAMPAIGN, text.message_id, text.attempt, "delivered", None, world.clock.now(), "SMother"
        )
        assert sid(text) != said.provider_sid
        await world.gateway.status(said)
        assert violations(world) == ALL_KEPT | {"duplicate_send": 1}

    play(story)


def test_two_answers_within_one_commit_window_are_seen_as_well(play):
    async def story(world: World) -> None:
        await world.submit(1)
        await world.wait(2)
        text, now = world.handed[0].text, world.clock.now()
        told = [
            world.gateway.status(
                StatusReport(CAMPAIGN, text.message_id, text.attempt, "sent", None, now, provider_sid)
            )
            for provider_sid in (sid(text), "SMother")
        ]
        for each in told:
            await each
        assert violations(world) == ALL_KEPT | {"duplicate_send": 1}

    play(story)


def test_a_text_to_somebody_who_had_left_is_found_in_the_books_and_counted_once(play):
    async def story(world: World) -> None:
        await world.send_all([1, 2, 3])
        await world.wait(2)
        await world.store.execute(
            """
            INSERT INTO opt_outs (organisation_id, scope, phone, source, opted_out_at)
            SELECT 1, $1, phone, source, now FROM contacts c JOIN (VALUES
                (1, 'keyword', to_timestamp($2::float8 - 60)), (2, 'import', to_timestamp($2 - 60)),
                (3, 'keyword', to_timestamp($2 + 1))) AS o (contact_id, source, now) USING (contact_id)
            """,
            world.gateway.campaigns[CAMPAIGN].opt_out_scope,
            world.handed[0].at,
        )
        await looked(world)
        assert violations(world) == ALL_KEPT, "the provider's answer may still be on its way into the books"
        await world.wait(120)
        until = await looked(world)
        assert violations(world) == ALL_KEPT | {"send_after_optout": 1}
        gateway = world.gateway
        watch = PromiseWatch(gateway.database, gateway.campaigns, gateway.clock, gateway.metrics)
        assert await watch.run(until) >= until
        assert violations(world)["send_after_optout"] == 1

    play(story)


@pytest.mark.parametrize(("outcome", "counts"), [("ok", 1), ("timeout", 1), ("rejected", 0), ("error", 0)])
def test_a_call_after_its_windows_end_is_counted_when_its_text_may_be_out(
    play, monkeypatch, outcome: str, counts: int
):
    async def story(world: World) -> None:
        await world.submit(1)
        record = world.gateway.dispatch.hand_over.record
        seen = []
        monkeypatch.setattr(
            CallRecord, "ended", lambda _, text, held, *rest: seen.append((text, held)), raising=True
        )
        await world.wait(2)
        monkeypatch.undo()
        ((text, held),) = seen
        assert violations(world) == ALL_KEPT
        record.ended(text, held, outcome, held.not_after, 0.1)
        record.ended(text, held, outcome, held.not_after + 0.1, 0.1)
        assert violations(world) == ALL_KEPT | {"quiet_hours": counts}

    play(story)


def test_a_move_outside_the_table_is_counted_and_refused(play):
    async def story(world: World) -> None:
        with pytest.raises(KeyError):
            world.gateway.metrics.transition(State.DELIVERED, State.QUEUED)
        assert violations(world) == ALL_KEPT | {"illegal_transition": 1}

    play(story)


def test_the_books_and_the_provider_have_to_agree_but_for_another_systems_texts(play):
    async def story(world: World) -> None:
        for difference in ("unknown", "missing", "disagrees"):
            world.gateway.metrics.difference(difference, 2)
        assert violations(world) == ALL_KEPT | {"ledger": 4}

    play(story)
