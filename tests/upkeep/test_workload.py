"""The workload: what waits, how much of the limits is used, what is stuck; judged by the store."""

import asyncio

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind
from gateway.core.sending.numbers import NumberState
from gateway.providers.base import AnswerLost, Refused
from gateway.store import backlog
from gateway.store.backlog import Backlog, Budget
from tests.pipeline.scripted_provider import Hangs, Lost
from tests.pipeline.test_metrics_of_the_road import carriers, value
from tests.pipeline.world import CAMPAIGN, FIVE, KEY, SETTINGS, World

SLOW = CampaignSettings(registration=Registration(total_per_s=1))


def queue(world: World, what: str, lane: str = "initial", carrier: str = "unknown") -> float:
    return value(world, f"p2p_queue_{what}", lane=lane, carrier=carrier)


def test_what_waits_is_counted_with_what_is_not_in_memory(play):
    """A worker that holds 4 of 20 messages in memory counts them all."""
    settings = msgspec.structs.replace(
        SETTINGS, dispatch=msgspec.structs.replace(SETTINGS.dispatch, look_ahead=4)
    )

    async def story(world: World) -> None:
        await carriers(world, c19="att", c20="att")
        began_at = world.clock.now()
        await world.send_all(range(1, 21))
        await world.wait(5)
        await world.gateway.workload.run_once()
        waiting = len(await world.queued())
        assert waiting > 10
        assert queue(world, "messages") == waiting - 2
        assert queue(world, "messages", carrier="att") == 2
        assert queue(world, "segments") == waiting - 2
        waits_s = world.clock.now() - began_at
        assert queue(world, "oldest_age_seconds") == pytest.approx(waits_s, abs=0.2)
        assert queue(world, "drain_eta_seconds") == pytest.approx(waiting - 2, abs=0.1)
        assert queue(world, "messages", lane="reply") == 0
        await world.wait(60)
        await world.gateway.workload.run_once()
        assert [queue(world, what) for what in ("messages", "oldest_age_seconds", "drain_eta_seconds")] == [
            0
        ] * 3

    play(story, settings=settings, campaign=SLOW)


def test_initials_drain_after_the_replies_before_them(play):
    async def story(world: World) -> None:
        for contact in range(1, 6):
            await world.write(contact, "Who is this?")
        await world.send_all(range(6, 16))
        await asyncio.gather(*(world.submit(each, "Ann", kind=Kind.REPLY) for each in range(1, 6)))
        rows = {(row.lane, row.carrier): row for row in await backlog.waiting(world.store, [KEY])}
        await world.gateway.workload.run_once()
        replies, initials = rows[0, None].segments, rows[2, None].segments
        assert min(replies, initials) > 1
        assert queue(world, "drain_eta_seconds", "reply") == pytest.approx(replies)
        assert queue(world, "drain_eta_seconds", "initial") == pytest.approx(replies + initials)

    play(story, campaign=SLOW)


def test_a_spent_daily_cap_stands_in_its_gauges_and_in_the_eta(play):
    async def story(world: World) -> None:
        await carriers(world, **{f"c{each}": "tmobile" for each in range(1, 8)})
        await world.send_all(range(1, 8))
        await world.wait(2)
        await world.gateway.workload.run_once()
        world.gateway.look()
        assert value(world, "p2p_daily_cap_used_segments", carrier="tmobile") == 5
        assert value(world, "p2p_daily_cap_limit_segments", carrier="tmobile") == 5
        assert queue(world, "messages", carrier="tmobile") == 2
        midnight_s = FIVE + 10 * 3600 - world.clock.now()  # 17:00 in New York is 14:00 in Los Angeles
        assert queue(world, "drain_eta_seconds", carrier="tmobile") == pytest.approx(midnight_s, abs=1)

    play(story, campaign=CampaignSettings(registration=Registration(tmobile_daily_cap=5)))


def test_a_campaign_without_a_cap_has_none(play):
    async def story(world: World) -> None:
        await world.submit(1)
        world.gateway.look()
        assert value(world, "p2p_daily_cap_limit_segments", carrier="tmobile") == 0

    play(story)


