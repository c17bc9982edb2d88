"""Contact lists, the imports that made them, and the rows that an import could not use."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Connection, Database, Statements


class ContactList(msgspec.Struct, frozen=True):
    """A list: `rows` are its members; `made_at` in Unix seconds."""

    list_id: int
    name: str
    made_at: float
    rows: int


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """An import as it stands; times in Unix seconds. `report` and `headers` are JSON.

    `lines_done`: the file's lines up to here are stored. `attempt` counts those who took it up.
    """

    import_id: int
    list_id: int | None
    owner: str
    request_hash: int
    began_at: float
    done_at: float | None
    attempt: int
    lines_done: int
    headers: str
    report: str


class RejectedLine(msgspec.Struct, frozen=True, gc=False):
    """A row that was not used: its line in the file, the column at fault, why, and its cells as JSON."""

    line: int
    header: str
    reason: str
    words: str
    phone: str | None
    cells: str


# ---------------------------------------------------------------- lists

_LIST = "list_id, name, extract(epoch FROM made_at)::float8, rows"
_NEW_LIST = """
INSERT INTO contact_lists (organisation_id, campaign_id, list_id, name, made_at)
VALUES ($1, $2, $3, $4, to_timestamp($5)) ON CONFLICT (organisation_id, campaign_id, name) DO NOTHING
RETURNING list_id
"""
_BY_NAME = f"""
SELECT {_LIST} FROM contact_lists WHERE organisation_id = $1 AND campaign_id = $2 AND name = $3
"""  # noqa: S608 - fixed texts
_BY_ID = f"""
SELECT {_LIST} FROM contact_lists WHERE organisation_id = $1 AND campaign_id = $2 AND list_id = $3
"""  # noqa: S608 - fixed texts
_LISTS = f"""
SELECT {_LIST} FROM contact_lists
WHERE organisation_id = $1 AND campaign_id = $2 AND (made_at, list_id) < (to_timestamp($3), $4)
ORDER BY made_at DESC, list_id DESC LIMIT $5
"""  # noqa: S608 - fixed texts
_GROWN = """
UPDATE contact_lists SET rows = rows + $4 WHERE organisation_id = $1 AND campaign_id = $2 AND list_id = $3
"""


async def by_name(statements: Statements, key: CampaignKey, name: str) -> ContactList | None:
    """The list of this name; None: there is none."""
    rows = await statements.fetch(_BY_NAME, *key, name)
    return ContactList(*rows[0]) if rows else None


async def by_id(statements: Statements, key: CampaignKey, list_id: int) -> ContactList | None:
    """The list; None: there is none."""
    rows = await statements.fetch(_BY_ID, *key, list_id)
    return ContactList(*rows[0]) if rows else None


async def make(transaction: Statements, key: CampaignKey, list_id: int, name: str, now: float) -> bool:
    """A new list without anybody on it; False: there is one of this name."""
    return bool(await transaction.fetch(_NEW_LIST, *key, list_id, name, now))


async def page(
    database: Database, key: CampaignKey, before: tuple[float, int], limit: int
) -> list[ContactList]:
    """At most `limit` lists, the newest first, those made before an instant and id."""
    return [ContactList(*row) for row in await database.fetch(_LISTS, *key, *before, limit)]


async def grow(transaction: Statements, key: CampaignKey, list_id: int, joined: int) -> None:
    """The list has so many members more."""
    await transaction.fetch(_GROWN, *key, list_id, joined)


# ---------------------------------------------------------------- imports

_IMPORT = """import_id, list_id, owner, request_hash, extract(epoch FROM began_at)::float8,
extract(epoch FROM done_at)::float8, attempt, lines_done, headers::text, report::text"""
_BEGIN = f"""
INSERT INTO contact_imports AS i
    (organisation_id, campaign_id, import_id, list_id, owner, key, request_hash, began_at, headers, report)
VALUES ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8), $9::text::jsonb, '{{}}')
ON CONFLICT (organisation_id, campaign_id, owner, key) DO UPDATE
    SET attempt = i.attempt + CASE WHEN i.done_at IS NULL AND i.request_hash = $7 THEN 1 ELSE 0 END
