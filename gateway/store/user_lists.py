"""Lists of a campaign's people, and teams: names to assign and to reach by."""

from collections.abc import Sequence

import asyncpg
import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import TextbankError
from gateway.store.database import Database, Statements


class UserListRow(msgspec.Struct, frozen=True):
    """A list, when it was made (Unix seconds), and how many of its members are active in the campaign."""

    user_list_id: int
    name: str
    made_at: float
    members: int


class ListNameTaken(TextbankError):
    """The campaign has a list of this name."""


_ACTIVE = """
SELECT m.user_id FROM user_list_members m
JOIN memberships s ON s.organisation_id = $1 AND s.campaign_id = $2 AND s.user_id = m.user_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.user_list_id = {of} AND s.deactivated_at IS NULL
"""
_LISTS = f"""
SELECT l.user_list_id, l.name, extract(epoch FROM l.made_at)::float8, (SELECT count(*) FROM ({_ACTIVE.format(of="l.user_list_id")}) a)
FROM user_lists l
WHERE l.organisation_id = $1 AND l.campaign_id = $2 AND l.user_list_id > $3 AND ($4::bigint IS NULL OR l.user_list_id = $4)
ORDER BY l.user_list_id LIMIT $5
"""  # noqa: S608 - fixed texts
_MEMBERS = f"{_ACTIVE.format(of='$3')} AND m.user_id > $4 ORDER BY m.user_id LIMIT $5"


async def page(statements: Statements, key: CampaignKey, after: int, limit: int) -> list[UserListRow]:
    """At most `limit` of them, those with an id above `after`, by id."""
    return [UserListRow(*row) for row in await statements.fetch(_LISTS, *key, after, None, limit)]


async def show(statements: Statements, key: CampaignKey, user_list_id: int) -> UserListRow | None:
    rows = await statements.fetch(_LISTS, *key, 0, user_list_id, 1)
    return UserListRow(*rows[0]) if rows else None


async def members(
    statements: Statements, key: CampaignKey, user_list_id: int, after: int, limit: int
) -> list[int]:
    """User ids of the list's active members above `after`, in order."""
    return [row[0] for row in await statements.fetch(_MEMBERS, *key, user_list_id, after, limit)]


_MAKE = """
INSERT INTO user_lists (organisation_id, campaign_id, user_list_id, name, made_at)
VALUES ($1, $2, $3, $4, to_timestamp($5))
ON CONFLICT (organisation_id, campaign_id, user_list_id) DO UPDATE SET name = excluded.name
"""
_DROP = "DELETE FROM user_lists WHERE organisation_id = $1 AND campaign_id = $2 AND user_list_id = $3"
_ADD = """
INSERT INTO user_list_members (organisation_id, campaign_id, user_list_id, user_id)
SELECT $1, $2, $3, s.user_id FROM memberships s
WHERE s.organisation_id = $1 AND s.campaign_id = $2 AND s.user_id = ANY ($4::bigint[]) AND s.deactivated_at IS NULL
ORDER BY s.user_id
ON CONFLICT (organisation_id, campaign_id, user_list_id, user_id) DO NOTHING
"""
_REMOVE = """
DELETE FROM user_list_members
WHERE organisation_id = $1 AND campaign_id = $2 AND user_list_id = $3 AND user_id = ANY ($4::bigint[])
"""
_KNOWN = """
SELECT user_id FROM memberships
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = ANY ($3::bigint[]) AND deactivated_at IS NULL
"""


async def put(
    transaction: Statements, key: CampaignKey, user_list_id: int, name: str, made_at: float
) -> None:
    """Makes the list, or names it otherwise. Raises ListNameTaken."""
    try:
        await transaction.fetch(_MAKE, *key, user_list_id, name, made_at)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "user_lists_name":
            raise
        raise ListNameTaken("the campaign has a list of this name already") from error


async def drop(transaction: Statements, key: CampaignKey, user_list_id: int) -> None:
    """The list is no more; its members stay what they are."""
    await transaction.fetch(_DROP, *key, user_list_id)


async def change_members(
    transaction: Statements, key: CampaignKey, user_list_id: int, add: Sequence[int], remove: Sequence[int]
) -> None:
    """Whoever is not active in the campaign is not added."""
    if add:
        await transaction.fetch(_ADD, *key, user_list_id, add)
    if remove:
        await transaction.fetch(_REMOVE, *key, user_list_id, remove)


async def active(statements: Statements, key: CampaignKey, user_ids: Sequence[int]) -> set[int]:
    """Those of these people who are active in the campaign."""
    return {row[0] for row in await statements.fetch(_KNOWN, *key, user_ids)}


_STAFF = """
SELECT user_id FROM memberships
WHERE organisation_id = $1 AND campaign_id = $2 AND user_id = ANY ($3::bigint[]) AND role <> 'volunteer'
"""


async def staff(statements: Statements, key: CampaignKey, user_ids: Sequence[int]) -> set[int]:
    """Those of these people who are no volunteers."""
    return {row[0] for row in await statements.fetch(_STAFF, *key, user_ids)}


async def lock(transaction: Statements, key: CampaignKey, user_list_id: int) -> bool:
    """Whether the list is there; others who change it wait until the transaction's end."""
    rows = await transaction.fetch(
        """
        SELECT user_list_id FROM user_lists
        WHERE organisation_id = $1 AND campaign_id = $2 AND user_list_id = $3 FOR UPDATE
        """,
        *key,
        user_list_id,
    )
    return bool(rows)


async def everybody(database: Database, key: CampaignKey, user_list_id: int, most: int) -> list[int]:
    """The active members at once, `most` of them and one more if there are more."""
    return await members(database, key, user_list_id, 0, most + 1)
