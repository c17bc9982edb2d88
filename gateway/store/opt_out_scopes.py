"""Another list of opt-outs for a campaign: counted, kept alike with the one before, copied, and in force (C5)."""

from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements


def scope_in_force(believed: str) -> str:
    """SQL: whose opt-outs count for the campaign of $1 and $2 by its row, whatever a worker believes."""
    row = "SELECT opt_out_scope FROM campaigns WHERE organisation_id = $1 AND campaign_id = $2"
    return f"coalesce(({row}), {believed})"


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What another list means: `ours` opt-outs count here now; of these `theirs_too` are new on the other list, and hold
    for `campaigns` others from then on. `contacts` of the campaign are on the other list alone, and get no text then."""

    ours: int
    theirs_too: int
    campaigns: int
    contacts: int


_COUNT: Final = """
SELECT (SELECT count(*) FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3),
       (SELECT count(*) FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3 AND NOT EXISTS (
            SELECT FROM opt_outs t WHERE t.organisation_id = $1 AND t.scope = $4 AND t.phone = o.phone)),
       (SELECT count(*) FROM campaigns p WHERE p.organisation_id = $1 AND p.campaign_id <> $2 AND p.opt_out_scope = $4),
       (SELECT count(*) FROM opt_outs t
        JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.phone = t.phone
        WHERE t.organisation_id = $1 AND t.scope = $4 AND NOT EXISTS (
            SELECT FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3 AND o.phone = t.phone))
"""
_BEGIN: Final = """
UPDATE campaigns SET other_scope = $3, other_scope_until = to_timestamp($4)
WHERE organisation_id = $1 AND campaign_id = $2 AND opt_out_scope = $5
  AND (other_scope IS NULL OR other_scope = $3 OR other_scope_until <= to_timestamp($6))
RETURNING campaign_id
"""
# Whoever leaves is on both lists by the clock of the worker that hears it, which may be a little ahead.
_STILL_ALIKE: Final = "other_scope_until > to_timestamp($6) + interval '1 minute'"
_KEEP_ON: Final = f"""
UPDATE campaigns SET other_scope_until = to_timestamp($5)
WHERE organisation_id = $1 AND campaign_id = $2 AND opt_out_scope = $4 AND other_scope = $3 AND {_STILL_ALIKE}
RETURNING campaign_id
"""  # noqa: S608 - a text of our own
_WAIT: Final = "SELECT pg_advisory_xact_lock(hashint8extended($1, 98))"
_COPY: Final = """
WITH piece AS (
    SELECT * FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $2 AND o.phone > $4 ORDER BY o.phone LIMIT $5
), copied AS (
    INSERT INTO opt_outs (organisation_id, scope, phone, source, words, opted_out_at, volunteer_id, noted_again_at)
    SELECT $1, $3, phone, source, words, opted_out_at, volunteer_id, noted_again_at FROM piece ORDER BY phone
    ON CONFLICT DO NOTHING
)
SELECT max(phone), count(*) FROM piece
"""
_SWITCH: Final = f"""
UPDATE campaigns SET opt_out_scope = $3, other_scope = $4, other_scope_until = to_timestamp($5)
WHERE organisation_id = $1 AND campaign_id = $2 AND opt_out_scope = $4 AND other_scope = $3 AND {_STILL_ALIKE}
RETURNING campaign_id
"""  # noqa: S608 - a text of our own


async def count(database: Database, key: CampaignKey, scope: int, other: int) -> Counted:
    """What a change from the one to the other would mean."""
    [row] = await database.fetch(_COUNT, *key, scope, other)
    return Counted(ours=row[0], theirs_too=row[1], campaigns=row[2], contacts=row[3])


async def begin(
    database: Database, key: CampaignKey, scope: int, other: int, *, until: float, now: float
) -> bool:
    """Both lists are kept alike from now on: what anybody writes of the one is in the other. False: another change of the
    campaign's list is not over yet."""
    return bool(await database.fetch(_BEGIN, *key, other, until, scope, now))


async def wait_for_writers(database: Database, organisation_id: int) -> None:
    """Until whoever began to write an opt-out before has written it."""
    async with database.transaction() as transaction:
        await transaction.fetch(_WAIT, organisation_id)


async def copy(
    database: Database, organisation_id: int, scope: int, other: int, after: str, *, at_once: int = 5_000
) -> str | None:
    """The next people of the one list are on the other; returns the last one's phone, after which it goes on ("": from
    the first), or None when these were the last."""
    [(last, looked_at)] = await database.fetch(_COPY, organisation_id, scope, other, after, at_once)
    return last if looked_at == at_once else None


async def keep_on(
    database: Database, key: CampaignKey, scope: int, other: int, *, until: float, now: float
) -> bool:
    """Both lists are kept alike for longer. False: they are so no more, and may have been different since."""
    return bool(await database.fetch(_KEEP_ON, *key, other, scope, until, now))


async def switch(
    transaction: Statements, key: CampaignKey, scope: int, other: int, *, until: float, now: float
) -> bool:
    """The other list counts from now on; the one before is kept alike until then. False: it was changed meanwhile, or they
    may not be alike."""
    return bool(await transaction.fetch(_SWITCH, *key, other, scope, until, now))