RETURNING {_IMPORT}
"""  # noqa: S608 - fixed texts
_GO_ON = """
UPDATE contact_imports SET lines_done = $5, report = $6::text::jsonb, done_at = to_timestamp($7)
WHERE organisation_id = $1 AND campaign_id = $2 AND import_id = $3 AND attempt = $4 AND done_at IS NULL
RETURNING import_id
"""
_ONE_IMPORT = f"""
SELECT {_IMPORT} FROM contact_imports WHERE organisation_id = $1 AND campaign_id = $2 AND import_id = $3
"""  # noqa: S608 - fixed texts
_IMPORTS_OF_LIST = f"""
SELECT {_IMPORT} FROM contact_imports
WHERE organisation_id = $1 AND campaign_id = $2 AND list_id = $3
ORDER BY began_at DESC, import_id DESC LIMIT $4
"""  # noqa: S608 - fixed texts


def _import(row: Sequence[Any]) -> Import:
    return Import(**dict(zip(Import.__struct_fields__, row, strict=True)))


async def begin_import(
    transaction: Statements,
    key: CampaignKey,
    *,
    import_id: int,
    list_id: int | None,
    owner: str,
    word: str | None,
    request_hash: int,
    headers: str,
    now: float,
) -> Import:
    """A new import, or that of this owner and word taken up once more: whoever had it before writes no more.

    The caller compares `request_hash`; of another request nothing is changed.
    """
    rows = await transaction.fetch(_BEGIN, *key, import_id, list_id, owner, word, request_hash, now, headers)
    return _import(rows[0])


async def go_on(
    transaction: Statements,
    key: CampaignKey,
    found: Import,
    lines_done: int,
    report: str,
    done_at: float | None = None,
) -> bool:
    """Writes how far it has come; False: somebody else has taken it up meanwhile, or it is done."""
    return bool(
        await transaction.fetch(_GO_ON, *key, found.import_id, found.attempt, lines_done, report, done_at)
    )


async def import_by_id(database: Database, key: CampaignKey, import_id: int) -> Import | None:
    """The import; None: there is none."""
    rows = await database.fetch(_ONE_IMPORT, *key, import_id)
    return _import(rows[0]) if rows else None


async def imports_of(database: Database, key: CampaignKey, list_id: int, limit: int) -> list[Import]:
    """The last `limit` imports of a list, the newest first."""
    return [_import(row) for row in await database.fetch(_IMPORTS_OF_LIST, *key, list_id, limit)]


# ---------------------------------------------------------------- rejects

_REJECT_COLUMNS: Final = (
    "organisation_id",
    "campaign_id",
    "import_id",
    "line",
    "header",
    "reason",
    "words",
    "phone",
    "cells",
)
_REJECTS = """
SELECT line, header, reason, words, phone, cells::text FROM import_rejects
WHERE organisation_id = $1 AND campaign_id = $2 AND import_id = $3 AND line > $4 ORDER BY line LIMIT $5
"""
_ROWS_A_PIECE: Final = 1_000


async def keep_rejects(
    transaction: Connection, key: CampaignKey, import_id: int, rejects: Sequence[RejectedLine]
) -> None:
    """Keeps the rows, each line once."""
    records = [(*key, import_id, *msgspec.structs.astuple(each)) for each in rejects]
    if records:
        await transaction.copy_records_to_table("import_rejects", columns=_REJECT_COLUMNS, records=records)


async def rejects(
    database: Database, key: CampaignKey, import_id: int, after_line: int, limit: int
) -> list[RejectedLine]:
    """The next `limit` rejects, those after a line, without regard to how many there are."""
    rows = await database.fetch(_REJECTS, *key, import_id, after_line, limit)
    return [RejectedLine(*row) for row in rows]


async def every_reject(
    database: Database, key: CampaignKey, import_id: int
) -> AsyncIterator[list[RejectedLine]]:
    """All of them, a piece at a time: no connection is held while the reader takes its time."""
    after = 0
    while piece := await rejects(database, key, import_id, after, _ROWS_A_PIECE):
        yield piece
        after = piece[-1].line


_FORGET_REJECTS = """
WITH gone AS (
    DELETE FROM import_rejects r
    WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND (r.import_id, r.line) IN (
        SELECT old.import_id, old.line FROM contact_imports i
        CROSS JOIN LATERAL (SELECT o.import_id, o.line FROM import_rejects o
            WHERE o.organisation_id = $1 AND o.campaign_id = $2 AND o.import_id = i.import_id
            ORDER BY o.line LIMIT $4) old
        WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.began_at < to_timestamp($3)
        ORDER BY old.import_id, old.line LIMIT $4)
    RETURNING 1
)
SELECT count(*) FROM gone
"""


async def forget_rejects(database: Database, key: CampaignKey, before: float, limit: int) -> int:
    """Removes at most `limit` rejects of imports that began before an instant (Unix seconds); returns how many: fewer
    than `limit`, and it is done."""
    gone: int = await database.fetch_value(_FORGET_REJECTS, *key, before, limit)
    return gone
