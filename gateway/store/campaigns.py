"""Campaigns: who sends, under which settings, and whose opt-outs count."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignKey
from gateway.store.database import Database


class CampaignRow(msgspec.Struct, frozen=True):
    """A campaign; `settings` is JSON text that the campaign's own record reads.

    `waits_because`: why no worker could take it up.
    """

    campaign_id: int
    opt_out_scope: int
    name: str
    settings: str
    paused: bool
    organisation_id: int = DEFAULT_ORGANISATION
    waits_because: str | None = None

    @property
    def key(self) -> CampaignKey:
        return CampaignKey(self.organisation_id, self.campaign_id)


async def create(database: Database, campaign: CampaignRow, now: float) -> None:
    await database.execute(
        """
        INSERT INTO campaigns (organisation_id, campaign_id, opt_out_scope, name, settings, paused, created_at)
        VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, to_timestamp($7))
        """,
        *campaign.key,
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
        SELECT campaign_id, opt_out_scope, name, settings::text AS settings, paused, organisation_id, waits_because
        FROM campaigns
        WHERE $1::bigint[] IS NULL OR campaign_id = ANY ($1::bigint[]) ORDER BY campaign_id
        """,
        campaign_ids,
    )
    return [CampaignRow(*row) for row in rows]


async def pause(database: Database, key: CampaignKey, paused: bool) -> None:
    await database.execute(
        "UPDATE campaigns SET paused = $3 WHERE organisation_id = $1 AND campaign_id = $2", *key, paused
    )


async def save_settings(database: Database, key: CampaignKey, settings: str) -> None:
    await database.execute(
        """
        UPDATE campaigns SET settings = $3::text::jsonb WHERE organisation_id = $1 AND campaign_id = $2
        """,
        *key,
        settings,
    )
