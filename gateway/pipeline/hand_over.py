"""Handing over: the one place that calls the provider's `send`, at each message's slot.

Every call ends in one word for delivery. A message whose time is over, or whose person has opted out since
it was claimed, is not handed over and goes back to the queue, where the second look finds out why.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec

from gateway.clock import Clock
from gateway.core.errors import Kind, consequence
from gateway.core.lifecycle import State
from gateway.core.retry import Ended
from gateway.metrics import Metrics
from gateway.pipeline.delivery import Delivery, News
from gateway.providers.base import Accepted, AnswerLost, NotSent, OutboundText, Provider, Refused

_LONGEST_VALIDITY_S = 36_000.0  # Twilio's most
_SHORTEST_VALIDITY_S = 6.0  # Twilio advises against 5 and less
_SLOWER = frozenset({Kind.THROTTLE, Kind.QUEUE_FULL})


class HandOver:
    """Calls under way and slots to come, at most `concurrency` calls at once."""

    def __init__(
        self,
        provider: Provider,
        delivery: Delivery,
        clock: Clock,
        metrics: Metrics,
        *,
        concurrency: int,
        closing_margin_s: float,
    ) -> None:
        self._provider = provider
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._concurrency = concurrency
        self._closing_margin_s = closing_margin_s
        self._slots: dict[int, tuple[asyncio.TimerHandle, OutboundText, float]] = {}
        self._ready: deque[tuple[OutboundText, float]] = deque()
        self._calls: dict[int, asyncio.Task[None]] = {}
        self.unsettled: dict[int, tuple[OutboundText, float]] = {}  # answers lost: (text, handed at)

    def at(self, slot_at: float, text: OutboundText, not_after: float) -> None:
        """Hands the text over at its slot, or at once when that has come."""
        delay_s = slot_at - self._clock.now()
        if delay_s <= 0:
            self._start(text, not_after)
            return
        timer = asyncio.get_running_loop().call_later(delay_s, self._due, text.message_id)
        self._slots[text.message_id] = timer, text, not_after

    def stop_phones(self, phones: Iterable[str]) -> None:
        """These people have opted out: what is claimed for them but not on the wire is not sent."""
        stopped = frozenset(phones)
        for message_id, (timer, text, _) in list(self._slots.items()):
            if text.phone in stopped:
                timer.cancel()
                del self._slots[message_id]
                self._not_sent(text)
        kept = deque(waiting for waiting in self._ready if waiting[0].phone not in stopped)
        for text, _ in self._ready:
            if text.phone in stopped:
                self._not_sent(text)
        self._ready = kept

    def __len__(self) -> int:
        """Messages claimed and not answered yet."""
        return len(self._slots) + len(self._ready) + len(self._calls)

    async def drain(self) -> None:
        """Gives up the slots to come and waits for the calls under way."""
        for timer, text, _ in self._slots.values():
            timer.cancel()
            self._not_sent(text)
        self._slots.clear()
        while self._ready:
            self._not_sent(self._ready.popleft()[0])
        while self._calls:
            await asyncio.wait(list(self._calls.values()))

    def close(self) -> None:
        """Stops at once, as a crash would."""
        for timer, _, _ in self._slots.values():
            timer.cancel()
        for task in self._calls.values():
            task.cancel()

    def _due(self, message_id: int) -> None:
        _, text, not_after = self._slots.pop(message_id)
        self._start(text, not_after)

    def _start(self, text: OutboundText, not_after: float) -> None:
        if len(self._calls) >= self._concurrency:
            self._ready.append((text, not_after))
            return
        left_s = not_after - self._closing_margin_s - self._clock.now()
        if left_s < _SHORTEST_VALIDITY_S:
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
            outcome, news = "rejected", self._refused(text, error)
            if news.ended is Ended.THROTTLED:
                outcome = "throttled"
        except NotSent:
            outcome, news = "error", self._news(text, State.FAILED, ended=Ended.NOT_SENT)
        except AnswerLost:
            outcome, news = "timeout", self._news(text, State.UNKNOWN, reason="the answer was lost")
            self.unsettled[text.message_id] = text, handed_at
        else:
            outcome, news = "ok", self._accepted(text, answer)
        finally:
            del self._calls[text.message_id]
        self._metrics.provider_request("other", outcome, self._clock.now() - handed_at)
        self._delivery.answer(news)
        if self._ready:
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

    def _refused(self, text: OutboundText, error: Refused) -> News:
        slower = error.code is not None and consequence(error.code).kind in _SLOWER
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
