"""What is done to a conversation: read, archived, handed over. Each only as long as it is as its reader saw it."""

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements
from gateway.store.journal import filed, handed_over

_MARK_READ = f"""
WITH filed AS (
    UPDATE conversations SET unread = 0
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND revision = $4 AND unread > 0
    RETURNING contact_id, action_id, volunteer_id
), {filed("to_timestamp($5)")}
SELECT contact_id FROM filed
"""  # noqa: S608 - fixed texts
_ARCHIVE = f"""
WITH filed AS (
    UPDATE conversations SET archived_at = coalesce(archived_at, to_timestamp($5)), unread = 0
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND revision = $4
    RETURNING contact_id, action_id, volunteer_id
), {filed("to_timestamp($5)")}
SELECT contact_id FROM filed
"""  # noqa: S608 - fixed texts
_UNARCHIVE = f"""
WITH filed AS (
    UPDATE conversations SET archived_at = NULL
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND archived_at IS NOT NULL
    RETURNING contact_id, action_id, volunteer_id
), {filed("to_timestamp($4)")}
SELECT contact_id FROM filed
"""  # noqa: S608 - fixed texts


async def mark_read(database: Database, key: CampaignKey, contact_id: int, revision: int, now: float) -> None:
    """Nothing is unread any more, unless something has changed since `revision`."""
    await database.execute(_MARK_READ, *key, contact_id, revision, now)


async def archive(database: Database, key: CampaignKey, contact_id: int, revision: int, now: float) -> bool:
    """Whether it left the inbox (F202): not when something has changed since `revision`. Whoever waits goes on
    waiting (C9), and one that is archived already stays as it is."""
    return bool(await database.fetch(_ARCHIVE, *key, contact_id, revision, now))


async def unarchive(database: Database, key: CampaignKey, contact_id: int, now: float) -> None:
    """It is in the inbox again."""
    await database.execute(_UNARCHIVE, *key, contact_id, now)


_ARCHIVE_IDLE = """
WITH piece AS (
    SELECT v.contact_id, v.last_inbound_at FROM conversations v
    WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.last_inbound_at IS NOT NULL AND v.archived_at IS NULL
      AND v.last_inbound_at < to_timestamp($3) AND (v.last_inbound_at, v.contact_id) > (to_timestamp($4), $5::bigint)
    ORDER BY v.last_inbound_at, v.contact_id LIMIT $6
), archived AS (
    UPDATE conversations v SET archived_at = to_timestamp($7), unread = 0
    FROM piece
    WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = piece.contact_id AND v.archived_at IS NULL
      AND greatest(v.last_inbound_at, v.last_outbound_at, v.last_report_at) < to_timestamp($3)
    RETURNING v.contact_id
)
SELECT extract(epoch FROM last_inbound_at)::float8, contact_id, (SELECT count(*) FROM archived),
       (SELECT count(*) FROM piece)
FROM piece ORDER BY last_inbound_at DESC, contact_id DESC LIMIT 1
"""


async def archive_idle(
    database: Database,
    key: CampaignKey,
    idle_since: float,
    now: float,
    *,
    after: tuple[float, int] = (float("-inf"), 0),
    limit: int,
) -> tuple[int, tuple[float, int] | None]:
    """Of the next `limit` conversations those in which nothing has happened since an instant (F207).

    Returns how many left the inbox, and after which to go on; None: these were the last.
    """
    rows = await database.fetch(_ARCHIVE_IDLE, *key, idle_since, *after, limit, now)
    if not rows:
        return 0, None
    [(at, contact_id, archived, looked_at)] = rows
    return archived, (at, contact_id) if looked_at == limit else None


_HAND_OVER = f"""
WITH moved AS (
    UPDATE conversations SET volunteer_id = $5, offered_at = to_timestamp($6), revision = revision + 1
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND revision = $4
    RETURNING contact_id, action_id, OLD.volunteer_id
), assigned AS (
    UPDATE assignments a SET volunteer_id = $5, assigned_at = to_timestamp($6),
           kept_for = CASE WHEN a.kept_for IS NOT NULL THEN $5::bigint END
    FROM moved WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = moved.action_id
     AND a.contact_id = $3
), {handed_over("moved", to="$5::bigint", at="to_timestamp($6)")}
SELECT true FROM moved
"""  # noqa: S608 - fixed texts


async def hand_over(
    statements: Statements, key: CampaignKey, contact_id: int, revision: int, volunteer_id: int, now: float
) -> bool:
    """Whether the conversation and the contact's assignment are another volunteer's now (F193): not when something
    has changed since `revision`."""
    rows = await statements.fetch(
        _HAND_OVER,
        *key,
        contact_id,
        revision,
        volunteer_id,
        now,
    )
    return bool(rows)