def test_the_use_of_a_rate_is_what_was_handed_over_of_what_might_have_been(play):
    async def story(world: World) -> None:
        def use(scope: str) -> float:
            return value(world, "p2p_rate_limit_utilization_ratio", scope=scope)

        await carriers(world, **{f"c{each}": "att" for each in range(1, 21)})
        await world.gateway.workload.run_once()
        await world.send_all(range(1, 6))
        await world.wait(10)
        await world.gateway.workload.run_once()
        assert use("campaign") == pytest.approx(5 / 4 / 10, abs=0.02)
        assert use("carrier") == pytest.approx(5 / 2 / 10, abs=0.02)
        assert use("number") == pytest.approx(5 / 8 / 10, abs=0.02)
        await world.wait(10)
        await world.gateway.workload.run_once()
        assert [use(scope) for scope in ("campaign", "carrier", "number")] == [0, 0, 0]

    registration = Registration(total_per_s=4, carrier_per_s={"att": 2}, number_per_s=8)
    play(story, campaign=CampaignSettings(registration=registration))


def test_a_small_carriers_numbers_are_used_at_their_own_rate(play):
    async def story(world: World) -> None:
        await carriers(world, **{f"c{each}": "regional" for each in range(1, 6)})
        await world.gateway.workload.run_once()
        await world.send_all(range(1, 6))
        await world.wait(10)
        await world.gateway.workload.run_once()
        assert value(world, "p2p_rate_limit_utilization_ratio", scope="number") == pytest.approx(0.5, abs=0.1)
        assert value(world, "p2p_rate_limit_utilization_ratio", scope="carrier") == 0

    play(story)


def test_calls_under_way_are_the_accounts_use(play):
    async def story(world: World) -> None:
        world.provider.answers.extend(Hangs() for _ in range(25))
        await world.send_all(range(1, 21))
        await world.wait(1)
        world.gateway.look()
        assert value(world, "p2p_rate_limit_utilization_ratio", scope="account") == 20 / 100

    play(story)


def test_numbers_are_counted_by_state(play):
    async def story(world: World) -> None:
        def states() -> list[float]:
            world.gateway.look()
            return [value(world, "p2p_numbers", state=state) for state in NumberState]

        assert states() == [0, 3, 0, 0]
        pool = world.gateway.dispatch.roads[CAMPAIGN].pool
        pool.quarantine(world.clock.now(), 1)
        pool.retire(2)
        assert states() == [0, 1, 1, 1]

    play(story, own_numbers=3)


def test_rows_that_wait_to_be_written_have_an_age(play):
    async def story(world: World) -> None:
        def lag_s() -> float:
            world.gateway.look()
            return value(world, "p2p_outbox_lag_seconds")

        assert lag_s() == 0
        submitted = world.submit(1)
        await world.wait(0.02)
        written = asyncio.ensure_future(world.write(2, "Hello?"))
        await world.wait(0.01)
        assert lag_s() == pytest.approx(0.03)
        await asyncio.gather(submitted, written)
        await world.wait(1)
        assert lag_s() == 0

    play(story)


def test_rows_age_while_the_database_is_away(play):
    async def story(world: World) -> None:
        for _ in range(3):
            world.database.once(world.database.before, "INSERT INTO conversations", world.lose_the_answer)
        submitted = world.submit(1)
        await world.wait(0.3)
        world.gateway.look()
        assert value(world, "p2p_outbox_lag_seconds") == pytest.approx(0.3)
        assert (await submitted).admitted

    play(story)


def test_connections_in_use_and_the_wait_for_one(play):
    async def story(world: World) -> None:
        seen: list[float] = []

        async def look() -> None:
            world.gateway.look()
            seen.append(value(world, "p2p_db_pool_in_use", pool="main"))

        met = world.database.once(world.database.before, "INSERT INTO conversations", look)
        before = value(world, "p2p_db_pool_wait_seconds_count", pool="main")
        await world.submit(1)
        await met
        await look()
        assert seen == [1, 0]
        assert value(world, "p2p_db_pool_wait_seconds_count", pool="main") > before

    play(story, connections=2)


# ---------------------------------------------------------------- stuck


def test_what_the_provider_cannot_tell_of_is_stuck(play):
    async def story(world: World) -> None:
        async def cannot_tell(_text, since, others):
            raise AnswerLost

        world.provider.find = cannot_tell
        world.provider.answers.append(Lost(taken=True))
        outcome = await world.submit(1)
        await world.wait(Budget().unknown_s - 10)
        await world.gateway.workload.run_once()
        assert value(world, "p2p_stuck_messages", state="unknown") == 0
        await world.wait(20)
        await world.gateway.workload.run_once()
        assert await world.state(outcome.message_id) == "unknown"
        assert value(world, "p2p_stuck_messages", state="unknown") == 1

    play(story)


