"""The watch on breakers: the figures of the campaigns that this worker owns, twice a minute where something was counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.sending.breakers import MOVED, REASONS, Breaker, Pair
from gateway.metrics import Metrics
from gateway.pipeline.breakers import Breakers
from gateway.pipeline.campaigns import Campaigns
from gateway.store import counts
from gateway.store.counts import Version
from gateway.store.database import Database
from gateway.upkeep.periodic import every

EVERY_S: Final = 30.0


class BreakerWatch:
    """`owned`: the campaigns that this worker owns."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        owned: Callable[[], Iterable[CampaignKey]],
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._metrics = metrics
        self._owned = owned
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
                self._known[campaign_id] = await self.breakers.look(self._campaigns[campaign_id])
                self._seen[campaign_id] = version
        self._count()

    def _count(self) -> None:
        stand = Counter(
            (each.reason, each.state) for known in self._known.values() for each in known.values()
        )
        for state in MOVED:
            for reason in REASONS:
                self._metrics.breakers(reason, state, stand[reason, state])
