"""How many open arrivals a second one core asks, against an endpoint that does nothing, and how late they are.

    python -m benchmarks.generator [--rates 2000,4000,5000,6000] [--seconds 10]

The generator is a process of its own, as one of Locust's workers is, with the pacer and the client of the load tests; the
endpoint is another. A rate is carried when the run is valid. Figures are kept in benchmarks/results/generator.json.
"""

import asyncio
import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.kept import keep

KEPT = Path(__file__).parent / "results" / "generator.json"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Empty(asyncio.Protocol):
    """Answers each request as soon as it is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport  # uvloop's is none of asyncio's classes

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER * data.count(b"\r\n\r\n"))


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Empty, "127.0.0.1", 0, backlog=4000)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def generate(url: str, rate_per_s: float, for_s: float) -> dict[str, Any]:
    """In a process of its own: gevent is not for the others."""
    import time

    from loadtests.asking import Asker
    from loadtests.pacer import Pacer
    from loadtests.recording import invalid_because
    from loadtests.schedule import poisson
    from loadtests.targets import target
    from loadtests.timeline import Timeline

    late: list[float] = []

    class Lateness(Timeline):
        def started(self, instant: float, late_s: float) -> None:
            late.append(late_s)
            super().started(instant, late_s)

    asker = Asker(target(url))
    pacer = Pacer(poisson(rate_per_s, for_s, seed=1), lambda: asker.good("GET", "/"), timeline=Lateness())
    pacer.run(time.perf_counter() + 0.5)
    cpu = pacer.cpu()
    figures = pacer.recording.figures()
    late.sort()
    return {
        "rate_per_s": rate_per_s,
        "started_per_s": round(figures["started"] / for_s),
        "dropped": figures["dropped"],
        "failed": figures["failed"],
        "cpu": cpu,
        "late_p50_ms": round(late[len(late) // 2] * 1000, 3),
        "late_p99_ms": round(late[len(late) * 99 // 100] * 1000, 3),
        "answered_p99_ms": round(figures["seconds"]["since_intended"]["p99"] * 1000, 3),
        "invalid": invalid_because([pacer.handed()], 1),
    }


def measure(rates: Sequence[float], for_s: float) -> list[dict[str, Any]]:
    words = [sys.executable, "-m", "benchmarks.generator"]
    with subprocess.Popen([*words, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            done = [
                subprocess.run(
                    [*words, "--ask", url, "--rates", str(rate), "--seconds", str(for_s)],
                    stdout=subprocess.PIPE,
                    check=True,
                )
                for rate in rates
            ]
        finally:
            server.terminate()
    return [json.loads(each.stdout) for each in done]


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m benchmarks.generator")
    parser.add_argument("--rates", default="2000,4000,5000,6000")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--serve", action="store_true", help="only the endpoint")
    parser.add_argument("--ask", metavar="URL", help="only the generator")
    asked = parser.parse_args(arguments)
    rates = [float(each) for each in asked.rates.split(",")]
    if asked.serve:
        uvloop.run(serve())
    elif asked.ask:
        sys.stdout.write(json.dumps(generate(asked.ask, rates[0], asked.seconds)))
    else:
        figures = measure(rates, asked.seconds)
        for each in figures:
            sys.stdout.write(json.dumps(each) + "\n")
        keep(KEPT, rates=figures)


if __name__ == "__main__":
    main(sys.argv[1:])
