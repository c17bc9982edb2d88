"""Tracked links: what they are called and where they lead, the secret that seals them, and who pressed them."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import msgspec

from gateway.core.bank.links import MOST_CLICKS
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import TextbankError
from gateway.store.database import Database, Statements
from gateway.store.rows import as_rows


class SlugTaken(TextbankError):
    """The campaign has another link of this name."""


class LinkRow(msgspec.Struct, frozen=True, kw_only=True):
    """A link; times are Unix seconds. An archived one is no longer offered, and what was sent goes on leading there."""

    link_id: int
    slug: str
    url: str
    version: int = 1
    created_at: float
    archived_at: float | None = None


_COLUMNS: Final = """
link_id, slug, url, version, extract(epoch FROM created_at)::float8, extract(epoch FROM archived_at)::float8
"""


def _row(row: Sequence[Any]) -> LinkRow:
    return LinkRow(**dict(zip(LinkRow.__struct_fields__, row, strict=True)))


_ALL = f"SELECT {_COLUMNS} FROM links WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY created_at, link_id"  # noqa: S608 - our own names


async def every(statements: Statements, key: CampaignKey) -> list[LinkRow]:
    """All the campaign's links, the oldest first; there are few."""
    return [_row(row) for row in await statements.fetch(_ALL, *key)]


_LOCKED = f"""
SELECT {_COLUMNS} FROM links WHERE organisation_id = $1 AND campaign_id = $2 AND link_id = $3 FOR NO KEY UPDATE
"""  # noqa: S608 - our own names


async def locked(transaction: Statements, key: CampaignKey, link_id: int) -> LinkRow | None:
    """As it stands, until the transaction ends."""
    rows = await transaction.fetch(_LOCKED, *key, link_id)
    return _row(rows[0]) if rows else None


async def add(transaction: Statements, key: CampaignKey, link: LinkRow) -> None:
    """Raises SlugTaken, after which the transaction is over."""
    try:
        await transaction.fetch(
            """
            INSERT INTO links (organisation_id, campaign_id, link_id, slug, url, created_at)
            VALUES ($1, $2, $3, $4, $5, to_timestamp($6))
            """,
            *key,
            link.link_id,
            link.slug,
            link.url,
            link.created_at,
        )
    except asyncpg.UniqueViolationError as error:
        raise SlugTaken(f"the campaign has a link '{link.slug}' already") from error


async def save(transaction: Statements, key: CampaignKey, link: LinkRow) -> None:
    """Where it leads and whether it is archived; its version is one more than before."""
    await transaction.fetch(
        """
        UPDATE links SET url = $4, archived_at = to_timestamp($5), version = version + 1
        WHERE organisation_id = $1 AND campaign_id = $2 AND link_id = $3
        """,
        *key,
        link.link_id,
        link.url,
        link.archived_at,
    )


# ---------------------------------------------------------------- the secret


async def keep_secret(statements: Statements, key: CampaignKey, secret: bytes) -> bytes:
    """The campaign's secret: the one it has, or else this one."""
    rows = await statements.fetch(
        """
        INSERT INTO link_secrets AS s (organisation_id, campaign_id, secret) VALUES ($1, $2, $3)
        ON CONFLICT (organisation_id, campaign_id) DO UPDATE SET secret = s.secret RETURNING secret
        """,
        *key,
        secret,
    )
    return bytes(rows[0][0])


async def secret(statements: Statements, key: CampaignKey) -> bytes | None:
    """None: the campaign has never had a link."""
    rows = await statements.fetch(
        "SELECT secret FROM link_secrets WHERE organisation_id = $1 AND campaign_id = $2", *key
    )
    return bytes(rows[0][0]) if rows else None


# ---------------------------------------------------------------- who pressed them


class Click(msgspec.Struct, frozen=True, gc=False):
    """A press on a text's link, to be written; `at` in Unix seconds."""

    click_id: int
    link_id: int
    contact_id: int
    script_id: int
    at: float


# The text is the contact's last one by this script before the press; it may be deleted since.
_RECORD = f"""
WITH pressed AS (
    SELECT *, row_number() OVER (PARTITION BY contact_id, script_id, link_id ORDER BY click_id) AS nth
    FROM json_to_recordset($3::json) AS p (click_id bigint, link_id bigint, contact_id bigint, script_id bigint, at float8)
), kept AS (
    SELECT * FROM pressed p WHERE {MOST_CLICKS} >= p.nth + (SELECT count(*) FROM (
        SELECT FROM clicks c WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = p.contact_id
        AND c.script_id = p.script_id AND c.link_id = p.link_id LIMIT {MOST_CLICKS}) AS before)
)
INSERT INTO clicks (organisation_id, campaign_id, click_id, link_id, contact_id, script_id, action_id, message_id,
                    user_id, at)
SELECT $1, $2, k.click_id, k.link_id, k.contact_id, k.script_id, s.action_id, text.message_id, text.sender_id,
       to_timestamp(k.at)
FROM kept k
LEFT JOIN scripts s ON s.organisation_id = $1 AND s.campaign_id = $2 AND s.script_id = k.script_id
LEFT JOIN LATERAL (
    SELECT m.message_id, m.sender_id FROM messages m
    WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = k.contact_id AND m.action_id = s.action_id
      AND m.script = s.name AND m.state <> 'blocked' AND m.requested_at <= to_timestamp(k.at)
    ORDER BY m.requested_at DESC, m.message_id DESC LIMIT 1) text ON true
ORDER BY k.click_id
ON CONFLICT DO NOTHING
"""  # noqa: S608 - a number of our own


async def record(database: Database, key: CampaignKey, clicks: Sequence[Click]) -> None:
    """Writes presses, tied to text, action and sender; of one text's link the first ones only."""
    await database.fetch(_RECORD, *key, as_rows(clicks))


class ClickRow(msgspec.Struct, frozen=True, gc=False):
    """A press as it is told: by whom, on what, and who had sent it."""

    click_id: int
    at: float
    link_id: int
    slug: str
    contact_id: int
    script_id: int
    action_id: int | None
    message_id: int | None
    user_id: int | None


_CLICKS = """
SELECT c.click_id, extract(epoch FROM c.at)::float8, c.link_id, l.slug, c.contact_id, c.script_id, c.action_id,
       c.message_id, c.user_id
FROM clicks c
JOIN links l ON l.organisation_id = $1 AND l.campaign_id = $2 AND l.link_id = c.link_id
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND (c.at, c.click_id) < (to_timestamp($6), $7)
  AND ($4::bigint IS NULL OR c.link_id = $4) AND ($5::bigint IS NULL OR c.action_id = $5)
ORDER BY c.at DESC, c.click_id DESC LIMIT $3
"""


async def clicks(
    database: Database,
    key: CampaignKey,
    *,
    link_id: int | None,
    action_id: int | None,
    before: tuple[float, int],
    limit: int,
) -> list[ClickRow]:
    """At most `limit`, the newest first: of a link, of an action, or all."""
    rows = await database.fetch(_CLICKS, *key, limit, link_id, action_id, *before)
    return [ClickRow(*row) for row in rows]


async def counts(database: Database, key: CampaignKey) -> dict[int, int]:
    """How many presses each link has, by id."""
    rows = await database.fetch(
        """
        SELECT link_id, count(*) FROM clicks WHERE organisation_id = $1 AND campaign_id = $2
        GROUP BY link_id ORDER BY link_id
        """,
        *key,
    )
    return {row[0]: row[1] for row in rows}
