"""Other systems are told what happens in the campaigns that this worker owns, each endpoint at its own pace.

A look every few seconds finds the endpoints, in one statement for all campaigns; an endpoint that has something to be
told gets a task until it has nothing more. A slow endpoint holds up nobody else, and all together use two connections
of the database at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.store import deliveries, endpoints
from gateway.store.database import Database
from gateway.store.endpoints import EndpointRow
from gateway.store.troubles import DatabaseAway
from gateway.upkeep.periodic import repeatedly
from gateway.upkeep.webhook_follower import WebhookFollower
from gateway.upkeep.webhook_sender import Courier, WebhookSender

_log = structlog.get_logger("textbank.webhooks")
_EVERY_S: Final = 1.0
_IDLE_EVERY_S: Final = 5.0
"""How soon a new endpoint is noticed by a worker that had none."""
_CONNECTIONS: Final = 2
DELIVERED_KEPT_S: Final = 7 * 86_400.0
PARKED_KEPT_S: Final = 30 * 86_400.0
_PIECE: Final = 1000
_REST_S: Final = 0.05


class Webhooks:
    """What tells them. `owned`: the campaigns that are this worker's."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        courier: Courier,
        owned: Callable[[], Sequence[CampaignKey]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._owned = owned
        turns = asyncio.Semaphore(_CONNECTIONS)
        self._follower = WebhookFollower(database, clock, turns)
        self._sender = WebhookSender(database, clock, metrics, courier, turns)
        self._active: dict[int, EndpointRow] = {}
        self._telling: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """For ever; whatever goes wrong, it is tried again."""
        try:
            await repeatedly(
                self.look, lambda _: _EVERY_S if self._active else _IDLE_EVERY_S, "webhooks of campaigns"
            )
        finally:
            await self._stop()

    async def look(self) -> None:
        """Finds the endpoints that are to be told anything, and tells each. Raises DatabaseAway."""
        keys = self._owned()
        found = await endpoints.active(self._database, keys, self._clock.now()) if keys else []
        self._active = {each.endpoint_id: each for each in found}
        for endpoint_id in self._active:
            if endpoint_id not in self._telling:
                self._begin(endpoint_id)

    def _begin(self, endpoint_id: int) -> None:
        task = asyncio.get_running_loop().create_task(self._tell(endpoint_id), name="webhooks")
        self._telling[endpoint_id] = task
        task.add_done_callback(lambda _: self._telling.pop(endpoint_id, None))

    async def _tell(self, endpoint_id: int) -> None:
        """Until there is nothing more, or the endpoint is no longer this worker's to tell."""
        more = True
        try:
            while more and (endpoint := self._active.get(endpoint_id)) is not None:
                follows = await self._follower.follow(endpoint)
                sends = await self._sender.send(endpoint)
                more = follows or sends
        except DatabaseAway:
            return
        except Exception:  # noqa: BLE001 - a defect with one endpoint is no other's; it is tried again at the next look
            _log.exception("an endpoint met a defect", endpoint_id=endpoint_id)

    async def _stop(self) -> None:
        """A delivery that is broken off waits for the next worker."""
        tasks = list(self._telling.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class DeliverySweep:
    """What deletes deliveries that are done with: those that were taken after a week, parked ones after a month."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock

    async def run(self, _done_until: float | None = None) -> float:
        """All campaigns'; returns when it began. Raises DatabaseAway."""
        now = self._clock.now()
        for campaign_id in self._campaigns.ids():
            key = self._campaigns[campaign_id].key
            for endpoint in await endpoints.page(self._database, key, now, after=0, limit=_PIECE):
                await self._sweep(endpoint, "delivered", now - DELIVERED_KEPT_S)
                await self._sweep(endpoint, "parked", now - PARKED_KEPT_S)
        return now

    async def _sweep(self, endpoint: EndpointRow, state: str, before: float) -> None:
        key, endpoint_id = endpoint.key, endpoint.endpoint_id
        gone = _PIECE
        while gone == _PIECE:
            gone = await deliveries.sweep(self._database, key, endpoint_id, state, before, _PIECE)
            await asyncio.sleep(_REST_S)
