"""The watch on breakers: the figures of the campaigns that this worker owns, twice a minute where something was counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.sending.breakers import MOVED, REASONS, Breaker, Pair
from gateway.metrics import Metrics
from gateway.pipeline.breakers import Breakers
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import counts
from gateway.store.counts import Version
from gateway.store.database import Database
from gateway.upkeep.periodic import every

EVERY_S: Final = 30.0
_LATE_S: Final = 120.0  # so long after a move a text may come that was decided before it


class BreakerWatch:
    """`owned`: the campaigns that this worker owns; `remind`: what waits for one of them has become due."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        owned: Callable[[], Iterable[CampaignKey]],
        remind: Callable[[int], None],
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._metrics = metrics
        self._owned = owned
        self._remind = remind
        self.breakers = Breakers(database, campaigns, clock)
        self._seen: dict[int, Version] = {}
        self._known: dict[int, Mapping[Pair, Breaker]] = {}

    async def run(self) -> None:
        """For ever."""
        await every(EVERY_S, self.run_once, "the watch on breakers")

    async def run_once(self) -> None:
        """All owned campaigns; one in which nothing was counted since costs nothing of its own. Raises DatabaseAway."""
        owned = [key for key in self._owned() if key.campaign_id in self._campaigns]
        versions = await counts.versions(self._database, owned) if owned else {}
        self._seen = {each: seen for each, seen in self._seen.items() if each in versions}
        self._known = {each: known for each, known in self._known.items() if each in versions}
        for campaign_id, version in versions.items():
            if self._seen.get(campaign_id) != version:
                is_new = campaign_id not in self._seen
                self._known[campaign_id] = await self._look(self._campaigns[campaign_id], is_new=is_new)
                self._seen[campaign_id] = version
        self._count()

    async def _look(self, campaign: Campaign, *, is_new: bool) -> Mapping[Pair, Breaker]:
        """Where something moved of late, or an owner before may have broken off, the queue is put in order once more."""
        known = await self.breakers.look(campaign)
        since = max((each.since or 0.0 for each in known.values()), default=0.0)
        in_doubt = known and (is_new or self._clock.now() - since < _LATE_S)
        if in_doubt and await self.breakers.line_up(campaign):
            self._remind(campaign.campaign_id)
        return known

    def _count(self) -> None:
        stand = Counter(
            (each.reason, each.state) for known in self._known.values() for each in known.values()
        )
        for state in MOVED:
            for reason in REASONS:
                self._metrics.breakers(reason, state, stand[reason, state])
