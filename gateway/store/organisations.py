"""Organisations: within one, campaigns may share opt-outs; nothing else is shared, and nothing crosses."""

from gateway.store.database import Database


async def exists(database: Database, organisation_id: int) -> bool:
    found = await database.fetch_value(
        "SELECT true FROM organisations WHERE organisation_id = $1", organisation_id
    )
    return found is not None


async def create(database: Database, name: str, now: float) -> int:
    """A new organisation; its id, one above the highest. `now` in Unix seconds."""
    async with database.transaction() as connection:
        await connection.execute("LOCK TABLE organisations IN SHARE ROW EXCLUSIVE MODE")
        made: int = await connection.fetchval(
            """
            INSERT INTO organisations (organisation_id, name, created_at)
            SELECT coalesce(max(organisation_id), 0) + 1, $1, to_timestamp($2) FROM organisations
            RETURNING organisation_id
            """,
            name,
            now,
        )
        return made
