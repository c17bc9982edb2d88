"""Contacts: the people on a campaign's lists, one row a phone."""

from collections.abc import Sequence

import msgspec
from asyncpg.exceptions import UniqueViolationError

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Connection, Database

_COLUMNS = (
    "organisation_id",
    "campaign_id",
    "contact_id",
    "phone",
    "first_name",
    "last_name",
    "email",
    "zip",
    "state",
    "hours_group",
    "line_type",
    "carrier",
    "fields",
)

_FACTS = ", ".join(_COLUMNS[2:])

_ADD_WHAT_IS_NEW = f"""
INSERT INTO contacts (organisation_id, campaign_id, {_FACTS})
SELECT $1, $2, {_FACTS} FROM arriving ORDER BY contact_id ON CONFLICT DO NOTHING
"""  # noqa: S608 - our own column names


class ContactRow(msgspec.Struct, frozen=True, gc=False):
    """A contact to be stored; `fields` is a JSON object of custom fields, or None."""

    contact_id: int
    phone: str
    hours_group: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    zip: str = ""
    state: str = ""
    line_type: str | None = None
    carrier: str | None = None
    fields: str | None = None


async def add(database: Database, key: CampaignKey, contacts: Sequence[ContactRow]) -> int:
    """Stores new contacts; a phone the campaign already has keeps its row. Returns how many are new.

    COPY straight into the table; only where a row of the batch is there already, by way of a table of the
    transaction's own, so that a duplicate phone harms nobody else in the batch.
    """
    records = [
        (
            *key,
            row.contact_id,
            row.phone,
            row.first_name,
            row.last_name,
            row.email,
            row.zip,
            row.state,
            row.hours_group,
            row.line_type,
            row.carrier,
            row.fields,
        )
        for row in contacts
    ]
    async with database.transaction() as connection:
        try:
            async with connection.transaction():
                await connection.copy_records_to_table("contacts", columns=_COLUMNS, records=records)
        except UniqueViolationError:
            return await _add_what_is_new(connection, key, records)
    return len(records)


async def _add_what_is_new(
    connection: Connection, key: CampaignKey, records: Sequence[tuple[object, ...]]
) -> int:
    await connection.execute("CREATE TEMP TABLE arriving (LIKE contacts INCLUDING DEFAULTS) ON COMMIT DROP")
    await connection.copy_records_to_table("arriving", columns=_COLUMNS, records=records)
    status: str = await connection.execute(_ADD_WHAT_IS_NEW, *key)
    return int(status.rsplit(maxsplit=1)[-1])


async def count(database: Database, key: CampaignKey) -> int:
    total: int = await database.fetch_value(
        "SELECT count(*) FROM contacts WHERE organisation_id = $1 AND campaign_id = $2", *key
    )
    return total


async def hours_groups(database: Database, key: CampaignKey) -> list[str]:
    """The groups of recipients who share a lawful window."""
    rows = await database.fetch(
        """
        SELECT DISTINCT hours_group FROM contacts WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY 1
        """,
        *key,
    )
    return [row[0] for row in rows]
