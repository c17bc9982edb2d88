"""A campaign's actions as their admins have them: made, changed, listed, and who was invited to the private ones."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements


class ActionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An action; `settings` is JSON text, times are Unix seconds.

    `published_at`: since when people may see it. `publish_at`, `publishes_as`: when, and as what, a scheduled one is
    published. `link` is what an action link carries.
    """

    action_id: int
    title: str
    state: str
    settings: str
    publish_at: float | None = None
    publishes_as: str | None = None
    published_at: float | None = None
    version: int = 1
    created_by: int | None = None
    created_at: float
    archived_at: float | None = None
    link: str | None = None


_COLUMNS: Final = """
action_id, title, state, settings::text, extract(epoch FROM publish_at)::float8, publishes_as,
extract(epoch FROM published_at)::float8, version, created_by, extract(epoch FROM created_at)::float8,
extract(epoch FROM archived_at)::float8, link
"""


def _record(row: Sequence[Any]) -> ActionRecord:
    return ActionRecord(**dict(zip(ActionRecord.__struct_fields__, row, strict=True)))


async def create(transaction: Statements, key: CampaignKey, action: ActionRecord) -> None:
    await transaction.fetch(
        """
        INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts, settings, created_by, created_at, link)
        VALUES ($1, $2, $3, $4, '{}', $5::text::jsonb, $6, to_timestamp($7), $8)
        """,
        *key,
        action.action_id,
        action.title,
        action.settings,
        action.created_by,
        action.created_at,
        action.link,
    )


_FIND = f"SELECT {_COLUMNS} FROM actions WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3"  # noqa: S608 - our own names
_LOCKED = f"{_FIND} FOR NO KEY UPDATE"


async def find(statements: Statements, key: CampaignKey, action_id: int) -> ActionRecord | None:
    rows = await statements.fetch(_FIND, *key, action_id)
    return _record(rows[0]) if rows else None


async def locked(transaction: Statements, key: CampaignKey, action_id: int) -> ActionRecord | None:
    """The action as it stands, until the transaction ends."""
    rows = await transaction.fetch(_LOCKED, *key, action_id)
    return _record(rows[0]) if rows else None


_BY_LINK = f"SELECT {_COLUMNS} FROM actions WHERE organisation_id = $1 AND campaign_id = $2 AND link = $3 ORDER BY action_id LIMIT 1"  # noqa: S608 - our own names


async def by_link(database: Database, key: CampaignKey, link: str) -> ActionRecord | None:
    rows = await database.fetch(_BY_LINK, *key, link)
    return _record(rows[0]) if rows else None


async def save(transaction: Statements, key: CampaignKey, action: ActionRecord) -> None:
    """Everything of it but when it was made and by whom; its version is one more than before."""
    await transaction.fetch(
        """
        UPDATE actions SET title = $4, settings = $5::text::jsonb, state = $6, publish_at = to_timestamp($7),
               publishes_as = $8, archived_at = to_timestamp($9), link = $10, version = version + 1
        WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3
        """,
        *key,
        action.action_id,
        action.title,
        action.settings,
        action.state,
        action.publish_at,
        action.publishes_as,
        action.archived_at,
        action.link,
    )


async def touch(transaction: Statements, key: CampaignKey, action_id: int) -> int:
    """Something of it has changed, one of its scripts perhaps: it is of a new version, which is returned."""
    rows = await transaction.fetch(
        """
        UPDATE actions SET version = version + 1
        WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 RETURNING version
        """,
        *key,
        action_id,
    )
    return int(rows[0][0])


async def tell_workers(transaction: Statements, key: CampaignKey) -> None:
    """Every worker reads the campaign's actions again when it next reads the campaign, which says what they prefer."""
    # Locked by a statement of its own: the next one then sees what whoever was before has changed.
    await transaction.fetch(
        "SELECT FROM campaigns WHERE organisation_id = $1 AND campaign_id = $2 FOR NO KEY UPDATE", *key
    )
    await transaction.fetch(
        """
        UPDATE campaigns SET actions_version = actions_version + 1, area_codes = coalesce((
            SELECT jsonb_object_agg(a.action_id, a.settings -> 'area_codes') FROM actions a
            WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.archived_at IS NULL
              AND a.settings -> 'area_codes' <> '[]'), '{}'), broadcasts = ARRAY(
            SELECT a.action_id FROM actions a
            WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.archived_at IS NULL AND a.published_at IS NOT NULL
              AND a.settings ->> 'kind' = 'broadcast' ORDER BY a.action_id)
        WHERE organisation_id = $1 AND campaign_id = $2
        """,
        *key,
    )


async def pause(transaction: Statements, key: CampaignKey, action_id: int, paused: bool) -> None:
    """The action's first texts wait, or go on."""
    await transaction.fetch(
        """
        UPDATE campaigns SET paused_actions = array_remove(paused_actions, $3::bigint)
               || CASE WHEN $4 THEN ARRAY[$3::bigint] ELSE '{}' END
        WHERE organisation_id = $1 AND campaign_id = $2
        """,
        *key,
        action_id,
        paused,
    )


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which actions: of a folder, in a state, archived or not; None: whichever. `published`: only what people may see."""

    folder: str | None = None
    state: str | None = None
    archived: bool | None = False
    published: bool = False


_PAGE = f"""
SELECT {_COLUMNS} FROM actions
WHERE organisation_id = $1 AND campaign_id = $2 AND (created_at, action_id) < (to_timestamp($8), $9)
  AND ($4::text IS NULL OR coalesce(settings -> 'folders', '[]') ? $4)
  AND ($5::text IS NULL OR state = $5) AND ($6::boolean IS NULL OR (archived_at IS NOT NULL) = $6)
  AND (NOT $7 OR published_at IS NOT NULL)
