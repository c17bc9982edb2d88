"""Dispatch: queued -> number -> slot -> last look -> sending -> hand-over, by the campaign's one owner.

`Dispatch` knows the campaigns this worker owns and gives each its road (road.py).
"""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from gateway.clock import Clock
from gateway.core.rules.lifecycle import State
from gateway.core.sending.daily_cap import CAP_EDGE_S, DailyCap, last_cap_reset, next_cap_reset
from gateway.core.sending.numbers import Number, NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.metrics import Metrics
from gateway.pipeline.admission import StraightOn
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.pipeline.delivery import Delivery, Requeued
from gateway.pipeline.hand_over import HandOver
from gateway.pipeline.inbound_gap import InboundGap
from gateway.pipeline.purchase import take_in_forgotten
from gateway.pipeline.road import CampaignRoad, DispatchOptions
from gateway.providers.base import OutboundText, Provider
from gateway.store import brand_days, messages, numbers
from gateway.store.database import Database
from gateway.store.messages import Looked, Queued
from gateway.store.ownership import Ownership, OwnershipLost
from gateway.store.receipts import Moved

_QUEUED, _SENDING = State.QUEUED.value, State.SENDING.value  # a plain text is found faster
_log = logging.getLogger(__name__)


class Dispatch:
    """The station: the campaigns this worker owns, and the doors of each."""

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        provider: Provider,
        delivery: Delivery,
        options: DispatchOptions,
    ) -> None:
        self.database = database
        self.ownership = ownership
        self.clock = clock
        self.metrics = metrics
        self.provider = provider
        self.options = options
        self.inbound_gap = InboundGap(clock.steady, self._go_on)
        self._campaigns = campaigns
        self.hand_over = HandOver(
            provider,
            delivery,
            clock,
            metrics,
            look=self._look,
            freed=self._freed,
            concurrency=options.concurrency,
            closing_margin_s=options.closing_margin_s,
            longest_call_s=options.on_the_wire_s,
            look_valid_s=options.look_valid_s,
        )
        self.roads: dict[int, CampaignRoad] = {}
        self.lost = asyncio.Event()  # a campaign went with its connection: it wants an owner

    async def own(self, campaign_id: int) -> bool:
        """Becomes the campaign's one dispatcher, if nobody else is."""
        if campaign_id in self.roads or not await self.ownership.take(campaign_id):
            return campaign_id in self.roads
        campaign = self._campaigns[campaign_id]
        pacer = await self._pacer(campaign)
        await take_in_forgotten(
            self.provider, self.database, campaign.key, campaign.settings.pool, self.clock.now()
        )
        rows = await numbers.load(self.database, campaign.key)
        pool = NumberPool(
            campaign.settings.pool,
            campaign.limits,
            [msgspec.json.decode(row.details, type=Number) for row in rows],
            pacer,
        )
        road = CampaignRoad(self, campaign, pool, pacer)
        self.roads[campaign_id] = road
        road.task = asyncio.get_running_loop().create_task(self._run(road), name=f"road {campaign_id}")
        return True

    async def _pacer(self, campaign: Campaign) -> Pacer:
        """A pacer that remembers what the campaign has used of the brand's day, whoever dispatched it."""
        granted = campaign.limits
        if granted.tmobile_daily_segments is None:
            return Pacer(granted)
        rate_per_s = granted.carrier_per_s.get("tmobile", granted.total_per_s)
        cap = DailyCap(granted.tmobile_daily_segments, shared=True, rate_per_s=rate_per_s)
        now = self.clock.now()
        used, edge_used = await brand_days.used_since(
            self.database,
            campaign.key,
            last_cap_reset(now) - CAP_EDGE_S,
            next_cap_reset(now) - CAP_EDGE_S,
        )
        cap.recount(now, used, edge_used)
        return Pacer(granted, cap=cap)

    async def _run(self, road: CampaignRoad) -> None:
        """A road that ends, whatever the reason, is open to the next owner, ourselves included."""
        try:
            await road.run()
        except OwnershipLost:
            _log.warning("campaign %s is not ours any more", road.campaign.campaign_id)
            self.lost.set()
        except Exception:  # noqa: BLE001 - a defect must not end a campaign's day
            _log.exception("the road of campaign %s broke", road.campaign.campaign_id)
        if self.roads.get(road.campaign.campaign_id) is road:
            del self.roads[road.campaign.campaign_id]

    async def _look(self, campaign_id: int, texts: Sequence[OutboundText]) -> set[int]:
        looked = [Looked(each.message_id, each.phone, each.answers_opt_out) for each in texts]
        campaign = self._campaigns[campaign_id]
        return await messages.stopped(self.database, campaign.key, campaign.opt_out_scope, looked)

    def _freed(self) -> None:
        for road in self.roads.values():
            road.freed()

    def _go_on(self) -> None:
        """Lost texts are fetched: what they held back may go."""
        for road in self.roads.values():
            road.wake()

    # admission's side of the road

    def straight_on(self, campaign_id: int, message: Queued) -> StraightOn | None:
        road = self.roads.get(campaign_id)
        return None if road is None or road.hold.is_on else road.straight_on(message)

    def go(self, campaign_id: int, message: Queued, straight: StraightOn) -> None:
        self.metrics.transition(_QUEUED, _SENDING)
        road = self.roads.get(campaign_id)
        if road is not None:  # else the next owner adopts it
            road.go(message, straight.number_id, straight.slot_at, straight.decided_at)

    def forget(self, campaign_id: int, message: Queued, straight: StraightOn) -> None:
        road = self.roads.get(campaign_id)
        if road is not None:
            road.forget(message, straight)

    def waits(self, campaign_id: int, message: Queued) -> None:
        road = self.roads.get(campaign_id)
        if road is not None:
            road.waits(message)

    # delivery's listener

    def moved(self, campaign_id: int, moved: Sequence[Moved]) -> None:
        road = self.roads.get(campaign_id)
        if road is not None:
            road.moved(moved)

    def requeued(self, campaign_id: int, failures: Sequence[Requeued]) -> None:
        road = self.roads.get(campaign_id)
        if road is not None:
            road.requeued(failures)

    # the roads' neighbours

    def daily_cap_reached(self, campaign: Campaign, now: float) -> None:
        """The carrier takes nothing more of the campaign's brand today (30023)."""
        for road in self.roads.values():
            other = road.campaign
            if (other.organisation_id, other.brand) == (campaign.organisation_id, campaign.brand):
                road.daily_cap_reached(now)

    async def drain(self) -> None:
        """Claims nothing more and waits for the calls under way."""
        roads = dict(self.roads)
        for road in roads.values():
            await road.stop()
        await self.hand_over.drain()
        for campaign_id, road in roads.items():
            await road.save_numbers()
            await self.ownership.give_up(campaign_id)
        self.roads.clear()

    def close(self) -> None:
        """Stops at once, as a crash would."""
        for road in self.roads.values():
            road.close()
        self.hand_over.close()
        self.roads.clear()
