"""Admission end to end: what is asked for, what the safeguards say, and what stands in the books."""

import asyncio

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.errors import BadInput
from gateway.core.rules.hours import CampaignHours
from gateway.core.rules.lifecycle import State
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind, Policy, Request
from gateway.pipeline.admission import LANE_INITIAL, LANE_REPLY
from gateway.pipeline.idempotency import KeyReused, KeyUnderWay
from gateway.providers.base import Refused
from gateway.store import campaigns, contacts
from gateway.store.contacts import ContactRow
from tests.pipeline.world import ACTION, CAMPAIGN, FIVE, GROUP, KEY, SCOPE, START_AT, VOLUNTEER, World, phone

ONE_PER_S = CampaignSettings(registration=Registration(total_per_s=1))
NO_LOCK = CampaignSettings(safeguards=Policy(lock_enabled=False))
NO_CHECKS = CampaignSettings(safeguards=Policy(lock_enabled=False, same_text_s=0))


async def blocked(world: World, code: int, reason: str | None, outcome) -> None:
    """The caller and the books say the same, and nothing goes on the wire."""
    result = await outcome
    calls = len(world.handed)
    assert (result.state, result.code) == (State.BLOCKED, code)
    assert result.reason == reason
    row = await world.message(result.message_id)
    assert (row["state"], row["code"], row["reason"]) == ("blocked", code, reason)
    assert row["final_at"] is not None
    await world.wait(5)
    assert len(world.handed) == calls


# ---------------------------------------------------------------- the main safeguards


def test_an_outcome_is_durable_before_its_caller_resumes(play):
    async def story(world: World) -> None:
        outcome = await world.submit(1)
        world.crash()
        assert outcome.admitted
        assert await world.state(outcome.message_id) in ("queued", "sending")

    play(story)


def test_1001_identical_text(play):
    async def story(world: World) -> None:
        await world.write(1, "Hi")
        assert (await world.submit(1, "Hello", kind=Kind.REPLY)).admitted
        await blocked(world, 1001, "identical_text", world.submit(1, " Hello\n", kind=Kind.REPLY))
        assert (await world.submit(1, "Hello again", kind=Kind.REPLY)).admitted
        await world.wait(24 * 3600)
        assert (await world.submit(1, "Hello", kind=Kind.REPLY)).admitted

    play(story)


def test_1001_outbound_lock(play):
    async def story(world: World) -> None:
        assert (await world.submit(1, "Hello")).admitted
        await blocked(world, 1001, "outbound_lock", world.submit(1, "Something else"))
        await world.write(1, "Hi")
        assert (await world.submit(1, "A reply is never locked", kind=Kind.REPLY)).admitted
        assert (await world.submit(2, "Hello")).admitted

    play(story)


def test_1001_holds_within_one_commit_window(play):
    async def story(world: World) -> None:
        first, second = await asyncio.gather(world.submit(1, "One"), world.submit(1, "Two"))
        assert first.admitted
        assert (second.state, second.code) == (State.BLOCKED, 1001)
        await world.wait(10)
        assert len(world.handed) == 1

    play(story)


def test_a_reply_to_somebody_who_never_wrote_counts_as_an_initial(play):
    """C2: only in an open thread is a text no solicitation. It waits and is locked as any first text."""

    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(2, 8))
        first = await world.submit(1, "You asked", kind=Kind.REPLY, action_id=ACTION)
        row = await world.message(first.message_id)
        assert (row["kind"], row["lane"], row["state"]) == ("initial", LANE_INITIAL, "queued")
        assert (await world.submit(1, "Once more", kind=Kind.REPLY, action_id=ACTION)).code == 1304
        await world.write(1, "Yes, I asked")
        reply = await world.submit(1, "So here it is", kind=Kind.REPLY, action_id=ACTION)
        row = await world.message(reply.message_id)
        assert (row["kind"], row["lane"]) == ("reply", LANE_REPLY)

    play(story, campaign=msgspec.structs.replace(ONE_PER_S, safeguards=NO_LOCK.safeguards))


