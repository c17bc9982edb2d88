"""kill -9 of workers at random moments over HTTP: nothing acknowledged is lost, nobody is texted twice or after a STOP."""

import asyncio

import pytest

from tests.end_to_end.night import Faults, Night, assert_kept, bank_through, open_night, side_by_side

NIGHTS = 5  # of 20 kills, with one worker and with two


def kills(count: int) -> Faults:
    """So many, of one worker at a time, at moments of the night's luck."""

    async def faults(night: Night) -> None:
        for _ in range(count):
            await asyncio.sleep(night.luck.uniform(0.2, 2.5))
            place = night.luck.randrange(len(night.workers))
            await night.kill_worker(place)
            await asyncio.sleep(night.luck.uniform(0.0, 1.5))
            await night.open_worker(place)

    return faults


async def killed(dsn: str, seed: int, *, workers: int, count: int) -> None:
    people = 60 + 40 * count
    async with open_night(dsn, seed, workers=workers, people=people, rate_per_s=12.0) as night:
        assert_kept(night, await bank_through(night, kills(count)))


async def test_twenty_kills_of_one_worker_and_of_two(dsns: list[str]) -> None:
    await side_by_side(killed(dsns[0], 1, workers=1, count=10), killed(dsns[1], 2, workers=2, count=10))


@pytest.mark.nightly
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seed", range(100, 100 + NIGHTS))
async def test_twenty_kills_a_night(dsn: str, seed: int, workers: int) -> None:
    await killed(dsn, seed, workers=workers, count=20)
