"""Purchases of numbers, by campaign: the budget of a day is counted here, whoever buys and whatever breaks."""

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database

_BEGIN = """
WITH lately AS (
    SELECT count(*) FILTER (WHERE asked_at > to_timestamp($3::float8 - 86400)) AS made, max(purchase_id) AS last
    FROM number_purchases WHERE organisation_id = $1 AND campaign_id = $2
), old AS (
    DELETE FROM number_purchases
    WHERE organisation_id = $1 AND campaign_id = $2 AND asked_at < to_timestamp($3::float8 - 2 * 86400)
)
INSERT INTO number_purchases (organisation_id, campaign_id, purchase_id, asked_at)
SELECT $1::bigint, $2::bigint, coalesce(last, 0) + 1, to_timestamp($3::float8) FROM lately WHERE made < $4
RETURNING purchase_id
"""


async def begin(database: Database, key: CampaignKey, budget: int, now: float) -> int | None:
    """The id of a purchase that may be made now; None when `budget` were made within 24 hours."""
    purchase_id: int | None = await database.fetch_value(_BEGIN, *key, now, budget)
    return purchase_id


async def not_made(database: Database, key: CampaignKey, purchase_id: int) -> None:
    """The provider certainly sold nothing."""
    await database.execute(
        "DELETE FROM number_purchases WHERE organisation_id = $1 AND campaign_id = $2 AND purchase_id = $3",
        *key,
        purchase_id,
    )
