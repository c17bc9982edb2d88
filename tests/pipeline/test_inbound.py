"""What people write: each text once, and the last word on the opt-out is in force when it is acknowledged."""

import asyncio

import pytest

from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.core.rules.safeguards import Kind
from gateway.p2p.bank import Scripts
from gateway.pipeline import inbound
from gateway.providers.base import InboundText
from gateway.store import campaigns, contacts, numbers
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from gateway.store.numbers import NumberRow
from tests.pipeline.world import ACTION, CAMPAIGN, GROUP, SCOPE, VOLUNTEER, World, number_phone, phone


async def opted_out(world: World) -> list[str]:
    return [row[0] for row in await world.store.fetch("SELECT phone FROM opt_outs ORDER BY phone")]


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "in one window"])
@pytest.mark.parametrize(
    ("texts", "out"),
    [
        (["STOP"], True),
        (["stop please"], True),
        (["STOP", "START"], False),
        (["START", "STOP"], True),
        (["STOP", "START", "Unsubscribe"], True),
        (["STOP", "who is this?"], True),
        (["What?", "STOP", "STOP"], True),
        (["Yes"], False),
    ],
)
def test_the_last_stop_or_start_decides(play, texts: list[str], out: bool, at_once: bool):
    async def story(world: World) -> None:
        if at_once:
            await asyncio.gather(*(world.write(1, text) for text in texts))
        else:
            for text in texts:
                await world.write(1, text)
        assert await opted_out(world) == ([phone(1)] if out else [])
        outcome = await world.submit(1)
        assert outcome.code == (1302 if out else None)
        assert await world.store.fetch_value("SELECT count(*) FROM inbound") == len(texts)

    play(story)


def test_an_answer_closes_only_what_its_volunteer_saw(play):
    """A person who writes again while the answer is typed still waits for one."""

    async def story(world: World) -> None:
        async def screen() -> list[str]:
            bank = world.gateway.bank
            shown = await bank.inbox(CAMPAIGN, ACTION, VOLUNTEER, take_over_s=600.0)
            return [each.body for each in shown]

        await world.gateway.bank.publish(CAMPAIGN, ACTION, "Title", Scripts(initials=("Hello",)), seed=1)
        await world.submit(1, action_id=ACTION)
        await world.write(1, "Yes")
        assert await screen() == ["Yes"]
        await world.write(1, "But where?")
        answer = {"kind": Kind.REPLY, "action_id": ACTION}
        assert (await world.submit(1, "Thank you!", **answer)).admitted
        assert await screen() == ["But where?"]
        assert (await world.submit(1, "At the town hall", **answer)).admitted
        assert await screen() == []

    play(story)


@pytest.mark.parametrize("again", ["before", "after"])
def test_an_old_start_that_comes_again_lifts_no_newer_stop(play, again: str):
    """A webhook is delivered at least once: an old one may fall into the window of a new STOP."""

    async def story(world: World) -> None:
        await world.write(1, "START", sid="IN-start")
        new, old = ("STOP", "IN-stop"), ("START", "IN-start")
        order = [old, new] if again == "before" else [new, old]
        await asyncio.gather(*(world.write(1, text, sid=sid) for text, sid in order))
        assert await opted_out(world) == [phone(1)]

    play(story)


def test_a_start_that_comes_late_lifts_no_stop_that_was_said_again_since(play):
    """Its webhook was lost, and it is fetched when the person had left for the second time."""

    async def story(world: World) -> None:
        await world.write(1, "STOP")
        await world.wait(60)
        late = InboundText("IN-late", phone(1), number_phone(1), "START", world.clock.now())
        await world.wait(60)
        await world.write(1, "STOP")
        await world.provider.write(late)
        assert await opted_out(world) == [phone(1)]
        await world.write(1, "START")
        assert await opted_out(world) == []

    play(story)


def test_a_start_that_comes_late_lifts_no_stop_to_a_number_that_was_given_back(play):
    """They had left before, too: the newer STOP is the one that counts, whichever number it was said to."""

    async def story(world: World) -> None:
        await world.write(1, "STOP")
        await world.wait(60)
        late = InboundText("IN-late", phone(1), number_phone(1), "START", world.clock.now())
        await world.wait(60)
        await world.write(1, "STOP", number_id=9)  # in nobody's books
        await world.provider.write(late)
        assert (await world.submit(1)).code == 1302
        await world.wait(60)
        await world.write(1, "START")
        assert (await world.submit(1)).admitted

    play(story)


def test_an_old_stop_that_comes_again_takes_back_no_newer_start(play):
    async def story(world: World) -> None:
        await world.write(1, "STOP", sid="IN-stop")
        await world.write(1, "START", sid="IN-start")
        await world.write(1, "STOP", sid="IN-stop")
        assert await opted_out(world) == []
        assert (await world.submit(1)).admitted

    play(story)


def test_a_webhook_twice_is_one_text(play):
    async def story(world: World) -> None:
        await asyncio.gather(*(world.write(1, "Hi", sid="IN-1") for _ in range(3)))
        await world.write(1, "Hi", sid="IN-1")
        assert await world.store.fetch_value("SELECT count(*) FROM inbound") == 1
        assert (await world.conversation(1))["unread"] == 1

    play(story)


def test_each_text_is_in_the_right_conversation(play):
    async def story(world: World) -> None:
        await asyncio.gather(*(world.write(each, f"I am {each}") for each in range(1, 11)))
        rows = await world.store.fetch("SELECT contact_id, phone, body, campaign_id FROM inbound ORDER BY 1")
        assert [tuple(row) for row in rows] == [(n, phone(n), f"I am {n}", CAMPAIGN) for n in range(1, 11)]

    play(story)


