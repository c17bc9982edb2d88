"""The moves to organisations and to months while workers of the release before go on writing: nothing is lost, nobody waits long."""

import asyncio
import itertools
import random
from collections.abc import Iterator

import asyncpg
import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.months import first_id, month_of
from gateway.store import conversations, months
from gateway.store import migrate as migrations
from gateway.store.conversations import Heard
from gateway.store.database import Connection, Database
from gateway.store.migrate import Migration, MigrationFailed, migrate, shipped
from gateway.store.troubles import DatabaseAway
from tests.store.cluster import EMPTY, Cluster
from tests.store.guest import READ_AND_WRITE, a_guest, granted
from tests.store.rows import NOW

FIRST = 20  # the first migration that knows of organisations
ROWS = 30_000
LONGEST_WAIT_S = 2.0
WRITERS = 3

_FILL = f"""
INSERT INTO campaigns (campaign_id, opt_out_scope, name, created_at) VALUES (1, 1, 'Bank', now());
INSERT INTO contacts (campaign_id, contact_id, phone, hours_group)
SELECT 1, n, '+1215' || n, 'PA' FROM generate_series(1, {ROWS}) n;
INSERT INTO numbers VALUES (1, 1, '+12675550100', 'PN1', 'active', now(), 'first_number', '{{}}');
INSERT INTO conversations (campaign_id, contact_id, attention_at, volunteer_id)
SELECT 1, n, CASE WHEN n % 10 = 0 THEN now() END, n % 50 FROM generate_series(1, {ROWS}) n;
INSERT INTO messages (campaign_id, message_id, contact_id, kind, body, segments, text_hash, state, lane, requested_at,
                      idempotency_key)
SELECT 1, n, n, 'initial', 'Hello', 1, n, 'queued', 2, now(), CASE WHEN n % 3 = 0 THEN 'key ' || n END
FROM generate_series(1, {ROWS}) n;
INSERT INTO queue (campaign_id, message_id, lane, due_at) SELECT 1, n, 2, now() FROM generate_series(1, {ROWS}) n;
INSERT INTO attempts (campaign_id, message_id, attempt, ended_at, state)
SELECT 1, n, 1, now(), 'failed' FROM generate_series(1, {ROWS}) n;
INSERT INTO inbound_texts SELECT n % 2, n, 'SM' || n, n, '+1215' || n, '+12675550100', 'Hi', 'reply', false, false, now()
FROM generate_series(1, {ROWS}) n;
INSERT INTO opt_outs SELECT n % 2, '+1215' || n, 'keyword', '', now() FROM generate_series(1, {ROWS // 10}) n;
INSERT INTO actions (campaign_id, action_id, title, scripts) VALUES (1, 5, 'Vote', '{{}}');
INSERT INTO assignments (campaign_id, action_id, contact_id, hours_group, turn)
SELECT 1, 5, n, 'PA', n FROM generate_series(1, {ROWS}) n;
"""

# As the release before says it: $1 is the campaign, $2 a message, $3 its contact.
_ADMIT = """
WITH talk AS (
    INSERT INTO conversations AS v (campaign_id, contact_id, revision) VALUES ($1, $3, 1)
    ON CONFLICT (campaign_id, contact_id) DO UPDATE SET revision = v.revision + 1
), written AS (
    INSERT INTO messages (campaign_id, message_id, contact_id, kind, body, segments, text_hash, state, lane, requested_at)
    VALUES ($1, $2, $3, 'initial', 'Hello', 1, 1, 'queued', 2, now()) ON CONFLICT DO NOTHING
)
INSERT INTO queue (campaign_id, message_id, lane, due_at) VALUES ($1, $2, 2, now())
"""
_CLAIM = """
WITH claimed AS (
    UPDATE messages m SET state = 'sending', attempt = attempt + 1
    FROM contacts c WHERE c.campaign_id = $1 AND c.contact_id = $3 AND m.campaign_id = $1 AND m.message_id = $2
    RETURNING m.message_id
)
DELETE FROM queue q USING claimed WHERE q.campaign_id = $1 AND q.message_id = claimed.message_id
"""
_HEAR = """
INSERT INTO inbound_texts (campaign_id, inbound_id, provider_sid, contact_id, phone, number_phone, body, intent,
                           suggests_opt_out, wrong_number, received_at)
VALUES ($1, $2::bigint, 'SM' || $2::bigint, $3::bigint, '+1215' || $3::bigint, '+12675550100', 'Hi', 'reply', false, false,
        now())
ON CONFLICT (campaign_id, provider_sid) DO NOTHING
"""


