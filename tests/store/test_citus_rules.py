"""An organisation is the key: the tables can be distributed by it (Citus), and each statement goes to one shard.

The schema is read from the database, the statements from gateway/store, parsed by PostgreSQL's own parser.
"""

import re
from collections.abc import Iterator

import pytest
from pglast import parse_plpgsql

from gateway.store import contacts
from gateway.store.database import Database
from tests.store.held import KEY, loose
from tests.store.statements import SQL, Statement, statements

EVERYWHERE = {  # small, seldom written: a copy on each node (a Citus reference table), or on the coordinator alone
    "api_keys": "who may use the door, whichever organisation they ask about",
    "campaigns": "every worker reads them all; their ids are unique over all organisations",
    "chores": "work of the whole deployment",
    "join_codes": "who types six digits doesn't know whose they are: unique over all organisations",
    "look_ups": "a line belongs to the phone, whoever's list it is on",
    "organisations": "the organisations themselves",
    "schema_migration_steps": "the migrations' own",
    "schema_migrations": "the migrations' own",
    "workers": "the processes of the whole deployment",
}
NOT_WITHIN = {  # indexes that are unique over all organisations, or need not begin with one
    "conversations_release_before": "what workers of the release before name in ON CONFLICT",
    "inbound_texts_release_before": "what workers of the release before name in ON CONFLICT",
}
OF_THE_RELEASE_BEFORE = {"claim_contacts", "claim_bucket"}  # functions that only its workers call
ACROSS = {  # statements about distributed tables that name no organisation
    "announcements._TAKE": "every ten seconds: the mails that are due, whichever campaign's, each row by its whole key",
    "numbers.campaigns_of": "whose number is it? asked once about each number, then remembered",
    "campaign_actions._DUE": "every few seconds, by one of all workers: whose scheduled actions are due; actions are few",
    "backlog._IN_FLIGHT": "for the metrics, seldom: all campaigns of a worker in one read, joined to their keys",
    "backlog._WITH_PEOPLE": "for the metrics, seldom: which campaigns of a worker have anybody to count",
    "backlog._WITH_QUEUE": "for the metrics, seldom: which campaigns of a worker have a queue at all",
    "receipts._ASK_TIMES": "twice a minute: all campaigns of a worker in one read, joined to their keys",
    "receipts._TO_ASK": "the same, when there is anything",
    "receipts._ASK_LATER": "twice a minute, and only what nobody told of: each row by its whole key",
    "conversations._LEFT_EVERYBODY": "a STOP to a number in nobody's books: seldom, and whoever has the person is meant",
    "numbers.of_everybody": "which numbers may somebody have texted? asked on a busy night by who looks for lost texts",
    "ownership._TAKE": "once for each campaign that changes its owner: whose queue is the most urgent",
    "ownership.with_due": "every ten seconds: which of a worker's campaigns have something due, joined to their keys",
    "endpoints._ACTIVE": "every few seconds: the endpoints of a worker's campaigns in one read, by their keys",
    "sessions._FIND": "whose sessions are these? a worker's look-ups of a moment in one read, each by its whole key",
    "sessions._SEEN": "once a minute and session: those of a moment's look-ups, each by its whole key",
    "counts._VERSIONS": "twice a minute: of which version a worker's counts are, joined to their keys",
    "counts._UNCOUNTED": "once a minute: which of a worker's campaigns have something to count, joined to their keys",
    "restored._OF_ANOTHER_SERVER": "once a start: campaigns whose journal was written by another server, joined to their keys",
    "numbers.has_any": "has the deployment any number? asked by who looks for lost texts, seldom",
}

EVERY = list(statements())


# ---------------------------------------------------------------- the schema


async def _tables(database: Database) -> dict[str, bool]:
    rows = await database.fetch(
        """
        SELECT c.relname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $1)
        FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
        """,
        KEY,
    )
    return {row[0]: row[1] for row in rows}


async def test_every_table_has_an_organisation_or_a_reason(database: Database):
    tables = await _tables(database)
    assert [name for name, has_key in tables.items() if not has_key and name not in EVERYWHERE] == []
    assert set(EVERYWHERE) <= set(tables), "a reason without a table"


async def test_primary_keys_begin_with_it_and_unique_rules_contain_it(database: Database):
    rows = await database.fetch(
        """
        SELECT t.relname, i.relname, x.indisprimary, array_agg(a.attname ORDER BY k.place)
        FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
        CROSS JOIN LATERAL unnest(x.indkey::int[]) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
        WHERE t.relnamespace = 'public'::regnamespace AND (x.indisunique OR x.indisprimary)
        GROUP BY 1, 2, 3 ORDER BY 1, 2
        """
    )
    found = [row for row in rows if row[0] not in EVERYWHERE and row[1] not in NOT_WITHIN]
    assert len(found) > 10
    assert [row[1] for row in found if row[3][0] != KEY] == []


