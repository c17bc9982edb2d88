"""The road's stations and the door's, which tell of their work in spans. Each does what its namesake does, and then tells.

A message's trace: `admit`, under it a `wait` and a `send` for each attempt. Its request, its receipts and people's answers
have traces of their own, minutes and hours apart, and lead to it by links.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Protocol

from gateway.core.rules.safeguards import Request
from gateway.pipeline.admission import Admission, Outcome
from gateway.pipeline.call_record import LANES, MAY_BE_OUT, UNANSWERED, CallRecord
from gateway.pipeline.lease import Held
from gateway.providers.base import InboundText, OutboundText, Sink, StatusReport
from gateway.tracing import spans
from gateway.tracing.ids import SpanPlace, drawn_place, is_kept, message_place, message_trace
from gateway.tracing.spans import Attributes, Span, Value, about_message

_REMEMBERED: Final = 10_000
_WAIT_S: Final = 0.001  # shorter waits are none


class Told(Protocol):
    """Who takes spans."""

    def tell(self, span: Span) -> None: ...


class Asked:
    """A request under way: where its span will stand, and whether it is kept, for its own sake or a message's."""

    __slots__ = ("is_kept", "place")

    def __init__(self, place: SpanPlace, *, is_kept: bool) -> None:
        self.place = place
        self.is_kept = is_kept

    @property
    def trace_id(self) -> str | None:
        """As collectors write it; None when it isn't kept."""
        return f"{self.place.trace_id:032x}" if self.is_kept else None


CURRENT: ContextVar[Asked | None] = ContextVar("asked", default=None)


class Tracing:
    """What the stations share: who takes spans, which are kept, and what time it is (Unix seconds).

    `draw` gives as many bytes by chance as it is asked for.
    """

    def __init__(
        self, told: Told, service: str, share: float, now: Callable[[], float], draw: Callable[[int], bytes]
    ) -> None:
        self.now = now
        self.tell = told.tell
        self._service = service
        self._share = share
        self._draw = draw
        # Messages whose admission was told: a repeat is no second one.
        self._begun: OrderedDict[int, None] = OrderedDict()
        # The last call from our number to the person's.
        self._handed: OrderedDict[tuple[str, str], SpanPlace] = OrderedDict()

    def message(self, campaign_id: int, message_id: int, attempt: int = 0) -> SpanPlace | None:
        """Where the message's span stands; None when its trace isn't kept."""
        trace_id = message_trace(self._service, campaign_id, message_id)
        return message_place(trace_id, attempt) if is_kept(trace_id, self._share) else None

    def asked(self) -> Asked:
        place = drawn_place(self._draw(24))
        return Asked(place, is_kept=is_kept(place.trace_id, self._share))

    def part_of(self, parent: SpanPlace | None) -> SpanPlace:
        """A new place under another one, or in a trace of its own."""
        drawn = drawn_place(self._draw(24))
        return drawn if parent is None else SpanPlace(parent.trace_id, drawn.span_id)

    def begins(self, message_id: int) -> bool:
        """Whether a message's admission has not been told of yet, as far as is remembered."""
        is_new = message_id not in self._begun
        _remember(self._begun, message_id, None)
        return is_new

    def handed_over(self, text: OutboundText, place: SpanPlace | None) -> None:
        """What this person answers next to this number, they answer to that. None: it isn't kept."""
        if place is not None:
            _remember(self._handed, (text.number_phone, text.phone), place)
        elif self._handed:
            self._handed.pop((text.number_phone, text.phone), None)

    def answered(self, text: InboundText) -> SpanPlace | None:
        """The call of the text that a person seems to answer; None for one that isn't kept, or that another worker sent."""
        return self._handed.get((text.number_phone, text.phone))


