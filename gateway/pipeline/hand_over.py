"""Handing over: the one place that calls the provider's `send`, at each message's slot.

Every call ends in one word for delivery. A message whose time is over, or whose person has opted out since
it was claimed, is not handed over and goes back to the queue, where the second look finds out why. One whose
slot has passed (the database was slow, or all calls were under way) takes a new one: made up for at once, a
second's slots would break the rates that they keep.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from gateway.clock import Clock
from gateway.core.rules.errors import Kind, Retry, consequence
from gateway.core.rules.lifecycle import State
from gateway.core.rules.retry import Ended
from gateway.core.sending.pacing import Pacer
from gateway.core.sending.waiting import Lane
from gateway.core.text.segments import Encoding, measure
from gateway.metrics import Metrics
from gateway.pipeline.delivery import Delivery, News
from gateway.pipeline.recent_durations import RecentDurations
from gateway.providers.base import Accepted, AnswerLost, NotSent, OutboundText, Provider, Refused
from gateway.store.troubles import DatabaseAway

_log = logging.getLogger(__name__)
_LONGEST_VALIDITY_S = 36_000.0  # Twilio's most
SHORTEST_VALIDITY_S = 6.0  # Twilio advises against 5 and less
_REMEMBER_STOPS_S = 5.0  # a STOP may overtake the answer to the claim of its person's text
_LOOK_AGAIN_S = (
    0.25  # a text that waits longer for its slot is looked at once more: STOPs reach other workers
)
_LATE_S = 0.05  # never more, and never half a segment of the campaign's
_GSM7 = Encoding.GSM7
_LANES = tuple(lane.name.lower() for lane in Lane)
_SLOWER = frozenset({Kind.THROTTLE, Kind.QUEUE_FULL})


class Planned(msgspec.Struct, frozen=True):
    """A claimed text and its slot, reserved on its campaign's pacer."""

    text: OutboundText
    slot_at: float
    not_after: float
    number_id: int
    carrier: str | None
    pacer: Pacer
    lane: int
    due_at: float

    def is_late(self, now: float) -> bool:
        """Whether its slot has passed, by more than a meter forgives: half a segment's time."""
        late_s = now - self.slot_at
        return late_s > 0 and late_s > min(_LATE_S, self.pacer.duration_s(1) / 2)

    def again(self, now: float) -> "Planned":
        """At the next free slot; an infinite one when the day's cap is used up."""
        segments = self.text.segments
        self.pacer.give_back(self.slot_at, self.carrier, segments)
        slot_at = self.pacer.reserve(now, self.carrier, self.number_id, segments)
        return msgspec.structs.replace(self, slot_at=slot_at)


class Unsettled(msgspec.Struct, frozen=True):
    """A text of which we do not know whether the provider has it.

    It left no earlier than `earliest_at` and no later than `latest_at`, if it left at all.
    """

    text: OutboundText
    earliest_at: float
    latest_at: float


Key = tuple[int, int]
"""Message and attempt: a call may still hang when a callback has told its end and the next attempt waits."""

OptedOut = Callable[[int, Sequence[str]], Awaitable[set[str]]]