ORDER BY created_at DESC, action_id DESC LIMIT $3
"""  # noqa: S608 - our own names


async def page(
    database: Database, key: CampaignKey, wanted: Wanted, before: tuple[float, int], limit: int
) -> list[ActionRecord]:
    """At most `limit` of them, the newest first, of those made before an instant and id."""
    asked = (limit, wanted.folder, wanted.state, wanted.archived, wanted.published, *before)
    return [_record(row) for row in await database.fetch(_PAGE, *key, *asked)]


_DUE = """
SELECT a.organisation_id, a.campaign_id, a.action_id
FROM actions a JOIN campaigns p ON p.organisation_id = a.organisation_id AND p.campaign_id = a.campaign_id
WHERE a.state = 'scheduled' AND a.publish_at <= to_timestamp($1) AND a.archived_at IS NULL
ORDER BY a.publish_at, a.action_id LIMIT $2
"""


async def due(database: Database, now: float, limit: int) -> list[tuple[CampaignKey, int]]:
    """Scheduled actions of every campaign whose time has come, the earliest first."""
    rows = await database.fetch(_DUE, now, limit)
    return [(CampaignKey(row[0], row[1]), row[2]) for row in rows]


# ---------------------------------------------------------------- who was invited


async def invite(
    transaction: Statements, key: CampaignKey, action_id: int, user_ids: Sequence[int], who: str, now: float
) -> list[int]:
    """Those of the people that are in the campaign may see the action; returns who they are."""
    rows = await transaction.fetch(
        """
        WITH people AS (
            SELECT user_id FROM memberships WHERE organisation_id = $1 AND campaign_id = $2
            AND user_id = ANY ($4::bigint[]) AND deactivated_at IS NULL
        ), invited AS (
            INSERT INTO action_invitees (organisation_id, campaign_id, action_id, user_id, invited_at, invited_by)
            SELECT $1, $2, $3, user_id, to_timestamp($6), $5 FROM people ORDER BY user_id ON CONFLICT DO NOTHING
        )
        SELECT user_id FROM people ORDER BY user_id
        """,
        *key,
        action_id,
        user_ids,
        who,
        now,
    )
    return [row[0] for row in rows]


async def uninvite(transaction: Statements, key: CampaignKey, action_id: int, user_id: int) -> bool:
    """Whether the person was invited, and is no more."""
    rows = await transaction.fetch(
        """
        DELETE FROM action_invitees WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND user_id = $4
        RETURNING user_id
        """,
        *key,
        action_id,
        user_id,
    )
    return bool(rows)


class Invitee(msgspec.Struct, frozen=True):
    """Somebody who may see an action while it is private; `invited_by` as in the audit log."""

    user_id: int
    name: str
    invited_at: float
    invited_by: str


async def invitees(
    database: Database, key: CampaignKey, action_id: int, after_id: int, limit: int
) -> list[Invitee]:
    """At most `limit` of them, those with a user id above `after_id`, by user id."""
    rows = await database.fetch(
        """
        SELECT i.user_id, u.name, extract(epoch FROM i.invited_at)::float8, i.invited_by
        FROM action_invitees i JOIN users u ON u.organisation_id = i.organisation_id AND u.user_id = i.user_id
        WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.action_id = $3 AND i.user_id > $4
        ORDER BY i.user_id LIMIT $5
        """,
        *key,
        action_id,
        after_id,
        limit,
    )
    return [Invitee(*row) for row in rows]


class Looker(msgspec.Struct, frozen=True):
    """What the table of who may see what asks about a person: of which language and place, on which lists."""

    language: str
    zip: str | None
    user_list_ids: list[int]


async def looker(database: Database, key: CampaignKey, user_id: int) -> Looker | None:
    """None for whoever has no place in the campaign."""
    row = await database.fetch_row(
        """
        SELECT u.language, u.zip,
               ARRAY(SELECT l.user_list_id FROM user_list_members l WHERE l.organisation_id = $1 AND l.campaign_id = $2
                     AND l.user_id = $3 ORDER BY l.user_list_id)
        FROM memberships m JOIN users u ON u.organisation_id = m.organisation_id AND u.user_id = m.user_id
        WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_id = $3 AND m.deactivated_at IS NULL
        """,
        *key,
        user_id,
    )
    return None if row is None else Looker(*row)


async def invited_to(
    database: Database, key: CampaignKey, user_id: int, action_ids: Sequence[int]
) -> set[int]:
    """Those of the actions to which the person is invited."""
    rows = await database.fetch(
        """
        SELECT action_id FROM action_invitees
        WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = ANY ($3::bigint[]) AND user_id = $4
        """,
        *key,
        action_ids,
        user_id,
    )
    return {row[0] for row in rows}


async def missing_user_lists(database: Database, key: CampaignKey, list_ids: Sequence[int]) -> list[int]:
    """Those of the lists of people that the campaign doesn't have."""
    rows = await database.fetch(
        """
        SELECT wanted.list_id FROM unnest($3::bigint[]) AS wanted (list_id)
        WHERE NOT EXISTS (SELECT FROM user_lists l WHERE l.organisation_id = $1 AND l.campaign_id = $2
                          AND l.user_list_id = wanted.list_id)
        ORDER BY wanted.list_id
        """,
        *key,
        list_ids,
    )
    return [row[0] for row in rows]
