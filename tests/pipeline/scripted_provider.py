"""A provider that does what its script says, call by call; it remembers what it took, as a carrier would."""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.providers.base import (
    NO_LIMIT,
    Accepted,
    AnswerLost,
    BoughtNumber,
    Found,
    InboundText,
    Line,
    OutboundText,
    Refused,
    Sink,
    StatusReport,
    TooLate,
)
from simulator.rehearsal.loop import VirtualLoop


@dataclass(frozen=True)
class Lost:
    """The answer is lost, after the text was taken or before."""

    taken: bool


class Hangs:
    """Takes the text and never answers."""


Answer = Exception | Lost | Hangs | None  # None: accepted


@dataclass(frozen=True)
class Handed:
    """A text that was handed to us, and when."""

    text: OutboundText
    at: float


class ScriptedProvider:
    """`answers` are used up call by call, then every text is accepted. Nothing is said unless asked to."""

    name = "scripted"
    find_lags_s = 0.0
    free_calls = NO_LIMIT

    def __init__(self, loop: VirtualLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._sink: Sink | None = None
        self.takes_s = 0.2
        self.begins_s = 0.0  # from the call until its first byte is written
        self.answers: deque[Answer] = deque()
        self.calls: list[Handed] = []
        self.taken: list[Handed] = []  # what will be carried: the outside witness
        self.finds: list[OutboundText] = []
        self.forgets = False  # the search finds nothing although it was taken
        self.on_sale: deque[str] = deque()
        self.bought: list[str] = []
        self.asked_to_buy: list[str] = []

    async def send(self, text: OutboundText) -> Accepted:
        if self.begins_s:
            await asyncio.sleep(self.begins_s)
        if self._clock.steady() > text.begin_by:
            raise TooLate
        handed = Handed(text, self._clock.now())
        self.calls.append(handed)
        answer = self.answers.popleft() if self.answers else None
        if answer is None or isinstance(answer, Hangs) or (isinstance(answer, Lost) and answer.taken):
            self.taken.append(handed)
        await asyncio.sleep(self.takes_s)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Lost):
            raise AnswerLost
        if isinstance(answer, Hangs):
            await self._loop.create_future()
        return Accepted(sid(text))

    async def find(self, text: OutboundText, since: float, others: Collection[str] = ()) -> Found | None:
        self.finds.append(text)
        wanted = text.campaign_id, text.message_id, text.attempt
        for handed in self.taken:
            was_in_time = handed.at >= since
            if was_in_time and not self.forgets and reference(handed.text) == wanted:
                return Found(sid(handed.text), "sent", None)
        return None

    async def buy(self, campaign_id: int, area_code: str) -> BoughtNumber:
        self.asked_to_buy.append(area_code)
        await asyncio.sleep(1.0)
        if not self.on_sale:
            raise Refused(21422, "sold out")
        self.bought.append(self.on_sale.popleft())
        return BoughtNumber(self.bought[-1], f"PN{self.bought[-1]}")

    async def look_up(self, phones: Sequence[str]) -> list[Line]:
        return [Line("mobile", None) for _ in phones]

    def listen(self, sink: Sink) -> None:
        self._sink = sink

    def hang_up(self) -> None:
        """The gateway is down: what is said meets nobody."""
        self._sink = None

    async def close(self) -> None:
        self.hang_up()

    async def say(self, text: OutboundText, status: str, code: int | None = None) -> None:
        """A status callback; returns when it is durable, at once when nobody listens."""
        if self._sink is not None:
            report = StatusReport(*reference(text), status, code, self._clock.now(), sid(text))
            await self._sink.status(report)

    async def write(self, text: InboundText) -> None:
        """A person's text; returns when it is durable."""
        if self._sink is not None:
            await self._sink.inbound(text)


def reference(text: OutboundText) -> tuple[int, int, int]:
    return text.campaign_id, text.message_id, text.attempt


def sid(text: OutboundText) -> str:
    return f"SM{text.message_id:08d}{text.attempt:02d}"
