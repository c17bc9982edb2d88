"""Collectors that take spans, that are away, that hang and that say no: spans are lost and counted, texts are not."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.core.rules.errors import BadInput
from gateway.tracing import worker
from gateway.tracing.exporting import Spans
from gateway.tracing.ids import SpanPlace
from gateway.tracing.spans import Span
from tests.http.house import a_house
from tests.tracing.conftest import traced


class Collector:
    """OTLP over HTTP, as any collector has it."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.services: set[str] = set()
        self.status = 200
        self.asked = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        told = ExportTraceServiceRequest.FromString(await request.read())
        for resource in told.resource_spans:
            self.services |= {
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            }
            self.spans += [span.name for scope in resource.scope_spans for span in scope.spans]
        self.asked.set()
        return web.Response(status=self.status, content_type="application/x-protobuf")


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    server = TestServer(app)
    await server.start_server()
    yield collector, str(server.make_url("")).rstrip("/")
    await server.close()


async def test_a_collector_takes_them_over_http(dsn: str, collector: tuple[Collector, str]) -> None:
    taking, url = collector
    async with a_house(dsn, settings=traced(url=url, service="bank-test")) as house:
        await house.send(1)
        await house.says(await house.provider.next_text(), "delivered")
        await asyncio.wait_for(taking.asked.wait(), 20)  # while the worker works, not only at its end
    assert {"POST /v1/messages", "admit", "send", "receipt"} <= set(taking.spans)
    assert taking.services == {"bank-test"}


async def test_a_collector_that_is_away_costs_spans_and_no_text(
    dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_house(dsn, settings=traced(url="http://127.0.0.1:9")) as house:
        for contact_id in (1, 2, 3):
            assert (await house.send(contact_id)).status == 202
            await house.says(await house.provider.next_text(), "delivered")
        assert await house.states() == ["delivered"] * 3
        began_at = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began_at < 10, "stopping waits for no collector"
    spans = house.worker._traces._spans
    assert spans.sent == 0
    told = capsys.readouterr().err
    assert told.count("spans can't be sent") <= 1
    assert "Traceback" not in told


class Hangs(SpanExporter):
    """Takes a batch and never comes back, until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.has = threading.Event()

    def export(self, spans) -> SpanExportResult:
        self.has.set()
        self.let_go.wait(30)
        return SpanExportResult.SUCCESS


class SaysNo(SpanExporter):
    def __init__(self, says) -> None:
        self.says = says

    def export(self, spans) -> SpanExportResult:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def a_span(nth: int = 1) -> Span:
    return Span(
        name="send", kind="client", place=SpanPlace(7, nth), began_at=1.0, ended_at=2.0, attributes={}
    )


async def test_what_waits_is_bounded_and_what_is_refused_is_counted() -> None:
    hanging = Hangs()
    spans = Spans("textbank", "1", hanging, most_waiting=8, every_s=0.01)
    for nth in range(1, 101):
        spans.tell(a_span(nth))
    assert await asyncio.to_thread(hanging.has.wait, 10)
    assert (spans.told, spans.dropped, spans.sent, spans.failed) == (8, 92, 0, 0)
    began_at = asyncio.get_running_loop().time()
    await spans.close()
    assert asyncio.get_running_loop().time() - began_at < 5
    hanging.let_go.set()


@pytest.mark.parametrize("says", [SpanExportResult.FAILURE, RuntimeError("a defect of theirs")])
async def test_what_a_collector_does_not_take_is_counted_and_told_once(
    says: object, capsys: pytest.CaptureFixture[str]
) -> None:
    collector = SaysNo(says)
    spans = Spans("textbank", "1", collector, most_waiting=4, every_s=0.01)
    while spans.failed < 12:
        spans.tell(a_span())
        await asyncio.sleep(0)
    collector.says = SpanExportResult.SUCCESS
    sent = spans.told - spans.failed
    while not spans.sent:
        spans.tell(a_span())
        await asyncio.sleep(0)
    await spans.close()
    assert spans.told == spans.sent + spans.failed >= sent
    told = capsys.readouterr()
    lines = (told.out + told.err).splitlines()
    assert sum("spans can't be sent" in line for line in lines) == 1
    assert sum("the collector of spans is back" in line for line in lines) == 1


def test_without_the_extra_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'opentelemetry'")

    monkeypatch.setattr(worker.importlib, "import_module", missing)
    wanted = traced(url="http://127.0.0.1:4318").tracing
    with pytest.raises(BadInput) as refused:
        worker.traces(wanted, "1", lambda: 0.0, bytes)
    said = str(refused.value)
    assert "\n" not in said
    assert "textbank[traces]" in said
    assert "tracing.url" in said
    assert worker.traces(traced(url=None).tracing, "1", lambda: 0.0, bytes) is None


def test_off_nothing_of_opentelemetry_is_imported() -> None:
    asked = "import sys, gateway.serve; print([each for each in sys.modules if 'opentelemetry' in each])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
