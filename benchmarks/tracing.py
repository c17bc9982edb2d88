"""What traces cost Python a message: one request at the door, its admission, its call and one receipt, at the hooks alone.

    python -m benchmarks.tracing [--messages 5000] [--rounds 9]

What stands behind the hooks answers at once, so only they are measured. "without": the plain stations, called by name.
"off": what a worker has while `tracing.url` is not given, found as a worker finds it. "on": at a share of messages, with
OpenTelemetry's batches and an exporter that throws them away. Variants take turns; the median of the rounds is told, in
microseconds of this process' CPU, the thread that sends among it. Kept in benchmarks/results/tracing.json.
"""

import asyncio
import gc
import statistics
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from benchmarks.kept import keep
from gateway.config import Tracing as Wanted
from gateway.core.rules.lifecycle import State
from gateway.core.rules.registration import Limits
from gateway.core.sending.pacing import Pacer
from gateway.entropy import secret
from gateway.metrics import Metrics
from gateway.pipeline.admission import Admission, Outcome
from gateway.pipeline.call_record import CallRecord
from gateway.pipeline.lease import Held
from gateway.providers.base import OutboundText, StatusReport
from gateway.tracing import worker
from gateway.tracing.exporting import Spans
from gateway.tracing.requests import traced
from gateway.tracing.stations import TracedAdmission, TracedCalls, TracedSink, Tracing

KEPT = Path(__file__).parent / "results" / "tracing.json"
SHARES = (0.0, 0.01, 1.0)
NOW = 1_793_718_000.0
_AT_ONCE = 100
_ANSWER: Any = SimpleNamespace(status=202)
_LIMITS = Limits(total_per_s=100.0, carrier_per_s={"att": 100.0}, number_per_s=10.0)

Life = Callable[[int], Awaitable[None]]


class _Request(dict[Any, Any]):
    """What of aiohttp's request the hooks look at."""

    method = "POST"
    headers: Mapping[str, str] = {}
    match_info = SimpleNamespace(route=SimpleNamespace(resource=SimpleNamespace(canonical="/v1/messages")))


class _Nowhere(SpanExporter):
    def export(self, _spans: Sequence[Any]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _AtOnce(Admission):
    """Admits at once."""

    def __init__(self) -> None:
        pass

    def submit(self, request: Any, **_: Any) -> "asyncio.Future[Outcome]":
        return _done(Outcome(request.message_id, State.QUEUED))


class _TracedAtOnce(TracedAdmission, _AtOnce):
    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing


class _Books:
    """Receipts are in them at once."""

    def status(self, _report: StatusReport) -> "asyncio.Future[None]":
        return _done(None)

    def inbound(self, _text: object) -> "asyncio.Future[None]":
        return _done(None)


def _done(value: Any) -> "asyncio.Future[Any]":
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    done.set_result(value)
    return done


def life(admission: Admission, calls: CallRecord, books: Any, around: Any) -> Life:
    """One message's, through the stations that are given."""
    pacer = Pacer(_LIMITS)

    async def handler(request: Any) -> Any:
        await admission.submit(request["asked"])
        return _ANSWER

    async def one(message_id: int) -> None:
        request = _Request(asked=SimpleNamespace(campaign_id=1, message_id=message_id, kind="initial"))
        await (handler(request) if around is None else around(request, handler))
        text = OutboundText(
            1, message_id, 1, "+12155550100", "+12675550100", "Polls are open today", 1, 600.0, None
        )
        held = Held(
            text=text,
            slot_at=NOW,
            not_after=NOW + 3600,
            number_id=1,
            carrier="att",
            pacer=pacer,
            lane=2,
            due_at=NOW - 1,
            deadline=0.0,
            seen_until=0.0,
        )
        calls.ended(text, held, "ok", NOW, 0.05)
        await books.status(StatusReport(1, message_id, 1, "delivered", None, NOW, "SM1"))

    return one


def variants() -> dict[str, Life]:
    plain, books, record = _AtOnce(), _Books(), CallRecord("twilio", Metrics())
    found = {"without": life(plain, record, books, None)}
    if worker.traces(Wanted(), "1", time.time, secret) is None:
        found["off"] = life(plain, record, books, None)
    for share in SHARES:
        spans = Spans("benchmark", "1", _Nowhere(), most_waiting=10**6, every_s=0.05)
        tracing = Tracing(spans, "benchmark", share, time.time, secret)
        around = traced(tracing)
        found[f"on, {share:.0%}"] = life(
            _TracedAtOnce(tracing), TracedCalls(tracing, record), TracedSink(tracing, books), around
        )
    return found


async def us_a_message(one: Life, messages: int, first: int) -> float:
    gc.collect()
    began_s = time.process_time()
    for message_id in range(first, first + messages):
        await one(message_id)
        if message_id % _AT_ONCE == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0.1)  # what waits is sent
    return (time.process_time() - began_s) / messages * 1e6


async def measured(messages: int, rounds: int) -> dict[str, float]:
    """The median of the rounds, in microseconds a message, by variant."""
    told: dict[str, list[float]] = {}
    lives = variants()
    for nth in range(rounds + 1):  # the first warms up
        for name, one in lives.items():
            taken = await us_a_message(one, messages, (nth + 1) * messages)
            if nth:
                told.setdefault(name, []).append(taken)
    return {name: round(statistics.median(each), 2) for name, each in told.items()}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    told = asyncio.run(measured(given.messages, given.rounds))
    for name, taken in told.items():
        print(f"{name:<10} {taken:7.2f} µs a message, {taken - told['without']:+.2f}")  # noqa: T201
    keep(KEPT, messages=given.messages, rounds=given.rounds, us_a_message=told)


if __name__ == "__main__":
    main()