def test_five_replies_in_a_minute_to_somebody_who_never_wrote(play):
    async def story(world: World) -> None:
        outcomes = []
        for each in range(5):
            outcomes.append(await world.submit(1, f"Text {each}", kind=Kind.REPLY))
            await world.wait(10)
        assert [outcome.code for outcome in outcomes] == [None, 1001, 1001, 1001, 1001]
        assert len(world.handed) == 1

    play(story)


@pytest.mark.parametrize("body", ["", "  \n", "\u200b"])
def test_1002_blank(play, body: str):
    async def story(world: World) -> None:
        await blocked(world, 1002, None, world.submit(1, body))

    play(story)


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (FIVE - 1, None),
        (FIVE, "campaign_hours"),
        (FIVE + 15.99 * 3600, "campaign_hours"),
        (FIVE + 16 * 3600, None),
    ],
)
def test_1202_campaign_hours(play, at: float, reason: str | None):
    async def story(world: World) -> None:
        await world.wait(at - START_AT - 0.05)  # the decision is taken at the end of the window
        if reason is None:
            assert (await world.submit(1)).admitted
        else:
            await blocked(world, 1202, reason, world.submit(1))

    play(story)


def test_1202_recipient_hours(play):
    """C1: 11:00 in New York is 08:00 in Los Angeles, an hour before the platform's earliest."""

    async def story(world: World) -> None:
        west = [ContactRow(30, phone(30), "CA@America/Los_Angeles")]
        await contacts.add(world.store, KEY, west)
        await blocked(world, 1202, "recipient_hours", world.submit(30))
        await world.wait(3600)
        assert (await world.submit(30)).admitted

    play(story, campaign=CampaignSettings(hours=CampaignHours(540, 1260)))


def test_1202_paused(play):
    async def story(world: World) -> None:
        await campaigns.pause(world.store, KEY, True)
        await world.gateway.campaigns.load()
        await blocked(world, 1202, "paused", world.submit(1))

    play(story)


def test_1205_and_9000_line_types(play):
    async def story(world: World) -> None:
        rows = [
            ContactRow(30, phone(30), GROUP, line_type="landline"),
            ContactRow(31, phone(31), GROUP, line_type="tollFree"),
        ]
        await contacts.add(world.store, KEY, rows)
        await blocked(world, 9000, "landline", world.submit(30))
        await blocked(world, 1205, None, world.submit(31))

    play(story)


def test_9000_for_a_contact_that_does_not_exist(play):
    async def story(world: World) -> None:
        await blocked(world, 1106, None, world.submit(99))

    play(story)


def test_an_unknown_contact_harms_nobody_else(play):
    async def story(world: World) -> None:
        nobody, somebody = world.submit(99), world.submit(1)
        assert (await somebody).admitted
        await asyncio.wait([nobody])

    play(story)


def test_1204_and_1205_failure_memory(play):
    async def story(world: World) -> None:
        for contact, code in ((1, 30003), (2, 30006)):
            await world.submit(contact)
            await world.wait(5)
            await world.provider.say(world.handed[-1].text, "undelivered", code)
        await blocked(world, 1204, None, world.submit(1, "Are you back?", kind=Kind.REPLY))
        await blocked(world, 1205, None, world.submit(2, "Are you back?", kind=Kind.REPLY))
        await world.wait(24 * 3600)  # C16: 30003 is held for a day, 30006 for good
        assert (await world.submit(1, "Are you back?", kind=Kind.REPLY)).admitted
        await blocked(world, 1205, None, world.submit(2, "Are you back?", kind=Kind.REPLY))

    play(story)


def test_1302_opted_out(play):
    async def story(world: World) -> None:
        await world.write(1, "STOP")
        await blocked(world, 1302, None, world.submit(1))
        await world.write(1, "START")
        assert (await world.submit(1)).admitted

    play(story)


