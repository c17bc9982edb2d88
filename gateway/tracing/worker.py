"""A worker's traces: its stations are given such as tell of their work, or are left as they are."""

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp.typedefs import Middleware

from gateway.app import Gateway
from gateway.config import Tracing as Wanted
from gateway.core.rules.errors import BadInput
from gateway.http.parts import Parts
from gateway.tracing.requests import traced
from gateway.tracing.stations import TracedAdmission, TracedCalls, TracedSink, Tracing

if TYPE_CHECKING:
    from gateway.tracing.exporting import Spans

_RESULTS: Final[Sequence[str]] = ("sent", "failed", "dropped")


class Traces:
    """What a worker has of them while they are on."""

    def __init__(self, spans: "Spans", tracing: Tracing) -> None:
        self._spans = spans
        self._tracing = tracing
        self.admission = partial(TracedAdmission, tracing)

    def attach(self, gateway: Gateway, parts: Parts) -> None:
        """Calls and callbacks are told of from now on."""
        hand_over, look = gateway.dispatch.hand_over, parts.look
        hand_over.record = TracedCalls(self._tracing, hand_over.record)
        parts.sink = TracedSink(self._tracing, parts.sink)

        def look_at_spans() -> None:
            look()
            for result in _RESULTS:
                gateway.metrics.spans(result, getattr(self._spans, result))

        parts.look = look_at_spans

    def around_requests(self) -> Middleware:
        return traced(self._tracing)

    async def close(self) -> None:
        """Sends what waits, for a short while."""
        await self._spans.close()


def traces(
    wanted: Wanted, version: str, now: Callable[[], float], draw: Callable[[int], bytes]
) -> Traces | None:
    """None when they are off. Raises BadInput when they are on and the extra is missing."""
    if wanted.url is None:
        return None
    require_extra()
    from gateway.tracing import exporting

    spans = exporting.Spans(wanted.service, version, exporting.otlp(wanted.url))
    return Traces(spans, Tracing(spans, wanted.service, wanted.sampled_share, now, draw))


def require_extra() -> None:
    """Raises BadInput when OpenTelemetry is not installed."""
    try:
        importlib.import_module("gateway.tracing.exporting")
    except ImportError as error:
        do = "pip install 'textbank[traces]', or leave tracing.url out"
        raise BadInput(f"traces need OpenTelemetry ({error})", "tracing.url", do) from error
