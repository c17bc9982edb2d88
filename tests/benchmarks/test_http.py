"""The HTTP benchmark at toy size, so that it can't rot; and the laws of its measuring."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.http.__main__ import table
from benchmarks.http.bare import exchange
from benchmarks.http.batches import arrivals
from benchmarks.http.calls import Answer, Client, body_length
from benchmarks.http.house import phones
from benchmarks.http.processes import NotLoopback, on_loopback

ROOT = Path(__file__).parents[2]


def test_a_toy_run_keeps_its_figures(tmp_path):
    kept = tmp_path / "http.json"
    parts = ("--only", "whole-life", "--scale", "0.004", "--kept", str(kept))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.http", *parts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "whole life of 240" in done.stdout
    found = json.loads(kept.read_text())
    assert found["whole_life"]["figures"]["messages"] == 240
    assert found["whole_life"]["machine"]["cores"] >= 1


async def test_a_toy_bare_exchange(tmp_path):
    found = await exchange(100, 10, tmp_path)
    assert found.messages == 100
    assert found.per_s > 0


def test_a_part_that_is_unknown_is_refused(tmp_path):
    command = [sys.executable, "-m", "benchmarks.http", "--only", "everything"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no such part: everything" in done.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:8800", "http://[::1]:8800/path", "http://127.9.9.9"])
def test_this_machine_may_be_loaded(url):
    assert on_loopback(url) == url


@pytest.mark.parametrize(
    "url", ["https://api.twilio.com", "http://10.0.0.1", "http://localhost.example.org", "http://0.0.0.0", ""]
)
def test_nothing_else_may(url):
    with pytest.raises(NotLoopback):
        on_loopback(url)


def test_a_client_refuses_other_hosts():
    with pytest.raises(NotLoopback):
        Client("http://192.0.2.1:80", 1)


class _Stalled:
    """Answers nobody before the last request has set out."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._all_here = asyncio.Event()

    async def call(self, _request: bytes) -> Answer:
        self._left -= 1
        if not self._left:
            self._all_here.set()
        await self._all_here.wait()
        return Answer(202, b"")


async def test_a_stall_is_seen_by_all_who_arrived_during_it():
    count, per_s = 400, 1000.0
    found = await arrivals(_Stalled(count), [b""] * count, per_s)
    assert found.requests == count
    # who came in the middle waited for half the stall, who came first for all of it
    assert found.p50_ms == pytest.approx(1000 * count / per_s / 2, rel=0.3)
    assert found.most_ms == pytest.approx(1000 * count / per_s, rel=0.3)


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 12", 12),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\ncontent-length:7\r\nServer: x", 7),
        ("HTTP/1.1 204 No Content\r\nServer: x", 0),
    ],
)
def test_the_length_of_a_body(head, length):
    message = f"{head}\r\n\r\nbody".encode()
    assert body_length(message, message.find(b"\r\n\r\n")) == length


def test_the_people_are_fictitious_and_different():
    people = list(phones(50_000))
    assert len(set(people)) == 50_000
    assert all(phone[5:8] == "555" and phone[8:] not in ("1212", "4334") for phone in people)


def test_the_table_says_what_was_missed():
    text = table([("a", "1/s", "2/s", False), ("longer", "3/s", "2/s", True), ("note", "x", "", None)])
    assert text.splitlines() == ["a       1/s  2/s  MISSED", "longer  3/s  2/s  reached", "note    x"]
