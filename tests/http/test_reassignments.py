"""Contacts that change hands: counted first, exclusive afterwards, undone while nothing has happened (F190 to F198)."""

import asyncio
from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import State
from gateway.p2p import reassignments
from gateway.p2p.buckets import Press, Volunteer
from gateway.pipeline.admission import Outcome
from gateway.store import buckets
from gateway.store import reassignments as rows
from gateway.store.database import Database
from gateway.store.troubles import DatabaseGone
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, START_AT, Answer, House
from tests.http.persons import SAME_ORIGIN, by_cookie, somebody
from tests.http.test_inbox import ACTION, INBOX, act, seen, texted, wrote
from tests.http.test_labels import make_tag
from tests.http.test_user_lists import NOTICES, make_list

MOVES = f"/v1/campaigns/{CAMPAIGN}/reassignments"


class Staff:
    """Ann has contacts 1 to 6 in an action, texted 1 to 4, of whom 1 to 3 wrote; 5 and 6 are on her screen. Ben and
    Cleo have nobody yet."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tokens: dict[str, str] = {}
        self.ids: dict[str, int] = {}
        self.pressed: dict[int, Press] = {}

    async def arrive(self, name: str, role: str = "volunteer") -> int:
        self.tokens[name], self.ids[name] = await somebody(self.house, role, f"{name}@example.org")
        return self.ids[name]

    async def move(self, key: Any = Role.KEY_ADMIN, **said: Any) -> Answer:
        headers = {"Idempotency-Key": said.pop("idempotency_key")} if "idempotency_key" in said else None
        return await self.house.call("POST", MOVES, said, key=key, headers=headers)

    async def mine(self, who: str) -> list[int]:
        answer = await self.house.call("GET", f"{INBOX}?order=oldest", key=self.tokens[who])
        return [each["contact_id"] for each in answer.body["conversations"]]

    async def screen(self, who: str) -> list[int]:
        """Whom they are to text, once they press Start."""
        buckets = self.house.worker.gateway.buckets
        self.pressed = {
            each.contact_id: Press(each.contact_id, each.script, each.text_hash)
            for each in (await buckets.take(CAMPAIGN, ACTION, Volunteer(self.ids[who]))).items
        }
        return list(self.pressed)

    async def press(self, who: str, press: Press) -> Outcome:
        buckets = self.house.worker.gateway.buckets
        return await buckets.send(CAMPAIGN, ACTION, Volunteer(self.ids[who]), press)

    async def threads_of(self, who: str) -> list[int]:
        """Contacts whose thread is there for them."""
        found = []
        for contact_id in range(1, 7):
            answer = await self.house.call("GET", f"{INBOX}/{contact_id}", key=self.tokens[who])
            assert answer.status in (200, 404)
            found += [contact_id] * (answer.status == 200)
        return found

    async def assigned(self) -> dict[int, int | None]:
        """Whoever has them, or will be given them."""
        rows = await self.house.store.fetch(
            "SELECT contact_id, coalesce(volunteer_id, kept_for) FROM assignments ORDER BY contact_id"
        )
        return {row[0]: row[1] for row in rows if row[0] <= 6}


@pytest.fixture
async def staff(house: House) -> Staff:
    staff = Staff(house)
    ann = await staff.arrive("ann")
    await staff.arrive("ben")
    await staff.arrive("cleo")
    await texted(house, 1, 2, 3, 4, volunteer_id=ann)
    await house.store.execute(
        "UPDATE assignments SET volunteer_id = $1, assigned_at = now() WHERE contact_id <= 4", ann
    )
    await house.store.execute(
        "UPDATE assignments SET kept_for = CASE WHEN contact_id > 6 THEN 1 END WHERE contact_id > 4"
    )
    assert sorted(await staff.screen("ann")) == [5, 6]
    for contact_id in (1, 2, 3):
        await wrote(house, contact_id)
    return staff


async def test_a_volunteers_contacts_go_to_another_whole_and_exclusively(staff: Staff) -> None:
    """F190 and F193; what would be done is counted first, and is what is done."""
    ann, ben = staff.ids["ann"], staff.ids["ben"]
    foreseen = await staff.move(from_user_id=ann, to_user_id=ben, dry_run=True)
    assert foreseen.status == 200
    assert await staff.mine("ann") == [1, 2, 3]
    done = await staff.move(from_user_id=ann, to_user_id=ben)
    assert done.status == 201
    assert {**done.body, "reassignment": None} == foreseen.body
    assert (done.body["contacts"], done.body["waiting"], done.body["untexted"]) == (6, 3, 2)
    assert done.body["shares"] == [{"user_id": ben, "contacts": 6}]
    assert (await staff.mine("ann"), await staff.mine("ben")) == ([], [1, 2, 3])
    assert (await staff.threads_of("ann"), await staff.threads_of("ben")) == ([], [1, 2, 3, 4])
    assert set((await staff.assigned()).values()) == {ben}
    [notice] = (await staff.house.call("GET", NOTICES, key=staff.tokens["ben"])).body["notices"]
    assert (notice["kind"], notice["about"]["contacts"]) == ("reassigned", 6)
    again = await staff.move(from_user_id=ann, to_user_id=ben)
    assert (again.status, again.body["contacts"]) == (201, 0)


async def test_who_had_a_contact_before_can_neither_answer_nor_text_it(staff: Staff) -> None:
    """F193, also in the middle of an answer and for a first text that is on the screen."""
    ann, ben = staff.ids["ann"], staff.ids["ben"]
    before = await seen(staff.house, 1)
    await staff.move(from_user_id=ann, to_user_id=ben)
    late = await act(staff.house, "answers", {**before, "body": "Late"}, key=staff.tokens["ann"])
    assert late.status == 404
    assert (await act(staff.house, "reports", before, key=staff.tokens["ann"])).status == 404
    first = await staff.press("ann", staff.pressed[5])
    assert (first.state, first.code) == (State.BLOCKED, 1303)
    assert sorted(await staff.screen("ben")) == [5, 6]
    assert (await staff.press("ben", staff.pressed[6])).admitted
    answered = await act(
        staff.house, "answers", {**await seen(staff.house, 1), "body": "Hi"}, key=staff.tokens["ben"]
    )
    assert answered.status == 202


async def test_a_list_gets_them_at_random_and_evenly(staff: Staff) -> None:
    """F191, F192 and F194: all that a filter holds, split over a list; a team is one."""
    team = await make_list(staff.house, "Team", *(staff.ids[name] for name in ("ann", "ben", "cleo")))
    tag = (await make_tag(staff.house, "Yes"))["tag_id"]
    for contact_id in (1, 2, 3, 4):
        body = {**await seen(staff.house, contact_id), "tags": [tag]}
        assert (await act(staff.house, "reports", body, contact_id)).status == 200
    done = await staff.move(tag_id=tag, to_user_list_id=team["user_list_id"])
    assert sorted(each["contacts"] for each in done.body["shares"]) == [1, 1, 2]
    had = [await staff.threads_of(name) for name in ("ann", "ben", "cleo")]
    assert sorted(each for one in had for each in one) == [1, 2, 3, 4]
    owners = await staff.house.store.fetch("SELECT assignee_id FROM contacts WHERE contact_id <= 4")
    assert None not in [row[0] for row in owners], "who texts them in the next action is known as well"
    nobody = await staff.move(contact_ids=[1, 99], needs_attention=True, to_user_id=staff.ids["ben"])
    assert nobody.body["contacts"] == 0


async def test_one_thread_or_all_go_back_to_the_creator_who_is_told(staff: Staff) -> None:
    """F195, F196, F197 and F198."""
    dora = await staff.arrive("dora", "admin")
    await staff.arrive("adam", "admin")
    await staff.house.store.execute("UPDATE actions SET created_by = $1", dora)
    one = await act(staff.house, "hand-back", await seen(staff.house, 1), key=staff.tokens["ann"])
    assert (one.status, one.body["volunteer_id"]) == (200, dora)
    assert await staff.threads_of("ann") == [2, 3, 4]
    path = f"/v1/campaigns/{CAMPAIGN}/actions/{ACTION}/hand-back"
    rest = await staff.house.call("POST", path, key=staff.tokens["ann"])
    assert (rest.status, rest.body["moved"]) == (200, 5)
    assert (await staff.threads_of("ann"), set((await staff.assigned()).values())) == ([], {dora})
    told = (await staff.house.call("GET", NOTICES, key=staff.tokens["dora"])).body["notices"]
    assert [each["kind"] for each in told] == ["reassigned", "handed_over"]
    assert (await staff.house.call("POST", path)).status == 404


async def test_nothing_goes_back_of_an_action_that_is_not_there(staff: Staff) -> None:
    path = f"/v1/campaigns/{CAMPAIGN}/actions/{ACTION + 1}/hand-back"
    assert (await staff.house.call("POST", path, key=staff.tokens["ann"])).status == 404
    assert (await staff.house.call("GET", MOVES)).body["reassignments"] == []


async def test_it_is_undone_but_for_what_has_changed_since(staff: Staff) -> None:
    ann, ben = staff.ids["ann"], staff.ids["ben"]
    done = (await staff.move(from_user_id=ann, to_user_id=ben)).body["reassignment"]
    await wrote(staff.house, 2, "Hello?")
    path = f"{MOVES}/{done['reassignment_id']}/undo"
    undone = await staff.house.call("POST", path)
    assert undone.body == {"undone": 5, "changed": 1, "changed_ids": [2]}
    assert (await staff.threads_of("ann"), await staff.threads_of("ben")) == ([1, 3, 4], [2])
    assert await staff.assigned() == {each: ben if each == 2 else ann for each in range(1, 7)}
    assert (await staff.house.call("POST", path)).status == 409
    [row] = (await staff.house.call("GET", MOVES)).body["reassignments"]
    assert (row["moved"], row["undo_until"], row["undone_at"] is None) == (6, None, False)
    lines = (await staff.house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    assert [each["act"] for each in lines][:2] == ["reassignment undone", "contacts reassigned"]


async def test_a_day_later_it_is_too_late(staff: Staff) -> None:
    done = await staff.move(from_user_id=staff.ids["ann"], to_user_id=staff.ids["ben"])
    await staff.house.store.execute("UPDATE reassignments SET at = at - interval '25 hours'")
    number = done.body["reassignment"]["reassignment_id"]
    assert (await staff.house.call("POST", f"{MOVES}/{number}/undo")).status == 409
    assert (await staff.house.call("POST", f"{MOVES}/99/undo")).status == 404


async def test_a_repeat_by_its_key_moves_nothing_twice(staff: Staff) -> None:
    team = await make_list(staff.house, "Team", staff.ids["ben"], staff.ids["cleo"])
    wanted = {"contact_ids": [1, 2, 3, 4], "to_user_list_id": team["user_list_id"], "idempotency_key": "once"}
    answers = await asyncio.gather(*(staff.move(**wanted) for _ in range(4)))
    assert [each.status for each in answers] == [201] * 4
    assert len({each.body["reassignment"]["reassignment_id"] for each in answers}) == 1
    assert len({str(each.body["shares"]) for each in answers}) == 1
    assert await staff.house.count("reassignments") == 1
    other = await staff.move(**{**wanted, "contact_ids": [1]})
    assert other.status == 422


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"to_user_id": 1}, "scope"),
        ({"contact_ids": [1]}, "to_user_id"),
        ({"contact_ids": [1], "to_user_id": 99}, "to_user_id"),
        ({"contact_ids": [1], "to_user_list_id": 99}, "to_user_list_id"),
        ({"contact_ids": [1], "to_user_id": 1, "to_creators": True}, "to_user_id"),
        ({"from_user_id": 7, "to_user_id": 7}, "to_user_id"),
    ],
)
async def test_what_can_not_be_meant_is_told_by_field(staff: Staff, said: dict[str, Any], field: str) -> None:
    for body in (said, {**said, "dry_run": True}):
        refused = await staff.move(**body)
        assert (refused.status, refused.body["errors"][0]["field"]) == (422, field)
    assert await staff.house.count("reassignments") == 0


async def test_staff_reassign_and_volunteers_do_not(staff: Staff) -> None:
    await staff.arrive("sue", "supervisor")
    said = {"from_user_id": staff.ids["ann"], "to_user_id": staff.ids["ben"]}
    for key in (staff.tokens["ann"], Role.KEY_SENDER, Role.KEY_READER):
        assert (await staff.move(key, **said)).status == 403
    elsewhere = await staff.house.call("POST", f"/v1/campaigns/{OTHER_CAMPAIGN}/reassignments", said)
    assert elsewhere.status == 422, "there nobody of that id is active"
    assert (await staff.move(staff.tokens["sue"], **said)).status == 201


async def test_answers_and_texts_under_way_leave_nobody_with_two_owners(staff: Staff) -> None:
    """Ann answers and texts while all of hers goes to Ben: each is in the books as hers from before, or refused."""
    ann, ben = staff.ids["ann"], staff.ids["ben"]
    revisions = {each: await seen(staff.house, each) for each in (1, 2, 3)}

    async def answers(contact_id: int) -> int:
        body = {**revisions[contact_id], "body": f"Answer {contact_id}"}
        return (await act(staff.house, "answers", body, contact_id, key=staff.tokens["ann"])).status

    async def texts(contact_id: int) -> str:
        return (await staff.press("ann", staff.pressed[contact_id])).state.value

    moved, *outcomes = await asyncio.gather(
        staff.move(from_user_id=ann, to_user_id=ben),
        *(answers(each) for each in (1, 2, 3)),
        *(texts(each) for each in (5, 6)),
    )
    assert moved.status == 201
    assert all(each in (202, 404, 409, "queued", "sending", "blocked") for each in outcomes)
    owners = await staff.house.store.fetch(
        "SELECT DISTINCT volunteer_id FROM conversations WHERE last_outbound_at IS NOT NULL"
    )
    assert [row[0] for row in owners] == [ben]
    assert await staff.threads_of("ann") == []


async def test_a_repeat_by_its_key_is_answered_as_the_first_time(staff: Staff) -> None:
    """Also when it was undone meanwhile, and when whoever was meant is in the campaign no more."""
    said = {"from_user_id": staff.ids["ann"], "to_user_id": staff.ids["ben"], "idempotency_key": "once"}
    first = await staff.move(**said)
    assert first.status == 201, first.body
    path = f"{MOVES}/{first.body['reassignment']['reassignment_id']}/undo"
    assert (await staff.house.call("POST", path)).status == 200
    member = f"/v1/campaigns/{CAMPAIGN}/members/{staff.ids['ben']}"
    assert (await staff.house.call("PATCH", member, {"active": False})).status == 200
    again = await staff.move(**said)
    assert (again.status, again.body) == (201, first.body)
    other = await staff.move(**{**said, "to_user_id": staff.ids["cleo"]})
    assert other.status == 422
    assert await staff.house.count("reassignments") == 1


@pytest.mark.parametrize("at_once", [2, 1])
async def test_one_that_was_broken_off_goes_on_by_its_key(
    staff: Staff, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """F192: page after page, of which the last was refused; what is told at the end is the whole. Of one by one the last
    moved is somebody whom nobody has texted: the conversation with them is nobody's."""
    monkeypatch.setattr(reassignments, "_AT_ONCE", at_once)
    ann, ben = staff.ids["ann"], staff.ids["ben"]
    said = {"from_user_id": ann, "to_user_id": ben, "idempotency_key": "once"}
    foreseen = (await staff.move(from_user_id=ann, to_user_id=ben, dry_run=True)).body
    await staff.house.store.execute(
        "ALTER TABLE assignments ADD CONSTRAINT stays CHECK (contact_id <> 6 OR kept_for IS NULL) NOT VALID"
    )
    try:
        assert (await staff.move(**said)).status == 500
    finally:
        await staff.house.store.execute("ALTER TABLE assignments DROP CONSTRAINT stays")
    moved = [who for who, to in (await staff.assigned()).items() if to == ben]
    assert moved == [1, 2, 3, 4, 5][: 6 - at_once]
    done = await staff.move(**said)
    assert (done.status, set((await staff.assigned()).values())) == (201, {ben})
    assert done.body["reassignment"]["moved"] == 6
    assert {**done.body, "reassignment": None} == foreseen
    [notice] = (await staff.house.call("GET", NOTICES, key=staff.tokens["ben"])).body["notices"]
    assert notice["about"]["contacts"] == 6