async def test_every_other_index_begins_with_it(database: Database):
    rows = await database.fetch(
        """
        SELECT t.relname, i.relname, a.attname FROM pg_index x
        JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
        WHERE t.relnamespace = 'public'::regnamespace AND NOT x.indisunique ORDER BY 1, 2
        """
    )
    wrong = [
        row[1] for row in rows if row[0] not in EVERYWHERE and row[1] not in NOT_WITHIN and row[2] != KEY
    ]
    assert wrong == []


async def test_foreign_keys_stay_within_it(database: Database):
    rows = await database.fetch(
        """
        SELECT c.conname, c.conrelid::regclass::text, array_agg(a.attname)
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
        WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace GROUP BY 1, 2
        """
    )
    assert rows
    assert [row[0] for row in rows if row[1] not in EVERYWHERE and KEY not in row[2]] == []


# ---------------------------------------------------------------- the statements


async def test_every_statement_is_held_to_one_organisation(database: Database):
    distributed = {name for name, has_key in (await _tables(database)).items() if has_key} - set(EVERYWHERE)
    wrong = {}
    for each in EVERY:
        if (tables := loose(each.sql, distributed)) and each.where not in ACROSS:
            wrong[each.where] = tables
    assert wrong == {}, "name organisation_id = $1 for each of these tables, or give the reason in ACROSS"
    assert len(EVERY) > 40


async def test_every_function_is_held_to_its_first_argument(database: Database):
    """Within a function too; what calls it gives it $1."""
    distributed = {name for name, has_key in (await _tables(database)).items() if has_key} - set(EVERYWHERE)
    functions = await database.fetch(
        """
        SELECT proname, proargnames[1], pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype ORDER BY proname
        """
    )  # a trigger's organisation is its row's
    assert functions
    for name, first, definition in functions:
        queries = [re.sub(rf"\b{first}\b", "$1", sql) for sql in _queries(parse_plpgsql(definition))]
        assert queries
        assert {sql: loose(sql, distributed) for sql in queries} == {sql: [] for sql in queries}
        calls = [each.sql for each in EVERY if f"{name}(" in each.sql]
        assert calls or name in OF_THE_RELEASE_BEFORE
        assert [sql for sql in calls if f"{name}($1, $2," not in sql] == []


def _queries(parsed: object) -> Iterator[str]:
    """The statements within a function, wherever they stand."""
    if isinstance(parsed, dict):
        if isinstance(found := parsed.get("query"), str) and SQL.match(found):
            yield found
        parsed = list(parsed.values())
    for each in parsed if isinstance(parsed, list) else ():
        yield from _queries(each)


def test_reasons_are_for_statements_that_are_there():
    assert set(ACROSS) <= {each.where for each in EVERY}


def test_what_is_copied_names_its_organisation():
    assert contacts._COLUMNS[0] == KEY


_JOINED = "SELECT 1 FROM messages m JOIN queue q ON q.organisation_id = m.organisation_id"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 FROM messages WHERE organisation_id = $1", []),
        ("SELECT 1 FROM messages m WHERE m.organisation_id = $1 AND m.message_id = $3", []),
        ("SELECT 1 FROM messages m WHERE m.organisation_id = $2", ["messages"]),
        ("SELECT 1 FROM messages m WHERE m.organisation_id = $1 OR m.message_id = $3", ["messages"]),
        ("SELECT 1 FROM messages m JOIN queue q USING (organisation_id) WHERE q.organisation_id = $1", []),
        ("SELECT 1 FROM messages m JOIN queue q USING (message_id) WHERE q.organisation_id = $1", ["messages"]),
        (f"{_JOINED} WHERE m.organisation_id = $1", []),
        (_JOINED, ["messages", "queue"]),
        ("UPDATE messages SET code = 1 WHERE campaign_id = $1", ["messages"]),
        ("DELETE FROM queue q USING messages m WHERE q.organisation_id = $1", ["messages"]),
        ("INSERT INTO queue (organisation_id, message_id) VALUES ($1, $2)", []),
        ("INSERT INTO queue (organisation_id, message_id) VALUES ($2, $1)", ["queue"]),
        ("INSERT INTO queue (message_id) SELECT $1", ["queue"]),
        ("INSERT INTO queue (organisation_id) VALUES ($1) ON CONFLICT (message_id) DO NOTHING", ["queue ON CONFLICT"]),
        (
            "INSERT INTO queue (organisation_id) SELECT organisation_id FROM messages WHERE organisation_id = $1",
            [],
        ),
        ("INSERT INTO queue (organisation_id) SELECT organisation_id FROM messages", ["messages", "queue"]),
        ("WITH queue AS (SELECT $1) SELECT 1 FROM queue", []),
        ("SELECT 1 WHERE NOT EXISTS (SELECT FROM messages m WHERE m.message_id = $1)", ["messages"]),
    ],
)  # fmt: skip
def test_the_rule_sees_what_is_wrong(sql: str, expected: list[str]):
    assert loose(sql, {"messages", "queue"}) == expected


def test_statements_are_found_wherever_they_stand():
    assert {"claims._CLAIM", "campaigns.pause", "buckets._RELEASE", "api_keys.find"} <= {
        each.where for each in EVERY
    }
    assert Statement("ids.take", "SELECT nextval('id_blocks')") in EVERY
