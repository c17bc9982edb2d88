"""The headcount: who waits, who works and how much is left, for the metrics of a bank's day."""

from collections.abc import Callable, Sequence

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.metrics import Metrics
from gateway.pipeline.admission import Admission
from gateway.store import backlog, buckets, conversations
from gateway.store.database import Database
from gateway.upkeep.periodic import repeatedly

_EVERY_S = 30.0
_ACTIVE_S = 900.0


class Headcount:
    """Counts the people of the campaigns that this worker owns, so that a sum over workers is right."""

    def __init__(self, database: Database, clock: Clock, metrics: Metrics, admission: Admission) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._senders = admission.senders
        self.remaining: dict[
            int, int
        ] = {}  # by campaign: contacts that nobody had been given at the last count

    async def run(self, owned: Callable[[], Sequence[CampaignKey]]) -> None:
        """For ever; what can't be counted now is counted next time."""
        await repeatedly(lambda: self.run_once(owned()), lambda _: _EVERY_S, "the headcount")

    async def run_once(self, keys: Sequence[CampaignKey]) -> None:
        """Raises DatabaseAway."""
        waiting, self.remaining = 0, {}
        for key in await backlog.with_people(self._database, keys):
            waiting += await conversations.waiting(self._database, key)
            self.remaining[key.campaign_id] = await buckets.unassigned(self._database, key)
        remaining = sum(self.remaining.values())
        self._metrics.people(waiting=waiting, volunteers=self._volunteers(), remaining=remaining)

    def remaining_of(self, campaign_id: int) -> int:
        """Contacts that nobody had been given at the last count."""
        return self.remaining.get(campaign_id, 0)

    def _volunteers(self) -> int:
        """Those who sent something lately; the others are forgotten."""
        since = self._clock.now() - _ACTIVE_S
        for sender_id in [each for each, at in self._senders.items() if at < since]:
            del self._senders[sender_id]
        return len(self._senders)
