"""Contacts: the people on a campaign's lists, one row a phone."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from asyncpg.exceptions import UniqueViolationError

from gateway.core.bank.contacts import merged
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Connection, Database, Statements
from gateway.store.rows import as_rows

_COLUMNS = (
    "organisation_id",
    "campaign_id",
    "contact_id",
    "phone",
    "hours_group",
    "first_name",
    "last_name",
    "email",
    "zip",
    "state",
    "line_type",
    "carrier",
    "fields",
    "assignee_id",
)
_FACTS: Final = ", ".join(_COLUMNS[2:])
_AS_RECORDS: Final = """(contact_id bigint, phone text, hours_group text, first_name text, last_name text, email text,
    zip text, state text, line_type text, carrier text, fields text, assignee_id bigint)"""


class ContactRow(msgspec.Struct, frozen=True, gc=False):
    """A contact to be stored; `fields` is a JSON object of custom fields, or None. `assignee_id`: who should text them."""

    contact_id: int
    phone: str
    hours_group: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    zip: str = ""
    state: str = ""
    line_type: str | None = None
    carrier: str | None = None
    fields: str | None = None
    assignee_id: int | None = None


class TakenIn(msgspec.Struct, frozen=True):
    """What became of a batch: `new` contacts, `merged` into rows that were there, `same` as these already.

    `erased` are the phones of people who were erased: they are not stored again. `joined` are new on the list.
    `moved_to`: groups of hours into which contacts have moved.
    """

    new: int = 0
    merged: int = 0
    same: int = 0
    joined: int = 0
    erased: tuple[str, ...] = ()
    moved_to: frozenset[str] = frozenset()


async def add(database: Database, key: CampaignKey, contacts: Sequence[ContactRow]) -> int:
    """Stores contacts of one batch; returns how many are new."""
    async with database.transaction() as transaction:
        taken = await take_in(transaction, key, contacts)
    return taken.new


# Batches of a campaign take turns: two that bring the same people would else wait for each other.
_TURN = "SELECT pg_advisory_xact_lock(hashint8extended($2, $1))"


async def take_in(
    transaction: Connection, key: CampaignKey, rows: Sequence[ContactRow], list_id: int | None = None
) -> TakenIn:
    """Stores who is new, merges the others into the rows of their phones, and puts all on the list, if any.

    COPY straight into the table; only where a phone of the batch is there already, statement by statement.
    """
    await transaction.fetch(_TURN, *key)
    try:
        async with transaction.transaction():
            await _copy(transaction, key, rows, list_id)
    except UniqueViolationError:
        return await _merge(transaction, key, rows, list_id)
    return TakenIn(new=len(rows), joined=0 if list_id is None else len(rows))


async def _copy(
    transaction: Connection, key: CampaignKey, rows: Sequence[ContactRow], list_id: int | None
) -> None:
    records = [(*key, *msgspec.structs.astuple(row)) for row in rows]
    await transaction.copy_records_to_table("contacts", columns=_COLUMNS, records=records)
    if list_id is not None:
        members = [(*key, list_id, row.contact_id) for row in rows]
        await transaction.copy_records_to_table("list_members", records=members)


# ---------------------------------------------------------------- who is there already

# Locked in the order of ids, as whoever else changes several contacts does.
_KNOWN = f"""
SELECT {_FACTS}, c.deleted_at IS NOT NULL
FROM (SELECT k.contact_id AS id FROM unnest($3::text[]) AS wanted (phone)
      CROSS JOIN LATERAL (SELECT k.contact_id FROM contacts k WHERE k.organisation_id = $1 AND k.campaign_id = $2
                          AND k.phone = wanted.phone LIMIT 1) k
      ORDER BY k.contact_id) known
CROSS JOIN LATERAL (SELECT * FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2
                    AND c.contact_id = known.id LIMIT 1 {{lock}}) c
