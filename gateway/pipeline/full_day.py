"""First texts that T-Mobile's day keeps until midnight lie in the store until then, lest they fill the memory of the road.

Those that may go stand behind them in the queue: without room in memory nobody would read them.
"""

from gateway.core.rules.campaign import CampaignKey
from gateway.core.sending.daily_cap import CAPPED
from gateway.core.sending.pacing import Pacer
from gateway.core.sending.waiting import Lane
from gateway.pipeline.prefetch import Prefetch
from gateway.store import messages
from gateway.store.database import Database


class FullDay:
    """For one road. Both raise DatabaseAway."""

    def __init__(self, database: Database, key: CampaignKey, queue: Prefetch, pacer: Pacer) -> None:
        self._database = database
        self._key = key
        self._queue = queue
        self._pacer = pacer
        self.has_changed = True  # the cap, or its owner: who waits for the end of the day may perhaps go

    async def make_room(self, now: float) -> None:
        """Puts off what is capped and fills memory, until midnight. The oldest stay: should a share of the day come
        back, they have it."""
        until = self._pacer.capped_until(now, None)
        if until is not None and (ids := self._queue.crowding(CAPPED)):
            await messages.put_off(self._database, self._key, ids, until)
            for message_id in ids:
                self._queue.pop(message_id)

    async def take_up(self, now: float) -> None:
        """Whoever was put off until this midnight may go at once, as far as the cap allows."""
        if self._pacer.cap is not None and self._pacer.cap.resets_at > now:
            await messages.take_up(self._database, self._key, Lane.INITIAL, self._pacer.cap.resets_at, now)
        self.has_changed = False
