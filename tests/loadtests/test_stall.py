"""A server that stands still for three seconds, seen by the open model and hidden by the closed one.

Of a run of T seconds the arrivals of the last hundredth of it that met the stall wait for all of the stall but T/100:
p99 is 3 s - T/100, which is 2.7 s for half a minute.
"""

import asyncio
import sys
from typing import Any

import msgspec
import pytest

from loadtests.outcome import Route
from loadtests.reading.page import page
from loadtests.reading.plots import quantiles, seconds
from loadtests.recording import Handed, Recording
from loadtests.report import Report
from tests.loadtests.sample_run import RUN, report

STALL_S = 3.0
RATE_PER_S = 200


class StallingServer:
    """Answers at once, but for three seconds that begin one second after its first request."""

    def __init__(self) -> None:
        self._moves = asyncio.Event()
        self._moves.set()
        self._asked = False

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2000)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self._begin()
                await self._moves.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _begin(self) -> None:
        if not self._asked:
            self._asked = True
            loop = asyncio.get_running_loop()
            loop.call_later(1.0, self._moves.clear)
            loop.call_later(1.0 + STALL_S, self._moves.set)


async def generated(model: str, url: str, for_s: float) -> dict[str, Any]:
    words = ("-m", "tests.loadtests.generators", model, url, str(RATE_PER_S), str(for_s))
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 60 + for_s)
    assert process.returncode == 0
    figures: dict[str, Any] = msgspec.json.decode(out)
    return figures


@pytest.mark.parametrize("for_s", [10.0, pytest.param(30.0, marks=pytest.mark.nightly)])
async def test_a_stall_shows_in_the_open_model_and_hides_in_the_closed_one(for_s: float) -> None:
    async with StallingServer() as one, StallingServer() as other:
        opened, closed = await asyncio.gather(
            generated("open", one, for_s), generated("closed", other, for_s)
        )
    assert opened["failed"] == closed["failed"] == opened["dropped"] == 0
    assert opened["intended"] == pytest.approx(RATE_PER_S * for_s, rel=0.1)
    felt_s, wanted_s = opened["seconds"]["since_intended"]["p99"], STALL_S - for_s / 100
    assert felt_s > wanted_s - 0.15
    assert felt_s < wanted_s + (
        1.5 if opened["invalid"] else 0.15
    )  # on a machine that is busy otherwise it is more
    assert closed["seconds"]["since_intended"]["p99"] < felt_s / 4
    assert (
        closed["started"] < 0.95 * opened["started"]
    )  # and what it should have asked meanwhile it never asks
    run = told(opened, closed)
    assert dict(run.curves["since_intended"])[99.0] == pytest.approx(felt_s, rel=0.002)
    assert f"99 of 100 batches were answered within {seconds(felt_s)}" in page(run)
    took_s = next(took for percent, took in quantiles(closed["milliseconds"]) if percent >= 99)
    assert took_s < felt_s / 4


def told(opened: dict[str, Any], closed: dict[str, Any]) -> Report:
    """The report of a run that recorded these."""
    sends = Route(
        name="POST sends",
        requests=closed["started"],
        failures=0,
        seconds={},
        milliseconds=closed["milliseconds"],
    )
    parts = [msgspec.convert(opened["part"], Handed), Recording().handed(cpu=0.1, whole=True)]
    return report(outcome=msgspec.structs.replace(RUN, parts=parts, routes=[sends]))


async def test_a_redirect_is_a_failure_and_is_not_followed() -> None:
    """It might lead to a provider."""
    asked = []

    async def elsewhere(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        writer.close()

    async def redirecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with (
        await asyncio.start_server(elsewhere, "127.0.0.1", 0) as target,
        await asyncio.start_server(redirecting, "127.0.0.1", 0) as first,
    ):
        there = f"http://127.0.0.1:{target.sockets[0].getsockname()[1]}/"
        figures = await generated("open", f"http://127.0.0.1:{first.sockets[0].getsockname()[1]}", 0.1)
    assert figures["failed"] == figures["started"] > 0
    assert asked == []
