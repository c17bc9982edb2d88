"""Volunteers claim buckets and press Send while their worker is killed: each person has one volunteer and one text,
however often a claim and a press are repeated, and from however many devices."""

import asyncio
from collections import Counter
from typing import Any

import aiohttp

from tests.end_to_end.test_answers_through_kills import kill_now_and_then
from tests.end_to_end.town import CAMPAIGN, Town, open_town

PEOPLE = 60
VOLUNTEERS = (11, 12, 13)
BUCKET = 10
_ACTIONS = f"/v1/campaigns/{CAMPAIGN}/actions"
_OUTCOMES = f"/v1/campaigns/{CAMPAIGN}/outcomes"


async def publish(town: Town) -> str:
    script = {"kind": "initial", "source": "Hello {{phone}}, it is us. Reply STOP to opt out"}
    status, action = await town.call("POST", _ACTIONS, {"title": "A night", "scripts": [script]})
    assert status == 201, action
    path = f"{_ACTIONS}/{action['action_id']}"
    status, published = await town.call("POST", f"{path}/publish", {"to": "public"})
    assert (status, published["state"]) == (200, "public"), published
    return path


async def until_told(town: Town, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    """As a phone does it: again and again until there is a word."""
    while True:
        try:
            status, told = await town.call("POST", path, body, **headers)
        except aiohttp.ClientError:
            status, told = 503, None
        if status not in (503, 409) or (status == 409 and "row" in told):
            return status, told
        await asyncio.sleep(0.2)


async def volunteer(town: Town, path: str, who: int) -> dict[int, dict[str, Any]]:
    """Claims and presses until nobody is left, each press from two devices; contact -> what the first was told."""
    told: dict[int, dict[str, Any]] = {}
    known: int | None = None
    while True:
        status, bucket = await until_told(
            town, f"{path}/buckets", {"volunteer_id": who, "size": BUCKET, "after": known}
        )
        assert status == 200, bucket
        if not bucket["rows"]:
            return told
        known = bucket["bucket_id"]
        for row in bucket["rows"]:
            press = {
                "contact_id": row["contact_id"],
                "variant": row["variant"],
                "hash": row["hash"],
                "volunteer_id": who,
            }
            sent, other = await asyncio.gather(
                until_told(town, f"{path}/sends", press, **{"Idempotency-Key": f"a-{row['contact_id']}"}),
                until_told(town, f"{path}/sends", press, **{"Idempotency-Key": f"b-{row['contact_id']}"}),
            )
            assert sent[0] == other[0] == 202, (sent, other)
            assert sorted((each[1].get("code") is None) for each in (sent, other)) == [False, True]
            told[row["contact_id"]] = sent[1]


async def test_each_person_has_one_text_through_kills_and_repeats(dsn: str) -> None:
    async with open_town(dsn, contacts=PEOPLE) as town:
        path = await publish(town)
        killing = asyncio.create_task(kill_now_and_then(town))
        told = await asyncio.gather(*(volunteer(town, path, who) for who in VOLUNTEERS))
        await killing
        assert sorted(contact for some in told for contact in some) == sorted(town.contact_ids.values())
        for contact_id, first in ((contact, each) for some in told for contact, each in some.items()):
            status, found = await town.call("GET", f"{_OUTCOMES}?key=a-{contact_id}")
            assert (status, found["outcomes"][0]["message_id"]) == (200, first["message_id"]), found
        await town.until_quiet()
        calls = Counter(f"+{row['to']}" for row in await town.table("submissions"))
        assert calls == Counter(dict.fromkeys(town.contact_ids, 1))
        town.no_traceback()
