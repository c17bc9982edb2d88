"""Campaigns as their admins have them: made, given other settings, paused."""

from collections.abc import Awaitable, Callable

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.errors import BadInput, TextbankError
from gateway.core.rules.registration import limits
from gateway.core.sending.numbers import NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import campaigns, organisations
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from gateway.store.ids import Ids


class IdTaken(TextbankError):
    """There is a campaign of this id already."""


class CampaignAdmin:
    """What is decided about campaigns. `adopt` gives a new one its dispatcher; `now` tells Unix seconds."""

    def __init__(
        self,
        database: Database,
        known: Campaigns,
        now: Callable[[], float],
        adopt: Callable[[int], Awaitable[None]],
    ) -> None:
        self._database = database
        self._known = known
        self._now = now
        self._adopt = adopt
        self._ids = Ids(database)

    async def create(
        self,
        name: str,
        *,
        organisation_id: int,
        campaign_id: int | None,
        opt_out_scope: int | None,
        settings: CampaignSettings,
        paused: bool,
    ) -> Campaign:
        """Stored at its answer; its dispatcher starts at once. Without an id it gets one, without a scope its own.

        Raises BadInput for what can't work or an organisation that is not there, IdTaken for an id that is.
        """
        require_workable(settings)
        if not await organisations.exists(self._database, organisation_id):
            raise BadInput(f"there is no organisation {organisation_id}", "organisation_id", "make it first")
        await self._known.load()
        if campaign_id is not None and self._known.has(campaign_id):
            raise IdTaken(f"there is a campaign {campaign_id} already")
        campaign_id = campaign_id or await self._free_id()
        row = CampaignRow(
            campaign_id,
            campaign_id if opt_out_scope is None else opt_out_scope,
            name,
            settings.to_json(),
            paused,
            organisation_id,
        )
        await campaigns.create(self._database, row, self._now())
        await self._known.load()
        await self._adopt(campaign_id)
        return self._known[campaign_id]

    async def _free_id(self) -> int:
        while True:
            campaign_id = (await self._ids.take(1))[0]
            if not self._known.has(campaign_id):
                return campaign_id

    async def change(
        self, campaign: Campaign, *, settings: CampaignSettings | None, paused: bool | None
    ) -> Campaign:
        """Other settings, a pause or its end, or both, in force at the answer. Raises BadInput for neither of them, and
        for settings that can't work."""
        if settings is None and paused is None:
            raise BadInput("give paused or settings, or both")
        if settings is not None:
            require_workable(settings)
            await self._known.save_settings(campaign.campaign_id, settings)
        if paused is not None:
            await self._known.pause(campaign.campaign_id, paused)
        return self._known[campaign.campaign_id]


def require_workable(settings: CampaignSettings) -> None:
    """Raises BadInput for settings that no pacer or pool can work with: stored, they would harm every start."""
    try:
        granted = limits(settings.registration)
        NumberPool(settings.pool, granted, [], Pacer(granted))
    except (ValueError, ArithmeticError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(str(error), "settings", "correct it") from error