_UNKNOWN_TO_THE_PLANNER = """
SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
AND pg_relation_size(c.oid) > 50000 AND NOT EXISTS (SELECT FROM pg_stats WHERE schemaname = 'public' AND tablename = c.relname)
"""
_SOMEBODY_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock')"


@pytest.fixture
def release_before(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The DSN of a database with the tables and rows of the release before."""
    every = list(shipped())
    with cluster.fresh(EMPTY) as dsn:
        asyncio.run(_fill(dsn, monkeypatch, [each for each in every if each.number < FIRST]))
        yield dsn


async def _fill(dsn: str, monkeypatch: pytest.MonkeyPatch, old: list[Migration]) -> None:
    database = Database(dsn, connections=1)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "shipped", lambda: iter(old))
        await migrate(database, NOW)
    await database.script(_FILL)
    await database.close()


class Writers:
    """Workers of the release before: each writes, claims and hears without a pause."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._ids = itertools.count(ROWS + 1)
        self.written: list[int] = []
        self.longest_s = 0.0
        self.turned = asyncio.Event()

    async def work(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, server_settings={"plan_cache_mode": "force_generic_plan"}
        )
        try:
            while True:
                message_id = next(self._ids)
                for sql in (_ADMIT, _CLAIM, _HEAR):
                    await self._timed(connection, sql, message_id)
                self.written.append(message_id)
                self.turned.set()
        finally:
            await connection.close()

    async def _timed(self, connection: Connection, sql: str, message_id: int) -> None:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        await connection.execute(sql, 1, message_id, 1 + message_id % ROWS)
        self.longest_s = max(self.longest_s, loop.time() - began_at)


async def test_a_move_under_load_loses_nothing_and_holds_nobody_up(release_before: str):
    database = Database(release_before, connections=1)
    writers = Writers(release_before)
    async with asyncio.TaskGroup() as group:
        working = [group.create_task(writers.work()) for _ in range(WRITERS)]
        await writers.turned.wait()
        await migrate(database, NOW)
        after = len(writers.written)
        while len(writers.written) < after + 2 * WRITERS:  # they still can
            writers.turned.clear()
            await writers.turned.wait()
        for task in working:
            task.cancel()
    ids = writers.written
    for table, column in (("messages", "message_id"), ("inbound_texts", "inbound_id")):
        found = await database.fetch_value(
            f"SELECT count(*) FROM {table} WHERE organisation_id = 1 AND campaign_id = 1 AND {column} = ANY ($1::bigint[])",
            ids,
        )
        assert found == len(ids) > WRITERS
    sending = await database.fetch_value("SELECT count(*) FROM messages WHERE state = 'sending'")
    assert sending >= len(ids)
    assert await database.fetch_value("SELECT count(*) FROM messages WHERE message_id <= $1", ROWS) == ROWS
    nobodys = await database.fetch_value("SELECT count(*) FROM inbound_texts WHERE organisation_id = 0")
    assert nobodys == ROWS // 2
    before = {"messages": "messages_before", "attempts": "attempts_before", "inbound": "inbound_texts"}
    for table, yesterdays in before.items():  # what has no month lies in yesterday's table
        where = await database.fetch(f"SELECT DISTINCT tableoid::regclass::text FROM {table}")
        assert [row[0] for row in where] == [yesterdays]
    untold = await database.fetch_value(
        "SELECT count(*) FROM inbound FULL JOIN inbound_ids USING (organisation_id, campaign_id, provider_sid)"
        " WHERE inbound.inbound_id IS DISTINCT FROM inbound_ids.inbound_id"
    )
    assert untold == 0
    assert writers.longest_s < LONGEST_WAIT_S
    await _is_whole(database)
    await database.close()


async def test_a_text_that_both_releases_hear_is_heard_once(release_before: str):
    database = Database(release_before, connections=1)
    await migrate(database, NOW)
    assert await database.fetch(_UNKNOWN_TO_THE_PLANNER) == []
    await months.make_ahead(database, NOW)

    async def heard_now(number: int, inbound_id: int) -> int:
        text = Heard(inbound_id, f"SM{number}", "+12151", "+12675550100", "Hi", "reply", False, False, NOW)
        return len(await conversations.hear(database, CampaignKey(1, 1), 1, [text]))

    this_month = first_id(month_of(NOW))
    await database.execute(_HEAR, 1, ROWS + 1, 1)
    assert await heard_now(ROWS + 1, this_month + 1) == 0  # the release before has it
    assert await heard_now(ROWS + 2, this_month + 2) == 1
    await database.execute(_HEAR, 1, ROWS + 2, 1)  # the release before is brought it too
    await database.execute(_HEAR, 1, ROWS + 2, 1)
    found = await database.fetch(
        "SELECT inbound_id FROM inbound WHERE provider_sid = ANY ($1::text[]) ORDER BY inbound_id",
        [f"SM{ROWS + 1}", f"SM{ROWS + 2}"],
    )
    assert [row[0] for row in found] == [ROWS + 1, this_month + 2]
    await database.close()


@pytest.fixture
def guest(cluster: Cluster) -> Iterator[str]:
    with a_guest(cluster) as name:
        yield name


async def test_a_role_may_afterwards_what_it_might_before(release_before: str, guest: str):
    database = Database(release_before, connections=1)
    async with granted(release_before, guest, READ_AND_WRITE) as its_dsn:
        theirs = Database(its_dsn, connections=1)
        await theirs.execute(_ADMIT, 1, ROWS + 1, 1)
        await migrate(database, NOW)
        await theirs.execute(_ADMIT, 1, ROWS + 2, 2)
        await theirs.execute(_HEAR, 1, ROWS + 2, 2)
        assert await theirs.fetch_value("SELECT count(*) FROM messages") == ROWS + 2
        assert await theirs.fetch_value("SELECT count(*) FROM attempts") == ROWS
        assert await theirs.fetch_value("SELECT count(*) FROM inbound_ids") == ROWS + 1
        await theirs.close()
    await database.close()


async def _is_whole(database: Database) -> None:
    assert await database.fetch("SELECT FROM pg_index WHERE NOT indisvalid") == []
    assert await database.fetch("SELECT FROM pg_constraint WHERE NOT convalidated") == []
    assert await database.fetch("SELECT FROM schema_migration_steps") == []
    keys = await database.fetch(
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'p'"
        " AND pg_get_constraintdef(oid) LIKE '%(organisation_id, campaign_id, %'"
    )
    assert {"messages", "queue", "conversations"} <= {row[0] for row in keys}


async def test_a_move_that_is_broken_off_goes_on_where_it_stopped(release_before: str):
    killer, luck, broken = Database(release_before, connections=1), random.Random(1), 0
    while True:
        database = Database(release_before, connections=1)
        moving = asyncio.ensure_future(migrate(database, NOW))
        pid_known = asyncio.ensure_future(_step_taken(killer, luck.randrange(1, 12)))
        await asyncio.wait({moving, pid_known}, return_when=asyncio.FIRST_COMPLETED)
        if not moving.done():
            await killer.fetch(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        try:
            await moving
            break
        except (DatabaseAway, MigrationFailed, asyncpg.PostgresError):
            broken += 1
        finally:
            pid_known.cancel()
            await asyncio.wait({pid_known})
            await database.close()
    assert broken > 3
    await _is_whole(killer)
    assert await migrate(killer, NOW) == []
    await killer.close()


async def _step_taken(database: Database, more: int) -> None:
    """Returns when so many more steps are taken."""
    count = None
    while True:
        taken = await database.fetch_value("SELECT to_regclass('schema_migration_steps')")
        now = (
            0 if taken is None else await database.fetch_value("SELECT count(*) FROM schema_migration_steps")
        )
        count = now if count is None else count
        if now >= count + more:
            return
        await asyncio.sleep(0)


async def test_a_table_that_somebody_holds_is_tried_again(release_before: str):
    """A long transaction holds `messages`: the step's wait ends again and again, and nobody queues behind it."""
    database, holder = Database(release_before, connections=1), Database(release_before, connections=1)
    writers = Writers(release_before)
    writing = asyncio.ensure_future(writers.work())
    async with holder.transaction() as connection:
        await connection.execute("LOCK TABLE messages IN ACCESS SHARE MODE")
        moving = asyncio.ensure_future(migrate(database, NOW))
        for _ in range(100):
            writers.turned.clear()
            await writers.turned.wait()
        while not await connection.fetchval(_SOMEBODY_WAITS):  # noqa: ASYNC110 - PostgreSQL gives no signal
            await asyncio.sleep(0)
        before = len(writers.written)
        while len(writers.written) < before + 20:
            writers.turned.clear()
            await writers.turned.wait()
        assert not moving.done()
    await moving
    writing.cancel()
    assert writers.longest_s < LONGEST_WAIT_S
    await _is_whole(database)
    await database.close()
    await holder.close()
