"""Handing over: the one place that calls the provider's `send`, at each claimed text's slot.

Every claimed text is one record (`Held`, lease.py) with one place and one deadline. A text that may not go, or can't
in time, goes back to the queue, where the second look finds out why.
"""

import asyncio
import functools
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.rules.retry import Ended
from gateway.metrics import Metrics
from gateway.pipeline import answers
from gateway.pipeline.call_line import CallLine
from gateway.pipeline.call_record import CallRecord
from gateway.pipeline.delivery import Delivery, News
from gateway.pipeline.lease import LOOK_VALID_S, Held, Key, LookValidity, Place
from gateway.pipeline.written_answers import WrittenAnswers
from gateway.providers.base import AnswerLost, NotSent, OutboundText, Provider, Refused, TooLate

_log = structlog.get_logger("gateway.hand_over")
_LONGEST_VALIDITY_S = 36_000.0  # Twilio's most
SHORTEST_VALIDITY_S = 6.0  # Twilio advises against 5 and less
_SPARE_S = 0.05  # of a look's validity: for a slot that is used a little late
_OVERDUE_S = 5.0
_OF_LATE = 0.05  # the share of one call in the average


Look = Callable[[int, Sequence[OutboundText]], Awaitable[set[int]]]
"""Campaign and texts -> the message ids of those that may not go."""


