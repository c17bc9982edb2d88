"""Suppression lists over the API: whoever stands in one is not texted from the answer on, and stays so."""

import asyncio
from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.http.csv_lists import CSV
from gateway.store.troubles import DatabaseAway
from tests.http.house import CAMPAIGN, House, phone
from tests.http.test_inbox import INBOX, talk

PATH = f"/v1/campaigns/{CAMPAIGN}/opt-outs"


async def bring(house: House, text: str, query: str = "") -> Any:
    answer = await house.call("POST", f"{PATH}{query}", data=text.encode(), headers={"Content-Type": CSV})
    return answer.body if answer.status == 200 else answer


async def left(house: House) -> list[str]:
    return [row[0] for row in await house.store.fetch("SELECT phone FROM opt_outs ORDER BY phone")]


async def test_who_stands_in_a_list_is_not_texted_any_more(house: House) -> None:
    """F121, F128, C5: a list's opt-outs block as a person's own do, whichever phone of a row it is."""
    text = f"name,cell,home phone\nAnn,{phone(1)},{phone(2)}\nBo,12,\nCy,,\n,{phone(1)},\n,2125550199,\n"
    told = await bring(house, text)
    assert (told["rows"], told["new"], told["known"]) == (5, 3, 1)
    assert told["rejected"] == {"blank": 1, "too_short": 1}
    assert [row["line"] for row in told["rejects"]] == [3, 4]
    assert await left(house) == ["+12125550199", phone(1), phone(2)]
    for nth, code in ((1, 1302), (2, 1302), (3, None)):
        assert (await house.send(nth)).body.get("code") == code
    again = await bring(house, text)
    assert (again["new"], again["known"]) == (0, 4)
    counts = (await house.call("GET", f"{PATH}:count")).body
    assert counts["imported"] == 3
    acts = [
        line["act"] for line in (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    ]
    assert acts.count("opt-outs imported") == 1


async def test_a_column_that_says_who_has_left_is_heeded(house: House) -> None:
    told = await bring(house, f"phone,opted out\n{phone(1)},yes\n{phone(2)},no\n{phone(3)},\n")
    assert (told["new"], told["rejected"]) == (1, {"not_opted_out": 2})
    assert await left(house) == [phone(1)]
    asked = await bring(house, f"phone,opted out\n{phone(2)},perhaps\n")
    assert asked.status == 422
    assert "perhaps" in asked.body["detail"]
    told = await bring(house, f"phone,opted out\n{phone(2)},perhaps\n", "?consent=opted%20out%3Dnothing")
    assert told["new"] == 1


async def test_a_dry_run_opts_nobody_out(house: House) -> None:
    told = await bring(house, f"Number\n{phone(1)}\n", "?dry_run=true&map=Number%3Dphone")
    assert (told["new"], told["dry_run"]) == (1, True)
    assert await left(house) == []


async def test_phones_are_brought_as_json_too(house: House) -> None:
    body = {"phones": [phone(1), f" {phone(1)}", "12", "(212) 555-0100"]}
    told = (await house.call("POST", PATH, body)).body
    assert (told["rows"], told["new"], told["known"]) == (4, 2, 1)
    assert told["rejects"][0]["line"] == 3
    assert await left(house) == ["+12125550100", phone(1)]


@pytest.mark.parametrize("body", [{}, {"phones": []}, {"phones": [1]}, {"phones": ["x"] * 5001}])
async def test_what_is_no_list_of_phones_is_refused(house: House, body: Any) -> None:
    assert (await house.call("POST", PATH, body)).status == 422
    assert (await bring(house, "")).status == 422
    reader = await house.call("POST", PATH, {"phones": [phone(1)]}, key=Role.KEY_READER)
    assert reader.status == 403


@pytest.mark.parametrize("how", ["noted", "brought"])
async def test_a_repeat_waits_too_until_what_was_done_a_moment_ago_is_in_force(
    house: House, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """C5, F123: the first is durable and waits for looks that do not know of it; the second has to wait for them as well."""
    await talk(house, 1)
    waiting: asyncio.Queue[None] = asyncio.Queue()
    in_force = asyncio.Event()

    async def settle() -> None:
        waiting.put_nowait(None)
        await in_force.wait()

    monkeypatch.setattr(house.worker.gateway.settling, "settle", settle)
    monkeypatch.setattr(house.worker._parts.suppression, "_settle", settle)
    path, body = (f"{INBOX}/1/opt-out", {}) if how == "noted" else (PATH, {"phones": [phone(1)]})
    async with asyncio.timeout(20.0):
        first = asyncio.ensure_future(house.call("POST", path, body))
        await waiting.get()
        assert await left(house) == [phone(1)]
        second = asyncio.ensure_future(house.call("POST", path, body))
        heard = asyncio.ensure_future(waiting.get())
        await asyncio.wait([second, heard], return_when=asyncio.FIRST_COMPLETED)
        assert not second.done()
        in_force.set()
        assert [(await each).status for each in (first, second)] == [200, 200]


async def test_what_broke_off_before_its_answer_is_in_the_audit_log_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever repeats it finds that all have left already; who brought that about is told all the same."""
    suppression, body = house.worker._parts.suppression, {"phones": [phone(1), phone(2)]}
    settle = suppression._settle

    async def away() -> None:
        monkeypatch.setattr(suppression, "_settle", settle)
        raise DatabaseAway("it left")

    monkeypatch.setattr(suppression, "_settle", away)
    assert (await house.call("POST", PATH, body)).status == 503
    assert (await house.call("POST", PATH, body)).body["new"] == 0
    lines = (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
    told = [line["after"] for line in lines if line["act"] == "opt-outs imported"]
    assert told == [{"rows": 2, "new": 2}]
