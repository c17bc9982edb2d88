"""Codes that were mailed to people to sign in by: one of each person, good for minutes, a few tries and one use."""

from gateway.store.database import Database

_KEEP = """
INSERT INTO sign_in_codes (organisation_id, user_id, code_hash, ends_at) VALUES ($1, $2, $3, to_timestamp($4))
ON CONFLICT (organisation_id, user_id) DO UPDATE
SET code_hash = excluded.code_hash, ends_at = excluded.ends_at, tries = 0
"""
_TRY = """
UPDATE sign_in_codes SET tries = tries + 1
WHERE organisation_id = $1 AND user_id = $2 AND ends_at > to_timestamp($3) AND tries < $4 RETURNING code_hash
"""
_USE = """
DELETE FROM sign_in_codes WHERE organisation_id = $1 AND user_id = $2 AND code_hash = $3 RETURNING user_id
"""


async def keep(
    database: Database, organisation_id: int, user_id: int, code_hash: str, ends_at: float
) -> None:
    """A new code in place of the one before; `ends_at` in Unix seconds."""
    await database.execute(_KEEP, organisation_id, user_id, code_hash, ends_at)


async def begin_try(
    database: Database, organisation_id: int, user_id: int, now: float, most_tries: int
) -> str | None:
    """The hash to compare with, one try counted; None when there is no code, or it was tried too often."""
    found: str | None = await database.fetch_value(_TRY, organisation_id, user_id, now, most_tries)
    return found


async def use(database: Database, organisation_id: int, user_id: int, code_hash: str) -> bool:
    """Uses the code up; False when somebody else just did."""
    return await database.fetch_value(_USE, organisation_id, user_id, code_hash) is not None