"""  # noqa: S608 - our own column names
_KNOWN_LOCKED: Final = _KNOWN.format(lock="FOR NO KEY UPDATE")
_KNOWN_NOW: Final = _KNOWN.format(lock="")
_ADD = f"""
INSERT INTO contacts (organisation_id, campaign_id, {_FACTS})
SELECT $1, $2, {_FACTS.replace("fields", "fields::jsonb")} FROM json_to_recordset($3::json) AS a {_AS_RECORDS}
ORDER BY contact_id ON CONFLICT DO NOTHING RETURNING phone
"""  # noqa: S608 - our own column names
# Whose hours or line are other ones by now is decided on anew, whatever was known of them when they came onto a screen:
# their conversation has another revision, as where contacts change hands. A group that the campaign did not have yet is
# one in which its workers don't look for anybody, until they read its actions again.
_CHANGE = f"""
WITH after AS (
    SELECT * FROM json_to_recordset($3::json) AS a {_AS_RECORDS}
), changed AS (
    UPDATE contacts c SET first_name = a.first_name, last_name = a.last_name, email = a.email, zip = a.zip,
           state = a.state, line_type = a.line_type, carrier = a.carrier, fields = a.fields::jsonb,
           assignee_id = a.assignee_id, hours_group = a.hours_group, version = c.version + 1
    FROM after a WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = a.contact_id
    RETURNING c.contact_id, NEW.hours_group, OLD.hours_group <> NEW.hours_group AS has_moved,
              OLD.line_type IS DISTINCT FROM NEW.line_type AS is_other_line
), talk AS (
    INSERT INTO conversations AS v (organisation_id, campaign_id, contact_id)
    SELECT $1, $2, h.contact_id FROM changed h WHERE (h.has_moved OR h.is_other_line)
      AND (EXISTS (SELECT FROM conversations t WHERE t.organisation_id = $1 AND t.campaign_id = $2
                   AND t.contact_id = h.contact_id)
           OR EXISTS (SELECT FROM actions x JOIN assignments s ON s.organisation_id = $1 AND s.campaign_id = $2
                      AND s.action_id = x.action_id AND s.contact_id = h.contact_id
                      WHERE x.organisation_id = $1 AND x.campaign_id = $2 AND s.volunteer_id IS NOT NULL))
    ORDER BY h.contact_id
    ON CONFLICT (organisation_id, campaign_id, contact_id) DO UPDATE SET revision = v.revision + 1
), told AS (
    UPDATE campaigns SET actions_version = actions_version + 1
    WHERE organisation_id = $1 AND campaign_id = $2 AND EXISTS (SELECT FROM changed WHERE has_moved)
), waits AS (
UPDATE assignments s SET hours_group = a.hours_group
FROM actions x CROSS JOIN after a
WHERE x.organisation_id = $1 AND x.campaign_id = $2 AND s.organisation_id = $1 AND s.campaign_id = $2
  AND s.action_id = x.action_id AND s.contact_id = a.contact_id AND NOT s.texted
  AND s.hours_group <> a.hours_group
)
SELECT DISTINCT hours_group FROM changed WHERE has_moved
"""  # noqa: S608 - our own column names
_JOIN = """
WITH joined AS (
    INSERT INTO list_members (organisation_id, campaign_id, list_id, contact_id)
    SELECT $1, $2, $3, contact_id FROM unnest($4::bigint[]) AS u (contact_id) ORDER BY contact_id
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM joined
"""


async def _merge(
    transaction: Connection, key: CampaignKey, rows: Sequence[ContactRow], list_id: int | None
) -> TakenIn:
    """Where at least one phone is there. Who comes in meanwhile by another way is found at the next round."""
    changed: dict[int, ContactRow] = {}
    same: set[int] = set()
    fresh, erased = [], []
    rest = list(rows)
    while rest:
        known = await _known(transaction, _KNOWN_LOCKED, key, rest)
        ids: set[str] = await _add(transaction, key, [row for row in rest if row.phone not in known])
        left = []
        for row in rest:
            found = known.get(row.phone)
            if found is None and row.phone in ids:
                ids.discard(row.phone)
                fresh.append(row.contact_id)
            elif found is None:
                left.append(row)
            elif found.is_erased:
                erased.append(row.phone)
            else:
                stands = changed.get(found.row.contact_id, found.row)
                after = merged(stands, row)
                if after is stands:
                    same.add(after.contact_id)
                else:
                    changed[after.contact_id] = after
        rest = left
    moved_to = await change(transaction, key, list(changed.values()))
    same -= changed.keys()
    joined = 0
    if list_id is not None:
        joined = await join(transaction, key, list_id, [*fresh, *changed, *same])
    return TakenIn(len(fresh), len(changed), len(same), joined, tuple(erased), moved_to)


class _Known(msgspec.Struct, frozen=True, gc=False):
    row: ContactRow
    is_erased: bool


async def _known(
    statements: Statements, sql: str, key: CampaignKey, rows: Sequence[ContactRow]
) -> dict[str, _Known]:
    found: list[Any] = await statements.fetch(sql, *key, [row.phone for row in rows])
    return {row[1]: _Known(ContactRow(*row[:-1]), row[-1]) for row in found}


async def _add(transaction: Connection, key: CampaignKey, rows: Sequence[ContactRow]) -> set[str]:
    """Returns the phones that are new."""
    if not rows:
        return set()
    return {row[0] for row in await transaction.fetch(_ADD, *key, as_rows(rows))}


async def change(transaction: Connection, key: CampaignKey, rows: Sequence[ContactRow]) -> frozenset[str]:
    """Writes these rows over those of their ids, which the caller has locked; who waits in an action moves to the
    hours of the new row. Returns the groups of hours into which somebody has moved: what is queued for them is to be
    shortened."""
    if not rows:
        return frozenset()
    return frozenset(row[0] for row in await transaction.fetch(_CHANGE, *key, as_rows(rows)))


async def join(transaction: Statements, key: CampaignKey, list_id: int, contact_ids: Sequence[int]) -> int:
    """Puts contacts on a list; returns how many were not on it."""
    [row] = await transaction.fetch(_JOIN, *key, list_id, contact_ids)
    joined: int = row[0]
    return joined


_ON_LIST = """
SELECT count(*) FROM unnest($4::bigint[]) AS u (contact_id) WHERE EXISTS (
    SELECT FROM list_members m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.list_id = $3
    AND m.contact_id = u.contact_id)
"""


async def foresee(
    statements: Statements, key: CampaignKey, rows: Sequence[ContactRow], list_id: int | None
) -> TakenIn:
    """What `take_in` would do, without doing it."""
    known = await _known(statements, _KNOWN_NOW, key, rows)
    erased = tuple(row.phone for row in rows if row.phone in known and known[row.phone].is_erased)
    there = [(known[row.phone].row, row) for row in rows if row.phone in known and row.phone not in erased]
    merging = sum(merged(stands, row) is not stands for stands, row in there)
    on_list = 0
    if list_id is not None:
        ids = [stands.contact_id for stands, _ in there]
        on_list = (await statements.fetch(_ON_LIST, *key, list_id, ids))[0][0]
    return TakenIn(
        new=len(rows) - len(known),
        merged=merging,
        same=len(there) - merging,
        joined=len(rows) - len(erased) - on_list,
        erased=erased,
    )


async def count(database: Database, key: CampaignKey) -> int:
    total: int = await database.fetch_value(
        "SELECT count(*) FROM contacts WHERE organisation_id = $1 AND campaign_id = $2", *key
    )
    return total


async def hours_groups(database: Database, key: CampaignKey) -> list[str]:
    """The groups of recipients who share a lawful window."""
    rows = await database.fetch(
        """
        SELECT DISTINCT hours_group FROM contacts WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY 1
        """,
        *key,
    )
    return [row[0] for row in rows]
