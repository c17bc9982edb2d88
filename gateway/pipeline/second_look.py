"""What the second look says no to, and what waits when its window ends: why, and what becomes of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import SubReason
from gateway.core.rules.holding_over import held_until
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import second_look
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.hand_over import SHORTEST_VALIDITY_S
from gateway.pipeline.prefetch import Prefetch
from gateway.store import claims, held_over, messages
from gateway.store.claims import Refusal
from gateway.store.held_over import Held
from gateway.store.messages import Queued
from gateway.store.troubles import DatabaseAway

if TYPE_CHECKING:
    from gateway.pipeline.dispatch import Dispatch

_NOT_ALLOWED = 1202
_SWEPT_AT_ONCE = 5000


class SecondLook:
    """Of one campaign's queue."""

    def __init__(self, station: "Dispatch", queue: Prefetch) -> None:
        self._station = station
        self._queue = queue
        self._swept_to = 0  # a message: the sweep goes on after it

    @property
    def _shortest_s(self) -> float:
        """A window that lasts no longer than this is of no more use to a text."""
        return self._station.options.closing_margin_s + SHORTEST_VALIDITY_S

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
        refusals, over = [], []
        for standing in standings:
            if standing.state != State.QUEUED:
                continue
            refused = second_look(standing.kind, standing.facts, now)
            if refused is not None and refused.sub_reason is SubReason.EXPIRED_IN_QUEUE:
                over.append(standing.message_id)
            elif refused is not None:
                reason = refused.sub_reason or "found while it waited"
                refusals.append(Refusal(standing.message_id, refused.code, reason))
            else:  # paused, somebody holds its row, or its person's hours are others: it stays in the queue
                self._queue.read_again_in(self._station.options.idle_poll_s)
        if refusals:
            await self.refuse(campaign.key, refusals)
        if over:
            await self.over(campaign, over)

    async def sweep(self, campaign: Campaign, now: float) -> bool:
        """What can't go in its window any more, whether or not it was ever picked; True: there is more to look through.

        A long queue is looked through a piece at a time, so that claims go on meanwhile. Raises DatabaseAway.
        """
        swept = await messages.sweep(
            self._station.database,
            campaign.key,
            now + self._shortest_s,
            self._swept_to,
            limit=_SWEPT_AT_ONCE,
        )
        if swept.over:
            await self.over(campaign, swept.over)
        self._swept_to = swept.after_id or 0
        return swept.after_id is not None

    async def over(self, campaign: Campaign, message_ids: Sequence[int]) -> None:
        """Their window is over: they are held until the next one, if their action wants that, or else blocked.

        Raises DatabaseAway; then they are read again.
        """
        for message_id in message_ids:
            self._queue.pop(message_id)
        try:
            held = await self._hold_over(campaign, message_ids)
        except DatabaseAway:
            self._queue.read_now()
            raise
        refusals = [
            Refusal(each, _NOT_ALLOWED, SubReason.EXPIRED_IN_QUEUE)
            for each in message_ids
            if each not in held
        ]
        if refusals:
            await self.refuse(campaign.key, refusals)

    async def _hold_over(self, campaign: Campaign, message_ids: Sequence[int]) -> set[int]:
        database, now, hours = self._station.database, self._station.clock.now(), campaign.settings.hours
        held = []
        for each in await held_over.that_may_be(database, campaign.key, message_ids):
            window = held_until(now, each.requested_at, hours, each.hours_group, shortest_s=self._shortest_s)
            if window is not None:
                held.append(Held(each.message_id, window.opens_at, window.ends_at))
        if not held:
            return set()
        self._queue.read_again_in(self._station.options.poll_s)  # the reading finds out when they are due
        return await held_over.hold(database, campaign.key, held, now)

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