class TracedAdmission(Admission):
    """Tells of each request that came to an outcome."""

    def __init__(self, tracing: Tracing, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._tracing = tracing

    def submit(self, request: Request, **options: Any) -> "asyncio.Future[Outcome]":
        came_at, asked = self._tracing.now(), CURRENT.get()
        written = super().submit(request, **options)
        written.add_done_callback(partial(self._written, request, came_at, asked))
        return written

    def _written(
        self, request: Request, came_at: float, asked: Asked | None, written: "asyncio.Future[Outcome]"
    ) -> None:
        if written.cancelled() or written.exception() is not None:
            return
        outcome = written.result()
        place = self._tracing.message(request.campaign_id, outcome.message_id)
        if place is None or not self._tracing.begins(outcome.message_id):
            return
        attributes = about_message(
            "admit",
            request.campaign_id,
            outcome.message_id,
            **{
                spans.MESSAGE_KIND: str(request.kind),
                spans.STATE: str(outcome.state),
                spans.CODE: outcome.code,
            },
        )
        self._tracing.tell(
            Span(
                name="admit",
                kind="producer",
                place=place,
                began_at=came_at,
                ended_at=self._tracing.now(),
                attributes=attributes,
                links=_kept(asked),
            )
        )


class TracedCalls(CallRecord):
    """Tells of each call to the provider, and of the wait before it."""

    def __init__(self, tracing: Tracing, record: CallRecord) -> None:
        super().__init__(record.provider_name, record.metrics)
        self._tracing = tracing

    def ended(self, text: OutboundText, held: Held, outcome: str, began_at: float, took_s: float) -> None:
        super().ended(text, held, outcome, began_at, took_s)
        place = self._tracing.message(text.campaign_id, text.message_id, text.attempt)
        if outcome in MAY_BE_OUT:
            self._tracing.handed_over(text, place)
        if place is None:
            return
        parent = self._tracing.message(text.campaign_id, text.message_id)
        if began_at - held.due_at > _WAIT_S:
            waited = self._about("wait", text, held, {spans.LATE_S: round(began_at - held.slot_at, 6)})
            self._tracing.tell(
                Span(
                    name="wait",
                    kind="internal",
                    place=self._tracing.part_of(place),
                    parent=parent,
                    began_at=held.due_at,
                    ended_at=began_at,
                    attributes=waited,
                )
            )
        sent = {spans.PROVIDER: self.provider_name, spans.OUTCOME: outcome}
        self._tracing.tell(
            Span(
                name="send",
                kind="client",
                place=place,
                parent=parent,
                began_at=began_at,
                ended_at=began_at + took_s,
                attributes=self._about("send", text, held, sent),
                failed=outcome in UNANSWERED,
            )
        )

    @staticmethod
    def _about(operation: str, text: OutboundText, held: Held, more: Attributes) -> Attributes:
        known: dict[str, Value | None] = {
            spans.ATTEMPT: text.attempt,
            spans.LANE: LANES[held.lane],
            spans.CARRIER: held.carrier,
            spans.SEGMENTS: text.segments,
            **more,
        }
        return about_message(operation, text.campaign_id, text.message_id, **known)


class TracedSink:
    """Tells of each callback that got into the books."""

    def __init__(self, tracing: Tracing, sink: Sink) -> None:
        self._tracing = tracing
        self._sink = sink

    def status(self, report: StatusReport) -> "asyncio.Future[None]":
        came_at = self._tracing.now()
        written = self._sink.status(report)
        about = self._tracing.message(report.campaign_id, report.message_id, report.attempt)
        if about is not None:
            said: dict[str, Value | None] = {
                spans.ATTEMPT: report.attempt,
                spans.PROVIDERS_STATUS: report.status,
                spans.CODE: report.code,
            }
            attributes = about_message("receipt", report.campaign_id, report.message_id, **said)
            self._tell_when(written, "receipt", came_at, about, attributes)
        return written

    def inbound(self, text: InboundText) -> "asyncio.Future[None]":
        came_at = self._tracing.now()
        written = self._sink.inbound(text)
        about = self._tracing.answered(text)
        if about is not None:
            attributes: Attributes = {
                spans.SYSTEM: "sms",
                spans.OPERATION: "reply",
                spans.OPERATION_TYPE: "receive",
            }
            self._tell_when(written, "reply", came_at, about, attributes)
        return written

    def _tell_when(
        self,
        written: "asyncio.Future[None]",
        name: str,
        came_at: float,
        about: SpanPlace,
        attributes: Attributes,
    ) -> None:
        """Part of its request, which is kept for it, and linked to the call that it is about."""
        asked = CURRENT.get()
        parent = None if asked is None else asked.place
        if asked is not None:
            asked.is_kept = True

        def tell(done: "asyncio.Future[None]") -> None:
            self._tracing.tell(
                Span(
                    name=name,
                    kind="consumer",
                    place=self._tracing.part_of(parent),
                    parent=parent,
                    began_at=came_at,
                    ended_at=self._tracing.now(),
                    attributes=attributes,
                    links=(about,),
                    failed=done.cancelled() or done.exception() is not None,
                )
            )

        written.add_done_callback(tell)


def _kept(asked: Asked | None) -> tuple[SpanPlace, ...]:
    """Leads to the request, which is kept for it."""
    if asked is None:
        return ()
    asked.is_kept = True
    return (asked.place,)


def _remember(book: "OrderedDict[Any, Any]", key: object, value: object) -> None:
    book[key] = value
    book.move_to_end(key)
    while len(book) > _REMEMBERED:
        book.popitem(last=False)
