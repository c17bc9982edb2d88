"""One owned campaign: its waiting line, its number pool and its pacing, all in memory, none shared.

Choosing a number and reserving its slot is one pure step (core); the claim is one statement that also looks
a second time; then the message has an owner, a number, a slot and a durable intent.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import msgspec
import structlog

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.hours import Open, verdict
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import Kind
from gateway.core.sending.numbers import Chosen, How, NoNumber, NumberPool, Wait
from gateway.core.sending.pacing import Pacer
from gateway.core.sending.waiting import Picked, Room, Waiting
from gateway.pipeline.admission import LANE_REPLY, StraightOn
from gateway.pipeline.brand_day import BrandDay
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.changed_hours import shorten_windows
from gateway.pipeline.consequences import Consequences
from gateway.pipeline.delivery import Requeued
from gateway.pipeline.given_numbers import GivenNumbers
from gateway.pipeline.hand_over import SHORTEST_VALIDITY_S
from gateway.pipeline.lease import Held, outbound
from gateway.pipeline.prefetch import Prefetch
from gateway.pipeline.purchase import Buyer
from gateway.pipeline.recent_durations import RecentDurations
from gateway.pipeline.second_look import SecondLook
from gateway.store import claims, numbers
from gateway.store.claims import Claim, Refusal
from gateway.store.messages import Queued
from gateway.store.ownership import FencingToken, OwnershipLost
from gateway.store.receipts import Moved
from gateway.store.troubles import DatabaseAway, DatabaseGone

if TYPE_CHECKING:
    from gateway.pipeline.dispatch import Dispatch

_log = structlog.get_logger("gateway.road")
_NO_NUMBER, _LOCKED = 1203, 9001
_SELECTED = {How.STICKY: "sticky", How.LOCAL: "local"}
_SAVE_NUMBERS_S = 60.0
_SWEEP_S = 60.0
_GOES_ROUND_LOCKS_S = 60.0  # after one was met
_KEPT_FOR_REPLIES = 10  # one of so many calls


class CampaignRoad:
    """One owned campaign."""

    def __init__(
        self, station: "Dispatch", campaign: Campaign, token: FencingToken, pool: NumberPool, pacer: Pacer
    ) -> None:
        self._station = station
        self.campaign = campaign
        self.token = token
        self.pool = pool
        self.pacer = pacer
        self._queue = Prefetch(
            station.database, station.clock, station.options, campaign.key, pacer, self._is_held
        )
        self._queue.area_codes = campaign.area_codes
        self._buyer = Buyer(
            station.provider, station.database, station.clock, station.metrics, campaign.key, pool, self.wake
        )
        self._brand_day = BrandDay(station.database, station.clock, campaign, pacer.cap, self.wake)
        self._second_look = SecondLook(station, self._queue)
        self._consequences = Consequences(station, campaign, pool, pacer)
        self._woken = asyncio.Event()
        self._numbers_given = GivenNumbers(station.options.look_ahead)  # whoever is in hand
        self._writing = RecentDurations()  # from a decision until its write is known
        self._next_sweep_at = self._next_save_at = 0.0
        self.handed_over: defaultdict[tuple[int, str | None], int] = defaultdict(int)  # segments, ever
        self.hold = station.inbound_gap.hold(wants_fetch=bool(pool.numbers))  # a new campaign's can't be lost
        self._stopping = False
        self._hours_changed = self._must_begin_anew = False  # to be followed at the next step
        self._goes_round_locks_until = 0.0  # by Clock.steady
        self._lease_s = station.options.lease_s
        self._promised: dict[int, float] = {}  # straight on, not written yet: message -> end of its lease
        self.owned_since = station.clock.steady()
        self.task: asyncio.Task[None] | None = None

    @property
    def key(self) -> CampaignKey:
        return self.campaign.key

    # ------------------------------------------------------------ doors

    def straight_on(self, message: Queued) -> StraightOn | None:
        """A number and a slot at once, if nobody waits before this message."""
        if message.lane != LANE_REPLY and (
            self._queue or self._queue.more_in_store or self._is_held(message)
        ):
            return None
        now = self._station.clock.now()
        room = self._room()
        if (room.for_replies if message.lane == LANE_REPLY else room.for_others) <= 0:
            return None
        is_ready = self._station.is_trusted and not (self._stopping or self.pool.must_be_saved)
        if not is_ready or not self._in_time(message, now):
            return None
        chosen = self._choose(self._queue.waiting(message), now, now, message.contact_id)
        if isinstance(chosen, NoNumber):
            return None
        self._buyer.consider(chosen.buy)
        self._brand_day.consider()
        if not isinstance(chosen, Chosen):
            return None
        decided_at = self._station.clock.steady()
        self._promised[message.message_id] = decided_at + self._lease_s
        seen_until = self._station.hand_over.look_validity.until(decided_at)
        return StraightOn(chosen.number.number_id, chosen.slot, decided_at, seen_until, self.token)

    def _room(self) -> Room:
        """For how many there will be a free call within the horizon; a tenth of all calls is kept for replies."""
        steady = self._station.clock.steady()
        while self._promised and (oldest := next(iter(self._promised.items())))[1] < steady:
            del self._promised[oldest[0]]
        hand_over = self._station.hand_over
        room = hand_over.room(self._station.options.horizon_s) - len(self._promised)
        room = min(room, hand_over.can_write(self.campaign.campaign_id))
        places = hand_over.places
        return Room(room, room - (places // _KEPT_FOR_REPLIES or int(places > 1)))

    def go(self, message: Queued, to: StraightOn) -> None:
        """The intent is durable: hand over at the slot. The lease and the look began with the decision."""
        steady = self._station.clock.steady()
        self._writing.saw(steady, steady - to.decided_at)
        self._promised.pop(message.message_id, None)
        self._station.hand_over.at(
            Held(
                text=outbound(message, self.campaign.campaign_id, self.pool.numbers[to.number_id].phone),
                slot_at=to.slot_at,
                not_after=self._ends_at(message, to.slot_at),
                number_id=to.number_id,
                carrier=message.carrier,
                pacer=self.pacer,
                lane=message.lane,
                due_at=message.due_at,
                deadline=to.decided_at + self._lease_s,
                seen_until=to.seen_until,
            )
        )
        self.handed_over[to.number_id, message.carrier] += message.segments

    def forget(self, message: Queued, straight: StraightOn) -> None:
        self._promised.pop(message.message_id, None)
        self.pacer.give_back(straight.slot_at, message.carrier, straight.number_id, message.segments)

    def waits(self, message: Queued) -> None:
        """A durable message to be picked up; one that a breaker holds is put off in the store, until its window ends."""
        if self._is_held(message):
            self._queue.read_again_in(self._station.options.poll_s)
        else:
            self._queue.enter(message)
        self.wake()

    def _is_held(self, message: Queued) -> bool:
        is_first = message.kind == Kind.INITIAL
        return is_first and self.campaign.holds(message.action_id, message.carrier, message.script)

    def wake(self) -> None:
        self._woken.set()

    def look_in_store(self) -> None:
        """There are messages in the queue that did not come through this process's doors."""
        self._queue.read_now()
        self.wake()

    def remind(self) -> None:
        """Something came into the queue through another worker's door."""
        self._queue.read_soon()
        self.wake()

    def changed(self, campaign: Campaign) -> None:
        """Another worker, or this one, has paused, resumed or changed the campaign: it counts from now on.

        Meters, numbers and turns stay. Another brand, or a daily cap where there was none, is counted anew.
        """
        before, self.campaign = self.campaign, campaign
        self._queue.area_codes = campaign.area_codes
        if _needs_another_count(before, campaign):
            self._must_begin_anew = True
        else:
            self.pacer.change(campaign.limits)
            if before.limits != campaign.limits:
                self._queue.begin_anew()
            self.pool.change(campaign.settings.pool, campaign.limits)
            self._queue.line_up_anew()
        if before.settings.hours != campaign.settings.hours:
            self._hours_changed = True
        self.remind()

    async def _follow_changes(self, now: float) -> None:
        """Raises DatabaseAway, and OwnershipLost for a road that must begin anew."""
        if self._hours_changed:
            await shorten_windows(self._station.database, self.campaign, now)
            self._hours_changed = False
            self._queue.clear()  # read again, with their new ends
            self._next_sweep_at = now
        if self._must_begin_anew:
            await self.save_numbers()
            await self._brand_day.hand_back()
            raise OwnershipLost("its registration was changed: it begins anew")

    # ------------------------------------------------------------ what is learned from the provider

    def moved(self, moved: Sequence[Moved]) -> None:
        self._consequences.moved(moved)
        if self.pool.must_be_saved:
            self.wake()

    def requeued(self, failures: Sequence[Requeued]) -> None:
        self._consequences.requeued(failures)
        self.look_in_store()

    def daily_cap_reached(self, now: float) -> None:
        """The carrier takes nothing more of the brand today (30023)."""
        self.pacer.daily_cap_reached(now)
        self._brand_day.consider()

    # ------------------------------------------------------------ the loop

    async def run(self) -> None:
        """Picks, claims and hands over until cancelled; ends with OwnershipLost when its token is refused."""
        while not self._stopping:
            try:
                wait_until = await self._step()
            except DatabaseAway:
                wait_until = self._station.clock.now() + 0.5
            await self._sleep(wait_until)

    async def stop(self) -> None:
        """Finishes the step under way and claims nothing more."""
        self._stopping = True
        self._buyer.close()
        self.wake()
        if self.task is not None:
            await asyncio.wait([self.task])
        with suppress(DatabaseAway):  # its next owner counts anew
            await self._brand_day.hand_back()

    async def _sleep(self, until: float) -> None:
        delay_s = until - self._station.clock.now()
        if delay_s > 0 and not self._woken.is_set():
            timer = asyncio.get_running_loop().call_later(delay_s, self._woken.set)
            await self._woken.wait()
            timer.cancel()
        self._woken.clear()

    async def _step(self) -> float:
        """One look at everything that is due; returns when to look again."""
        now = self._station.clock.now()
        await self._follow_changes(now)
        self.pacer.speed_up(now)
        if now >= self._next_sweep_at:
            self._next_sweep_at = now + _SWEEP_S
            self._buyer.look_ahead()
            if not self._queue:  # nobody waits who was read before the number was in the store
                self._numbers_given.turn()
            if not self._queue.is_all and await self._second_look.sweep(self.campaign, now):
                self._next_sweep_at = now
        if now >= self._next_save_at or self.pool.must_be_saved:
            self._next_save_at = now + _SAVE_NUMBERS_S
            await self.save_numbers()
        if now >= self._queue.next_read_at:
            await self._queue.refill(now)
        # it is woken when it may go again
        can_go = self._queue and self._station.is_trusted and not self.hold.is_on
        wake_at = await self._dispatch() if can_go else math.inf
        self._brand_day.consider()
        return min(wake_at, self._queue.next_read_at, self._next_sweep_at)

    async def _dispatch(self) -> float:
        now = self._station.clock.now()
        horizon_s = self._station.options.horizon_s
        taken = self._queue.line.take(now, horizon_s, self.pacer, self._choose_waiting, self._room())
        self._station.wants_room(self, taken.wants_room)
        for buy in taken.buys:
            self._buyer.consider(buy)
        picked, over = list[Picked](), list[Picked]()
        for each in taken.picked:
            slot = max(each.chosen.slot, now)
            (picked if self._in_time(self._queue[each.item.message_id], slot) else over).append(each)
        refusals = [Refusal(item.message_id, _NO_NUMBER, "") for item in taken.refused]
        self._station.metrics.number_selected("none", len(taken.refused))
        self._give_back(over)
        if picked:
            await self._claim(picked)
        if refusals:
            await self._second_look.refuse(self.key, refusals)
        if over:
            await self._second_look.over(self.campaign, [each.item.message_id for each in over])
        if taken.wants_room and self._room().for_others > 0:  # the second look has stopped some
            return now
        return taken.wake_at

    def _in_time(self, message: Queued, slot_at: float) -> bool:
        """Whether the provider would still have time for it before the window closes."""
        ends_at = self._ends_at(message, slot_at)
        return slot_at + SHORTEST_VALIDITY_S <= ends_at - self._station.options.closing_margin_s

    def _ends_at(self, message: Queued, at: float) -> float:
        """Until when it may go. Hours may have changed while it waited and no owner was there to shorten its time."""
        kind: Literal["initial", "reply"] = "initial" if message.kind == Kind.INITIAL else "reply"
        window = verdict(at, self.campaign.settings.hours, message.hours_group, kind)
        return min(message.not_after, window.until) if isinstance(window, Open) else -math.inf

    def _choose_waiting(self, item: Waiting, at: float) -> Chosen | Wait | NoNumber:
        return self._choose(item, at, self._station.clock.now(), self._queue[item.message_id].contact_id)

    def _choose(self, item: Waiting, at: float, now: float, contact_id: int) -> Chosen | Wait | NoNumber:
        """Two texts to one new contact may wait together: the second goes from the first one's number.

        Its slot lies no earlier than the write that it still needs is done.
        """
        horizon_s = self._station.options.horizon_s
        at = max(at, now + min(self._writing.ample_s, horizon_s / 2))
        chosen = self.pool.choose(
            at,
            sticky=item.sticky if item.sticky is not None else self._numbers_given.get(contact_id),
            area_code=item.area_code,
            carrier=item.carrier,
            segments=item.segments,
            horizon_s=now + horizon_s - at,
            preferred=item.preferred,
            due_at=item.due_at,
        )
        if isinstance(chosen, Chosen):
            self._station.metrics.number_selected(_SELECTED.get(chosen.how, "fallback"))
            self._numbers_given.give(contact_id, chosen.number.number_id)
        return chosen

    async def _claim(self, picked: Sequence[Picked]) -> None:
        clock, options = self._station.clock, self._station.options
        decided_at, ask_at = clock.steady(), clock.now() + options.settled_s
        seen_until = self._station.hand_over.look_validity.until(decided_at)
        wanted = [_claim_of(each, self._queue[each.item.message_id]) for each in picked]
        try:
            claimed = await self._write_claims(wanted, clock.now(), ask_at)
        except DatabaseGone as error:
            # Taken anew, with a token of its own, the campaign can't be claimed from by what may still be under
            # way; the store says what was claimed, recovery asks about that, and the rest still waits.
            raise OwnershipLost("the answer to a claim was lost") from error
        except DatabaseAway:  # refused for now, and not carried out
            self._give_back(picked)
            self._queue.line_up_anew()
            raise
        except OwnershipLost:
            raise
        except Exception:  # noqa: BLE001 - one bad row must not stop a campaign
            await self._claim_one_by_one(picked)
            return
        stopped = []
        for claim in wanted:
            message = self._queue.pop(claim.message_id)
            assert message is not None
            attempt = claimed.get(claim.message_id)
            if attempt is None:
                stopped.append(message)
                self.pacer.give_back(claim.slot_at, message.carrier, claim.number_id, message.segments)
                continue
            message.attempt = attempt
            self._station.metrics.transition(State.QUEUED, State.SENDING)
            self.go(message, StraightOn(claim.number_id, claim.slot_at, decided_at, seen_until, self.token))
        if stopped:
            await self._second_look.why(self.campaign, stopped)

    async def _write_claims(self, wanted: Sequence[Claim], now: float, ask_at: float) -> dict[int, int]:
        """A row that somebody holds is waited for once; for a while the others go without it."""
        steady = self._station.clock.steady()
        try:
            return await self._claimed(
                wanted, now, ask_at, skips_locked=steady < self._goes_round_locks_until
            )
        except DatabaseAway as error:
            if not error.is_lock:
                raise
        self._goes_round_locks_until = steady + _GOES_ROUND_LOCKS_S
        return await self._claimed(wanted, self._station.clock.now(), ask_at, skips_locked=True)

    async def _claimed(
        self, wanted: Sequence[Claim], now: float, ask_at: float, *, skips_locked: bool
    ) -> dict[int, int]:
        async with self._station.database.connection() as connection:
            return await claims.claim(
                connection,
                self.campaign.key,
                self.campaign.opt_out_scope,
                wanted,
                now=now,
                ask_at=ask_at,
                token=self.token,
                skips_locked=skips_locked,
            )

    async def _claim_one_by_one(self, picked: Sequence[Picked]) -> None:
        """The claim met a defect: the row that it is in is blocked, the others go."""
        if len(picked) > 1:
            for each in picked:
                await self._claim([each])
            return
        message_id = picked[0].item.message_id
        _log.exception("a message could not be claimed", message_id=message_id)
        self._give_back(picked)
        await self._second_look.refuse(self.key, [Refusal(message_id, _LOCKED, "a defect of ours")])

    def _give_back(self, picked: Sequence[Picked]) -> None:
        for each in picked:
            chosen, item = each.chosen, each.item
            self.pacer.give_back(chosen.slot, item.carrier, chosen.number.number_id, item.segments)

    async def save_numbers(self) -> None:
        """The pool's records, so that a restart goes on where this worker stopped."""
        changed = self.pool.changes()
        if not changed:
            return
        rows = [(each.number_id, each.state.value, msgspec.json.encode(each).decode()) for each in changed]
        try:
            await numbers.save(self._station.database, self.campaign.key, rows)
        except DatabaseAway:
            self.pool.not_saved(changed)
            raise

    def close(self) -> None:
        self._buyer.close()
        self._brand_day.close()
        if self.task is not None:
            self.task.cancel()


def _claim_of(picked: Picked, message: Queued) -> Claim:
    number_id, slot = picked.chosen.number.number_id, picked.chosen.slot
    return Claim(message.message_id, message.contact_id, number_id, slot, message.hours_group)


def _needs_another_count(before: Campaign, after: Campaign) -> bool:
    """Of the day's segments: they are another brand's, or were not counted."""
    was_capped, is_capped = (each.limits.tmobile_daily_segments is not None for each in (before, after))
    return before.brand != after.brand or was_capped is not is_capped
