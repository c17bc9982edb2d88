"""Handing over: the one place that calls the provider's `send`, at each message's slot.

Every call ends in one word for delivery. A message whose time is over, or whose person has opted out since
it was claimed, is not handed over and goes back to the queue, where the second look finds out why.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from gateway.clock import Clock
from gateway.core.errors import Kind, Retry, consequence
from gateway.core.lifecycle import State
from gateway.core.retry import Ended
from gateway.metrics import Metrics
from gateway.pipeline.delivery import Delivery, News
from gateway.providers.base import Accepted, AnswerLost, NotSent, OutboundText, Provider, Refused
from gateway.store.database import DatabaseGone

_log = logging.getLogger(__name__)
_LONGEST_VALIDITY_S = 36_000.0  # Twilio's most
SHORTEST_VALIDITY_S = 6.0  # Twilio advises against 5 and less
_REMEMBER_STOPS_S = 5.0  # a STOP may overtake the answer to the claim of its person's text
_LOOK_AGAIN_S = (
    0.25  # a text that waited longer for its slot is looked at once more: STOPs reach other workers
)
_SLOWER = frozenset({Kind.THROTTLE, Kind.QUEUE_FULL})


class Unsettled(msgspec.Struct, frozen=True):
    """A text of which we do not know whether the provider has it.

    It left no earlier than `earliest_at` and no later than `latest_at`, if it left at all.
    """

    text: OutboundText
    earliest_at: float
    latest_at: float


OptedOut = Callable[[int, Sequence[str]], Awaitable[set[str]]]


class HandOver:
    """Calls under way and slots to come, at most `concurrency` calls at once.

    `opted_out(campaign_id, phones)` asks the store: the last look at texts that waited for their slot.
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
        self._slots: dict[int, tuple[asyncio.TimerHandle, OutboundText, float]] = {}
        self._ready: deque[tuple[OutboundText, float]] = deque()
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._looks: dict[int, asyncio.Task[None]] = {}
        self._stops: dict[str, float] = {}
        self.unsettled: dict[int, Unsettled] = {}

    def at(self, slot_at: float, text: OutboundText, not_after: float) -> None:
        """Hands the text over at its slot, or at once when that has come."""
        now = self._clock.now()
        if text.phone in self._stops and self._is_stopped(text, now):
            self._not_sent(text)
        elif slot_at <= now:
            self._start(text, not_after)
        else:
            waits_long = slot_at - now > _LOOK_AGAIN_S and not text.answers_opt_out
            timer = asyncio.get_running_loop().call_later(
                slot_at - now, self._due, text.message_id, waits_long
            )
            self._slots[text.message_id] = timer, text, not_after

    def stop_phones(self, phones: Iterable[str]) -> None:
        """These people have opted out: what is claimed for them but not on the wire is not sent."""
        now = self._clock.now()
        stopped = dict.fromkeys(phones, now)
        if not stopped:
            return
        self._stops = {phone: at for phone, at in self._stops.items() if now - at < _REMEMBER_STOPS_S}
        self._stops.update(stopped)
        for message_id, (timer, text, _) in list(self._slots.items()):
            if text.phone in stopped and not text.answers_opt_out:
                timer.cancel()
                del self._slots[message_id]
                self._not_sent(text)
        waiting, self._ready = self._ready, deque()
        for text, not_after in waiting:
            if text.phone in stopped and not text.answers_opt_out:
                self._not_sent(text)
            else:
                self._ready.append((text, not_after))

    def _is_stopped(self, text: OutboundText, now: float) -> bool:
        return now - self._stops[text.phone] < _REMEMBER_STOPS_S and not text.answers_opt_out

    def knows(self, message_id: int) -> bool:
        """Whether the message is claimed here and not answered yet."""
        return message_id in self._slots or message_id in self._calls or message_id in self._looks

    def __len__(self) -> int:
        """Messages claimed and not answered yet."""
        return len(self._slots) + len(self._ready) + len(self._calls) + len(self._looks)

    async def drain(self) -> None:
        """Gives up the slots to come and waits for the calls under way."""
        for timer, text, _ in self._slots.values():
            timer.cancel()
            self._not_sent(text)
        self._slots.clear()
        while self._ready:
            self._not_sent(self._ready.popleft()[0])
        while self._calls or self._looks:
            await asyncio.wait([*self._calls.values(), *self._looks.values()])

    def close(self) -> None:
        """Stops at once, as a crash would."""
        for timer, _, _ in self._slots.values():
            timer.cancel()
        for task in (*self._calls.values(), *self._looks.values()):
            task.cancel()

    def _due(self, message_id: int, waited_long: bool) -> None:
        _, text, not_after = self._slots.pop(message_id)
        if waited_long:
            look = asyncio.get_running_loop().create_task(self._look_again(text, not_after))
            self._looks[message_id] = look
        else:
            self._start(text, not_after)

    async def _look_again(self, text: OutboundText, not_after: float) -> None:
        try:
            gone = await self._opted_out(text.campaign_id, [text.phone])
        except DatabaseGone:
            gone = {text.phone}  # unsure is no
        finally:
            del self._looks[text.message_id]
        if gone:
            self._not_sent(text)
        else:
            self._start(text, not_after)

    def _start(self, text: OutboundText, not_after: float) -> None:
        if len(self._calls) >= self._concurrency:
            self._ready.append((text, not_after))
            return
        left_s = not_after - self._closing_margin_s - self._clock.now()
        if left_s < SHORTEST_VALIDITY_S:
            self._not_sent(text)
            return
        valid = msgspec.structs.replace(text, validity_s=min(left_s, _LONGEST_VALIDITY_S))
        task = asyncio.get_running_loop().create_task(self._call(valid))
        self._calls[text.message_id] = task

    async def _call(self, text: OutboundText) -> None:
        handed_at = self._clock.now()
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
        finally:
            del self._calls[text.message_id]
        self._metrics.provider_request("other", outcome, self._clock.now() - handed_at)
        self._delivery.answer(news)
        while self._ready and len(self._calls) < self._concurrency:
            self._start(*self._ready.popleft())

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
