"""Months' partitions: made ahead, and dropped whole."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.core.rules.months import after, first_id, month_of
from gateway.store import conversations, months, receipts, recipients
from gateway.store.database import Database
from gateway.store.migrate import make_throwaway
from gateway.store.receipts import Word
from tests.store.cluster import Cluster
from tests.store.guest import ALL_SEQUENCES, READ_AND_WRITE, a_guest, granted
from tests.store.rows import (
    ACTION,
    KEY,
    NOW,
    SCOPE,
    admission,
    admit,
    claim,
    claiming,
    heard,
    own_number,
    people,
)

THIS = month_of(NOW)
NEXT, LATER = after(THIS), after(THIS, 2)
_SOMEBODY_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock')"
_PARTITIONS = """
SELECT c.relname, c.reloptions FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::text::regclass ORDER BY c.relname
"""
_WHERE = "SELECT message_id, tableoid::regclass::text FROM {} ORDER BY message_id"


@pytest.fixture
async def database(own_dsn: str) -> AsyncIterator[Database]:
    opened = Database(own_dsn, connections=4)
    yield opened
    await opened.close()


@pytest.fixture
def guest(cluster: Cluster) -> Iterator[str]:
    with a_guest(cluster) as name:
        yield name


async def where(database: Database, table: str = "messages") -> dict[int, str]:
    return {row[0]: row[1] for row in await database.fetch(_WHERE.format(table))}


# ---------------------------------------------------------------- made


async def test_this_month_and_the_next_two_are_made_once(database: Database):
    assert await months.make_ahead(database, NOW) == [
        f"{table}_{each}" for table in ("messages", "inbound", "events") for each in (THIS, NEXT, LATER)
    ]
    assert await months.make_ahead(database, NOW) == []
    for table, storage in (
        ("messages", ["fillfactor=60"]),
        ("attempts", None),
        ("inbound", None),
        ("events", ["toast_tuple_target=8160"]),
    ):
        made = {row[0]: row[1] for row in await database.fetch(_PARTITIONS, table)}
        assert made == {f"{table}_other": storage} | {
            f"{table}_{each}": storage for each in (THIS, NEXT, LATER)
        }


async def test_a_month_of_a_throwaway_database_has_no_log_either(database: Database):
    await make_throwaway(database)
    await months.make_ahead(database, NOW)
    logged = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relpersistence = 'p' AND relnamespace = 'public'::regnamespace"
    assert await database.fetch(logged) == []


async def test_workers_that_start_together_make_them_once(database: Database):
    made = await asyncio.gather(*(months.make_ahead(database, NOW) for _ in range(4)))
    assert {table for some in made for table in some} >= {f"messages_{THIS}", f"inbound_{LATER}"}
    for family in (months.MESSAGES, months.INBOUND):
        assert await months.there(database, family) == [THIS, NEXT, LATER]


async def test_a_message_and_its_attempts_lie_in_its_month(database: Database):
    await months.make_ahead(database, NOW)
    await people(database)
    await own_number(database)
    ids = [5, first_id(THIS) + 5, first_id(NEXT) + 5]
    rows = [admission(each, contact_id) for contact_id, each in enumerate(ids, 1)]
    assert await admit(database, *rows) == set(ids)
    assert await claim(database, *(claiming(each, n) for n, each in enumerate(ids, 1))) == dict.fromkeys(
        ids, 1
    )
    told = await receipts.tell(database, KEY, SCOPE, [Word(each, 1, "sent") for each in ids], NOW)
    assert [each.after for each in told] == ["sent"] * 3
    await database.execute(
        "INSERT INTO attempts (organisation_id, campaign_id, message_id, attempt, ended_at, state)"
        " SELECT organisation_id, campaign_id, message_id, 1, now(), 'failed' FROM messages"
    )
    for table in months.MESSAGES:
        assert await where(database, table) == dict(
            zip(ids, (f"{table}_other", f"{table}_{THIS}", f"{table}_{NEXT}"), strict=True)
        )


async def test_where_a_month_came_too_late_its_rows_stay_elsewhere_and_the_next_ones_are_made(
    database: Database,
):
    await people(database)
    late = first_id(THIS) + 1
    await admit(database, admission(late, 1))
    made = await months.make_ahead(database, NOW)
    assert made[:2] == [f"messages_{NEXT}", f"messages_{LATER}"]
    assert await where(database) == {late: "messages_other"}


async def test_a_role_that_may_not_make_them_goes_on_without(own_dsn: str, guest: str, database: Database):
    await people(database)
    async with granted(own_dsn, guest, READ_AND_WRITE, ALL_SEQUENCES) as its_dsn:
        theirs = Database(its_dsn, connections=1)
        assert await months.make_ahead(theirs, NOW) == []
        await months.make_ahead(database, NOW)
        assert await admit(theirs, admission(first_id(THIS) + 1, 1)) == {first_id(THIS) + 1}
        assert not await months.drop(theirs, THIS)
        await theirs.close()
    assert list((await where(database)).values()) == [f"messages_{THIS}"]


async def test_a_text_is_heard_once_in_whatever_month_it_is_brought(database: Database):
    await months.make_ahead(database, NOW)
    await people(database)
    first, again = (
        heard(first_id(THIS) + 1, 1, "STOP", intent="stop"),
        heard(first_id(NEXT) + 1, 1, "STOP", intent="stop"),
    )
    again.provider_sid = first.provider_sid
    assert [each.inbound_id for each in await conversations.hear(database, KEY, SCOPE, [first])] == [
        first.inbound_id
    ]
    assert await conversations.hear(database, KEY, SCOPE, [again]) == []
    assert await database.fetch_value("SELECT unread FROM conversations") == 1
    twice = [heard(first_id(NEXT) + n, 2, provider_sid="SM2") for n in (2, 3)]
    assert len(await conversations.hear(database, KEY, SCOPE, twice)) == 1
    rows = await database.fetch("SELECT tableoid::regclass::text FROM inbound ORDER BY inbound_id")
    assert [row[0] for row in rows] == [f"inbound_{THIS}", f"inbound_{NEXT}"]


# ---------------------------------------------------------------- dropped


async def test_a_month_is_dropped_with_all_that_is_in_it_and_nothing_else(database: Database):
    await months.make_ahead(database, NOW)
    await people(database)
    for contact_id, month in enumerate((THIS, NEXT), 1):
        await admit(database, admission(first_id(month) + 1, contact_id))
    assert await months.drop(database, THIS)
    assert await months.there(database) == [NEXT, LATER]
    assert list(await where(database)) == [first_id(NEXT) + 1]
    assert await months.drop(database, THIS)  # whoever was first


async def test_what_waits_for_a_busy_table_holds_nobody_up(database: Database):
    """An export reads the messages: the change waits again and again, and those who write in between do not."""
    await months.make_ahead(database, NOW)
    await people(database)
    async with database.transaction() as export:
        await export.execute("LOCK TABLE messages IN ACCESS SHARE MODE")
        dropping = asyncio.ensure_future(months.drop(database, THIS))
        while not await export.fetchval(_SOMEBODY_WAITS):  # noqa: ASYNC110 - PostgreSQL gives no signal
            await asyncio.sleep(0)
        assert await admit(database, admission(first_id(NEXT) + 1, 1))
        assert not dropping.done()
    assert await dropping
    assert await months.there(database) == [NEXT, LATER]


# ---------------------------------------------------------------- the statements


async def _plan(database: Database, sql: str, types: str, arguments: str) -> str:
    """As a worker's connection plans it."""
    async with database.connection() as connection:
        await connection.execute(f"PREPARE hot ({types}) AS {sql}")
        plan = await connection.fetch(f"EXPLAIN (COSTS off) EXECUTE hot ({arguments})")
        await connection.execute("DEALLOCATE hot")
    return "\n".join(row[0] for row in plan)


