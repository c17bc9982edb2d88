"""Broadcasts over HTTP: who gets one, who answers the replies, and how one is paused and ended (F043, F052, F057)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.safeguards import GATEWAY
from gateway.p2p.broadcasts import Broadcasts
from gateway.p2p.buckets import Volunteer
from gateway.store import broadcasts
from gateway.store.troubles import DatabaseGone
from tests.http.house import CAMPAIGN, START_AT, UNDER_WAY, House, a_house, phone
from tests.http.persons import somebody
from tests.http.signing_provider import PATIENCE_S
from tests.http.test_actions import PATH, draft, reasons

CONSENTS = f"/v1/campaigns/{CAMPAIGN}/consents"
WEEK_AGO = START_AT - 7 * 86_400


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    async with a_house(dsn, people=6) as opened:
        settings = {"settings": {"broadcasts": True}}
        assert (await opened.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", settings)).status == 200
        by_itself = [each for each in opened.worker._tending if each.get_name() == "broadcasts"]
        by_itself[0].cancel()  # the tests say when
        yield opened


async def agree(house: House, *contacts: int, at: float = WEEK_AGO) -> Any:
    given = [
        {"contact_id": each, "given_at": at, "source": "web form", "words": "Text me"} for each in contacts
    ]
    answer = await house.call("POST", CONSENTS, {"consents": given})
    assert answer.status == 200, answer.body
    return answer.body


async def broadcast(house: House, **settings: Any) -> int:
    action = await draft(house, settings={"kind": "broadcast", **settings})
    done = await house.call("POST", f"{PATH}/{action['action_id']}/publish", {})
    assert done.status == 200, done.body
    return action["action_id"]


async def turn(house: House) -> int:
    """What the gateway does every second."""
    await house.worker.gateway.campaigns.load()
    return await sender(house).run_once([CampaignKey(1, CAMPAIGN)])


def sender(house: House) -> Broadcasts:
    gateway = house.worker.gateway
    return Broadcasts(gateway.database, gateway.campaigns, gateway.admission, gateway.clock, gateway.buckets)


async def outcomes(house: House) -> dict[int, int | None]:
    """By contact the code of their text; None: it goes out."""
    rows = await house.store.fetch(
        "SELECT contact_id, code FROM messages WHERE kind = 'initial' ORDER BY message_id"
    )
    return dict(rows)


async def test_only_who_has_agreed_gets_one(house: House) -> None:
    """F043, F052, F057, F058: the others are blocked, each by the rule that says why."""
    assert await agree(house, 1, 2, 3, 4) == {"noted": 4, "known": 0, "no_contacts": []}
    await house.writes(2, "STOP")
    gone = await house.call("POST", f"{CONSENTS}:withdraw", {"contacts": [{"phone": phone(3)}]})
    assert gone.body == {"withdrawn": 1, "no_contacts": []}
    await house.store.execute("UPDATE contacts SET assignee_id = 7 WHERE contact_id = 4")
    await broadcast(house)
    assert await turn(house) == 6
    assert await outcomes(house) == {1: None, 2: 1302, 3: 1302, 4: 1103, 5: 1301, 6: 1301}


async def test_it_goes_by_itself_and_who_looks_first_answers(house: House) -> None:
    """Nobody presses; a reply is given to the first volunteer who looks, at once, and is theirs."""
    await agree(house, *range(1, 7))
    action_id = await broadcast(house)
    token, user_id = await somebody(house)
    path = f"{PATH}/{action_id}"
    assert (await house.call("POST", f"{path}/buckets", {}, key=token)).status == 422
    assert await turn(house) == 6
    assert await turn(house) == 0
    handed = {each.phone: each for each in [await house.provider.next_text() for _ in range(6)]}
    assert await house.store.fetch_value("SELECT array_agg(DISTINCT sender_id) FROM messages") == [GATEWAY]
    assert handed[phone(4)].body == "Hi Ann, will you vote? Reply STOP to unsubscribe."
    assert (await house.call("POST", f"{path}/waiting", {}, key=token)).body == {"waiting": []}
    await house.writes(4, "Yes I will")
    [waits] = (await house.call("POST", f"{path}/waiting", {}, key=token)).body["waiting"]
    assert (waits["contact_id"], waits["text"]) == (4, "Yes I will")
    answer = {"response": "Thanks", "revision": waits["revision"]}
    thread = f"/v1/campaigns/{CAMPAIGN}/conversations/4"
    sent = await house.call("POST", f"{thread}/answers", answer, key=token)
    assert (sent.status, sent.body["state"] in UNDER_WAY) == (202, True), sent.body
    assert (await house.call("GET", thread, key=token)).body["conversation"]["volunteer_id"] == user_id
    figures = {
        each["result"]: each["number"]
        for each in (await house.call("GET", f"{path}/results")).body["figures"]
    }
    assert (figures["remaining"], figures["responses"]) == (0, 1)
    assert figures["initials"] + figures["follow_ups"] + figures["under_way"] == 7


async def test_a_pause_holds_it_and_an_archived_one_is_over(house: House) -> None:
    """What waits in the queue waits on; who was refused for the pause has their turn again."""
    await agree(house, *range(1, 7))
    action_id = await broadcast(house)
    path, paused = f"{PATH}/{action_id}", "UPDATE campaigns SET paused_actions = $1 WHERE campaign_id = 1"
    await house.store.execute(paused, [action_id])  # this worker has not heard of it yet
    async with asyncio.timeout(PATIENCE_S):
        while (refused := await sender(house).run_once([CampaignKey(1, CAMPAIGN)])) == 0:  # it has: once more
            await house.store.execute(paused, [])
            await house.worker.gateway.campaigns.load()
            await house.store.execute(paused, [action_id])
    assert refused == 6
    assert set((await outcomes(house)).values()) == {1202}
    assert await turn(house) == 0  # it has
    await house.store.execute(paused, [])
    assert await turn(house) == 6
    assert set((await outcomes(house)).values()) == {None}
    other = await broadcast(house)
    assert (await house.call("PATCH", f"{PATH}/{other}", {"archived": True})).status == 200
    assert await turn(house) == 0
    assert (await house.call("PATCH", path, {"settings": {"kind": "p2p"}})).status == 422


@pytest.mark.parametrize("goes_on", ["the same worker", "another one"])
async def test_a_turn_that_was_broken_off_after_refusals_passes_nobody_over(
    house: House, monkeypatch: pytest.MonkeyPatch, goes_on: str
) -> None:
    """The database goes away when they are refused for a pause, and before that their turn is to come again."""
    await agree(house, *range(1, 7))
    action_id = await broadcast(house)
    paused = "UPDATE campaigns SET paused_actions = $1 WHERE campaign_id = 1"
    gateway = house.worker.gateway
    await gateway.campaigns.load()
    one, ours = sender(house), [CampaignKey(1, CAMPAIGN)]

    async def away(*_: object) -> None:
        raise DatabaseGone("it went away")

    with monkeypatch.context() as patch:
        patch.setattr(broadcasts, "later", away)
        async with asyncio.timeout(PATIENCE_S):
            while not await outcomes(house):  # while this worker has not heard of the pause
                await house.store.execute(paused, [])
                await gateway.campaigns.load()
                await house.store.execute(paused, [action_id])
                assert await one.run_once(ours) == 0
    assert set((await outcomes(house)).values()) == {1202}
    await house.store.execute(paused, [])
    await gateway.campaigns.load()
    assert await (one if goes_on == "the same worker" else sender(house)).run_once(ours) == 6
    assert set((await outcomes(house)).values()) == {None}


async def test_who_withdraws_while_their_text_waits_gets_none(house: House) -> None:
    """F058: the second look asks for the consent again."""
    await agree(house, 1, 2)
    gap = house.worker.gateway.dispatch.inbound_gap
    gap.watch()
    gap.open("nothing goes out for a while")
    await broadcast(house)
    await turn(house)
    gone = {"contacts": [{"contact_id": 1}]}
    assert (await house.call("POST", f"{CONSENTS}:withdraw", gone)).body["withdrawn"] == 1
    gap.close(gap.request())
    assert (await house.provider.next_text()).phone == phone(2)
    async with asyncio.timeout(PATIENCE_S):
        while "queued" in await house.states():  # each question is a round trip
            pass
    assert {each: code for each, code in (await outcomes(house)).items() if each < 3} == {1: 1302, 2: None}


async def test_two_workers_and_a_crash_text_each_person_once(house: House) -> None:
    """Two that overlap, and one that claims and dies before it asks for anything."""
    await agree(house, *range(1, 7))
    action_id = await broadcast(house)
    gateway = house.worker.gateway
    await gateway.campaigns.load()
    claimed = await gateway.buckets.take(CAMPAIGN, action_id, Volunteer(GATEWAY), size=4)
    assert len(claimed.items) == 4
    await asyncio.gather(*(sender(house).run_once([CampaignKey(1, CAMPAIGN)]) for _ in range(2)))
    assert await turn(house) == 0
    assert await outcomes(house) == dict.fromkeys(range(1, 7))
    assert await house.count("messages") == 6


async def test_publishing_it_is_refused_with_every_reason(house: House) -> None:
    """F052, F057, F098: until broadcasts are set up and somebody has agreed, and with a sender's name never."""
    off = {"settings": {"broadcasts": False}}
    assert (await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", off)).status == 200
    named = {"kind": "initial", "source": "Hi, {{user.first_name}} here. Reply STOP to unsubscribe."}
    action = await draft(house, scripts=[named], settings={"kind": "broadcast"})
    refused = await house.call("POST", f"{PATH}/{action['action_id']}/publish", {})
    assert reasons(refused) == ["broadcasts-off", "no-consent", "names-sender"]
    await agree(house, 5)
    ready = (await house.call("GET", f"{PATH}/{action['action_id']}/readiness")).body
    assert (ready["people"], ready["consented"]) == (6, 1)


async def test_consent_is_noted_with_where_and_when(house: House) -> None:
    """F057: a list of old doesn't lift a withdrawal, a later consent does; what can't be is refused by its field."""
    assert (await agree(house, 1, 2, 99))["no_contacts"] == [2]
    assert await agree(house, 1) == {"noted": 0, "known": 1, "no_contacts": []}
    await house.call("POST", f"{CONSENTS}:withdraw", {"contacts": [{"contact_id": 1}, {"contact_id": 3}]})
    assert (await agree(house, 1, at=WEEK_AGO + 60))["noted"] == 0
    rows = (await house.call("GET", CONSENTS, key=Role.KEY_SENDER)).body["consents"]
    assert [(each["contact_id"], each["withdrawn_at"] is None) for each in rows] == [(1, False), (2, True)]
    assert (rows[1]["source"], rows[1]["words"], rows[1]["given_at"]) == ("web form", "Text me", WEEK_AGO)
    assert (await agree(house, 1, at=START_AT + 120))["noted"] == 1
    bad = [
        {"phone": "12", "given_at": WEEK_AGO, "source": "x"},
        {"given_at": WEEK_AGO, "source": "x"},
    ]
    refused = await house.call("POST", CONSENTS, {"consents": bad})
    assert [each["field"] for each in refused.body["errors"]] == ["consents[0].phone", "consents[1]"]
    late = [{"contact_id": 1, "given_at": START_AT + 9_000, "source": "x"}]
    refused = await house.call("POST", CONSENTS, {"consents": late})
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "consents[0].given_at")
    acts = [
        each["act"] for each in (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    ]
    assert acts[:3] == ["consents noted", "consents withdrawn", "consents noted"]
