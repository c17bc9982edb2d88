"""What the second look says no to: why, and what becomes of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import second_look
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.prefetch import Prefetch
from gateway.store import claims
from gateway.store.claims import Refusal
from gateway.store.messages import Queued
from gateway.store.troubles import DatabaseAway

if TYPE_CHECKING:
    from gateway.pipeline.dispatch import Dispatch


class SecondLook:
    """Of one campaign's queue."""

    def __init__(self, station: "Dispatch", queue: Prefetch) -> None:
        self._station = station
        self._queue = queue

    async def why(self, campaign: Campaign, stopped: Sequence[Queued]) -> None:
        """A rule objects, the campaign is paused, or the message is no longer ours to send."""
        now = self._station.clock.now()
        standings = await claims.standings(
            self._station.database,
            campaign.key,
            campaign.opt_out_scope,
            [message.message_id for message in stopped],
            now,
        )
        refusals = []
        for standing in standings:
            if standing.state != State.QUEUED:
                continue
            refused = second_look(standing.kind, standing.facts, now)
            if refused is not None:
                reason = refused.sub_reason or "found while it waited"
                refusals.append(Refusal(standing.message_id, refused.code, reason))
            else:  # paused, or somebody holds its row: it stays in the queue; whoever resumes wakes the road
                self._queue.read_again_in(self._station.options.idle_poll_s)
        if refusals:
            await self.refuse(campaign.key, refusals)

    async def refuse(self, key: CampaignKey, refusals: Sequence[Refusal]) -> None:
        """Queued messages become blocked. Raises DatabaseAway; then they are read again."""
        now = self._station.clock.now()
        for refusal in refusals:
            self._queue.pop(refusal.message_id)
        try:
            blocked = await claims.block(self._station.database, key, refusals, now)
        except DatabaseAway:
            self._queue.read_now()
            raise
        for refusal in refusals:
            if refusal.message_id in blocked:
                self._station.metrics.blocked(refusal.code)
                self._station.metrics.transition(State.QUEUED, State.BLOCKED)