def test_a_call_that_never_ends_is_a_lost_answer(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Hangs())
        outcome = await world.submit(1)
        await world.wait(Budget().sending_s - 10)
        assert await world.state(outcome.message_id) == "sent"
        await world.gateway.workload.run_once()
        assert value(world, "p2p_stuck_messages", state="sending") == 0
        world.nobody_got_a_text_twice()

    play(story)


@pytest.mark.parametrize(
    ("state", "times", "is_stuck"),
    [
        ("queued", {"not_after": -181}, True),
        ("queued", {"not_after": -179, "slot_at": -9999}, False),
        ("sending", {"slot_at": -301}, True),
        ("sending", {"slot_at": -299}, False),
        ("unknown", {"slot_at": -301}, True),
        ("unknown", {"slot_at": -299}, False),
        ("sent", {"slot_at": -90_000, "not_after": -90_000}, False),
        ("delivered", {"slot_at": -90_000, "not_after": -90_000}, False),
    ],
)
def test_each_state_has_its_budget(play, state: str, times: dict[str, float], is_stuck: bool):
    async def story(world: World) -> None:
        await world.submit(1)
        await world.wait(1)
        now = world.clock.now()
        await world.store.execute("UPDATE messages SET state = $1", state)
        if state in ("sending", "unknown"):
            await world.store.execute("UPDATE messages SET ask_at = to_timestamp($1)", now)
        if state == "queued":
            await world.store.execute(
                "INSERT INTO queue (organisation_id, campaign_id, message_id, lane, due_at)"
                " SELECT organisation_id, campaign_id, message_id, lane, requested_at FROM messages"
            )
        for column, ago_s in times.items():
            await world.store.execute(f"UPDATE messages SET {column} = to_timestamp($1)", now + ago_s)
        found = await backlog.stuck(world.store, [KEY], Budget(), now)
        assert found == ({state: 1} if is_stuck else {})
        assert await backlog.stuck(world.store, [CampaignKey(1, CAMPAIGN + 1)], Budget(), now) == {}

    play(story)


def test_a_retry_that_is_not_due_yet_has_no_age(play):
    async def story(world: World) -> None:
        await carriers(world, c1="verizon")
        world.provider.answers.append(Refused(20429))
        await world.submit(1, "x" * 161)
        await world.wait(0.5)
        (row,) = await backlog.waiting(world.store, [KEY])
        assert row == Backlog(CAMPAIGN, 1, "verizon", 1, 2, row.due_at)
        assert row.due_at > world.clock.now()
        await world.gateway.workload.run_once()
        assert queue(world, "messages", "retry", "verizon") == 1
        assert queue(world, "segments", "retry", "verizon") == 2
        assert queue(world, "oldest_age_seconds", "retry", "verizon") == 0

    play(story)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 8])
def test_a_queue_is_counted_in_pieces(play, at_once: int):
    async def story(world: World) -> None:
        await carriers(world, c1="verizon", c2="att", c3="verizon")
        await world.pause()
        open_until = world.clock.now() + 3600  # or the road would end what is over before it is counted
        await world.store.execute(
            """
            INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, kind, body, segments, text_hash,
                                  state, lane, requested_at, not_after)
            SELECT 1, $1, n, n, 'initial', 'Hi', n, n, 'queued', 2, to_timestamp(n), to_timestamp($2::float8 + n)
            FROM generate_series(1, 7) n
            """,
            CAMPAIGN,
            open_until,
        )
        await world.store.execute(
            "INSERT INTO queue (organisation_id, campaign_id, message_id, lane, due_at)"
            " SELECT organisation_id, campaign_id, message_id, message_id % 2, requested_at FROM messages"
        )
        keys = [CampaignKey(1, CAMPAIGN + 1), KEY]
        assert await backlog.waiting(world.store, keys, at_once=at_once) == [
            Backlog(CAMPAIGN, 0, None, 2, 10, 4.0),
            Backlog(CAMPAIGN, 0, "att", 1, 2, 2.0),
            Backlog(CAMPAIGN, 1, None, 2, 12, 5.0),
            Backlog(CAMPAIGN, 1, "verizon", 2, 4, 1.0),
        ]
        budget = Budget(queued_s=10.0)
        assert await backlog.stuck(world.store, keys, budget, open_until + 15.5, at_once=at_once) == {
            "queued": 5
        }

    play(story)
