"""The simulated provider, in the gateway's own process: `simulated://`.

A create call takes its time to reach the market and its answer may be lost, refused or throttled, as the
faults say; callbacks go to whoever listens, and to nobody while the gateway is down.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any
from zlib import crc32

import msgspec
import simpy

from gateway.providers.base import (
    NO_LIMIT,
    Accepted,
    AnswerLost,
    BoughtNumber,
    Found,
    InboundText,
    Line,
    Media,
    NotSent,
    OutboundText,
    Refused,
    Sink,
    StatusReport,
    TooLate,
)
from simulator.model.carriers import CarrierParameters
from simulator.model.draws import Draws, Lognormal
from simulator.model.faults import Answer, Faults
from simulator.model.ledger import Table, inbound_number_of
from simulator.model.market import InboundEvent, Market, MarketRefusal, Number, StatusEvent, Submission
from simulator.model.pictures import PICTURES
from simulator.model.segments import segments_of

_TOO_MANY_REQUESTS = 20429
_INTERNAL_ERROR = 20500
_GONE = 404


class _Call(msgspec.Struct, gc=False):
    text: OutboundText
    answer: "asyncio.Future[Accepted]"
    nth: int
    handed_at: float


class SimulatedProvider:
    """A Provider over the market; times in the market count from the world's start."""

    name = "simulated"
    find_lags_s = 0.0  # it looks where the texts are
    free_calls = NO_LIMIT

    def __init__(
        self,
        env: simpy.Environment,
        market: Market,
        faults: Faults,
        draws: Draws,
        carriers: CarrierParameters,
        *,
        start_at: float,
        timeout_s: float,
    ) -> None:
        self._env = env
        self._market = market
        self._faults = faults
        self._start_at = start_at
        self._timeout_s = timeout_s
        self._luck = draws.stream("provider/answer")
        self._takes = Lognormal(carriers.answer_median_s, carriers.answer_p99_s)
        self._calls = 0
        self.answers_lost = 0  # calls that were carried out, and whose caller never heard of it
        self._sink: Sink | None = None
        self.calls_in_vain = Table("at:d message_id:q slow_down:b")  # calls of which no text was made
        market.on_status = self._status
        market.on_inbound = self._inbound

    # ------------------------------------------------------------ out

    async def send(self, text: OutboundText) -> Accepted:
        if self._env.now > text.begin_by:
            raise TooLate
        nth = self._calls
        self._calls += 1
        call = _Call(text, asyncio.get_running_loop().create_future(), nth, self._env.now)
        takes_s = self._takes.at(self._luck(text.message_id, text.attempt))
        self._env.timeout(takes_s, call).callbacks.append(self._arrive)
        return await call.answer

    def _arrive(self, event: Any) -> None:
        """The request reaches the provider; its answer is settled here, now or never."""
        call: _Call = event.value
        if self._faults.refuses(self._env.now):
            self._in_vain(call)
            _fail(call, NotSent(text="connection refused"))
            return
        fate = self._faults.answer(call.nth)
        if fate is Answer.THROTTLED:
            self._in_vain(call, slow_down=True)
            _fail(call, Refused(_TOO_MANY_REQUESTS))
            return
        outcome: Accepted | Refused | NotSent | None = self._submit(call) if fate.processed else None
        self.answers_lost += isinstance(outcome, Accepted) and (fate is not Answer.GOOD or call.answer.done())
        if not isinstance(outcome, Accepted):
            self._in_vain(call)
        if fate is Answer.GOOD:
            _settle(call, outcome)
        elif fate in (Answer.ERROR_AFTER, Answer.ERROR_BEFORE):
            _fail(call, AnswerLost(_INTERNAL_ERROR))
        else:
            late_s = max(0.0, call.handed_at + self._timeout_s - self._env.now)
            self._env.timeout(late_s, call).callbacks.append(_time_out)

    def _in_vain(self, call: _Call, *, slow_down: bool = False) -> None:
        self.calls_in_vain.append(call.handed_at, call.text.message_id, slow_down)

    def _submit(self, call: _Call) -> Accepted | Refused | NotSent:
        text = call.text
        submission = Submission(
            to=int(text.phone[1:]),
            sender=int(text.number_phone[1:]),
            campaign=text.campaign_id,
            segments=1 if text.media else segments_of(text.body),  # never the gateway's count
            body=text.body,
            body_key=crc32(text.body.encode()),
            validity_s=text.validity_s,
            reference=(text.campaign_id, text.message_id, text.attempt),
            handed_at=call.handed_at,
            pictures=len(text.media or ()),
        )
        try:
            return Accepted(self._market.submit(submission))
        except MarketRefusal as refusal:
            return Refused(refusal.code, refusal.text)
        except ConnectionRefusedError as error:
            return NotSent(text=str(error))

    async def find(self, text: OutboundText, since: float, others: Collection[str] = ()) -> Found | None:
        try:
            found = self._market.find((text.campaign_id, text.message_id, text.attempt))
        except ConnectionRefusedError as error:
            raise NotSent(text=str(error)) from error
        return Found(found[0].sid, found[0].status, found[0].code or None) if found else None

    async def buy(self, campaign_id: int, area_code: str) -> BoughtNumber:
        """Returns once it is sold; for a while carriers don't know it, and its texts end 30035."""
        number = await self._await(self._market.buy(area_code, campaign_id))
        return BoughtNumber(f"+{number.phone}", number.sid)

    async def bought_for(self, campaign_id: int) -> list[BoughtNumber]:
        if self._faults.refuses(self._env.now):
            raise NotSent(text="connection refused")
        held = self._market.inventory.of_campaign(campaign_id)
        return [BoughtNumber(f"+{number.phone}", number.sid) for number in held]

    async def _await(self, event: simpy.Event) -> Number:
        bought: asyncio.Future[Number] = asyncio.get_running_loop().create_future()
        assert event.callbacks is not None
        event.callbacks.append(_settles(bought))
        return await bought

    async def look_up(self, phones: Sequence[str]) -> list[Line]:
        found = [self._market.lookup(int(phone[1:])) for phone in phones]
        return [Line(line_type, carrier or None) for line_type, carrier in found]

    # ------------------------------------------------------------ in

    def listen(self, sink: Sink) -> None:
        self._sink = sink

    async def close(self) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Nobody listens any more: webhooks meet a refused connection."""
        self._sink = None

    def _status(self, event: StatusEvent) -> None:
        if self._sink is None:
            raise ConnectionRefusedError("the gateway is down")
        assert isinstance(event.reference, tuple)
        campaign_id, message_id, attempt = event.reference
        self._sink.status(
            StatusReport(
                campaign_id,
                message_id,
                attempt,
                event.status,
                event.code or None,
                self._start_at + event.at,
                event.sid,
            )
        )

    def _inbound(self, event: InboundEvent) -> None:
        if self._sink is None:
            raise ConnectionRefusedError("the gateway is down")
        self._sink.inbound(self._text_of(event))

    def _text_of(self, event: InboundEvent) -> InboundText:
        media = tuple(
            Media(f"picture:{event.sid}/{nth}", media_type) for nth, media_type in enumerate(event.pictures)
        )
        at = self._start_at + event.at
        return InboundText(event.sid, f"+{event.sender}", f"+{event.to}", event.body, at, media)

    async def fetch_media(self, provider_sid: str, place: int, url: str, most_bytes: int) -> bytes:
        """One of the pictures of a person's text."""
        if self._faults.refuses(self._env.now):
            raise NotSent(text="connection refused")
        pictures = self._market.ledger.pictures.get(inbound_number_of(provider_sid), ())
        if url not in ("", f"picture:{provider_sid}/{place}") or not 0 <= place < len(pictures):
            raise Refused(_GONE, "the text has no such picture")
        content = PICTURES[pictures[place]]
        if len(content) > most_bytes:
            raise Refused(text=f"it has more than {most_bytes} bytes")
        return content


def _settle(call: _Call, outcome: "Accepted | Refused | NotSent | None") -> None:
    if isinstance(outcome, Accepted):
        if not call.answer.done():
            call.answer.set_result(outcome)
    elif outcome is not None:
        _fail(call, outcome)


def _fail(call: _Call, error: Exception) -> None:
    if not call.answer.done():  # the caller may be gone: a crash
        call.answer.set_exception(error)


def _time_out(event: Any) -> None:
    _fail(event.value, AnswerLost(text="no answer in time"))


def _settles(future: "asyncio.Future[Number]") -> Callable[[Any], None]:
    """A SimPy callback that gives the event's outcome to a future."""

    def settle(event: Any) -> None:
        if future.done():
            return
        if event.ok:
            future.set_result(event.value)
        elif isinstance(event.value, MarketRefusal):
            future.set_exception(Refused(event.value.code, event.value.text))
        else:
            future.set_exception(NotSent(text=str(event.value)))

    return settle
