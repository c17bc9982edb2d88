"""Reports as they were filed: appended, never changed."""

import msgspec

from gateway.core.bank.actions import ReportSettings
from gateway.core.bank.events import EventKind
from gateway.core.bank.labels import Marks
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements
from gateway.store.journal import noted


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A report. `user_id`: who filed it, None an API key; `at` in Unix seconds; `marks`: what it said; `message_id`: the
    answer that brought it along."""

    report_id: int
    contact_id: int
    action_id: int | None
    user_id: int | None
    at: float
    marks: Marks
    message_id: int | None = None


# A report that is filed is noted in the journal by the same statement.
_FILE = f"""
WITH filed AS (
INSERT INTO reports (organisation_id, campaign_id, report_id, contact_id, action_id, user_id, at, tags, removed_tags, fields,
                     message_id)
VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7), $8, $9, $10::text::jsonb, $11)
ON CONFLICT (organisation_id, campaign_id, message_id) WHERE message_id IS NOT NULL DO NOTHING
RETURNING report_id, contact_id, action_id, user_id, at
), {
    noted(
        EventKind.REPORTED,
        "filed",
        at="max(at)",
        columns={
            "ids": "report_id",
            "contact_ids": "contact_id",
            "action_ids": "action_id",
            "user_ids": "user_id",
        },
    )
}
SELECT report_id FROM filed
"""  # noqa: S608 - fixed texts


async def file(transaction: Statements, key: CampaignKey, row: ReportRow) -> bool:
    """In the transaction of what it says; False: the answer has brought it along already."""
    filed = await transaction.fetch(
        _FILE,
        *key,
        row.report_id,
        row.contact_id,
        row.action_id,
        row.user_id,
        row.at,
        row.marks.tags,
        row.marks.removed_tags,
        msgspec.json.encode(row.marks.fields).decode(),
        row.message_id,
    )
    return bool(filed)


_HISTORY = """
SELECT report_id, action_id, user_id, extract(epoch FROM at)::float8, tags, removed_tags, fields::text FROM reports
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3
  AND (at, report_id) < (to_timestamp($4), $5)
ORDER BY at DESC, report_id DESC LIMIT $6
"""


async def history(
    database: Database, key: CampaignKey, contact_id: int, before: tuple[float, int], limit: int
) -> list[ReportRow]:
    """At most `limit` of a contact's reports, the newest first, of those before an instant and id."""
    return [
        ReportRow(
            report_id=row[0],
            contact_id=contact_id,
            action_id=row[1],
            user_id=row[2],
            at=row[3],
            marks=Marks(
                tags=tuple(row[4]),
                removed_tags=tuple(row[5]),
                fields=msgspec.json.decode(row[6], type=dict[str, str | None]),
            ),
        )
        for row in await database.fetch(_HISTORY, *key, contact_id, *before, limit)
    ]


_CHOSEN = """
SELECT (settings -> 'report')::text FROM actions WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3
"""


async def chosen(statements: Statements, key: CampaignKey, action_id: int | None) -> ReportSettings:
    """Which tags and fields an action chose for its reports; of no action, none."""
    rows = [] if action_id is None else await statements.fetch(_CHOSEN, *key, action_id)
    if not rows or rows[0][0] is None:
        return ReportSettings()
    return msgspec.json.decode(rows[0][0], type=ReportSettings)


_ARCHIVES = """
SELECT archive_on_report FROM memberships WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = $3
"""


async def archives(statements: Statements, key: CampaignKey, user_id: int | None) -> bool:
    """Whether this person's reports archive the conversation as well, unless they say otherwise (F206)."""
    rows = [] if user_id is None else await statements.fetch(_ARCHIVES, *key, user_id)
    return bool(rows) and bool(rows[0][0])
