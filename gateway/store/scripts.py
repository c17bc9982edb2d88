"""Scripts of actions: their texts, their order, what sending one does, and how often each was used."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.core.bank.results import REFUSED_AT_ONCE
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements
from gateway.store.rows import as_rows


class ScriptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A script; `fields` is JSON text. `revision` counts how often it was saved, and is told with a rendered text."""

    script_id: int
    action_id: int
    kind: str
    name: str
    source: str
    place: int
    tag_ids: list[int] = []
    fields: str = "{}"
    media: list[str] = []
    revision: int = 1
    archived_at: float | None = None


_COLUMNS: Final = """
script_id, action_id, kind, name, source, place, tag_ids, fields::text, media, revision,
extract(epoch FROM archived_at)::float8
"""


def _row(row: Sequence[Any]) -> ScriptRow:
    return ScriptRow(**dict(zip(ScriptRow.__struct_fields__, row, strict=True)))


_OF_ACTION = f"""
SELECT {_COLUMNS} FROM scripts
WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND ($4 OR archived_at IS NULL)
ORDER BY kind, place, script_id
"""  # noqa: S608 - our own names


async def of_action(
    statements: Statements, key: CampaignKey, action_id: int, *, archived: bool = False
) -> list[ScriptRow]:
    """Its scripts, initials before responses, in their order; those that are archived only when asked for."""
    return [_row(row) for row in await statements.fetch(_OF_ACTION, *key, action_id, archived)]


_ADD = """
INSERT INTO scripts (organisation_id, campaign_id, script_id, action_id, kind, name, source, place, tag_ids, fields, media)
SELECT $1, $2, script_id, action_id, kind, name, source, place, tag_ids, fields::jsonb, media
FROM json_to_recordset($3::json) AS s (script_id bigint, action_id bigint, kind text, name text, source text,
                                       place integer, tag_ids bigint[], fields text, media text[])
ORDER BY script_id
"""


async def add(transaction: Statements, key: CampaignKey, rows: Sequence[ScriptRow]) -> None:
    await transaction.fetch(_ADD, *key, as_rows(rows))


async def save(transaction: Statements, key: CampaignKey, row: ScriptRow) -> None:
    """Everything but what it is a script of; its revision is one more than before."""
    await transaction.fetch(
        """
        UPDATE scripts SET kind = $4, name = $5, source = $6, tag_ids = $7, fields = $8::text::jsonb, media = $9,
               archived_at = to_timestamp($10), revision = revision + 1
        WHERE organisation_id = $1 AND campaign_id = $2 AND script_id = $3
        """,
        *key,
        row.script_id,
        row.kind,
        row.name,
        row.source,
        row.tag_ids,
        row.fields,
        row.media,
        row.archived_at,
    )


async def remove(transaction: Statements, key: CampaignKey, script_id: int) -> None:
    """For good: of a draft, which nobody has sent from."""
    await transaction.fetch(
        "DELETE FROM scripts WHERE organisation_id = $1 AND campaign_id = $2 AND script_id = $3",
        *key,
        script_id,
    )


async def put_in_order(
    transaction: Statements, key: CampaignKey, action_id: int, script_ids: Sequence[int]
) -> None:
    """Their places are those of this list, from 1."""
    await transaction.fetch(
        """
        UPDATE scripts s SET place = wanted.place
        FROM unnest($4::bigint[]) WITH ORDINALITY AS wanted (script_id, place)
        WHERE s.organisation_id = $1 AND s.campaign_id = $2 AND s.action_id = $3 AND s.script_id = wanted.script_id
        """,
        *key,
        action_id,
        script_ids,
    )


async def uses(database: Database, key: CampaignKey, action_id: int) -> dict[str, int]:
    """How often each of the action's scripts was sent, by name (F118); what was blocked was not, nor what the provider
    refused at once."""
    rows = await database.fetch(
        """
        SELECT script, count(*) FROM messages
        WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND script IS NOT NULL
          AND state <> 'blocked' AND (state = 'failed' AND code >= $4 AND code < $5) IS NOT TRUE
        GROUP BY script ORDER BY script
        """,
        *key,
        action_id,
        REFUSED_AT_ONCE.start,
        REFUSED_AT_ONCE.stop,
    )
    return {row[0]: row[1] for row in rows}
