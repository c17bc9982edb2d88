"""Dispatch: queued -> number -> slot -> last look -> sending -> hand-over, by the campaign's one owner.

`Dispatch` knows the campaigns this worker owns and gives each its road (road.py).
"""

import asyncio
import math
from collections.abc import Callable, Sequence

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.rules.lifecycle import State
from gateway.core.sending.daily_cap import CAP_EDGE_S, DailyCap, last_cap_reset, next_cap_reset
from gateway.core.sending.numbers import Number, NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.metrics import Metrics
from gateway.pipeline import answers
from gateway.pipeline.admission import StraightOn
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.pipeline.delivery import Delivery, Requeued
from gateway.pipeline.hand_over import HandOver
from gateway.pipeline.inbound_gap import InboundGap
from gateway.pipeline.lease import outbound
from gateway.pipeline.options import DispatchOptions
from gateway.pipeline.purchase import PATIENCE_S, take_in_forgotten
from gateway.pipeline.road import CampaignRoad
from gateway.providers.base import OutboundText, Provider
from gateway.store import brand_days, claims, numbers
from gateway.store.claims import Looked
from gateway.store.database import Database
from gateway.store.messages import Queued
from gateway.store.ownership import FencingToken, OwnershipLost
from gateway.store.receipts import Moved

_QUEUED, _SENDING = State.QUEUED.value, State.SENDING.value  # a plain text is found faster
_log = structlog.get_logger("gateway.dispatch")


_ASK_AGAIN_S = 60.0
_WRITTEN_WITHIN_S = 10.0  # what is not by then is asked about by the next owner


def _nobody(*_: object) -> None:
    """Nothing."""


