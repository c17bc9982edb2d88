"""Second factors: the secret of a person's authenticator, the last code that was taken, and recovery codes."""

from collections.abc import Sequence

import msgspec

from gateway.store.database import Database, Statements


class SecondFactorRow(msgspec.Struct, frozen=True):
    """`confirmed_at` None: its owner has not shown yet that they can use it."""

    secret: str
    confirmed_at: float | None


_FIND = """
SELECT secret, extract(epoch FROM confirmed_at)::float8 FROM second_factors
WHERE organisation_id = $1 AND user_id = $2
"""
_BEGIN = """
INSERT INTO second_factors AS f (organisation_id, user_id, secret, made_at) VALUES ($1, $2, $3, to_timestamp($4))
ON CONFLICT (organisation_id, user_id) DO UPDATE SET secret = excluded.secret, made_at = excluded.made_at, last_step = 0
WHERE f.confirmed_at IS NULL
RETURNING user_id
"""
# A code is good once: whoever comes second with it, or with an older one, finds nothing to change.
_TAKE = """
UPDATE second_factors SET last_step = $3, confirmed_at = coalesce(confirmed_at, to_timestamp($4))
WHERE organisation_id = $1 AND user_id = $2 AND last_step < $3 AND secret = $5 RETURNING user_id
"""
_RECOVER = """
DELETE FROM recovery_codes WHERE organisation_id = $1 AND user_id = $2 AND code_hash = $3 RETURNING user_id
"""
_NO_CODES = "DELETE FROM recovery_codes WHERE organisation_id = $1 AND user_id = $2"
_CODES = """
INSERT INTO recovery_codes (organisation_id, user_id, code_hash) SELECT $1, $2, * FROM unnest($3::text[])
"""
_REMOVE = "DELETE FROM second_factors WHERE organisation_id = $1 AND user_id = $2"
_NONE_PASSED = "UPDATE sessions SET second_factor = false WHERE organisation_id = $1 AND user_id = $2"
_PASSED = """
UPDATE sessions SET second_factor = true WHERE organisation_id = $1 AND user_id = $2 AND session_id = $3
"""


async def find(statements: Statements, organisation_id: int, user_id: int) -> SecondFactorRow | None:
    rows = await statements.fetch(_FIND, organisation_id, user_id)
    return SecondFactorRow(*rows[0]) if rows else None


async def begin(database: Database, organisation_id: int, user_id: int, secret: str, now: float) -> bool:
    """A secret to be confirmed, in place of an earlier one that never was; False: one is confirmed already."""
    return await database.fetch_value(_BEGIN, organisation_id, user_id, secret, now) is not None


async def take(
    statements: Statements, organisation_id: int, user_id: int, step: int, secret: str, now: float
) -> bool:
    """Uses up the code of a step, which confirms the secret; False when it, or a later one, was used before."""
    return bool(await statements.fetch(_TAKE, organisation_id, user_id, step, now, secret))


async def recover(statements: Statements, organisation_id: int, user_id: int, code_hash: str) -> bool:
    """Uses up a recovery code."""
    return bool(await statements.fetch(_RECOVER, organisation_id, user_id, code_hash))


async def keep_codes(
    transaction: Statements, organisation_id: int, user_id: int, hashes: Sequence[str]
) -> None:
    """Other recovery codes in place of all that there were."""
    await transaction.fetch(_NO_CODES, organisation_id, user_id)
    await transaction.fetch(_CODES, organisation_id, user_id, hashes)


async def remove(statements: Statements, organisation_id: int, user_id: int) -> None:
    """The person has none any more, and no session of theirs counts as begun with one."""
    await statements.fetch(_REMOVE, organisation_id, user_id)
    await statements.fetch(_NONE_PASSED, organisation_id, user_id)


async def passed(statements: Statements, organisation_id: int, user_id: int, session_id: int) -> None:
    """This session has shown the second factor."""
    await statements.fetch(_PASSED, organisation_id, user_id, session_id)
