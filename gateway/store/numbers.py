"""The campaign's phone numbers, and which campaign a number belongs to."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database


class NumberRow(msgspec.Struct, frozen=True):
    """A number of a campaign; `bought_because` says why (C7), `details` is the pool's record as JSON."""

    number_id: int
    phone: str
    provider_sid: str
    state: str
    bought_because: str
    details: str


async def add(database: Database, key: CampaignKey, number: NumberRow, now: float) -> None:
    """Writes a number down; the very same once more changes nothing. A phone that is taken is refused."""
    await database.execute(
        """
        INSERT INTO numbers (organisation_id, campaign_id, number_id, phone, provider_sid, state, bought_because,
                             details, bought_at)
        SELECT $1::bigint, $2::bigint, $3::bigint, $4::text, $5::text, $6::text, $7::text, $8::text::jsonb,
               to_timestamp($9)
        WHERE NOT EXISTS (SELECT FROM numbers WHERE organisation_id = $1 AND campaign_id = $2 AND number_id = $3
                          AND phone = $4)
        """,
        *key,
        number.number_id,
        number.phone,
        number.provider_sid,
        number.state,
        number.bought_because,
        number.details,
        now,
    )


async def load(database: Database, key: CampaignKey) -> list[NumberRow]:
    rows = await database.fetch(
        """
        SELECT number_id, phone, provider_sid, state, bought_because, details::text FROM numbers
        WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY number_id
        """,
        *key,
    )
    return [NumberRow(*row) for row in rows]


async def save(database: Database, key: CampaignKey, numbers: Sequence[tuple[int, str, str]]) -> None:
    """(number id, state, details as JSON) of numbers that changed."""
    await database.execute(
        """
        UPDATE numbers n SET state = c.state, details = c.details::jsonb
        FROM unnest($3::bigint[], $4::text[], $5::text[]) AS c (number_id, state, details)
        WHERE n.organisation_id = $1 AND n.campaign_id = $2 AND n.number_id = c.number_id
        """,
        *key,
        [number[0] for number in numbers],
        [number[1] for number in numbers],
        [number[2] for number in numbers],
    )


async def phones(database: Database, key: CampaignKey) -> list[str]:
    """All numbers the campaign ever texted from: people also answer one that is retired."""
    rows = await database.fetch(
        "SELECT phone FROM numbers WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY number_id", *key
    )
    return [row[0] for row in rows]


async def has_any(database: Database) -> bool:
    """Whether anybody could have texted us."""
    return bool(await database.fetch_value("SELECT EXISTS (SELECT FROM numbers)"))


async def of_everybody(database: Database) -> list[str]:
    """The phones of all numbers that any campaign ever texted from."""
    rows = await database.fetch("SELECT DISTINCT phone FROM numbers ORDER BY phone")
    return [row[0] for row in rows]


async def campaigns_of(database: Database, phones: Sequence[str]) -> dict[str, CampaignKey]:
    """Which campaign each of our numbers belongs to: of several that had one, who bought it last.

    It looks in every organisation, so nothing hot may ask it twice about one number.
    """
    rows = await database.fetch(
        """
        SELECT DISTINCT ON (phone) phone, organisation_id, campaign_id FROM numbers
        WHERE phone = ANY ($1::text[]) ORDER BY phone, bought_at DESC, organisation_id DESC
        """,
        phones,
    )
    return {row[0]: CampaignKey(*row[1:]) for row in rows}
