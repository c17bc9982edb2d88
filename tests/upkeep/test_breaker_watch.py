"""Breakers move by what was counted: once, told to admins, in the audit log and the journal; idle campaigns cost nothing."""

from typing import Any

import msgspec
import pytest

from gateway.core.bank.events import EventKind
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.sending.breakers import BreakerPolicy, Pair, State, Tally
from gateway.pipeline.breakers import NoPair
from gateway.store import audit_log, breakers, counts, events, users
from gateway.store.events import FIRST
from gateway.store.users import UserRow
from tests.pipeline.test_breakers import bucket_of, press, published
from tests.pipeline.world import ACTION, CAMPAIGN, KEY, World

GUILTY, OTHER = Pair(ACTION, "att", "initial-1"), Pair(ACTION, "verizon", "initial-1")


async def counted(
    world: World, pair: Pair, state: str, code: int, number: int, what: str = "initial"
) -> None:
    """As if so many had ended so."""
    await world.store.execute(
        """
        INSERT INTO counts AS c (organisation_id, campaign_id, action_id, per, name, what, state, code, number, segments)
        VALUES (1, 1, $1, 'pair', $2, $3, $4, $5, $6, 0)
        ON CONFLICT (organisation_id, campaign_id, action_id, per, name, what, state, code)
        DO UPDATE SET number = c.number + excluded.number
        """,
        pair.action_id,
        f"{pair.carrier}/{pair.script}",
        what,
        state,
        code,
        number,
    )
    await world.store.execute("UPDATE count_progress SET version = version + 1")


async def begin(world: World) -> None:
    user = UserRow(user_id=9, email="a@example.org", name="Ann", language="en")
    async with world.database.transaction() as transaction:
        await users.sign_up(transaction, KEY, user, "admin", world.clock.now())
    await counts.count_anew(world.store, KEY, world.clock.now())


async def held(world: World) -> list[str]:
    return list(await world.store.fetch_value("SELECT held_pairs FROM campaigns"))


async def noted(world: World) -> list[tuple[Any, ...]]:
    found = await events.read(world.database, KEY, FIRST, 5000)
    return [
        (each.action_id, each.kind, each.script, each.before, each.state)
        for event in found
        if event.kind is EventKind.BREAKER
        for each in event.items()
    ]


def gauge(world: World, scope: str, state: str) -> float | None:
    return world.gateway.metrics.registry.get_sample_value(
        "p2p_breaker_state", {"scope": scope, "state": state}
    )


def test_it_opens_once_and_everybody_is_told(play):
    async def story(world: World) -> None:
        await begin(world)
        watch = world.gateway.breaker_watch
        await counted(world, GUILTY, "undelivered", 30007, 40)
        await counted(world, GUILTY, "delivered", 0, 159)
        await counted(world, OTHER, "delivered", 0, 400)
        await watch.run_once()
        assert await held(world) == []  # 199 are too few
        await counted(world, GUILTY, "undelivered", 30003, 1)
        await watch.run_once()
        await watch.run_once()
        assert await held(world) == [GUILTY.word]
        assert world.gateway.campaigns[CAMPAIGN].holds(ACTION, "att", "initial-1")
        assert not world.gateway.campaigns[CAMPAIGN].holds(ACTION, "verizon", "initial-1")
        [line] = await audit_log.page(world.database, KEY, None, 9)
        assert (line.who, line.act) == ("gateway", "breaker opened")
        after = msgspec.json.decode(line.after or "")
        assert (after["carrier"], after["reason"], after["figures"]["filtered"]) == ("att", "filtered", 40)
        assert await noted(world) == [(ACTION, "att", "initial-1", "filtered", "open")]
        [notice] = await world.store.fetch("SELECT user_id, kind, title, body FROM user_notices")
        assert (notice["user_id"], notice["kind"]) == (9, "breaker")
        assert "40 of its 200 texts there were filtered" in notice["body"]
        assert gauge(world, "filtered", "open") == 1

    play(story)