class Dispatch:
    """The station: the campaigns this worker owns, and the doors of each."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        provider: Provider,
        delivery: Delivery,
        options: DispatchOptions,
    ) -> None:
        self.database = database
        self.clock = clock
        self.metrics = metrics
        self.provider = provider
        self.options = options
        self.inbound_gap = InboundGap(clock.steady, self._go_on)
        self._campaigns = campaigns
        self._delivery = delivery
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
        self._provider_silent_until = 0.0
        self.roads: dict[int, CampaignRoad] = {}
        self._want_room: dict[
            int, CampaignRoad
        ] = {}  # roads that had more to claim than there were free calls
        self.trusted_until = math.inf  # by Clock.steady: then somebody else may own our campaigns
        self.tell: Callable[[int], None] = _nobody  # the campaign's owner, of what came into its queue here
        self.ended: Callable[[int, FencingToken, str], None] = (
            _nobody  # is told of a road that ended by itself
        )

    @property
    def is_trusted(self) -> bool:
        return self.clock.steady() < self.trusted_until

    def token_of(self, campaign_id: int) -> FencingToken | None:
        """With which the campaign's road claims; None: it has none here."""
        road = self.roads.get(campaign_id)
        return None if road is None else road.token

    async def open(self, campaign: Campaign, token: FencingToken) -> None:
        """Gives the campaign its one road. Only its owner may, one call at a time for each campaign."""
        campaign_id = campaign.campaign_id
        pacer = await self._pacer(campaign)
        await self._take_in_forgotten(campaign)
        rows = await numbers.load(self.database, campaign.key)
        pool = NumberPool(
            campaign.settings.pool,
            campaign.limits,
            [msgspec.json.decode(row.details, type=Number) for row in rows],
            pacer,
        )
        self.drop(campaign_id)  # an older one claims nothing any more
        road = CampaignRoad(self, campaign, token, pool, pacer)
        self.roads[campaign_id] = road
        road.task = asyncio.get_running_loop().create_task(self._run(road), name=f"road {campaign_id}")

    async def _take_in_forgotten(self, campaign: Campaign) -> None:
        """A provider that was silent when it was asked for one campaign is not asked for each of the others."""
        began_at = self.clock.steady()
        if began_at < self._provider_silent_until:
            return
        await take_in_forgotten(
            self.provider, self.database, campaign.key, campaign.settings.pool, self.clock.now()
        )
        now = self.clock.steady()
        if now - began_at >= PATIENCE_S:
            self._provider_silent_until = now + _ASK_AGAIN_S

    async def close_road(self, campaign_id: int) -> None:
        """Claims nothing more for the campaign, finishes its calls under way and saves its numbers."""
        road = self.roads.get(campaign_id)
        if road is None:
            return
        await road.stop()
        await self.hand_over.release(campaign_id)
        # what goes back to the queue is there for the next owner
        await self._delivery.windows.written(campaign_id, _WRITTEN_WITHIN_S)
        await road.save_numbers()
        if self.roads.get(campaign_id) is road:
            self.wants_room(road, False)
            del self.roads[campaign_id]

    def drop(self, campaign_id: int) -> None:
        """Ends the road at once; what it has claimed and is not in a call goes back to the queue."""
        road = self.roads.pop(campaign_id, None)
        if road is not None:
            self.wants_room(road, False)
            road.close()
            self.hand_over.recall(campaign_id)

    def restart(self, why: str) -> None:
        """All roads end and are opened anew: what they keep of the time of day holds no more."""
        for campaign_id, road in list(self.roads.items()):
            self.drop(campaign_id)
            self.ended(campaign_id, road.token, why)

    def remind(self, campaign_id: int) -> None:
        """The campaign's queue holds something that is due, by the store."""
        road = self.roads.get(campaign_id)
        if road is not None:
            road.remind()

    def changed(self, campaign: Campaign) -> None:
        road = self.roads.get(campaign.campaign_id)
        if road is not None:
            road.changed(campaign)

    def wake(self) -> None:
        for road in self.roads.values():
            road.wake()

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
        """A road that ends by itself, whatever the reason, is open to the next owner, ourselves included."""
        campaign_id = road.campaign.campaign_id
        try:
            await road.run()
        except OwnershipLost as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - a defect must not end a campaign's day
            _log.exception("a road broke", campaign_id=campaign_id)
            why = f"its road broke: {type(error).__name__}"
        else:
            return  # it was stopped
        if self.roads.get(campaign_id) is road:
            self.drop(campaign_id)
            self.ended(campaign_id, road.token, why)

    async def _look(self, campaign_id: int, texts: Sequence[OutboundText]) -> set[int]:
        looked = [Looked(each.message_id, each.phone, each.answers_opt_out) for each in texts]
        campaign = self._campaigns[campaign_id]
        return await claims.stopped(self.database, campaign.key, campaign.opt_out_scope, looked)

    def wants_room(self, road: CampaignRoad, wants: bool) -> None:
        """Whether the road is to be woken when a call has ended."""
        if wants:
            self._want_room[road.campaign.campaign_id] = road
        else:
            self._want_room.pop(road.campaign.campaign_id, None)

    def _freed(self) -> None:
        for road in self._want_room.values():
            road.wake()

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
        if road is None:  # given up meanwhile: its next owner sends it
            recalled = answers.recalled(outbound(message, campaign_id, ""), self.clock.now())
            self._delivery.answer(recalled)
        else:
            road.go(message, straight)

    def forget(self, campaign_id: int, message: Queued, straight: StraightOn) -> None:
        road = self.roads.get(campaign_id)
        if road is not None:
            road.forget(message, straight)

    def waits(self, campaign_id: int, message: Queued) -> None:
        road = self.roads.get(campaign_id)
        if road is not None:
            road.waits(message)
        else:
            self.tell(campaign_id)

    # delivery's listener

    def moved(self, campaign_id: int, moved: Sequence[Moved]) -> None:
        road = self.roads.get(campaign_id)
        if road is not None:
            road.moved(moved)

    def requeued(self, campaign_id: int, failures: Sequence[Requeued]) -> None:
        road = self.roads.get(campaign_id)
        if road is not None:
            road.requeued(failures)
        else:
            self.tell(campaign_id)

    # the roads' neighbours

    def daily_cap_reached(self, campaign: Campaign, now: float) -> None:
        """The carrier takes nothing more of the campaign's brand today (30023)."""
        for road in self.roads.values():
            other = road.campaign
            if (other.organisation_id, other.brand) == (campaign.organisation_id, campaign.brand):
                road.daily_cap_reached(now)

    async def drain(self) -> None:
        """Claims nothing more and waits for the calls under way; may be repeated."""
        roads = dict(self.roads)
        for road in roads.values():
            await road.stop()
        await self.hand_over.drain()
        for campaign_id, road in roads.items():
            await road.save_numbers()
            self.roads.pop(campaign_id, None)
        self._want_room.clear()

    def close(self) -> None:
        """Stops at once, as a crash would."""
        for road in self.roads.values():
            road.close()
        self.hand_over.close()
        self.roads.clear()
        self._want_room.clear()
