"""Who dispatches which campaign: workers beat, campaigns name their owner, and claims carry the owner's token."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gateway.core.rules.errors import TextbankError
from gateway.store.database import Connection, Database

_LOCKS = 0x7EB  # advisory locks (space, worker): ours alone


class OwnershipLost(TextbankError):
    """Another worker owns the campaign now."""


class FencingToken(NamedTuple):
    """An owner's right to claim a campaign's messages, until another worker takes the campaign over."""

    worker_id: int
    epoch: int


class OwnedRow(msgspec.Struct, frozen=True):
    """A campaign of ours, by the books. `wanted_by`: the worker whose share it is, and that asks for it."""

    campaign_id: int
    epoch: int
    wanted_by: int | None


class Look(msgspec.Struct, frozen=True):
    """What one beat saw: the other workers, our campaigns, and those without a living owner."""

    beats: dict[int, int]
    unlocked: list[int]  # workers that held their lock and do not any more
    owned: list[OwnedRow]
    free: list[int]


async def new_worker_id(database: Database) -> int:
    """Unique for each start of a worker."""
    worker_id: int = await database.fetch_value("SELECT nextval('worker_ids')")
    return worker_id


async def hold_lock(connection: Connection, worker_id: int) -> None:
    """Until the connection ends, and so no longer than the worker's process."""
    await connection.execute("SELECT pg_advisory_lock($1, $2)", _LOCKS, worker_id % 2**31)


_BEAT = """
WITH mine AS (
    INSERT INTO workers (worker_id, name, beat, beat_at, holds_lock, look_valid_s)
    VALUES ($1, $2, $3, to_timestamp($4), $6, $8)
    ON CONFLICT (worker_id) DO UPDATE
    SET beat = excluded.beat, beat_at = excluded.beat_at, holds_lock = excluded.holds_lock,
        look_valid_s = excluded.look_valid_s
)
SELECT 'worker' AS what, worker_id AS id, beat AS number,
       CASE WHEN holds_lock AND pg_try_advisory_xact_lock($7, (worker_id % 2147483648)::int) THEN 1 END AS detail
FROM workers WHERE worker_id <> $1
UNION ALL
SELECT 'owned', campaign_id, owner_epoch, wanted_by FROM campaigns WHERE owner_id = $1
UNION ALL
SELECT 'free', campaign_id, owner_epoch, NULL FROM campaigns WHERE owner_id IS NULL
UNION ALL
SELECT 'free', campaign_id, owner_epoch, owner_id FROM campaigns c
WHERE owner_id = ANY ($5::bigint[]) OR owner_id <> $1 AND NOT EXISTS (SELECT FROM workers w WHERE w.worker_id = c.owner_id)
ORDER BY 1, 2
"""


async def beat(
    database: Database,
    worker_id: int,
    name: str,
    beat: int,
    now: float,
    dead: Sequence[int],
    *,
    holds_lock: bool = False,
    look_valid_s: float = 0.0,
) -> Look:
    """Says that this worker lives, and reads what concerns it; `dead`: the workers that it takes for dead."""
    rows = await database.fetch(_BEAT, worker_id, name, beat, now, dead, holds_lock, _LOCKS, look_valid_s)
    look = Look({}, [], [], [])
    for what, number, value, detail in rows:
        if what == "worker":
            look.beats[number] = value
            look.unlocked.extend([number] if detail else [])
        elif what == "owned":
            look.owned.append(OwnedRow(number, value, detail))
        else:
            look.free.append(number)
    return look


async def longest_look(database: Database) -> float:
    """For how long a look of any worker may be good now, in seconds: for what was committed before the question."""
    longest_s: float = await database.fetch_value("SELECT coalesce(max(look_valid_s), 0) FROM workers")
    return longest_s


class Taken(msgspec.Struct, frozen=True):
    """A campaign that became ours. `before`: its owner until then; `waited_because`: why nobody could take it up."""

    campaign_id: int
    epoch: int
    before: int | None
    waited_because: str | None


