"""Volunteers answer from the inbox while their worker is killed: an answer is sent once, however often it is repeated,
and none to who left meanwhile."""

import asyncio
from collections import Counter

import aiohttp

from tests.end_to_end.town import CAMPAIGN, Town, open_town

PEOPLE = 40
KILLS = 3
_INBOX = f"/v1/campaigns/{CAMPAIGN}/conversations"


async def everybody_writes(town: Town) -> dict[int, int]:
    """Everybody is texted and writes back; contact -> the revision that the inbox shows."""
    await town.send(town.contact_ids)
    await town.until_submitted(PEOPLE)
    sent = await town.table("submissions")
    for row in sent:
        await town.person_texts(f"+{row['to']}", f"+{row['sender']}", "Where do I vote?")
    for _ in range(100):
        status, body = await town.call("GET", f"{_INBOX}?filter=needs_attention&limit=100")
        assert status == 200, body
        if len(body["conversations"]) == PEOPLE:
            return {row["contact_id"]: row["revision"] for row in body["conversations"]}
        await asyncio.sleep(0.1)
    raise AssertionError("not everybody's text came")


async def answer(town: Town, contact_id: int, revision: int) -> tuple[int, int | None]:
    """As a phone does it: repeated with the same key until there is a word. Status, and the message."""
    body = {"revision": revision, "body": f"At the school, {contact_id}"}
    while True:
        try:
            status, told = await town.call(
                "POST", f"{_INBOX}/{contact_id}/answers", body, **{"Idempotency-Key": f"press-{contact_id}"}
            )
        except aiohttp.ClientError:
            await asyncio.sleep(0.2)
            continue
        if status == 202 or "thread" in told:
            return status, told.get("message_id")
        await asyncio.sleep(0.2)  # 503, or the first one under way


async def kill_now_and_then(town: Town) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(0.4)
        assert town.gateway is not None
        await town.gateway.kill()
        await town.open_gateway()


async def test_an_answer_is_sent_once_through_kills_and_repeats(dsn: str) -> None:
    async with open_town(dsn, contacts=PEOPLE) as town:
        revisions = await everybody_writes(town)
        numbers = {f"+{row['to']}": f"+{row['sender']}" for row in await town.table("submissions")}
        phone_of = {contact_id: each for each, contact_id in town.contact_ids.items()}
        leaving = sorted(revisions)[:5]
        killing = asyncio.create_task(kill_now_and_then(town))
        for contact_id in leaving:  # the STOP is on its way while the answers are pressed
            await town.person_texts(phone_of[contact_id], numbers[phone_of[contact_id]], "STOP")

        async def volunteer(some: list[int]) -> dict[int, tuple[int, int | None]]:
            return {each: await answer(town, each, revisions[each]) for each in some}

        ids = sorted(revisions)
        told = await asyncio.gather(*(volunteer(ids[place::4]) for place in range(4)))
        await killing
        again = {each: await answer(town, each, revisions[each]) for each in ids}
        assert again == {each: word for some in told for each, word in some.items()}
        await town.until_quiet()
        calls = Counter(f"+{row['to']}" for row in await town.table("submissions"))
        answered = {town.contact_ids[each] for each, count in calls.items() if count > 1}
        assert set(calls.values()) <= {1, 2}  # the first text, and one answer
        acknowledged = {each for each, (status, _) in again.items() if status == 202}
        assert acknowledged - set(leaving) <= answered <= acknowledged