async def test_recent_texts_are_looked_for_in_their_months(database: Database):
    await months.make_ahead(database, NOW)
    types = "bigint, bigint, bigint, float8, bigint, bigint[], bigint[]"
    for month, skipped in ((THIS, 0), (NEXT, 1), (LATER, 2)):
        plan = await _plan(
            database, recipients._LOAD_ALL, types, f"1, 1, 1, {NOW}, {first_id(month)}, '{{1}}', '{{1}}'"
        )
        assert re.findall(r"Subplans Removed: (\d+)", plan) == ([str(skipped)] if skipped else [])


async def test_what_was_sent_is_known_in_whatever_month_it_was(database: Database):
    await months.make_ahead(database, NOW)
    await people(database)
    await own_number(database)
    for n, message_id in enumerate((7, first_id(THIS) + 7, first_id(NEXT) + 7), 1):
        await admit(database, admission(message_id, n))
    known = await recipients.load(database, KEY, SCOPE, [1, 2, 3], [ACTION] * 3, texts_since=NOW - 60)
    assert [each.already_sent for each in known] == [True] * 3
    assert [each.recent_texts for each in known] == [[7], [first_id(THIS) + 7], [first_id(NEXT) + 7]]
    later = await recipients.load(database, KEY, SCOPE, [1, 2, 3], [ACTION] * 3, texts_since=NOW + 60)
    assert [each.recent_texts for each in later] == [[], [], []]
