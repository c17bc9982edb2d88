"""A campaign's opt-outs become its organisation's, and its own again, while people leave and are texted (C5)."""

import asyncio
import itertools

from gateway.core.rules.campaign import CampaignKey
from gateway.store import contacts, conversations, opt_outs
from gateway.store.contacts import ContactRow
from tests.http.house import CAMPAIGN, GROUP, OTHER_CAMPAIGN, START_AT, Answer, House, phone

PATH = f"/v1/campaigns/{CAMPAIGN}/opt-out-scope"
WHOLE = {"opt_out_scope": 0}


async def neighbour(house: House) -> None:
    """Another campaign, whose opt-outs are the organisation's, with the same people."""
    changed = await house.call("POST", f"/v1/campaigns/{OTHER_CAMPAIGN}/opt-out-scope", WHOLE)
    assert changed.status == 200, changed.body
    rows = [ContactRow(100 + each, phone(each), GROUP) for each in range(1, 11)]
    await contacts.add(house.store, CampaignKey(1, OTHER_CAMPAIGN), rows)


async def code(house: House, campaign_id: int, contact_id: int) -> int | None:
    text = {"campaign_id": campaign_id, "contact_id": contact_id, "body": "Hello"}
    answer = await house.call("POST", "/v1/messages", text)
    assert answer.status == 202, answer.body
    found: int | None = answer.body.get("code")
    return found


async def test_a_change_is_counted_first_and_loosens_nothing(house: House) -> None:
    await neighbour(house)
    await house.writes(1, "STOP")
    await conversations.import_opt_outs(house.store, 1, 0, [phone(2), "+19995550100"], START_AT)
    would = await house.call("POST", PATH, {**WHOLE, "dry_run": True})
    counted = {"ours": 1, "theirs_too": 1, "campaigns": 1, "contacts": 1}
    assert would.body == {"opt_out_scope": CAMPAIGN, "changed": False, **counted}
    assert await code(house, OTHER_CAMPAIGN, 103) is None
    done = await house.call("POST", PATH, WHOLE)
    assert done.body == {"opt_out_scope": 0, "changed": True, **counted}
    assert (await house.call("POST", PATH, WHOLE)).status == 422
    assert (await house.call("POST", PATH, {"opt_out_scope": 77})).status == 422
    assert [await code(house, CAMPAIGN, each) for each in (1, 2, 3)] == [1302, 1302, None]
    assert await code(house, OTHER_CAMPAIGN, 101) == 1302
    line = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"][0]
    assert (line["act"], line["before"], line["after"]["ours"]) == (
        "opt-out scope changed",
        {"opt_out_scope": CAMPAIGN},
        1,
    )
    assert (await house.call("POST", PATH, {"opt_out_scope": CAMPAIGN})).body["changed"] is True
    assert [await code(house, CAMPAIGN, each) for each in (1, 2)] == [1302, 1302]


async def test_who_writes_the_list_before_while_it_changes_is_waited_for(house: House) -> None:
    """An opt-out whose statement began before the change, and that is there only after it."""
    async with house.store.transaction() as transaction:
        await conversations.import_opt_outs(transaction, 1, CAMPAIGN, [phone(5)], START_AT)
        change = asyncio.ensure_future(house.call("POST", PATH, WHOLE))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(20.0):
            while not await transaction.fetchval(waits):  # each question is a round trip
                pass
        assert not change.done()
    assert (await change).status == 200
    assert await code(house, CAMPAIGN, 5) == 1302


async def test_whoever_leaves_while_it_changes_gets_no_text_after_it(houses: tuple[House, House]) -> None:
    """STOPs at both workers, before, during and after each change: from its answer on they count where the list says, on
    the worker that has not heard of it yet as well."""
    ours, theirs = houses
    await neighbour(ours)
    leaving = itertools.cycle(houses)

    async def stops(*people: int) -> list[Answer]:
        return [await next(leaving).writes(each, "STOP", sid=f"SM{each:032d}") for each in people]

    await stops(1)
    changed, _ = await asyncio.gather(ours.call("POST", PATH, WHOLE), stops(2, 3, 4, 5))
    assert changed.status == 200, changed.body
    await stops(6, 7)
    for house in (theirs, ours):
        assert {await code(house, OTHER_CAMPAIGN, 100 + each) for each in range(1, 8)} == {1302}
        assert {await code(house, CAMPAIGN, each) for each in range(1, 8)} == {1302}
    back, _ = await asyncio.gather(theirs.call("POST", PATH, {"opt_out_scope": CAMPAIGN}), stops(8, 9))
    assert back.status == 200, back.body
    await stops(10)
    for house in (ours, theirs):
        assert {await code(house, CAMPAIGN, each) for each in range(1, 11)} == {1302}
    # Who still goes by the list before meets everybody as well, until no worker can any more.
    assert await opt_outs.among(ours.store, 1, 0, [phone(each) for each in range(1, 11)]) == 10


async def test_when_no_worker_can_know_the_list_before_it_is_left_alone(house: House) -> None:
    assert (await house.call("POST", PATH, WHOLE)).status == 200
    late = START_AT + 3_600
    await conversations.import_opt_outs(house.store, 1, 0, [phone(9)], late)
    assert await opt_outs.among(house.store, 1, CAMPAIGN, [phone(9)]) == 0
    await conversations.import_opt_outs(house.store, 1, 0, [phone(8)], START_AT)
    assert await opt_outs.among(house.store, 1, CAMPAIGN, [phone(8)]) == 1
