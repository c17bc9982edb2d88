"""Locust's own master and two worker processes against a gateway that is none: what breaks in them makes the run invalid."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from loadtests.outcome import Outcome
from loadtests.plan import Plan, Size
from loadtests.run import generated

VOLUNTEERS = 2
JOINED = {"user_id": 1, "session": {"token": "t"}}
NOBODY = {"bucket_id": None, "rows": [], "left": {"nobody": True}}


class StandIn:
    """Takes every batch, and lets every volunteer in or none; nobody is there to be texted by them."""

    def __init__(self, *, joins: bool = True) -> None:
        self._joins = joins
        self.batches = 0
        self.is_gone = False
        self.asked_for_a_batch = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) and not self.is_gone:
                length = re.search(rb"content-length: (\d+)", head.lower())
                await reader.readexactly(int(length[1]) if length else 0)
                status, body = self._answer(head.split()[1].decode())
                content = msgspec.json.encode(body)
                writer.write(
                    f"HTTP/1.1 {status} OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
                )
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    def _answer(self, path: str) -> tuple[int, object]:
        if path == "/v1/messages:batch":
            self.batches += 1
            self.asked_for_a_batch.set()
            return 202, {"results": [{"message_id": self.batches, "state": "queued"}]}
        if path == "/v1/join":
            return (200, JOINED) if self._joins else (403, {})
        if "/events?" in path:
            return 200, "data: 1"
        return 200, NOBODY if path.endswith("/buckets") else {"conversations": []}


@asynccontextmanager
async def standing_in(stand_in: StandIn, folder: Path, size: Size) -> AsyncIterator[Plan]:
    async with await asyncio.start_server(stand_in.serve, "127.0.0.1", 0) as server:
        yield Plan(
            url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            key="k",
            campaign_id=1,
            action_id=1,
            tag_id=1,
            code="c",
            integrated_ids=list(range(1, 201)),
            size=size,
            outcome=str(folder / "outcome.json"),
        )


def children(pid: int) -> list[int]:
    """Of any of its threads."""
    told = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(each) for each in " ".join(file.read_text() for file in told).split()]


def workers() -> list[int]:
    """Locust's processes under ours, where a PostgreSQL may be as well: the master has the workers as children."""
    masters = [
        each for each in children(os.getpid()) if b"locust" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]
    return [worker for master in masters for worker in children(master)]


async def test_a_worker_that_dies_makes_the_run_invalid(tmp_path: Path) -> None:
    stand_in = StandIn()
    size = Size(shape="step", contacts=220, volunteers=VOLUNTEERS, seconds=20.0, at_most_s=60.0)
    async with standing_in(stand_in, tmp_path, size) as plan:
        running = asyncio.create_task(asyncio.to_thread(generated, plan, tmp_path / "plan.json"))
        await asyncio.wait_for(stand_in.asked_for_a_batch.wait(), 60)
        first, _ = workers()
        os.kill(first, signal.SIGKILL)
        outcome: Outcome = await running
    assert outcome.stopped_because == "a worker was lost"
    reasons = outcome.invalid(size.workers)
    assert reasons[0] == "a worker was lost"
    assert any(each.startswith("only ") for each in reasons)
    assert outcome.lasted_s < size.at_most_s


async def test_two_workers_share_the_load_and_who_could_not_join_is_told(tmp_path: Path) -> None:
    stand_in = StandIn(joins=False)
    size = Size(shape="step", contacts=220, volunteers=VOLUNTEERS, seconds=1.0, at_most_s=60.0)
    async with standing_in(stand_in, tmp_path, size) as plan:
        outcome = await asyncio.to_thread(generated, plan, tmp_path / "plan.json")
    assert (len(outcome.parts), outcome.stopped_because) == (2, "")
    assert [each.counts["started"] for each in outcome.parts] == [10, 10]
    assert sorted(outcome.acknowledged) == list(range(1, 21)) == list(range(1, stand_in.batches + 1))
    assert sum(step.started for step in outcome.steps) == 20
    assert outcome.streamed > 0
    assert outcome.turned_away == VOLUNTEERS
    assert "2 volunteers could not join" in outcome.invalid(size.workers)


async def test_a_gateway_that_goes_away_ends_the_run(tmp_path: Path) -> None:
    stand_in = StandIn()
    size = Size(shape="step", contacts=220, volunteers=VOLUNTEERS, seconds=30.0, at_most_s=90.0)
    async with standing_in(stand_in, tmp_path, size) as plan:
        running = asyncio.create_task(asyncio.to_thread(generated, plan, tmp_path / "plan.json"))
        await asyncio.wait_for(stand_in.asked_for_a_batch.wait(), 60)
        stand_in.is_gone = True
        outcome = await running
    assert outcome.stopped_because == f"{plan.url} does not answer any more"
    assert outcome.lasted_s < size.at_most_s
