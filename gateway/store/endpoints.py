"""Endpoints: which other systems are told of a campaign, and how far in its journal each of them is."""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Record, Statements


class EndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint; times are Unix seconds. `secrets`: those that sign now, the newest first.

    `inactive_because`: why it was switched off by us. `failing_since`: None, the last delivery was taken. `van`: JSON.
    """

    organisation_id: int
    campaign_id: int
    endpoint_id: int
    kind: str
    url: str
    topics: list[str]
    secrets: list[str]
    van: str | None
    active: bool
    inactive_because: str | None
    failing_since: float | None
    made_at: float

    @property
    def key(self) -> CampaignKey:
        return CampaignKey(self.organisation_id, self.campaign_id)


class Cursor(msgspec.Struct, frozen=True):
    """Where an endpoint stands: in the journal, and the id of its last delivery."""

    xid: int
    event_id: int
    deliveries: int


_COLUMNS: Final = """
organisation_id, campaign_id, endpoint_id, kind, url, topics, secret,
CASE WHEN former_until > to_timestamp($3) THEN former_secret END,
van::text, active, inactive_because, extract(epoch FROM failing_since)::float8, extract(epoch FROM made_at)::float8
"""
_CREATE = """
INSERT INTO webhook_endpoints
  (organisation_id, campaign_id, endpoint_id, kind, url, topics, secret, van, made_at, xid, event_id)
VALUES ($1, $2, $3, $4, $5, $6::text[], $7, $8::text::jsonb, to_timestamp($9), $10, $11)
"""


async def create(transaction: Statements, endpoint: EndpointRow, cursor: Cursor) -> None:
    """A new endpoint, which is told what comes after a place in the journal."""
    await transaction.fetch(
        _CREATE,
        *endpoint.key,
        endpoint.endpoint_id,
        endpoint.kind,
        endpoint.url,
        endpoint.topics,
        endpoint.secrets[0],
        endpoint.van,
        endpoint.made_at,
        cursor.xid,
        cursor.event_id,
    )


_PAGE = f"""
SELECT {_COLUMNS} FROM webhook_endpoints
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id > $4 ORDER BY endpoint_id LIMIT $5
"""  # noqa: S608 - our own names
_FIND = f"""
SELECT {_COLUMNS} FROM webhook_endpoints WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $4
"""  # noqa: S608 - our own names
_ACTIVE = f"""
SELECT {_COLUMNS} FROM webhook_endpoints
WHERE (organisation_id, campaign_id) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[])) AND active
ORDER BY organisation_id, campaign_id, endpoint_id
"""  # noqa: S608 - our own names


async def page(
    statements: Statements, key: CampaignKey, now: float, *, after: int, limit: int
) -> list[EndpointRow]:
    """At most `limit` of a campaign's endpoints, those with an id above `after`, by id."""
    return [_row(row) for row in await statements.fetch(_PAGE, *key, now, after, limit)]


async def find(statements: Statements, key: CampaignKey, endpoint_id: int, now: float) -> EndpointRow | None:
    rows = await statements.fetch(_FIND, *key, now, endpoint_id)
    return _row(rows[0]) if rows else None


async def active(database: Database, keys: Sequence[CampaignKey], now: float) -> list[EndpointRow]:
    """Every endpoint of these campaigns that is to be told anything."""
    organisations, campaigns = [key.organisation_id for key in keys], [key.campaign_id for key in keys]
    return [_row(row) for row in await database.fetch(_ACTIVE, organisations, campaigns, now)]


def _row(row: Record) -> EndpointRow:
    return EndpointRow(
        organisation_id=row[0],
        campaign_id=row[1],
        endpoint_id=row[2],
        kind=row[3],
        url=row[4],
        topics=row[5],
        secrets=[each for each in (row[6], row[7]) if each is not None],
        van=row[8],
        active=row[9],
        inactive_because=row[10],
        failing_since=row[11],
        made_at=row[12],
    )


_LOCK = """
SELECT xid, event_id, deliveries FROM webhook_endpoints
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3 FOR NO KEY UPDATE
"""
_MOVE = """
UPDATE webhook_endpoints SET xid = $4, event_id = $5, deliveries = $6
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3
"""


async def lock(transaction: Statements, key: CampaignKey, endpoint_id: int) -> Cursor | None:
    """Where the endpoint stands, until the transaction ends; None: it is gone."""
    rows = await transaction.fetch(_LOCK, *key, endpoint_id)
    return Cursor(*rows[0]) if rows else None


async def move(transaction: Statements, key: CampaignKey, endpoint_id: int, cursor: Cursor) -> None:
    await transaction.fetch(_MOVE, *key, endpoint_id, cursor.xid, cursor.event_id, cursor.deliveries)


_CHANGE = """
UPDATE webhook_endpoints
SET url = $4, topics = $5::text[], van = $6::text::jsonb, active = $7, inactive_because = $8,
    failing_since = CASE WHEN $7 AND NOT active THEN NULL ELSE failing_since END
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3
"""
_RENEW = """
UPDATE webhook_endpoints SET former_secret = secret, former_until = to_timestamp($5), secret = $4
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3
"""
_DELETE = """
DELETE FROM webhook_endpoints WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3
"""
_FAILING = """
UPDATE webhook_endpoints SET failing_since = to_timestamp($4)
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3
  AND (failing_since IS NULL) = ($4::float8 IS NOT NULL)
"""


async def change(transaction: Statements, endpoint: EndpointRow) -> None:
    """Its address, topics and settings, and whether it is told anything, as this row has them."""
    await transaction.fetch(
        _CHANGE,
        *endpoint.key,
        endpoint.endpoint_id,
        endpoint.url,
        endpoint.topics,
        endpoint.van,
        endpoint.active,
        endpoint.inactive_because,
    )


async def new_secret(
    transaction: Statements, key: CampaignKey, endpoint_id: int, secret: str, former_until: float
) -> None:
    """Another secret; the one before signs as well until then."""
    await transaction.fetch(_RENEW, *key, endpoint_id, secret, former_until)


async def delete(transaction: Statements, key: CampaignKey, endpoint_id: int) -> None:
    """The endpoint, with all that was on its way there."""
    await transaction.fetch(_DELETE, *key, endpoint_id)


async def failing(database: Database, key: CampaignKey, endpoint_id: int, since: float | None) -> None:
    """Since when nothing was taken; None: something was. A time that is known already stays."""
    await database.execute(_FAILING, *key, endpoint_id, since)


_SWITCH_OFF = """
UPDATE webhook_endpoints SET active = false, inactive_because = $4
WHERE organisation_id = $1 AND campaign_id = $2 AND endpoint_id = $3
"""


async def switch_off(transaction: Statements, key: CampaignKey, endpoint_id: int, why: str) -> None:
    """It is told nothing any more, until an admin switches it on again."""
    await transaction.fetch(_SWITCH_OFF, *key, endpoint_id, why)


def switched_off(endpoint: EndpointRow, why: str) -> EndpointRow:
    return msgspec.structs.replace(endpoint, active=False, inactive_because=why)


def told(endpoint: EndpointRow) -> str:
    """What the audit log tells of an endpoint: all but its secrets."""
    shown = {
        "endpoint_id": endpoint.endpoint_id,
        "kind": endpoint.kind,
        "url": endpoint.url,
        "topics": endpoint.topics,
        "van": msgspec.Raw((endpoint.van or "null").encode()),
        "active": endpoint.active,
        "inactive_because": endpoint.inactive_because,
    }
    return msgspec.json.encode(shown).decode()
