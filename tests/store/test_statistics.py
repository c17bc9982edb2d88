"""The planner is told of tables that have grown much, and of no others."""

import pytest

from gateway.store import statistics
from gateway.store.database import Database
from tests.store.rows import people

_TOLD = "SELECT pg_stat_get_analyze_count('contacts'::regclass)"


@pytest.fixture(autouse=True)
async def nothing_is_known(database: Database) -> None:
    """Whatever earlier tests left behind."""
    await database.script("TRUNCATE contacts CASCADE")


async def told(database: Database) -> int:
    await database.execute("SELECT pg_stat_force_next_flush()")
    count: int = await database.fetch_value(_TOLD)
    return count


async def test_a_table_that_has_grown_much_is_analyzed_and_then_left_alone(database: Database) -> None:
    before = await told(database)
    await people(database, 20)
    await statistics.refresh(database)
    assert await told(database) == before
    await people(database, 3_000, campaign_id=2)
    for _ in range(2):
        await statistics.refresh(database)
        assert await told(database) == before + 1
    known = await database.fetch_value("SELECT reltuples::bigint FROM pg_class WHERE relname = 'contacts'")
    assert known == 3_020


async def test_who_may_not_analyze_a_table_goes_on(database: Database) -> None:
    """Another worker analyzes it just now, for longer than a lock is waited for."""
    await people(database, 3_000)
    before = await told(database)
    async with database.transaction() as other:
        await other.execute("LOCK TABLE contacts IN SHARE UPDATE EXCLUSIVE MODE")
        await statistics.refresh(database)
    assert await told(database) == before