def test_1302_whatever_was_remembered_of_the_person(play):
    async def story(world: World) -> None:
        known = await world.gateway.admission.read(CAMPAIGN, [(1, ACTION)])
        world.gateway.admission.remember(CAMPAIGN, ACTION, known)
        await world.store.execute(
            "INSERT INTO opt_outs VALUES ($1, $2, 'import', '', now())", SCOPE, phone(1)
        )
        await blocked(world, 1302, None, world.submit(1, action_id=ACTION))

    play(story)


def test_1302_by_the_providers_word(play):
    async def story(world: World) -> None:
        world.provider.answers.append(Refused(21610))
        outcome = await world.submit(1)
        await world.wait(5)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["code"]) == ("failed", 21610)
        await blocked(world, 1302, None, world.submit(1, "Once more", kind=Kind.REPLY))

    play(story)


def test_1303_somebody_elses_contact(play):
    async def story(world: World) -> None:
        assign = "INSERT INTO assignments VALUES (1, $1, 1, $2, 0, $3, now())"
        await world.store.execute(assign, ACTION, GROUP, VOLUNTEER)
        other = world.submit(1, action_id=ACTION, sender_id=VOLUNTEER + 1)
        await blocked(world, 1303, None, other)
        assert (await world.submit(1, action_id=ACTION)).admitted

    play(story)


def test_1304_has_this_actions_message(play):
    async def story(world: World) -> None:
        assert (await world.submit(1, "One", action_id=ACTION)).admitted
        await blocked(world, 1304, None, world.submit(1, "Two", action_id=ACTION))
        assert (await world.submit(1, "Three", action_id=ACTION + 1)).admitted

    play(story, campaign=NO_LOCK)


def test_a_campaign_that_does_not_exist_is_bad_input(play):
    async def story(world: World) -> None:
        with pytest.raises(BadInput, match="no such campaign: 9"):
            world.gateway.admission.submit(Request(campaign_id=9, contact_id=1, kind=Kind.INITIAL, body="Hi"))

    play(story)


# ---------------------------------------------------------------- batches


def test_one_bad_row_harms_only_itself(play):
    async def story(world: World) -> None:
        requests = [world.submit(1), world.submit(2, "no text holds a \x00"), world.submit(3)]
        first, bad, third = await asyncio.gather(*requests, return_exceptions=True)
        assert first.admitted
        assert third.admitted
        assert isinstance(bad, Exception)
        await world.wait(10)
        assert {each.text.phone for each in world.handed} == {phone(1), phone(3)}

    play(story)


@pytest.mark.parametrize("replies", [2, 5, 8])
def test_all_replies_to_one_person_in_a_window_stand_in_order(play, replies: int):
    async def story(world: World) -> None:
        await world.write(1, "Hi")
        bodies = [f"Reply {each}" for each in range(replies)]
        outcomes = await asyncio.gather(*(world.submit(1, body, kind=Kind.REPLY) for body in bodies))
        assert [outcome.code for outcome in outcomes] == [None] * replies
        await world.wait(10)
        assert [each.text.body for each in world.handed] == bodies

    play(story)


def test_a_full_window_admits_everybody_once(play):
    async def story(world: World) -> None:
        outcomes = await world.send_all(range(1, 61))
        assert all(outcome.admitted for outcome in outcomes)
        assert len({outcome.message_id for outcome in outcomes}) == 60
        await world.wait(30)
        assert sorted(each.text.phone for each in world.handed) == sorted(
            phone(each) for each in range(1, 61)
        )

    play(story, people=60)


# ---------------------------------------------------------------- the client's key (C23)


def test_the_same_key_has_the_same_outcome_and_one_message(play):
    async def story(world: World) -> None:
        first = await world.submit(1, key="k1")
        await world.wait(5)
        assert await world.state(first.message_id) == "sent"
        assert await world.submit(1, key="k1") == first  # as first answered, whatever has happened since
        await world.wait(5)
        assert len(world.handed) == 1

    play(story)