async def test_a_browser_and_an_app_can_do_the_same(staff: Staff) -> None:
    """F214: hand over, archive and bring back, by the cookie of a page and by an app's token."""
    house, token = staff.house, staff.tokens["ann"]
    await staff.arrive("dee", "admin")
    for contact_id, over in ((1, "cookie"), (2, "token")):
        for act_name in ("archive", "unarchive", "hand-back"):
            path, body = f"{INBOX}/{contact_id}/{act_name}", await seen(house, contact_id)
            if over == "cookie":
                done = await by_cookie(house, "POST", path, token, body, headers=SAME_ORIGIN)
            else:
                done = await house.call("POST", path, body, key=token)
            assert done.status == 200, (over, act_name, done.body)
    assert await staff.mine("ann") == [3]


async def test_an_undo_that_was_broken_off_goes_on(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away when one of them is back: whoever asks again has the others back, too, and no more after that."""
    key = CampaignKey(1, CAMPAIGN)
    done = (await staff.move(from_user_id=staff.ids["ann"], to_user_id=staff.ids["ben"])).body["reassignment"]
    path, number = f"{MOVES}/{done['reassignment_id']}/undo", done["reassignment_id"]

    async def one_of_them(database: Database, *_: object) -> None:
        async with database.transaction() as transaction:
            await transaction.fetch(rows._UNDO, *key, number, 0, 1, START_AT)
        raise DatabaseGone("it went away")

    with monkeypatch.context() as patch:
        patch.setattr(rows, "undo", one_of_them)
        assert (await staff.house.call("POST", path)).status == 503
    assert await staff.threads_of("ann") == [1]
    undone = await staff.house.call("POST", path)
    assert (undone.status, undone.body) == (200, {"undone": 5, "changed": 0, "changed_ids": []})
    assert (await staff.threads_of("ann"), await staff.threads_of("ben")) == ([1, 2, 3, 4], [])
    assert (await staff.house.call("POST", path)).status == 409


@pytest.mark.parametrize("how", ["on their screen", "given back by an undo"])
async def test_whoever_was_kept_for_somebody_who_is_gone_is_for_others(staff: Staff, how: str) -> None:
    """F184: their place is taken away while they have people on the screen, or before a reassignment is undone."""
    house, ann = staff.house, staff.ids["ann"]
    await house.store.execute("UPDATE assignments SET kept_for = $1 WHERE contact_id IN (5, 6)", ann)
    path = None
    if how != "on their screen":
        await house.worker.gateway.buckets.done(CAMPAIGN, ACTION, Volunteer(ann))
        done = (await staff.move(from_user_id=ann, to_user_id=staff.ids["ben"])).body["reassignment"]
        path = f"{MOVES}/{done['reassignment_id']}/undo"
    gone = await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}/members/{ann}", {"active": False})
    assert gone.status == 200, gone.body
    if path is not None:
        assert (await house.call("POST", path)).body["changed"] == 0
    later = START_AT + 86_400
    await buckets.tidy(house.store, CampaignKey(1, CAMPAIGN), later, idle_s=3600.0, limit=100)
    assert sorted(await staff.screen("cleo")) == [5, 6]
