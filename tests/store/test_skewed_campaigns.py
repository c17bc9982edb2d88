"""One campaign with a night's texts among hundreds with a few: a hot statement reads what it names, not the campaign.

Judged by the pages that PostgreSQL touches, with the plan that every campaign shares.
"""

from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.core.rules.months import after, first_id, month_of
from gateway.store import claims, months, receipts
from gateway.store.claims import Claim
from gateway.store.database import Connection, Database
from gateway.store.receipts import LEGAL_MOVES, Requeue, Word
from gateway.store.rows import as_rows
from tests.store.rows import CAMPAIGN, KEY, NOW, NUMBER, SCOPE, own_number, people

THIS, NEXT = month_of(NOW), after(month_of(NOW))
FIRST = first_id(THIS) + 1
BIG, SMALL, EACH = 20_000, 300, 3
A_ROW = 60  # pages at most for each row that a statement names: its indexes, and what it writes
_SMALL_ONES = """
WITH made AS (
    INSERT INTO campaigns (organisation_id, campaign_id, name, opt_out_scope, settings, created_at)
    SELECT 1, 1000 + g, 'small ' || g, 1000 + g, '{{}}', now() FROM generate_series(1, {small}) g RETURNING campaign_id)
INSERT INTO contacts (organisation_id, campaign_id, contact_id, phone, hours_group)
SELECT 1, campaign_id, g, '+1215555' || lpad(g::text, 4, '0'), 'America/New_York' FROM made, generate_series(1, {each}) g
"""
_TEXTS = """
WITH written AS (
    INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, kind, body, segments, text_hash, state,
                          lane, requested_at, not_after, attempt, slot_at)
    SELECT 1, campaign_id, {first} + (row_number() OVER ()), contact_id, 'initial', 'Hi', 1, 1,
           CASE WHEN contact_id % 2 = 0 THEN 'sending' ELSE 'queued' END, 2, now(), now() + interval '1 hour', 1, now()
    FROM contacts
    RETURNING campaign_id, message_id, contact_id, state
), waits AS (
    INSERT INTO queue (organisation_id, campaign_id, message_id, lane, due_at)
    SELECT 1, campaign_id, message_id, 2, now() FROM written WHERE state = 'queued'
)
INSERT INTO conversations (organisation_id, campaign_id, contact_id) SELECT 1, campaign_id, contact_id FROM written
"""


@pytest.fixture
async def database(own_dsn: str) -> AsyncIterator[Database]:
    opened = Database(own_dsn, connections=2)
    yield opened
    await opened.close()


async def fill(database: Database) -> None:
    await months.make_ahead(database, NOW)
    await people(database, BIG)
    await own_number(database)
    await database.execute(_SMALL_ONES.format(small=SMALL, each=EACH))
    await database.execute(_TEXTS.format(first=FIRST))
    async with database.connection() as connection:
        await connection.execute("ANALYZE")


async def of_state(database: Database, state: str) -> tuple[Claim, Claim]:
    """The first and the last text of the big campaign that is in this state."""
    rows = await database.fetch(
        "SELECT message_id, contact_id FROM messages WHERE campaign_id = $1 AND state = $2 ORDER BY message_id",
        CAMPAIGN,
        state,
    )
    first, last = (Claim(row[0], row[1], NUMBER, NOW) for row in (rows[0], rows[-1]))
    return first, last


async def pages(connection: Connection, sql: str, types: str, *arguments: object) -> int:
    """How many pages the statement touches, planned for every campaign alike; it leaves nothing behind."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE hot ({types}) AS {sql}")
    quoted = "SELECT string_agg(quote_nullable(each), ', ') FROM unnest($1::text[]) AS each"
    words = await connection.fetchval(quoted, [_text(each) for each in arguments])
    explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT json) EXECUTE hot ({words})"
    transaction = connection.transaction()
    await transaction.start()
    try:
        plan = msgspec.json.decode(await connection.fetchval(explained))[0]["Plan"]
    finally:
        await transaction.rollback()
        await connection.execute("DEALLOCATE hot")
    touched: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return touched


def _text(value: object) -> str:
    return "{" + ",".join(value) + "}" if isinstance(value, list) else str(value)


async def test_a_statement_reads_what_it_names(database: Database):
    await fill(database)
    waiting, under_way = await of_state(database, "queued"), await of_state(database, "sending")
    claim = "bigint, bigint, bigint, json, float8, float8, bigint, bigint"
    told = as_rows(
        [Word(each.message_id, 1, "sent", provider_sid=f"SM{each.message_id}") for each in under_way]
    )
    again = as_rows(
        [Requeue(each.message_id, 1, "failed", 30003, None, None, NOW, True) for each in under_way]
    )
    statements = {
        "told": (
            receipts._TELL,
            "bigint, bigint, bigint, json, text[], float8",
            *KEY,
            SCOPE,
            told,
            LEGAL_MOVES,
            NOW,
        ),
        "late": (receipts._LATE, "bigint, bigint, json, float8", *KEY, told, NOW),
        "requeued": (
            receipts._REQUEUE,
            "bigint, bigint, json, float8, text[]",
            *KEY,
            again,
            NOW,
            LEGAL_MOVES,
        ),
        "claimed": (claims._CLAIM, claim, *KEY, SCOPE, as_rows(waiting), NOW, NOW, 1, 1),
        "claimed around locks": (claims._CLAIM_FREE, claim, *KEY, SCOPE, as_rows(waiting), NOW, NOW, 1, 1),
    }
    async with database.connection() as connection:
        touched = {name: await pages(connection, *statement) for name, statement in statements.items()}
    assert {name: count for name, count in touched.items() if count > len(waiting) * A_ROW} == {}
