"""Work that one of all workers does now and then, and how far it has come; both survive a restart."""

import msgspec

from gateway.store.database import Database

# Whoever moves `due_at` on has taken the turn: the row is the lock, and no connection is held meanwhile. Who
# fails or dies says nothing; then the turn comes again when the time it was taken for is over.
_TAKE = """
INSERT INTO chores AS c (name, due_at) VALUES ($1, to_timestamp($2::float8 + $3::float8))
ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at WHERE c.due_at <= to_timestamp($2)
RETURNING extract(epoch FROM done_until)::float8
"""


class Turn(msgspec.Struct, frozen=True):
    """This worker's turn; everything before `done_until` (Unix seconds) is done, None: never done."""

    done_until: float | None


async def take(database: Database, name: str, now: float, for_s: float) -> Turn | None:
    """This worker's turn at a chore that is due; None when it is not, or another worker has it."""
    row = await database.fetch_row(_TAKE, name, now, for_s)
    return None if row is None else Turn(row[0])


async def done_until(database: Database, name: str) -> float | None:
    """Everything before is done (Unix seconds); None: it was never done."""
    value: float | None = await database.fetch_value(
        "SELECT extract(epoch FROM done_until)::float8 FROM chores WHERE name = $1", name
    )
    return value


async def reached(database: Database, name: str, until: float) -> None:
    """Everything before `until` is done, by whoever did it; whose turn it is stays as it was."""
    await database.execute(
        """
        INSERT INTO chores AS c (name, due_at, done_until) VALUES ($1, to_timestamp($2), to_timestamp($2))
        ON CONFLICT (name) DO UPDATE SET done_until = greatest(c.done_until, excluded.done_until)
        """,
        name,
        until,
    )


async def done(database: Database, name: str, until: float, due_at: float) -> None:
    """Everything before `until` is done; the next turn is at `due_at`."""
    await database.execute(
        "UPDATE chores SET done_until = to_timestamp($2), due_at = to_timestamp($3) WHERE name = $1",
        name,
        until,
        due_at,
    )
