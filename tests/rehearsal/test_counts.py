"""Whatever happens in a bank is in its journal: counted from the first event on, it comes to what the books say."""

import asyncio

from msgspec.structs import replace

from gateway.core.rules.campaign import CampaignKey
from gateway.store import counts
from gateway.store.counts import Count
from gateway.store.database import Database
from simulator.model.faults import FaultParameters
from simulator.rehearsal.run import rehearse_on
from simulator.report.result import Plan
from tests.rehearsal.small_worlds import A_DAY, broken, told

_FROM_THE_FIRST = """
INSERT INTO count_progress (organisation_id, campaign_id, epoch, version, xid, event_id, counted_at)
SELECT organisation_id, campaign_id, 1, 0, '0', 0, now() FROM campaigns RETURNING organisation_id, campaign_id
"""


async def counted_twice(dsn: str) -> tuple[list[Count], list[Count]]:
    """Every campaign's counts: from its journal, and from its books."""
    database = Database(dsn, connections=1)
    from_journal, from_books = [], []
    try:
        await database.execute("TRUNCATE counts, count_progress")  # breakers had it counted meanwhile
        for row in await database.fetch(_FROM_THE_FIRST):
            key = CampaignKey(*row)
            while not await counts.catch_up(database, key, 0.0):
                pass
            rows = await database.fetch(
                "SELECT action_id, per, name, what, state, code, number, segments FROM counts"
                " WHERE organisation_id = $1 AND campaign_id = $2 AND (number <> 0 OR segments <> 0)",
                *key,
            )
            from_journal += [counts._count(each) for each in rows]
            async with database.connection() as connection:
                from_books += await counts.recount(connection, key)
    finally:
        await database.close()
    return from_journal, from_books


def test_the_journal_of_a_bank_tells_all_that_is_counted(own_dsn: str) -> None:
    """Through crashes, lost answers, texts that come late and twice, reports and opt-outs by hand."""
    world = replace(A_DAY, faults=FaultParameters(gateway_crashes_at_s=(900.0, 2400.0)))
    done = rehearse_on(own_dsn, Plan(world, contacts=150, seed=3))
    assert broken(done) == set(), told(done)
    from_journal, from_books = asyncio.run(counted_twice(own_dsn))
    assert sorted(from_journal, key=repr) == sorted(from_books, key=repr)
    kinds = {(row.what, row.state) for row in from_books}
    assert {
        ("initial", "delivered"),
        ("reply", "delivered"),
        ("response", "opted_out"),
        ("response", "reply"),
    } <= kinds
    assert {row.per for row in from_books} == {"action", "script", "user", "pair"}
