"""Organisations: within one, campaigns may share opt-outs; nothing else is shared, and nothing crosses."""

from gateway.store.database import Database


async def exists(database: Database, organisation_id: int) -> bool:
    found = await database.fetch_value(
        "SELECT true FROM organisations WHERE organisation_id = $1", organisation_id
    )
    return found is not None