# NO KEY: who imports contacts holds the campaign's key for the whole import. SKIP LOCKED: what another worker is
# just taking is not ours, and two that take the same campaigns can't wait for each other.
_TAKE = """
WITH free AS (
    SELECT campaign_id FROM campaigns c
    WHERE campaign_id = ANY ($2::bigint[])
      AND (owner_id IS NULL OR owner_id = $1 OR $3::bigint[] IS NULL OR owner_id = ANY ($3::bigint[])
           OR NOT EXISTS (SELECT FROM workers w WHERE w.worker_id = c.owner_id))
    ORDER BY campaign_id FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE campaigns c SET owner_id = $1, owner_epoch = c.owner_epoch + 1, wanted_by = NULL
    FROM free WHERE c.campaign_id = free.campaign_id
    RETURNING c.organisation_id, c.campaign_id, c.owner_epoch, OLD.owner_id AS before, c.waits_because
)
SELECT campaign_id, owner_epoch, before, waits_because FROM taken
ORDER BY (SELECT q.lane FROM queue q WHERE q.organisation_id = taken.organisation_id AND q.campaign_id = taken.campaign_id
          ORDER BY q.lane, q.due_at LIMIT 1) NULLS LAST, campaign_id
"""


async def take(
    database: Database, worker_id: int, campaign_ids: Sequence[int], dead: Sequence[int] | None
) -> list[Taken]:
    """Becomes the owner of those that have none, or one of the `dead` (None: whoever has them).

    The most urgent first: those where replies wait, then those where anything waits.
    """
    rows = await database.fetch(_TAKE, worker_id, campaign_ids, dead)
    return [Taken(*row) for row in rows]


async def give_up(
    database: Database, campaign_id: int, token: FencingToken, waits_because: str | None = None
) -> None:
    """Leaves the campaign to whoever wants it; nothing happens when another worker owns it already."""
    await database.execute(
        """
        UPDATE campaigns SET owner_id = NULL, wanted_by = NULL, waits_because = $4
        WHERE campaign_id = $1 AND owner_id = $2 AND owner_epoch = $3
        """,
        campaign_id,
        *token,
        waits_because,
    )


async def taken_up(database: Database, campaign_id: int) -> None:
    """What kept it waiting is over."""
    await database.execute(
        "UPDATE campaigns SET waits_because = NULL WHERE campaign_id = $1 AND waits_because IS NOT NULL",
        campaign_id,
    )


async def leave(database: Database, worker_id: int) -> None:
    """The worker stops: all its campaigns are free, and nobody waits for its beat."""
    await database.execute(
        """
        WITH gone AS (DELETE FROM workers WHERE worker_id = $1)
        UPDATE campaigns SET owner_id = NULL, wanted_by = NULL WHERE owner_id = $1
        """,
        worker_id,
    )


async def forget(database: Database, worker_ids: Sequence[int]) -> None:
    """Dead workers that own nothing any more are struck off."""
    await database.execute(
        """
        DELETE FROM workers w WHERE w.worker_id = ANY ($1::bigint[])
           AND NOT EXISTS (SELECT FROM campaigns c WHERE c.owner_id = w.worker_id)
        """,
        worker_ids,
    )


async def owned_by(database: Database, worker_ids: Sequence[int]) -> list[int]:
    """The campaigns of these workers, by id."""
    rows = await database.fetch(
        "SELECT campaign_id FROM campaigns WHERE owner_id = ANY ($1::bigint[]) ORDER BY campaign_id",
        worker_ids,
    )
    return [row[0] for row in rows]


async def ask_for(database: Database, worker_id: int, campaign_ids: Sequence[int]) -> None:
    """Tells the owners of these campaigns that they are this worker's share."""
    await database.execute(
        """
        UPDATE campaigns SET wanted_by = $1
        WHERE campaign_id = ANY ($2::bigint[]) AND owner_id <> $1 AND wanted_by IS DISTINCT FROM $1
        """,
        worker_id,
        campaign_ids,
    )


async def with_due(database: Database, worker_id: int, until: float) -> list[int]:
    """The campaigns of ours whose queue holds something that is due."""
    rows = await database.fetch(
        """
        SELECT c.campaign_id FROM campaigns c
        WHERE c.owner_id = $1
          AND EXISTS (SELECT FROM queue q WHERE q.organisation_id = c.organisation_id AND q.campaign_id = c.campaign_id AND q.lane BETWEEN 0 AND 2
                      AND q.due_at <= to_timestamp($2))
        ORDER BY c.campaign_id
        """,
        worker_id,
        until,
    )
    return [row[0] for row in rows]
