"""Whether anybody was texted after they had left: the books are asked every few minutes, by one of all workers.

The road, the store and the last look each see to it that nobody is. This counts what got past all three.
"""

from typing import Final

import structlog

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.store import promises
from gateway.store.database import Database

EVERY_S: Final = 300.0
_TOLD_WITHIN_S: Final = 60.0  # the provider's answer about a text is in the books by then
_FIRST_S: Final = 3600.0  # how far back the first look goes
_MOST_NAMED: Final = 20
_log = structlog.get_logger("textbank.promises")


class PromiseWatch:
    """What looks, and counts."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._metrics = metrics

    async def run(self, done_until: float | None = None) -> float:
        """All campaigns' texts since then; returns until when. Raises DatabaseAway."""
        until = self._clock.now() - _TOLD_WITHIN_S
        since = until - _FIRST_S if done_until is None else min(done_until, until)
        for campaign_id in self._campaigns.ids():
            await self._look_at(campaign_id, since, until)
        return until

    async def _look_at(self, campaign_id: int, since: float, until: float) -> None:
        campaign = self._campaigns[campaign_id]
        broken = await promises.sent_after_opt_out(
            self._database, campaign.key, campaign.opt_out_scope, since, until
        )
        if not broken:
            return
        self._metrics.violated("send_after_optout", len(broken))
        for message_id in broken[:_MOST_NAMED]:
            _log.error(
                "a person was texted after they had left", campaign_id=campaign_id, message_id=message_id
            )