class HandOver:
    """All claimed texts of a worker, at most `concurrency` of them in calls at once.

    `look` asks the store who may not be texted any more, `freed` is told when a call has ended.
    """

    def __init__(
        self,
        provider: Provider,
        delivery: Delivery,
        clock: Clock,
        metrics: Metrics,
        *,
        look: Look,
        freed: Callable[[], None],
        concurrency: int,
        closing_margin_s: float,
        longest_call_s: float,
        look_valid_s: float = LOOK_VALID_S,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self.record = CallRecord(provider.name, metrics)
        self._look = look
        self._freed = freed
        self._concurrency = concurrency
        self._closing_margin_s = closing_margin_s
        self._longest_call_s = longest_call_s
        self.look_validity = LookValidity(look_valid_s)
        self.claimed_at = -math.inf  # by Clock.steady: when a text came into this worker's hands last
        self._held: dict[Key, Held] = {}
        self._calls: dict[Key, Held] = {}  # those in a call, the oldest first
        self._line = CallLine()
        self._serving = False
        self._stale: dict[int, list[Held]] = {}  # by campaign: first in line, and their look was over
        self._looks_ahead: dict[int, asyncio.TimerHandle] = {}
        self._looking: set[int] = set()  # campaigns of which some who are first in line are in a look
        self._looks: dict[int, asyncio.Task[None]] = {}
        self._answers = WrittenAnswers(delivery, freed, spare=lambda: self.places)
        self._looks_made = 0
        self._call_s = 0.0  # what a call takes, on the average of late
        self._draining = False

    # ------------------------------------------------------------ what a road asks

    def room(self, horizon_s: float) -> int:
        """How many more may be claimed: as many as will find a free call within the horizon."""
        return max(0, self._calls_soon(horizon_s) - (len(self._held) - len(self._calls)))

    def _calls_soon(self, within_s: float) -> int:
        """How many calls can begin within so many seconds, at the pace of late; at least those that are free."""
        free, soon = self._free, 0
        if 0 < self._call_s < within_s:
            soon = int((free + self._lively()) * within_s / self._call_s)
        return free + soon

    def _lively(self) -> int:
        """Calls that take no longer than usual; those that do are the oldest."""
        since = self._clock.steady() - 2 * self._call_s
        hanging = 0
        for held in self._calls.values():
            if held.called_at >= since:
                break
            hanging += 1
        return len(self._calls) - hanging

    def can_write(self, campaign_id: int) -> int:
        """How many more answers about a campaign's texts may wait to be written."""
        return self._answers.room(campaign_id)

    @property
    def places(self) -> int:
        """Calls that may be under way at once."""
        return len(self._calls) + self._free

    @property
    def _free(self) -> int:
        return max(0, min(self._concurrency - len(self._calls), self._provider.free_calls))

    def _age_s(self, held: Held) -> float:
        return self._clock.steady() - held.called_at

    def at(self, held: Held) -> None:
        """Hands the text over at its slot, or at the next free one when that has passed."""
        self._held[held.key] = held
        self.claimed_at = self._clock.steady()
        self._plan(held)

    def knows(self, message_id: int, attempt: int) -> bool:
        """Whether the attempt is claimed here and not answered yet."""
        return (message_id, attempt) in self._held

    def __len__(self) -> int:
        """Messages claimed and not answered yet."""
        return len(self._held)

    @property
    def use(self) -> float:
        """Calls under way of those allowed, 0 to 1."""
        return len(self._calls) / self._concurrency

    # ------------------------------------------------------------ from the claim to the call

    def _plan(self, held: Held) -> None:
        """Where the text goes next, whatever has happened since it was planned last."""
        now, steady = self._clock.now(), self._clock.steady()
        if held.is_late(now):
            held.take_new_slot(now)
        wait_s = max(0.0, held.slot_at - now)
        if self._draining or steady + wait_s > held.deadline:
            self._give_back(held)
        elif steady + wait_s + self.look_validity.begins_in_s <= held.seen_until:
            self._await_slot(held, wait_s)
        else:
            held.place = Place.BEFORE_LOOK
            self._after(max(0.0, wait_s - self.look_validity.lead_s), held)

    def _await_slot(self, held: Held, wait_s: float) -> None:
        held.place = Place.BEFORE_SLOT
        if wait_s > 0:
            self._after(wait_s, held)
        else:
            self._call_or_line_up(held)

    def _after(self, delay_s: float, held: Held) -> None:
        held.timer = asyncio.get_running_loop().call_later(delay_s, self._due, held)

    def _due(self, held: Held) -> None:
        """The moment has come that the text waited for; it may be a late one, after we were frozen."""
        held.timer = None
        match held.place:
            case Place.BEFORE_LOOK:
                self._look_at_those_around(held)
            case Place.BEFORE_SLOT:
                self._plan(held) if self._is_stale(held) else self._call_or_line_up(held)
            case Place.BEFORE_CALL:
                self._give_back(held)  # no call has ended within its lease
            case Place.IN_LOOK | Place.IN_CALL | Place.OVER:
                raise AssertionError(held.place)  # they have no timer
            case _:
                assert_never(held.place)

    def _is_stale(self, held: Held) -> bool:
        """Whether a call that is made now might begin too late."""
        return self._clock.steady() > min(held.seen_until - self.look_validity.begins_in_s, held.deadline)

    def _call_or_line_up(self, held: Held) -> None:
        if self._free > 0 and not self._line:
            self._call(held)
        else:
            self.record.lined_up()
            self._line.enter(held)
            self._after(max(0.0, held.deadline - self._clock.steady()), held)
            self._serve_line()

    def _serve_line(self) -> None:
        """Free calls go to replies first; what could not begin any more is looked at anew or goes back."""
        if self._serving:  # who joins the line meanwhile is served by whoever serves it
            return
        self._serving = True
        try:
            while self._free > 0 and (held := self._line.next()) is not None:
                self._serve(held)
        finally:
            self._serving = False
        for campaign_id in self._stale.keys() - self._looking:
            self._look_at_the_first(campaign_id)

    def _serve(self, held: Held) -> None:
        now = self._clock.now()
        if held.is_late(now):
            held.take_new_slot(now)
        if held.slot_at > now or self._clock.steady() > held.deadline:
            self._stop_timer(held)
            self._plan(held)
        elif self._is_stale(held):
            self._stale.setdefault(held.text.campaign_id, []).append(held)
        else:
            self._stop_timer(held)
            self._call(held)

    # ------------------------------------------------------------ the last look

    def _look_at_those_around(self, first: Held) -> None:
        """One look for this text and for those of its campaign whose slots it will still be good for."""
        campaign_id = first.text.campaign_id
        until = self._clock.now() + self.look_validity.now_s - _SPARE_S
        some = [
            held
            for held in self._held.values()
            if held.place is Place.BEFORE_LOOK
            and held.slot_at <= until
            and held.text.campaign_id == campaign_id
        ]
        if first not in some:
            some.append(first)
        self._begin_look(campaign_id, some)

    def _look_at_the_first(self, campaign_id: int) -> None:
        """One look for those in line who will find a call while it is good; whoever stands behind them is looked at
        when these are nearly gone."""
        if campaign_id in self._looking:
            return
        if (ahead := self._looks_ahead.pop(campaign_id, None)) is not None:
            ahead.cancel()
        self._back_in_line(campaign_id)
        good_s = self.look_validity.now_s - self.look_validity.took.typical_s
        near = self._calls_soon(good_s)
        first = self._line.take(
            near, lambda held: held.text.campaign_id == campaign_id and self._is_stale(held)
        )
        if first:
            self._looking.add(campaign_id)
            look = self._begin_look(campaign_id, first)
            look.add_done_callback(functools.partial(self._has_looked_at_the_first, campaign_id, good_s))

    def _has_looked_at_the_first(self, campaign_id: int, good_s: float, look: "asyncio.Task[None]") -> None:
        if look.cancelled():  # closed
            return
        self._looking.discard(campaign_id)
        self._back_in_line(campaign_id)
        self._serve_line()
        if self._line:
            until_gone_s = good_s - self.look_validity.took.typical_s
            self._looks_ahead[campaign_id] = asyncio.get_running_loop().call_later(
                max(0.0, until_gone_s), self._look_at_the_first, campaign_id
            )

    def _back_in_line(self, campaign_id: int) -> None:
        for held in self._stale.pop(campaign_id, ()):
            if held.place is Place.BEFORE_CALL:
                self._line.enter(held)

    def _begin_look(self, campaign_id: int, some: Sequence[Held]) -> "asyncio.Task[None]":
        for held in some:
            self._stop_timer(held)
            held.place = Place.IN_LOOK
        self._looks_made += 1
        nth = self._looks_made
        task = asyncio.get_running_loop().create_task(self._look_at(campaign_id, some))
        self._looks[nth] = task
        task.add_done_callback(lambda _: self._looks.pop(nth, None))
        return task

    async def _look_at(self, campaign_id: int, some: Sequence[Held]) -> None:
        """Unsure is no: whatever goes wrong with a look, its texts go back to the queue."""
        began_at = self._clock.steady()
        seen_until = self.look_validity.until(began_at)
        try:
            gone = await self._look(campaign_id, [held.text for held in some])
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be texted on the strength of it
            _log.warning("a last look failed", campaign_id=campaign_id, texts=len(some), why=str(error))
            gone = {held.text.message_id for held in some}
        now = self._clock.steady()
        self.look_validity.took.saw(now, now - began_at)
        for held in some:
            if self._held.get(held.key) is not held:
                continue  # given back meanwhile
            if held.text.message_id in gone:
                self._give_back(held)
            else:
                held.seen_until = seen_until
                self._plan(held)

    # ------------------------------------------------------------ the call

    def _call(self, held: Held) -> None:
        left_s = held.not_after - self._closing_margin_s - self._clock.now()
        if left_s < SHORTEST_VALIDITY_S:
            self._give_back(held)
            return
        text = msgspec.structs.replace(
            held.text,
            validity_s=min(left_s, _LONGEST_VALIDITY_S),
            begin_by=min(held.deadline, held.seen_until),
        )
        held.place = Place.IN_CALL
        held.called_at = self._clock.steady()
        self._calls[held.key] = held
        held.call = asyncio.get_running_loop().create_task(self._send(text, held))

    async def _send(self, text: OutboundText, held: Held) -> None:
        now, steady = self._clock.now(), self._clock.steady()
        self.look_validity.begin.saw(steady, min(steady - held.called_at, self.look_validity.now_s))
        try:
            asked = await self._ask_provider(text, held)
        finally:
            del self._calls[held.key]
        if asked is None:
            held.call = None
            self._plan(held)  # its lease goes on
        else:
            del self._held[held.key]
            outcome, news = asked
            took_s = self._age_s(held)
            self._call_s += (took_s - self._call_s) * (_OF_LATE if self._call_s else 1.0)
            self.record.ended(text, held, outcome, now, took_s)
            self._answers.tell(news)
        self._serve_line()
        self._freed()

    async def _ask_provider(self, text: OutboundText, held: Held) -> tuple[str, News] | None:
        """One word for the metrics, and one for delivery; None for a call that did not begin: its look was over before
        the provider's connection was there."""
        try:
            answer = await self._provider.send(text)
        except Refused as error:
            news = answers.refused(text, error, self._clock.now())
            return "throttled" if news.ended is Ended.THROTTLED else "rejected", news
        except TooLate:
            return None
        except NotSent:
            return "error", answers.not_sent(text, self._clock.now())
        except AnswerLost:
            return "timeout", answers.lost(text, self._clock.now())
        except asyncio.CancelledError:
            if not held.is_hung:
                raise
            return "timeout", answers.lost(text, self._clock.now())
        except Exception:  # noqa: BLE001 - whatever it is, the text may be on its way
            _log.exception("the provider failed in a way nobody foresaw", message_id=text.message_id)
            return "error", answers.lost(text, self._clock.now())
        return "ok", answers.accepted(text, answer.provider_sid, self._clock.now())

    def end_what_hangs(self) -> None:
        """A call that outlasts the longest time on the wire is a lost answer, and whatever else outlasts its lease goes
        back to the queue. The provider's limits and the database's should see to both; nothing hangs on them alone."""
        steady = self._clock.steady()
        self.look_validity.took.forget(steady)  # also while nobody is looked at
        for held in list(self._held.values()):
            if held.place is Place.IN_CALL:
                self._end_hanging_call(held)
            elif steady > held.deadline + _OVERDUE_S:
                _log.error(
                    "a text outlasted its lease", message_id=held.text.message_id, place=held.place.name
                )
                self._give_back(held)

    def _end_hanging_call(self, held: Held) -> None:
        if self._age_s(held) >= self._longest_call_s:
            assert held.call is not None
            held.is_hung = True
            held.call.cancel()

    # ------------------------------------------------------------ the end

    async def drain(self) -> None:
        """Gives up the slots to come and waits for the calls under way."""
        self._draining = True
        for held in list(self._held.values()):
            if held.place in (Place.BEFORE_LOOK, Place.BEFORE_SLOT, Place.BEFORE_CALL):
                self._give_back(held)
        while waited_for := [
            *self._looks.values(),
            *(held.call for held in self._calls.values() if held.call),
        ]:
            await asyncio.wait(waited_for)

    def recall(self, campaign_id: int) -> None:
        """Gives up the slots to come of one campaign, whose road claims nothing more."""
        for held in self._held_of(campaign_id):
            if held.place in (Place.BEFORE_LOOK, Place.BEFORE_SLOT, Place.BEFORE_CALL):
                self._give_back(held)

    async def release(self, campaign_id: int) -> None:
        """The same, and waits for the campaign's calls under way."""
        while held := self._held_of(campaign_id):
            self.recall(campaign_id)
            under_way = [each.call for each in held if each.call is not None]
            if waited_for := [*under_way, *self._looks.values()]:
                await asyncio.wait(waited_for)

    def _held_of(self, campaign_id: int) -> list[Held]:
        return [each for each in self._held.values() if each.text.campaign_id == campaign_id]

    def close(self) -> None:
        """Stops at once, as a crash would."""
        for held in self._held.values():
            self._stop_timer(held)
            if held.call is not None:
                held.call.cancel()
        for look in self._looks.values():
            look.cancel()
        for ahead in self._looks_ahead.values():
            ahead.cancel()

    @staticmethod
    def _stop_timer(held: Held) -> None:
        if held.timer is not None:
            held.timer.cancel()
            held.timer = None

    def _give_back(self, held: Held) -> None:
        """Back to the queue: certainly not on the wire."""
        self._stop_timer(held)
        held.place = Place.OVER
        del self._held[held.key]
        held.pacer.give_back(held.slot_at, held.carrier, held.number_id, held.text.segments)
        self._answers.tell(answers.recalled(held.text, self._clock.now()))