class HandOver:
    """Calls under way and slots to come, at most `concurrency` calls at once.

    `opted_out(campaign_id, phones)` asks the store: the last look at texts that wait for their slot.
    """

    def __init__(
        self,
        provider: Provider,
        delivery: Delivery,
        clock: Clock,
        metrics: Metrics,
        *,
        opted_out: OptedOut,
        concurrency: int,
        closing_margin_s: float,
    ) -> None:
        self._provider = provider
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._opted_out = opted_out
        self._concurrency = concurrency
        self._closing_margin_s = closing_margin_s
        self._held: dict[Key, Planned] = {}  # all that is claimed and not answered, in one of these:
        self._unseen: dict[Key, asyncio.TimerHandle] = {}  # before the last look
        self._looks: set[asyncio.Task[None]] = set()  # in it
        self._slots: dict[Key, asyncio.TimerHandle] = {}  # after it, or waiting too shortly for one
        self._ready: deque[Key] = deque()  # for a call to be free
        self._calls: dict[Key, asyncio.Task[None]] = {}
        self._looking = RecentDurations()
        self._draining = False
        self._stops: dict[str, float] = {}
        self.unsettled: dict[int, Unsettled] = {}

    def at(self, planned: Planned) -> None:
        """Hands the text over at its slot, or at the next free one when that has passed."""
        self._held[_key(planned.text)] = planned
        self._plan(planned, is_seen=planned.text.answers_opt_out)

    def _plan(self, planned: Planned, *, is_seen: bool) -> None:
        now, text = self._clock.now(), planned.text
        key = _key(text)
        if self._draining or (text.phone in self._stops and self._is_stopped(text, now)):
            self._not_sent(text)
            return
        if planned.is_late(now):
            planned = self._held[key] = planned.again(now)
        wait_s = planned.slot_at - now
        if wait_s <= 0:
            self._start(planned)
        elif wait_s == math.inf:
            self._not_sent(text)
        elif is_seen or wait_s <= _LOOK_AGAIN_S:
            self._slots[key] = self._timer(wait_s, self._due, key)
        else:
            look_in_s = max(0.0, wait_s - self._looking.ample_s)
            self._unseen[key] = self._timer(look_in_s, self._look, key)

    @staticmethod
    def _timer(delay_s: float, call: Callable[[Key], None], key: Key) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, call, key)

    def stop_phones(self, phones: Iterable[str]) -> None:
        """These people have opted out: what is claimed for them but not on the wire is not sent."""
        now = self._clock.now()
        stopped = dict.fromkeys(phones, now)
        if not stopped:
            return
        self._stops = {phone: at for phone, at in self._stops.items() if now - at < _REMEMBER_STOPS_S}
        self._stops.update(stopped)
        self._recall(lambda text: text.phone in stopped and not text.answers_opt_out)

    def _recall(self, gone: Callable[[OutboundText], bool]) -> None:
        """Takes back what is claimed, not on the wire and not in its last look."""
        for key in (*self._unseen, *self._slots, *self._ready):
            text = self._held[key].text
            if gone(text):
                timer = self._unseen.pop(key, None) or self._slots.pop(key, None)
                if timer is not None:
                    timer.cancel()
                self._not_sent(text)
        self._ready = deque(key for key in self._ready if key in self._held)

    def _is_stopped(self, text: OutboundText, now: float) -> bool:
        return now - self._stops[text.phone] < _REMEMBER_STOPS_S and not text.answers_opt_out

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

    async def drain(self) -> None:
        """Gives up the slots to come and waits for the calls under way."""
        self._draining = True
        self._recall(lambda _: True)
        while self._calls or self._looks:
            await asyncio.wait([*self._calls.values(), *self._looks])

    def close(self) -> None:
        """Stops at once, as a crash would."""
        for timer in (*self._unseen.values(), *self._slots.values()):
            timer.cancel()
        for task in (*self._calls.values(), *self._looks):
            task.cancel()

    def _due(self, key: Key) -> None:
        del self._slots[key]
        self._start(self._held[key])

    def _look(self, key: Key) -> None:
        """The last look: at this text, and at those of its campaign that go soon after it."""
        first = self._held[key]
        campaign_id, until = first.text.campaign_id, first.slot_at + _LOOK_AGAIN_S
        waiting = (self._held[each] for each in self._unseen)
        texts = [each for each in waiting if each.slot_at <= until and each.text.campaign_id == campaign_id]
        for planned in texts:
            self._unseen.pop(_key(planned.text)).cancel()
        look = asyncio.get_running_loop().create_task(self._look_at(campaign_id, texts))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _look_at(self, campaign_id: int, texts: Sequence[Planned]) -> None:
        asked_at = self._clock.now()
        phones = [planned.text.phone for planned in texts]
        try:
            gone = await self._opted_out(campaign_id, phones)
        except DatabaseAway:
            gone = set(phones)  # unsure is no
        now = self._clock.now()
        self._looking.saw(now, now - asked_at)
        for planned in texts:
            if planned.text.phone in gone:
                self._not_sent(planned.text)
            else:
                self._plan(planned, is_seen=True)

    def _start(self, planned: Planned) -> None:
        text = planned.text
        if len(self._calls) >= self._concurrency:
            self._ready.append(_key(text))
            return
        left_s = planned.not_after - self._closing_margin_s - self._clock.now()
        if left_s < SHORTEST_VALIDITY_S:
            self._not_sent(text)
            return
        valid = msgspec.structs.replace(text, validity_s=min(left_s, _LONGEST_VALIDITY_S))
        task = asyncio.get_running_loop().create_task(self._call(valid, planned))
        self._calls[_key(text)] = task

    async def _call(self, text: OutboundText, planned: Planned) -> None:
        handed_at = self._clock.now()
        self._metrics.queue_wait(_LANES[planned.lane], max(0.0, handed_at - planned.due_at))
        try:
            answer = await self._provider.send(text)
        except Refused as error:
            outcome, news = "rejected", self._refused(text, error, handed_at)
            if news.ended is Ended.THROTTLED:
                outcome = "throttled"
        except NotSent:
            outcome, news = "error", self._news(text, State.FAILED, ended=Ended.NOT_SENT)
        except AnswerLost:
            outcome, news = "timeout", self._lost(text, handed_at)
        except Exception:  # noqa: BLE001 - whatever it is, the text may be on its way
            _log.exception("the provider failed in a way nobody foresaw")
            outcome, news = "error", self._lost(text, handed_at)
        else:
            outcome, news = "ok", self._accepted(text, answer)
            self._count(text, planned.carrier)
        finally:
            del self._calls[_key(text)]
            del self._held[_key(text)]
        self._metrics.provider_request(self._provider.name, outcome, self._clock.now() - handed_at)
        self._delivery.answer(news)
        if len(self._calls) < self._concurrency:
            self._next()

    def _next(self) -> None:
        """One for one: were all planned anew at each end of a call, most would again find no call free."""
        while self._ready:
            key = self._ready.popleft()
            self._plan(self._held[key], is_seen=True)
            if key in self._held:
                return

    def _count(self, text: OutboundText, carrier: str | None) -> None:
        channel = "mms" if text.media else "sms"
        encoding = "GSM-7" if measure(text.body).encoding is _GSM7 else "UCS-2"
        self._metrics.segments(carrier, encoding, text.segments, channel)

    def _accepted(self, text: OutboundText, answer: Accepted) -> News:
        return News(
            text.campaign_id,
            text.message_id,
            text.attempt,
            State.SENT,
            self._clock.now(),
            provider_sid=answer.provider_sid,
            is_answer=True,
        )

    def _lost(self, text: OutboundText, handed_at: float) -> News:
        """The text may be on its way: to be asked about, never to be sent again."""
        self.unsettled[text.message_id] = Unsettled(text, handed_at, handed_at)
        return self._news(text, State.UNKNOWN, reason="the answer was lost")

    def _refused(self, text: OutboundText, error: Refused, handed_at: float) -> News:
        means = None if error.code is None else consequence(error.code)
        if means is not None and means.retry is Retry.RECONCILE:
            return self._lost(text, handed_at)
        slower = means is not None and means.kind in _SLOWER
        return self._news(
            text, State.FAILED, code=error.code, ended=Ended.THROTTLED if slower else Ended.REFUSED
        )

    def _not_sent(self, text: OutboundText) -> None:
        del self._held[_key(text)]
        self._delivery.answer(self._news(text, State.FAILED, ended=Ended.RECALLED))

    def _news(
        self,
        text: OutboundText,
        state: State,
        *,
        code: int | None = None,
        ended: Ended | None = None,
        reason: str | None = None,
    ) -> News:
        return News(
            text.campaign_id,
            text.message_id,
            text.attempt,
            state,
            self._clock.now(),
            code=code,
            reason=reason,
            ended=ended,
            is_answer=True,
        )


def _key(text: OutboundText) -> Key:
    return text.message_id, text.attempt
