"""A broadcast goes out while its worker is killed: each who has agreed has one text, nobody else has any, and none goes to
who has left or withdrawn."""

import asyncio
from collections import Counter
from typing import Any

from tests.end_to_end.test_answers_through_kills import kill_now_and_then
from tests.end_to_end.test_presses_through_kills import until_told
from tests.end_to_end.town import CAMPAIGN, Town, open_town

PEOPLE = 80
AGREED, WITHDRAWN = 60, 10
PACE = {"total_per_s": 8}
_AT = f"/v1/campaigns/{CAMPAIGN}"
_BY_THEN_S = 5.0  # what was claimed already has gone


async def publish(town: Town) -> str:
    script = {"kind": "initial", "source": "The polls are open until eight. Reply STOP to opt out"}
    action = {"title": "A night", "settings": {"kind": "broadcast"}, "scripts": [script]}
    status, made = await town.call("POST", f"{_AT}/actions", action)
    assert status == 201, made
    path = f"{_AT}/actions/{made['action_id']}"
    status, published = await town.call("POST", f"{path}/publish", {"to": "public"})
    assert (status, published["state"]) == (200, "public"), published
    return path


async def called(town: Town) -> Counter[str]:
    return Counter(f"+{row['to']}" for row in await town.table("submissions"))


async def test_each_who_agreed_has_one_text_and_nobody_else_any(dsn: str) -> None:
    async with open_town(dsn, contacts=PEOPLE, broadcasts=True, registration=PACE) as town:
        phones = sorted(town.contact_ids)
        agreed = phones[:AGREED]
        given: list[dict[str, Any]] = [
            {"phone": each, "given_at": 1_700_000_000, "source": "the web form"} for each in agreed
        ]
        status, noted = await town.call("POST", f"{_AT}/consents", {"consents": given})
        assert (status, noted["noted"]) == (200, AGREED), noted
        await publish(town)
        await town.until_submitted(1)
        killing = asyncio.create_task(kill_now_and_then(town))
        texted = await called(town)
        withdrawn = [each for each in agreed if each not in texted][-WITHDRAWN:]
        status, gone = await until_told(
            town, f"{_AT}/consents:withdraw", {"contacts": [{"phone": each} for each in withdrawn]}
        )
        assert (status, gone["withdrawn"]) == (200, len(withdrawn)), gone
        await asyncio.sleep(_BY_THEN_S)
        before = await called(town)
        await killing
        await town.until_submitted(AGREED - len(withdrawn))
        await town.until_quiet()
        calls = await called(town)
        assert set(calls) <= set(agreed)
        assert set(calls.values()) == {1}
        assert {each for each in withdrawn if calls[each]} == {each for each in withdrawn if before[each]}
        assert set(agreed) - set(withdrawn) <= set(calls)
        town.no_traceback()
