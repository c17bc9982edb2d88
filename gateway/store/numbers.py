"""The campaign's phone numbers, and which campaign a number belongs to."""

from collections.abc import Sequence

import msgspec

from gateway.store.database import Database


class NumberRow(msgspec.Struct, frozen=True):
    """A number of a campaign; `bought_because` says why (C7), `details` is the pool's record as JSON."""

    number_id: int
    phone: str
    provider_sid: str
    state: str
    bought_because: str
    details: str


async def add(database: Database, campaign_id: int, number: NumberRow, now: float) -> None:
    """Writes a number down; the very same once more changes nothing. A phone that is taken is refused."""
    await database.execute(
        """
        INSERT INTO numbers (campaign_id, number_id, phone, provider_sid, state, bought_because, details,
                             bought_at)
        SELECT $1::bigint, $2::bigint, $3::text, $4::text, $5::text, $6::text, $7::text::jsonb, to_timestamp($8)
        WHERE NOT EXISTS (SELECT FROM numbers WHERE campaign_id = $1 AND number_id = $2 AND phone = $3)
        """,
        campaign_id,
        number.number_id,
        number.phone,
        number.provider_sid,
        number.state,
        number.bought_because,
        number.details,
        now,
    )


async def load(database: Database, campaign_id: int) -> list[NumberRow]:
    rows = await database.fetch(
        """
        SELECT number_id, phone, provider_sid, state, bought_because, details::text FROM numbers
        WHERE campaign_id = $1 ORDER BY number_id
        """,
        campaign_id,
    )
    return [NumberRow(*row) for row in rows]


async def save(database: Database, campaign_id: int, numbers: Sequence[tuple[int, str, str]]) -> None:
    """(number id, state, details as JSON) of numbers that changed."""
    await database.execute(
        """
        UPDATE numbers n SET state = c.state, details = c.details::jsonb
        FROM unnest($2::bigint[], $3::text[], $4::text[]) AS c (number_id, state, details)
        WHERE n.campaign_id = $1 AND n.number_id = c.number_id
        """,
        campaign_id,
        [number[0] for number in numbers],
        [number[1] for number in numbers],
        [number[2] for number in numbers],
    )


async def phones(database: Database, campaign_id: int) -> list[str]:
    """All numbers the campaign ever texted from: people also answer one that is retired."""
    rows = await database.fetch(
        "SELECT phone FROM numbers WHERE campaign_id = $1 ORDER BY number_id", campaign_id
    )
    return [row[0] for row in rows]


async def campaigns_of(database: Database, phones: Sequence[str]) -> dict[str, int]:
    """Which campaign each of our numbers belongs to."""
    rows = await database.fetch(
        "SELECT phone, campaign_id FROM numbers WHERE phone = ANY ($1::text[]) ORDER BY phone", phones
    )
    return {row[0]: row[1] for row in rows}


async def segments_since(database: Database, campaign_id: int, since: float) -> dict[str | None, int]:
    """Segments handed over since an instant, by carrier: what a daily cap has used before a restart."""
    rows = await database.fetch(
        """
        SELECT c.carrier, sum(m.segments) FROM messages m JOIN contacts c USING (campaign_id, contact_id)
        WHERE m.campaign_id = $1 AND m.slot_at >= to_timestamp($2) GROUP BY c.carrier ORDER BY c.carrier
        """,
        campaign_id,
        since,
    )
    return {row[0]: row[1] for row in rows}
