"""Links that were mailed to people to choose another password by: one of each person, good for an hour and once."""

from gateway.store.database import Database
from gateway.store.users import UserRow

_KEEP = """
INSERT INTO password_resets (organisation_id, user_id, token_hash, ends_at) VALUES ($1, $2, $3, to_timestamp($4))
ON CONFLICT (organisation_id, user_id) DO UPDATE SET token_hash = excluded.token_hash, ends_at = excluded.ends_at
"""
_WHOSE = """
SELECT u.user_id, u.email, u.name, u.language, u.zip, u.password_hash
FROM password_resets r JOIN users u ON u.organisation_id = r.organisation_id AND u.user_id = r.user_id
WHERE r.organisation_id = $1 AND r.token_hash = $2 AND r.ends_at > to_timestamp($3)
"""
_USE = """
DELETE FROM password_resets WHERE organisation_id = $1 AND token_hash = $2 AND ends_at > to_timestamp($3)
RETURNING user_id
"""
_CHOSEN = """
UPDATE users SET password_hash = $3, confirmed_at = coalesce(confirmed_at, to_timestamp($4))
WHERE organisation_id = $1 AND user_id = $2
"""
# Set up before the address was proven, it may be somebody else's.
_WITHOUT_UNPROVEN_FACTOR = """
DELETE FROM second_factors f USING users u
WHERE f.organisation_id = $1 AND f.user_id = $2 AND u.organisation_id = $1 AND u.user_id = $2 AND u.confirmed_at IS NULL
"""
_END_ALL = "DELETE FROM sessions WHERE organisation_id = $1 AND user_id = $2"


async def keep(
    database: Database, organisation_id: int, user_id: int, token_hash: str, ends_at: float
) -> None:
    """A new link in place of the one before; `ends_at` in Unix seconds."""
    await database.execute(_KEEP, organisation_id, user_id, token_hash, ends_at)


async def whose(database: Database, organisation_id: int, token_hash: str, now: float) -> UserRow | None:
    """Whom a link is for, while it holds."""
    row = await database.fetch_row(_WHOSE, organisation_id, token_hash, now)
    if row is None:
        return None
    names = ("user_id", "email", "name", "language", "zip", "password_hash")
    return UserRow(**dict(zip(names, row, strict=True)))


async def use(
    database: Database, organisation_id: int, token_hash: str, password_hash: str, now: float
) -> bool:
    """Uses the link up: another password, every session ended. False when it holds no more."""
    async with database.transaction() as connection:
        user_id = await connection.fetchval(_USE, organisation_id, token_hash, now)
        if user_id is None:
            return False
        await connection.execute(_WITHOUT_UNPROVEN_FACTOR, organisation_id, user_id)
        await connection.execute(_CHOSEN, organisation_id, user_id, password_hash, now)
        await connection.execute(_END_ALL, organisation_id, user_id)
        return True
