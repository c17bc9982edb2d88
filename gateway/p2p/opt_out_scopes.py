"""Whose opt-outs count for a campaign: its own, or its organisation's (C5), changed while it texts.

Nobody who has left is texted again by a change: the list before is copied into the new one, whichever way it goes. While
workers learn of it both are kept alike, so that it doesn't matter which one somebody still reads or writes.
"""

from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.rules.campaign import WHOLE_ORGANISATION, CampaignKey
from gateway.core.rules.errors import BadInput, TextbankError
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import audit_log, opt_out_scopes
from gateway.store.database import Database
from gateway.store.opt_out_scopes import Counted
from gateway.store.rows import as_json

__all__ = ["Counted", "OptOutScopes", "ScopeIsChanging"]

ALIKE_S: Final = 600.0
"""For so long both lists are kept alike after a change, and while they are copied: far longer than a worker goes by what it
knew before."""


class ScopeIsChanging(TextbankError):
    """The list of opt-outs was changed a moment ago, or is just being changed."""

    def __init__(self) -> None:
        super().__init__(
            f"the list of opt-outs was changed a moment ago: ask again in {ALIKE_S / 60:.0f} minutes"
        )


class OptOutScopes:
    """Of every campaign."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock

    async def foresee(self, campaign: Campaign, scope: int) -> Counted:
        """What it would do now; nothing is changed. Raises BadInput for a scope that it can't have, or has already."""
        campaign = await self._as_it_stands(campaign, scope)
        return await opt_out_scopes.count(self._database, campaign.key, campaign.opt_out_scope, scope)

    async def change(self, campaign: Campaign, scope: int, who: str) -> tuple[Campaign, Counted]:
        """In force at its answer, and on every worker within two seconds; until then nobody is passed over.

        Broken off, it has changed nothing and may be repeated. Raises BadInput, and ScopeIsChanging.
        """
        campaign = await self._as_it_stands(campaign, scope)
        database, key, before, now = self._database, campaign.key, campaign.opt_out_scope, self._clock.now()
        counted = await opt_out_scopes.count(database, key, before, scope)
        if not await opt_out_scopes.begin(database, key, before, scope, until=now + ALIKE_S, now=now):
            raise ScopeIsChanging
        await opt_out_scopes.wait_for_writers(database, key.organisation_id)
        await self._copy(key, before, scope, alike_until=now + ALIKE_S)
        told = {"opt_out_scope": scope, **msgspec.structs.asdict(counted)}
        async with database.transaction() as transaction:
            now = self._clock.now()
            if not await opt_out_scopes.switch(transaction, key, before, scope, until=now + ALIKE_S, now=now):
                raise ScopeIsChanging
            lines = {"before": as_json({"opt_out_scope": before}), "after": as_json(told)}
            await audit_log.write(transaction, key, now, who, "opt-out scope changed", **lines)
        await self._campaigns.take_up(campaign.campaign_id, pauses=True)
        return self._campaigns[campaign.campaign_id], counted

    async def _copy(self, key: CampaignKey, before: int, scope: int, *, alike_until: float) -> None:
        """However long it takes: who leaves meanwhile, and was passed already, must be on both lists. Raises
        ScopeIsChanging where that can't be said any more."""
        after: str | None = ""
        while after is not None:
            after = await opt_out_scopes.copy(self._database, key.organisation_id, before, scope, after)
            now = self._clock.now()
            if now > alike_until - ALIKE_S / 2:
                alike_until = now + ALIKE_S
                if not await opt_out_scopes.keep_on(
                    self._database, key, before, scope, until=alike_until, now=now
                ):
                    raise ScopeIsChanging

    async def _as_it_stands(self, campaign: Campaign, scope: int) -> Campaign:
        """Another worker may have changed it a moment ago."""
        await self._campaigns.load()
        campaign = self._campaigns[campaign.campaign_id]
        _check(campaign, scope)
        return campaign


def _check(campaign: Campaign, scope: int) -> None:
    if scope not in (campaign.campaign_id, WHOLE_ORGANISATION):
        raise BadInput(
            "opt-outs count for this campaign, or for its whole organisation",
            "opt_out_scope",
            f"give {campaign.campaign_id} or {WHOLE_ORGANISATION}",
        )
    if scope == campaign.opt_out_scope:
        raise BadInput("this is its scope already", "opt_out_scope", "there is nothing to change")
