"""Campaigns: who sends, under which settings, and whose opt-outs count."""

from collections.abc import Sequence

import msgspec

from gateway.store.database import Database


class CampaignRow(msgspec.Struct, frozen=True):
    """A campaign; `settings` is JSON text that the campaign's own record reads."""

    campaign_id: int
    opt_out_scope: int
    name: str
    settings: str
    paused: bool


async def create(database: Database, campaign: CampaignRow, now: float) -> None:
    await database.execute(
        """
        INSERT INTO campaigns (campaign_id, opt_out_scope, name, settings, paused, created_at)
        VALUES ($1, $2, $3, $4::text::jsonb, $5, to_timestamp($6))
        """,
        campaign.campaign_id,
        campaign.opt_out_scope,
        campaign.name,
        campaign.settings,
        campaign.paused,
        now,
    )


async def load(database: Database, campaign_ids: Sequence[int] | None = None) -> list[CampaignRow]:
    """The campaigns asked for, or all, by id."""
    rows = await database.fetch(
        """
        SELECT campaign_id, opt_out_scope, name, settings::text AS settings, paused FROM campaigns
        WHERE $1::bigint[] IS NULL OR campaign_id = ANY ($1::bigint[]) ORDER BY campaign_id
        """,
        campaign_ids,
    )
    return [CampaignRow(*row) for row in rows]


async def pause(database: Database, campaign_id: int, paused: bool) -> None:
    await database.execute("UPDATE campaigns SET paused = $2 WHERE campaign_id = $1", campaign_id, paused)
