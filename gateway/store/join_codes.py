"""Join codes: six digits, or what a link carries in their place, that make whoever has them a volunteer."""

import asyncpg
import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Connection, Database


class JoinCode(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's code; times are Unix seconds."""

    code: str
    link: str
    made_at: float
    ends_at: float


class Invited(msgspec.Struct, frozen=True):
    """Which campaign a code lets one into."""

    key: CampaignKey
    name: str


_MAKE = """
INSERT INTO join_codes (organisation_id, campaign_id, code, link, made_at, ends_at)
VALUES ($1, $2, $3, $4, to_timestamp($5), to_timestamp($6))
ON CONFLICT (organisation_id, campaign_id) DO UPDATE
SET code = excluded.code, link = excluded.link, made_at = excluded.made_at, ends_at = excluded.ends_at
"""
_SHOW = """
SELECT code, link, extract(epoch FROM made_at)::float8, extract(epoch FROM ends_at)::float8 FROM join_codes
WHERE organisation_id = $1 AND campaign_id = $2 AND ends_at > to_timestamp($3)
"""
_FIND = """
SELECT j.organisation_id, j.campaign_id, c.name
FROM join_codes j JOIN campaigns c ON c.organisation_id = j.organisation_id AND c.campaign_id = j.campaign_id
WHERE (j.code = $1 OR j.link = $1) AND j.ends_at > to_timestamp($2)
"""


class CodeTaken(Exception):
    """Another campaign has the code."""


async def make(connection: Connection, key: CampaignKey, code: JoinCode) -> None:
    """Gives the campaign a code in place of the one it had, in the caller's transaction.

    Raises CodeTaken, after which that transaction is over.
    """
    try:
        await connection.execute(_MAKE, *key, code.code, code.link, code.made_at, code.ends_at)
    except asyncpg.UniqueViolationError as error:
        raise CodeTaken from error


async def show(database: Database, key: CampaignKey, now: float) -> JoinCode | None:
    """The campaign's code, while it holds."""
    row = await database.fetch_row(_SHOW, *key, now)
    return None if row is None else JoinCode(code=row[0], link=row[1], made_at=row[2], ends_at=row[3])


async def find(database: Database, word: str, now: float) -> Invited | None:
    """The campaign that a code or a link's word lets one into, while it holds."""
    row = await database.fetch_row(_FIND, word, now)
    return None if row is None else Invited(CampaignKey(row[0], row[1]), row[2])


_END = "DELETE FROM join_codes WHERE organisation_id = $1 AND campaign_id = $2 RETURNING campaign_id"


async def end(connection: Connection, key: CampaignKey) -> bool:
    """Nobody joins by the campaign's code any more; False when it had none."""
    return await connection.fetchval(_END, *key) is not None
