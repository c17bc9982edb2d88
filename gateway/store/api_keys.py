"""API keys: who may use the door, of which campaign, in which role. The secret itself is never stored."""

from collections.abc import Sequence

import msgspec

from gateway.store.database import Database, Statements


class KeyRow(msgspec.Struct, frozen=True):
    """A key as stored; `campaign_id` None is every campaign, times are Unix seconds, `expires_at` None is never."""

    key_id: str
    secret_hash: str
    name: str
    role: str
    campaign_id: int | None
    created_at: float
    revoked_at: float | None = None
    expires_at: float | None = None


_COLUMNS = """
key_id, secret_hash, name, role, campaign_id, extract(epoch FROM created_at)::float8,
extract(epoch FROM revoked_at)::float8, extract(epoch FROM expires_at)::float8
"""


async def create(statements: Statements, key: KeyRow) -> None:
    await statements.fetch(
        """
        INSERT INTO api_keys (key_id, secret_hash, name, role, campaign_id, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, to_timestamp($6), to_timestamp($7))
        """,
        key.key_id,
        key.secret_hash,
        key.name,
        key.role,
        key.campaign_id,
        key.created_at,
        key.expires_at,
    )


async def find(database: Database, key_ids: Sequence[str]) -> dict[str, KeyRow]:
    """Those of the keys that there are, revoked or not, by id."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM api_keys WHERE key_id = ANY ($1::text[]) ORDER BY key_id",  # noqa: S608 - our own names
        key_ids,
    )
    return {row[0]: KeyRow(*row) for row in rows}


async def load(database: Database) -> list[KeyRow]:
    """Every key, oldest first."""
    rows = await database.fetch(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at, key_id")  # noqa: S608 - our own column names
    return [KeyRow(*row) for row in rows]


async def revoke(statements: Statements, key_id: str, now: float) -> KeyRow | None:
    """Ends a key; None when there is no such key, or it had ended before."""
    rows = await statements.fetch(
        f"""
        UPDATE api_keys SET revoked_at = to_timestamp($2) WHERE key_id = $1 AND revoked_at IS NULL
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - our own names
        key_id,
        now,
    )
    return KeyRow(*rows[0]) if rows else None
