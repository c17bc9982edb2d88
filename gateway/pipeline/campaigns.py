"""The campaigns a worker knows, with their settings read once."""

import asyncio

import msgspec

from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignKey, CampaignSettings
from gateway.core.rules.errors import BadInput
from gateway.core.rules.registration import Limits, limits
from gateway.store import campaigns as rows
from gateway.store.database import Database


class Campaign(msgspec.Struct, frozen=True):
    """A campaign as the road needs it: settings parsed, the registration's limits worked out."""

    campaign_id: int
    opt_out_scope: int
    name: str
    settings: CampaignSettings
    limits: Limits
    paused: bool
    organisation_id: int = DEFAULT_ORGANISATION

    @property
    def key(self) -> CampaignKey:
        return CampaignKey(self.organisation_id, self.campaign_id)

    @property
    def brand(self) -> str:
        """Whose day at T-Mobile it uses: the organisation's brand of that name, or the campaign alone."""
        return self.settings.registration.brand or f"campaign {self.campaign_id}"


class Campaigns:
    """Campaigns by id; `load` reads them from the store again."""

    def __init__(self, database: Database, stop_settles_s: float = 0.0) -> None:
        self._database = database
        self._stop_settles_s = stop_settles_s
        self._known: dict[int, Campaign] = {}

    async def load(self) -> None:
        self._known = {row.campaign_id: _read(row) for row in await rows.load(self._database)}

    async def pause(self, campaign_id: int, paused: bool) -> None:
        """In force at its answer: every look at a claimed text that began before has expired then."""
        await rows.pause(self._database, self[campaign_id].key, paused)
        if paused:
            await asyncio.sleep(self._stop_settles_s)
        await self.load()

    def __getitem__(self, campaign_id: int) -> Campaign:
        try:
            return self._known[campaign_id]
        except KeyError:
            raise BadInput("there is no such campaign", str(campaign_id), "check the campaign id") from None

    def __contains__(self, campaign_id: int) -> bool:
        return campaign_id in self._known

    def ids(self) -> list[int]:
        return sorted(self._known)


def _read(row: rows.CampaignRow) -> Campaign:
    settings = CampaignSettings.from_json(row.settings, f"settings of campaign {row.campaign_id}")
    return Campaign(
        row.campaign_id,
        row.opt_out_scope,
        row.name,
        settings,
        limits(settings.registration),
        row.paused,
        row.organisation_id,
    )
