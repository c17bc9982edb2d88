"""A gateway whose door was shut while people left, and one whose clock is wrong."""

import asyncio

import pytest

from tests.end_to_end.night import Night, assert_kept, bank_through, open_night
from tests.end_to_end.test_kills import kills

LEAVING = 200
FEW_A_SECOND = 4.0


async def test_stops_that_were_given_up_while_the_gateway_was_down(dsn: str) -> None:
    """It starts with a bank queued: those who left meanwhile are not called at all, refused by the provider or not."""
    async with open_night(dsn, 21, people=LEAVING + 60, rate_per_s=FEW_A_SECOND) as night:
        await night.send(night.people, "Hello")
        await night.town.until_submitted(20)
        numbers = await night.numbers()
        await night.kill_worker(0)
        called = {row["to"] for row in await night.town.table("submissions")}
        leaving = [each for each in night.people if int(each[1:]) not in called][:LEAVING]
        for person in leaving:
            await night.town.person_texts(person, numbers[0], "STOP")
        await all_given_up(night, len(leaving))
        await night.open_worker(0)
        await night.until_settled()
        called_later = {row["to"] for row in await night.town.table("submissions")} - called
        refused = {row["to"] for row in await night.town.table("refusals")}
        assert (called_later | refused) & {int(each[1:]) for each in leaving} == set()
        assert_kept(night, await night.verdict())


async def all_given_up(night: Night, count: int) -> None:
    async with asyncio.timeout(60):
        while True:
            ledger = await night.town.twin("GET", "ledger")
            if ledger["rows"]["inbound"] >= count and not ledger["webhooks"]["outstanding"]:
                return
            await asyncio.sleep(0.2)


@pytest.mark.nightly
@pytest.mark.parametrize("shift_s", [120.0, -120.0])
async def test_a_clock_that_is_wrong_and_a_kill(dsn: str, shift_s: float) -> None:
    """Two minutes ahead of the provider's, or behind."""
    async with open_night(dsn, 22, workers=1, people=240, rate_per_s=12.0) as night:
        night.shift_s = shift_s
        await night.kill_worker(0)
        await night.open_worker(0)
        assert_kept(night, await bank_through(night, kills(4)))
