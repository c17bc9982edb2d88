"""`textbank top` against workers that answer, that do not, and that are something else."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.cli import run
from gateway.metrics import Metrics

NOBODY = "http://127.0.0.1:9"


class Worker:
    """The metrics of one, which accepts ten texts between two looks."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.metrics.running("1.0", "abc", "def")
        self.looks = 0
        self.status = 200
        self.looked_at = asyncio.Event()

    async def tell(self, _request: web.Request) -> web.Response:
        self.looks += 1
        self.looked_at.set()
        self.metrics.accepted("initial", 10)
        return web.Response(body=self.metrics.exposition(), status=self.status)


@pytest.fixture
async def worker() -> AsyncIterator[tuple[Worker, str]]:
    worker, app = Worker(), web.Application()
    app.router.add_get("/metrics", worker.tell)
    app.router.add_get("/other/metrics", _other)
    app.router.add_get("/moved/metrics", _moved)
    server = TestServer(app)
    await server.start_server()
    yield worker, str(server.make_url("")).rstrip("/")
    await server.close()


async def _other(_request: web.Request) -> web.Response:
    return web.Response(text="<html>a web server</html>")


async def _moved(_request: web.Request) -> web.Response:
    raise web.HTTPFound("http://127.0.0.1:9/metrics")


async def top(*words: str) -> int:
    return await asyncio.to_thread(run, ["top", *words])


async def test_once_for_a_script(worker: tuple[Worker, str], capsys: pytest.CaptureFixture[str]) -> None:
    working, url = worker
    assert await top("--once", "--json", "--every", "0.2", "--url", url) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert working.looks == 2
    assert told["accepted_per_s"] == pytest.approx(10 / told["over_s"], rel=0.01)
    assert [(each["url"], each["is_up"], each["version"]) for each in told["workers"]] == [(url, True, "1.0")]
    assert [lane["lane"] for lane in told["lanes"]] == ["reply", "retry", "initial"]


async def test_once_for_a_person_without_a_terminal(
    worker: tuple[Worker, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await top("--once", "--every", "0.2", "--url", worker[1].removeprefix("http://")) == 0
    written = capsys.readouterr().out
    assert written.startswith("textbank top   1 worker")
    assert written.isascii()
    assert "\x1b" not in written


async def test_a_worker_that_is_away_is_told_beside_those_that_answer(
    worker: tuple[Worker, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--url", worker[1], "--url", NOBODY)
    assert await top("--once", "--json", "--every", "0.2", *words) == 0
    told = json.loads(capsys.readouterr().out)["workers"]
    assert [(each["is_up"], each["why"]) for each in told] == [(True, ""), (False, "does not answer")]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("", 500, "answers 500"),
        ("/other", 200, "has no metrics of ours"),
        ("/moved", 200, "answers 302"),
        ("/nowhere", 200, "answers 404"),
        (NOBODY, 200, "does not answer"),
        ("ftp://127.0.0.1", 200, "is not an address"),
        ("127.0.0.1:port", 200, "is not an address"),
    ],
)
async def test_who_does_not_answer_is_told_in_one_line(
    worker: tuple[Worker, str], capsys: pytest.CaptureFixture[str], path: str, status: int, said: str
) -> None:
    working, url = worker
    working.status = status
    asked = url + path if path.startswith("/") or not path else path
    assert await top("--once", "--every", "0.2", "--url", asked) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert said in line


async def _ended(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGINT)
    return await asyncio.to_thread(process.wait, 30)


async def test_ctrl_c_ends_it_without_a_word(worker: tuple[Worker, str]) -> None:
    working, url = worker
    words = [sys.executable, "-m", "gateway", "top", "--every", "0.2", "--json", "--url", url]
    with subprocess.Popen(  # noqa: ASYNC220 - it is read in a thread
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        first = await asyncio.to_thread(process.stdout.readline)
        assert await _ended(process) == 0
        assert process.stderr.read() == b""
    assert json.loads(first)["workers"][0]["is_up"]
    assert working.looks >= 2


async def test_a_terminal_is_drawn_anew_and_given_back(worker: tuple[Worker, str]) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "gateway", "top", "--every", "0.2", "--url", worker[1]]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "40"}
    with subprocess.Popen(  # noqa: ASYNC220 - it is read in a thread
        words, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment
    ) as process:
        os.close(theirs)
        drawn = b""
        while drawn.count(b"textbank top") < 2:
            drawn += await asyncio.to_thread(os.read, ours, 65_536)
        assert await _ended(process) == 0
        drawn += await asyncio.to_thread(os.read, ours, 65_536)
        assert process.stderr.read() == b""
    os.close(ours)
    assert drawn.index(b"\x1b[?1049h") < drawn.index(b"\x1b[?1049l")  # the other screen, and back
