"""Campaigns: who sends, under which settings, and whose opt-outs count."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignKey
from gateway.store.database import Database, Statements


class CampaignRow(msgspec.Struct, frozen=True):
    """A campaign; `settings` is JSON text that the campaign's own record reads.

    `waits_because`: why no worker could take it up. `settings_version` counts the times they were saved,
    `actions_version` the changes of its actions; the first texts of `paused_actions` wait. `area_codes`: JSON text, those
    that an action's first texts prefer, by action. `broadcasts`: published actions that the gateway sends. `held_pairs`:
    scripts and carriers whose breaker is open.
    """

    campaign_id: int
    opt_out_scope: int
    name: str
    settings: str
    paused: bool
    organisation_id: int = DEFAULT_ORGANISATION
    waits_because: str | None = None
    settings_version: int = 1
    actions_version: int = 1
    paused_actions: Sequence[int] = ()
    area_codes: str = "{}"
    broadcasts: Sequence[int] = ()
    held_pairs: Sequence[str] = ()

    @property
    def key(self) -> CampaignKey:
        return CampaignKey(self.organisation_id, self.campaign_id)


async def create(statements: Statements, campaign: CampaignRow, now: float) -> None:
    await statements.fetch(
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


_COLUMNS = """
campaign_id, opt_out_scope, name, settings::text AS settings, paused, organisation_id, waits_because, settings_version,
actions_version, paused_actions, area_codes::text AS area_codes, broadcasts, held_pairs
"""


async def load(database: Database, campaign_ids: Sequence[int] | None = None) -> list[CampaignRow]:
    """The campaigns asked for, or all, by id."""
    rows = await database.fetch(
        f"""
        SELECT {_COLUMNS} FROM campaigns
        WHERE $1::bigint[] IS NULL OR campaign_id = ANY ($1::bigint[]) ORDER BY campaign_id
        """,  # noqa: S608 - our own names
        campaign_ids,
    )
    return [CampaignRow(*row) for row in rows]


async def locked(transaction: Statements, key: CampaignKey) -> CampaignRow:
    """The campaign as it stands, until the transaction ends."""
    rows = await transaction.fetch(
        f"SELECT {_COLUMNS} FROM campaigns WHERE organisation_id = $1 AND campaign_id = $2 FOR NO KEY UPDATE",  # noqa: S608 - our own names
        *key,
    )
    return CampaignRow(*rows[0])


async def pause(statements: Statements, key: CampaignKey, paused: bool) -> None:
    await statements.fetch(
        "UPDATE campaigns SET paused = $3 WHERE organisation_id = $1 AND campaign_id = $2", *key, paused
    )


async def save_settings(statements: Statements, key: CampaignKey, settings: str) -> None:
    await statements.fetch(
        """
        UPDATE campaigns SET settings = $3::text::jsonb, settings_version = settings_version + 1
        WHERE organisation_id = $1 AND campaign_id = $2
        """,
        *key,
        settings,
    )
