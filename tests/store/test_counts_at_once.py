"""Two workers count a campaign anew at once: both come to the same, and neither fails."""

import asyncio

from gateway.store import counts
from gateway.store.database import Database
from tests.store.rows import KEY, NOW, sending


async def test_two_who_count_anew_at_once(database: Database, other: Database) -> None:
    await sending(database, 3)
    for at in range(5):
        await asyncio.gather(
            *(counts.count_anew(each, KEY, NOW + at) for each in (database, other, database))
        )
    found = await counts.read(database, KEY, 5, NOW)
    assert found is not None
    assert [(each.what, each.state, each.number) for each in found.rows] == [("initial", "under_way", 3)]
