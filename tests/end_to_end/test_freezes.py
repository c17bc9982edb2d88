"""A worker that stands still (SIGSTOP) for seconds to a minute, with and without another that takes its campaigns."""

import asyncio

import psutil
import pytest

from tests.end_to_end.night import Faults, Night, assert_kept, bank_through, open_night
from tests.end_to_end.postgres import Postgres


def freezes(*lengths_s: float, postgres: Postgres | None = None) -> Faults:
    """Each worker in turn; with a PostgreSQL its connections end meanwhile, so that another may take over."""

    async def faults(night: Night) -> None:
        for nth, length_s in enumerate(lengths_s):
            worker = night.workers[nth % len(night.workers)]
            assert worker is not None
            await asyncio.sleep(night.luck.uniform(1.0, 3.0))
            worker.freeze()
            if postgres is not None:
                await asyncio.sleep(min(1.0, length_s / 4))
                await postgres.hang_up_on(psutil.Process(worker.process.pid))
            await asyncio.sleep(length_s)
            worker.thaw()

    return faults


async def test_a_worker_stands_still_and_another_takes_over(postgres: Postgres) -> None:
    async with open_night(postgres.dsn, 5, workers=2, people=240, rate_per_s=12.0) as night:
        assert_kept(night, await bank_through(night, freezes(4.0, 8.0, postgres=postgres)))


@pytest.mark.nightly
@pytest.mark.parametrize("lengths_s", [(3.0, 3.0, 7.0, 7.0), (16.0, 16.0), (52.0, 52.0)])
@pytest.mark.parametrize("takes_over", [True, False], ids=["taken over", "alone"])
async def test_workers_stand_still(
    postgres: Postgres, lengths_s: tuple[float, ...], takes_over: bool
) -> None:
    people = 120 + int(10 * sum(lengths_s))
    workers = 2 if takes_over else 1
    async with open_night(postgres.dsn, 6, workers=workers, people=people, rate_per_s=12.0) as night:
        faults = freezes(*lengths_s, postgres=postgres if takes_over else None)
        assert_kept(night, await bank_through(night, faults))


@pytest.mark.nightly
async def test_one_of_two_stands_still_and_is_killed(postgres: Postgres) -> None:
    """It never wakes: what it held is asked about by the other."""

    async def faults(night: Night) -> None:
        for place in (0, 1, 0, 1):
            await asyncio.sleep(night.luck.uniform(1.0, 3.0))
            worker = night.workers[place]
            assert worker is not None
            worker.freeze()
            await asyncio.sleep(night.luck.uniform(2.0, 8.0))
            await night.kill_worker(place)
            await night.open_worker(place)

    async with open_night(postgres.dsn, 7, workers=2, people=480, rate_per_s=12.0) as night:
        assert_kept(night, await bank_through(night, faults))
