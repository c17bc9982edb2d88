"""The database's own time of day."""

from gateway.store.database import Database


async def time_of_day(database: Database) -> float:
    """Unix seconds, as the server has them when it answers."""
    at: float = await database.fetch_value("SELECT extract(epoch FROM clock_timestamp())::float8")
    return at