def test_a_stranger_is_kept_and_their_stop_counts(play):
    async def story(world: World) -> None:
        await world.write(77, "STOP")
        assert await opted_out(world) == [phone(77)]
        assert await world.store.fetch_value("SELECT contact_id FROM inbound") is None

    play(story)


def test_a_text_to_a_number_we_do_not_know_is_kept(play):
    async def story(world: World) -> None:
        text = InboundText("IN-1", phone(1), "+16105550199", "Hello?", world.clock.now())
        await world.provider.write(text)
        row = await world.store.fetch_row("SELECT campaign_id, body FROM inbound")
        assert tuple(row) == (0, "Hello?")
        assert await opted_out(world) == []

    play(story)


def test_one_bad_text_harms_only_itself(play):
    async def story(world: World) -> None:
        told = await asyncio.gather(
            world.write(1, "STOP"), world.write(2, "\x00"), world.write(3, "STOP"), return_exceptions=True
        )
        assert [told[0], told[2]] == [None, None]
        assert await opted_out(world) == [phone(1), phone(3)]

    play(story)


def test_a_stop_is_in_force_when_it_is_acknowledged(play):
    async def story(world: World) -> None:
        await world.write(1, "STOP")
        world.crash()
        assert await opted_out(world) == [phone(1)]

    play(story)


def test_a_text_opens_attention_and_the_answer_closes_it(play):
    async def story(world: World) -> None:
        await world.submit(1)
        await world.wait(5)
        await world.write(1, "When?", number_id=1)
        talk = await world.conversation(1)
        assert talk["attention_at"] is not None
        assert (await world.submit(1, "On Tuesday", kind=Kind.REPLY)).admitted
        assert (await world.conversation(1))["attention_at"] is None
        await world.wait(5)
        assert world.handed[-1].text.number_phone == number_phone(1)

    play(story)


# ---------------------------------------------------------------- a campaign of another worker's making


def test_a_text_to_a_campaign_that_this_worker_does_not_know_yet(play):
    """Made at another worker a moment ago: its people's words count in its own scope, at once."""
    theirs, their_scope = CAMPAIGN + 1, SCOPE + 1

    async def story(world: World) -> None:
        row = CampaignRow(theirs, their_scope, "Another", CampaignSettings().to_json(), paused=False)
        await campaigns.create(world.store, row, world.clock.now())
        await contacts.add(world.store, CampaignKey(1, theirs), [ContactRow(1, phone(1), GROUP)])
        number = NumberRow(9, number_phone(9), "PN9", "active", "capacity", "{}")
        await numbers.add(world.store, CampaignKey(1, theirs), number, world.clock.now())
        assert theirs not in world.gateway.campaigns
        await world.write(1, "STOP", number_id=9)
        await world.write(1, "STOP", number_id=9)
        assert theirs in world.gateway.campaigns
        texts = await world.store.fetch("SELECT campaign_id, contact_id FROM inbound ORDER BY inbound_id")
        assert [tuple(text) for text in texts] == [(theirs, 1), (theirs, 1)]
        outs = await world.store.fetch("SELECT scope, phone FROM opt_outs")
        assert [tuple(out) for out in outs] == [(their_scope, phone(1))]
        assert (await world.submit(1)).code is None  # ours is another sender: its own STOP would count

    play(story)


def test_campaigns_are_read_again_only_for_one_that_is_not_known(play):
    async def story(world: World) -> None:
        reads: list[str] = []
        world.database.before.append((lambda sql, _count: "opt_out_scope, name" in sql, _noting(reads)))
        await world.write(1, "Hello")
        await world.write(1, "Who is this?", number_id=77)  # nobody's number
        assert reads == []

    play(story)


def _noting(reads: list[str]):
    async def note() -> None:
        reads.append("read")

    return note


def test_whose_a_number_is_is_forgotten_and_asked_again(play, monkeypatch):
    most, people = 3, range(1, 13)

    async def story(world: World) -> None:
        for n in people:
            await asyncio.gather(*(world.write(n, f"{word} {n}", number_id=n) for word in ("One", "Two")))
            assert len(world.gateway.inbound_station._campaign_of) <= most + 1
        texts = await world.store.fetch("SELECT campaign_id, body FROM inbound ORDER BY inbound_id")
        assert [tuple(row) for row in texts] == [
            (CAMPAIGN, f"{word} {n}") for n in people for word in ("One", "Two")
        ]

    monkeypatch.setattr(inbound, "_NUMBERS_REMEMBERED", most)
    play(story, own_numbers=len(people))


def test_a_stop_to_a_number_that_nobody_knows_yet_holds(play):
    """The provider has sold the number, and a person answers before it is in the books."""

    async def story(world: World) -> None:
        await world.write(1, "STOP", number_id=99)
        outcome = await world.submit(1)
        assert outcome.state == "blocked"
        await world.wait(60)
        assert world.handed == []

    play(story)


def test_a_stop_to_a_number_that_nobody_knows_lifts_no_later_start(play):
    async def story(world: World) -> None:
        await world.write(1, "STOP", sid="IN-early", number_id=99)
        await world.write(1, "START")
        await world.write(1, "STOP", sid="IN-early", number_id=99)
        assert (await world.submit(1)).admitted

    play(story)


def test_a_stop_holds_also_where_the_campaigns_settings_can_not_be_read(play):
    """A newer release made them, and its worker sends; the person's words come to an older one."""

    async def story(world: World) -> None:
        newer, _ = world.new_gateway()
        await newer.campaigns.load()
        await world.store.execute("""UPDATE campaigns SET settings = '{"pool": 7}'""")
        await world.gateway.campaigns.load()
        assert world.gateway.campaigns.unreadable
        await world.write(1, "STOP")
        assert (await world.submit(1, gateway=newer)).code == 1302

    play(story)