def test_a_persons_word_stands(play):
    async def story(world: World) -> None:
        await begin(world)
        watch, campaign = world.gateway.breaker_watch, world.gateway.campaigns[CAMPAIGN]
        await counted(world, GUILTY, "undelivered", 30007, 40)
        await counted(world, GUILTY, "delivered", 0, 200)
        await watch.run_once()
        await watch.breakers.put(campaign, GUILTY, "resume", "user:9")
        await counted(world, GUILTY, "undelivered", 30007, 100)
        await watch.run_once()
        assert await held(world) == []  # of fewer than 200 since then nothing is said
        seen = (await watch.breakers.show(KEY))[0]
        assert (seen.breaker.state, seen.own.finals, seen.own.filtered) == (State.CLOSED, 100, 100)
        await counted(world, GUILTY, "undelivered", 30007, 100)
        await watch.run_once()
        assert await held(world) == [GUILTY.word]
        await watch.breakers.put(campaign, GUILTY, "switch_off", "user:9")
        await counted(world, GUILTY, "undelivered", 30007, 1000)
        await watch.run_once()
        assert await held(world) == []
        assert gauge(world, "by_hand", "off") == 1
        acts = [line.act for line in reversed(await audit_log.page(world.database, KEY, None, 9))]
        assert acts == ["breaker opened", "breaker resumed", "breaker opened", "breaker switched off"]
        with pytest.raises(NoPair):
            await watch.breakers.put(campaign, Pair(ACTION, "sprint", "initial-1"), "open", "user:9")

    play(story)


def test_silence_and_opt_outs_warn_and_stop_nothing(play):
    async def story(world: World) -> None:
        await begin(world)
        for pair, replies in ((GUILTY, 2), (OTHER, 60)):
            await counted(world, pair, "delivered", 0, 400)
            await counted(world, pair, "", 0, replies, "responder")
        strangers = Pair(ACTION, "", "initial-2")
        await counted(world, strangers, "delivered", 0, 400)
        await counted(world, strangers, "opted_out", 0, 200, "response")
        await world.gateway.breaker_watch.run_once()
        assert await held(world) == []
        assert sorted((carrier, why) for _, carrier, _, why, _ in await noted(world)) == [
            ("", "opt_outs"), ("att", "silent"),
        ]  # fmt: skip
        [body] = [row[0] for row in await world.store.fetch("SELECT body FROM user_notices")]
        assert "only 2 people answered" in body
        assert "opted out" not in body

    play(story)


def test_where_nothing_was_counted_nothing_is_read(play):
    async def story(world: World) -> None:
        await begin(world)
        watch = world.gateway.breaker_watch
        await counted(world, GUILTY, "undelivered", 30007, 300)
        await watch.run_once()
        await world.wait(60)  # the road has read what the move told it
        before = world.database.count
        await watch.run_once()
        assert world.database.count == before + 1  # one question about all campaigns of the worker

    play(story)


def test_texts_are_counted_by_script_and_carrier(play):
    async def story(world: World) -> None:
        await published(world)
        await counts.count_anew(world.store, KEY, world.clock.now())
        items = await bucket_of(world, 6)
        told = await press(world, items)
        await world.wait(10)
        att = told["att"]
        for nth, outcome in enumerate(att):
            text = next(each.text for each in world.handed if each.text.message_id == outcome.message_id)
            await world.provider.say(
                text, "undelivered" if nth == 0 else "delivered", 30007 if nth == 0 else None
            )
        texted = next(each.contact_id for each in items if each.contact_id % 2 == 0)
        await world.write(texted, "STOP")
        await world.gateway.counting.run_once()
        while world.gateway.counting._written:
            await world.gateway.counting.run_once()
        found = await breakers.tallies(world.database, KEY)
        assert found[GUILTY] == Tally(len(att), 1, len(att) - 1, 1, 1)
        assert found[OTHER] == Tally()
        async with world.store.connection() as connection:
            anew = await counts.recount(connection, KEY)
        kept = await counts.read(world.database, KEY, ACTION, world.clock.now(), ("pair",))
        assert kept is not None
        assert {
            (e.name, e.what, e.state, e.code, e.number) for e in anew if e.per == "pair" and e.number
        } == {(e.name, e.what, e.state, e.code, e.number) for e in kept.rows}

    play(story)


def test_a_campaigns_settings_decide(play):
    async def story(world: World) -> None:
        await begin(world)
        await counted(world, GUILTY, "undelivered", 30007, 60)
        await world.gateway.breaker_watch.run_once()
        assert await held(world) == [GUILTY.word]

    play(story, campaign=CampaignSettings(breakers=BreakerPolicy(least_texts=50)))
