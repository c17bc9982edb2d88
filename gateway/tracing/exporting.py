"""Spans on their way to a collector: OpenTelemetry's own tracer, batches and OTLP over HTTP, in a thread of theirs.

What waits is bounded. A collector that is away, slow or wrong costs spans, which are counted, and never a text: whoever
tells of a span doesn't wait for anything. This file needs the extra `traces`; nobody imports it while traces are off.
"""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from gateway.tracing.ids import SpanPlace
from gateway.tracing.spans import Span

MOST_WAITING: Final = 4096
_AT_ONCE: Final = 512
_EVERY_S: Final = 1.0
_CALL_S: Final = 5.0
_CLOSED_WITHIN_S: Final = 3.0
_EACH_NTH: Final = 100
_PATH: Final = "/v1/traces"
_KINDS: Final = {kind.name.lower(): kind for kind in trace.SpanKind}
_ERROR: Final = trace.Status(trace.StatusCode.ERROR)
_log = structlog.get_logger("textbank.tracing")


def otlp(url: str) -> SpanExporter:
    """Sends to a collector by OTLP over HTTP. What else it wants, such as a key, stands in OpenTelemetry's own environment
    (OTEL_EXPORTER_OTLP_HEADERS)."""
    endpoint = url.rstrip("/")
    return OTLPSpanExporter(endpoint if endpoint.endswith(_PATH) else endpoint + _PATH, timeout=_CALL_S)


class Spans:
    """Where spans are told of. `dropped`: refused here, since too many wait."""

    def __init__(
        self,
        service: str,
        version: str,
        exporter: SpanExporter,
        *,
        most_waiting: int = MOST_WAITING,
        every_s: float = _EVERY_S,
    ) -> None:
        self.told = self.dropped = 0
        self._most_waiting = most_waiting
        self._ids = _GivenIds()
        self._sending = _Counting(exporter)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # ours decides before
            resource=Resource.create({"service.name": service, "service.version": version}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._sending,
                max_queue_size=most_waiting + _AT_ONCE,  # never full: we refuse before
                max_export_batch_size=min(_AT_ONCE, most_waiting),
                schedule_delay_millis=every_s * 1000,
            )
        )
        self._tracer = self._provider.get_tracer("textbank", version)

    @property
    def sent(self) -> int:
        return self._sending.sent

    @property
    def failed(self) -> int:
        """Given up: the collector did not take them in time."""
        return self._sending.failed

    def tell(self, span: Span) -> None:
        """Takes tens of microseconds; refuses the span, and counts it, when too many wait."""
        if self.told - self.sent - self.failed >= self._most_waiting:
            self.dropped += 1
            return
        self.told += 1
        self._ids.place = span.place
        started = self._tracer.start_span(
            span.name,
            context=_under(span.parent),
            kind=_KINDS[span.kind],
            attributes=span.attributes,
            links=[trace.Link(_context(place)) for place in span.links],
            start_time=int(span.began_at * 1e9),
        )
        if span.failed:
            started.set_status(_ERROR)
        started.end(int(span.ended_at * 1e9))

    async def close(self) -> None:
        """Sends what waits; a collector that doesn't take it keeps nobody from stopping."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=shut_down, name="spans' end", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSED_WITHIN_S):
                await closed.wait()


class _GivenIds(IdGenerator):
    """The ids that the next span is to have."""

    place = SpanPlace(1, 1)

    def generate_trace_id(self) -> int:
        return self.place.trace_id

    def generate_span_id(self) -> int:
        return self.place.span_id


class _Counting(SpanExporter):
    """Counts what becomes of spans, in the thread that sends them. That they can't be sent is one line, and so is that
    they can again."""

    def __init__(self, to: SpanExporter) -> None:
        self._to = to
        self.sent = self.failed = 0
        self._failures = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._to.export(spans)
        except Exception:  # noqa: BLE001 - whatever it is, it costs spans and nothing else
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.sent += len(spans)
            if self._failures:
                _log.warning("the collector of spans is back", failures=self._failures, lost=self.failed)
            self._failures = 0
            return result
        self.failed += len(spans)
        self._failures += 1
        if self._failures % _EACH_NTH == 1:
            _log.warning("spans can't be sent", failures=self._failures, lost=self.failed)
        return result

    def shutdown(self) -> None:
        self._to.shutdown()


def _context(place: SpanPlace) -> trace.SpanContext:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.SpanContext(place.trace_id, place.span_id, is_remote=True, trace_flags=flags)


def _under(parent: SpanPlace | None) -> Context:
    here = trace.INVALID_SPAN if parent is None else trace.NonRecordingSpan(_context(parent))
    return trace.set_span_in_context(here, Context())