def test_a_key_under_way_is_not_used_again(play):
    async def story(world: World) -> None:
        first = world.submit(1, key="k1")
        with pytest.raises(KeyUnderWay):
            world.submit(1, key="k1")
        with pytest.raises(KeyReused):
            world.submit(2, key="k1")
        assert (await world.submit(2, key="k1", owner="key:b")).admitted
        assert (await world.submit(1, key="k1")) == await first
        assert len(world.gateway.admission.keys) == 0

    play(story)


def test_who_hangs_up_has_used_the_key_all_the_same(play):
    """The request is on its way into the books: its repeat gets its outcome, and one text goes out."""

    async def story(world: World) -> None:
        world.submit(1, key="k1").cancel()
        with pytest.raises(KeyUnderWay):
            world.submit(1, key="k1")
        await world.wait(5)
        assert (await world.submit(1, key="k1")).admitted
        await world.wait(5)
        assert len(world.handed) == 1

    play(story)


@pytest.mark.parametrize(
    "changes",
    [{"contact_id": 2}, {"body": "Another"}, {"action_id": ACTION}, {"kind": Kind.REPLY}, {"sender_id": 8}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_key_with_other_parameters_is_refused(play, changes):
    """The other person is not texted, and nothing looks as if they had been."""

    async def story(world: World) -> None:
        await world.submit(1, key="k1")
        with pytest.raises(KeyReused):
            await world.submit(**{"contact_id": 1, "key": "k1", **changes})
        assert len(await world.states()) == 1
        assert (await world.submit(2)).admitted
        await world.wait(10)
        assert sorted(each.text.phone for each in world.handed) == [phone(1), phone(2)]

    play(story)


def test_the_same_key_of_two_owners_is_two_keys(play):
    async def story(world: World) -> None:
        mine, theirs = await asyncio.gather(
            world.submit(1, key="k1"), world.submit(2, key="k1", owner="key:b")
        )
        assert mine.message_id != theirs.message_id
        await world.wait(5)
        assert sorted(each.text.phone for each in world.handed) == [phone(1), phone(2)]

    play(story)


def test_one_key_at_two_workers_at_one_instant_is_one_text(play):
    async def story(world: World) -> None:
        other, _ = world.new_gateway()
        await other.start()
        for contact in range(1, 11):
            key = f"k{contact}"
            asked = [world.submit(contact, key=key, gateway=worker) for worker in (world.gateway, other)]
            one, two = await asyncio.gather(*asked)
            assert one.message_id == two.message_id
        await world.wait(30)
        assert len(world.handed) == 10
        assert await world.store.fetch_value("SELECT count(*) FROM messages") == 10
        other.crash()

    play(story, connections=2)


def test_a_blocked_outcome_is_repeated_too(play):
    async def story(world: World) -> None:
        first = await world.submit(1, " ", key="k1")
        again = await world.submit(1, " ", key="k1")
        assert (again.message_id, again.code) == (first.message_id, 1002)

    play(story)


def test_a_repeat_after_a_block_locks_nobody(play):
    """The first press met closed hours; its repeat sends nothing, so nothing stands in a new press's way."""

    async def story(world: World) -> None:
        await world.wait(FIVE - START_AT + 1)
        assert (await world.submit(1, key="k1")).code == 1202
        await world.wait(17 * 3600)
        assert (await world.submit(1, key="k1")).code == 1202
        assert (await world.submit(1, key="k2")).admitted

    play(story)


def test_a_repeated_reply_does_not_answer_what_was_written_since(play):
    async def story(world: World) -> None:
        await world.write(1, "Hi")
        await world.submit(1, "Hello", kind=Kind.REPLY, key="k1")
        await world.write(1, "Where do I vote?")
        await world.submit(1, "Hello", kind=Kind.REPLY, key="k1")
        assert (await world.conversation(1))["attention_at"] is not None

    play(story, campaign=NO_CHECKS)
