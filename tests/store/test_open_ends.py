"""What an action has left is counted from what an index holds, in a campaign of any size (F162, F163)."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.store import buckets, results
from gateway.store.database import Database
from tests.store.rows import ACTION, KEY, people, publish

BIG = 10_000
A_PAGE_HOLDS = 10  # entries of these indexes, at least, after an update of each row
_GIVEN = "UPDATE assignments SET volunteer_id = 7 WHERE contact_id % 10 > 0"
_WAITING = """
INSERT INTO conversations (organisation_id, campaign_id, contact_id, action_id, volunteer_id, last_inbound_at, attention_at)
SELECT 1, 1, contact_id, 5, 7, now(), CASE WHEN contact_id % 20 = 0 THEN now() END FROM contacts
"""


@pytest.fixture
async def database(own_dsn: str) -> AsyncIterator[Database]:
    opened = Database(own_dsn, connections=2)
    yield opened
    await opened.close()


async def pages(database: Database, sql: str, *arguments: object) -> int:
    """That a statement reads."""
    found = await database.fetch_value(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *arguments)
    plan = msgspec.json.decode(found)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_counting_what_is_left_reads_what_is_left(database: Database) -> None:
    await people(database, BIG)
    await publish(database)
    kept = "UPDATE assignments SET kept_for = 8 WHERE contact_id % 100 = 0"
    async with database.patient(120.0) as patient:
        for sql in (_GIVEN, kept, _WAITING, "VACUUM ANALYZE assignments", "VACUUM ANALYZE conversations"):
            await patient.script(sql)
    assert await buckets.remaining(database, KEY, ACTION) == BIG / 10
    assert await pages(database, buckets.REMAINING_OF_ACTION, *KEY, ACTION) < BIG / 10 / A_PAGE_HOLDS + 20
    assert await pages(database, buckets._UNASSIGNED, *KEY) < BIG / 10 / A_PAGE_HOLDS + 20
    beside = await results.beside(database, KEY, ACTION)
    assert beside is not None
    assert (beside.remaining, beside.needs_attention) == (BIG / 10, BIG / 20)
