"""What may happen while people are on a volunteer's screen: each press is decided on what is true by then."""

import pytest

from tests.http.house import CAMPAIGN, UNDER_WAY, House
from tests.http.test_buckets import ACTION, SCRIPTS, Phone, ids, phone_of

__all__ = ["ann"]
CONTACTS = f"/v1/campaigns/{CAMPAIGN}/contacts"


@pytest.fixture
async def ann(house: House) -> Phone:
    await house.worker.gateway.bank.publish(CAMPAIGN, ACTION, "Polls", SCRIPTS, seed=1)
    return await phone_of(house, "ann")


async def moves_to(house: House, contact_id: int, state: str) -> None:
    version = (await house.call("GET", f"{CONTACTS}/{contact_id}")).body["version"]
    change = {"version": version, "state": state, "zip": ""}
    changed = await house.call("PATCH", f"{CONTACTS}/{contact_id}", change)
    assert changed.status == 200, changed.body


async def test_who_lives_where_it_is_night_is_not_texted(house: House, ann: Phone) -> None:
    """The contact is corrected between claim and press: in Hawaii it is five in the morning."""
    row = (await ann.take(size=1))["rows"][0]
    await moves_to(house, row["contact_id"], "HI")
    pressed = await ann.press(row)
    assert (pressed.body["state"], pressed.body.get("code")) == ("blocked", 1202)


async def test_who_moves_where_nobody_lived_is_texted_all_the_same(house: House, ann: Phone) -> None:
    await moves_to(house, 3, "OH")
    assert sorted(ids(await ann.take())) == list(range(1, 11))


async def test_nobody_is_lost_by_a_reassignment_that_is_undone(house: House, ann: Phone) -> None:
    """Ann stopped meanwhile: she has no bucket any more that would bring them, and nobody else could be given them."""
    ben = await phone_of(house, "ben")
    assert len((await ann.take(size=3))["rows"]) == 3
    moves = f"/v1/campaigns/{CAMPAIGN}/reassignments"
    done = await house.call("POST", moves, {"from_user_id": ann.user_id, "to_user_id": ben.user_id})
    assert (done.status, done.body["contacts"]) == (201, 3)
    assert (await ann.call("POST", "/buckets:done", {})).status == 200
    number = done.body["reassignment"]["reassignment_id"]
    assert (await house.call("POST", f"{moves}/{number}/undo")).body["undone"] == 3
    assert sorted(ids(await ben.take())) == list(range(1, 11))


async def test_who_is_back_by_an_undo_is_on_the_screen_again(house: House, ann: Phone) -> None:
    ben = await phone_of(house, "ben")
    bucket = await ann.take(size=3)
    moves = f"/v1/campaigns/{CAMPAIGN}/reassignments"
    done = await house.call("POST", moves, {"from_user_id": ann.user_id, "to_user_id": ben.user_id})
    bens = await ben.take(size=3)
    assert sorted(ids(bens)) == sorted(ids(bucket))
    number = done.body["reassignment"]["reassignment_id"]
    assert (await house.call("POST", f"{moves}/{number}/undo")).body["undone"] == 3
    assert await ann.mine() == ids(bucket)
    assert (await ben.press(bens["rows"][0])).body["code"] == 1303
    assert (await ann.press(bucket["rows"][0])).body["state"] in UNDER_WAY


async def test_whoever_texted_may_answer_though_another_was_given_the_contact(
    houses: tuple[House, House],
) -> None:
    """Ann presses on one worker while another has just given her bucket back, and Ben has it: one text, one thread."""
    await houses[0].worker.gateway.bank.publish(CAMPAIGN, ACTION, "Polls", SCRIPTS, seed=1)
    ann, ben = await phone_of(houses[0], "ann"), await phone_of(houses[1], "ben")
    row = (await ann.take(size=1))["rows"][0]
    elsewhere = Phone(houses[1], ann.token, ann.user_id)
    assert (await elsewhere.call("POST", "/buckets:done", {})).body == {"given_back": 1}
    bens = {each["contact_id"]: each for each in (await ben.take())["rows"]}
    presses = [await ann.press(row), await ben.press(bens[row["contact_id"]])]
    assert sorted(each.body["state"] == "blocked" for each in presses) == [False, True]
    writer = ann if presses[0].body["state"] != "blocked" else ben
    await houses[0].writes(row["contact_id"], "Yes!")
    threads = f"/v1/campaigns/{CAMPAIGN}/conversations"
    [thread] = (await houses[0].call("GET", threads, key=writer.token)).body["conversations"]
    said = {"revision": thread["revision"], "body": "Great!"}
    path = f"{threads}/{row['contact_id']}/answers"
    assert "code" not in (await houses[0].call("POST", path, said, key=writer.token)).body
