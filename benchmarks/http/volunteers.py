"""Five hundred volunteers over connections of their own: all start at one instant, then text and answer as people do.

An API key asks for each of them by their id, so that nobody has to sign up first.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from benchmarks.http.calls import Answer, Client
from benchmarks.http.house import House, good

SENDS_PER_S = 170.0  # of all volunteers: two to three seconds between a volunteer's presses
_LOOKS_EVERY = 10  # presses of a volunteer
_REST_S = 5.0  # after the storm: by then nobody is refused any more
_REPEATED = (409, 503)  # the thread has changed; more comes than can be answered in time
_SCREEN = 20
_SCRIPTS = [
    {"kind": "initial", "source": "Hi {{first_name}}, will you vote on Tuesday? Reply STOP to opt out"},
    {
        "kind": "response",
        "name": "Yes",
        "source": "Thank you {{first_name}}! The polls are open from 7 to 8.",
    },
]


class Took(msgspec.Struct, frozen=True):
    """How long the answers to one request took, milliseconds."""

    requests: int
    p50_ms: float
    p99_ms: float
    most_ms: float


class Storm(msgspec.Struct, frozen=True):
    """Everybody's claim at one instant: how long it took, how long the whole storm; CPU milliseconds a claim."""

    claims: Took
    seconds: float
    contacts: int
    given_twice: int
    short: int
    cpu_ms: dict[str, float]


class Pace(msgspec.Struct, frozen=True):
    """Volunteers at work: by request, and sends a second; shares of a core."""

    seconds: float
    sends_per_s: float
    answers: int
    refused: int
    took: dict[str, Took]
    cpu_share: dict[str, float]


class _Times:
    """When each request was answered, by name."""

    def __init__(self) -> None:
        self._ms: dict[str, list[float]] = defaultdict(list)
        self.refused = 0

    async def call(self, client: Client, name: str, request: bytes, *, fine: Sequence[int] = ()) -> Answer:
        """Raises RuntimeError for an answer that is neither 2xx nor `fine`."""
        began_at = time.perf_counter()
        answer = await client.call(request)
        self._ms[name].append((time.perf_counter() - began_at) * 1e3)
        self.refused += answer.status == 503
        if answer.status not in fine:
            good(answer)
        return answer

    def took(self, name: str) -> Took:
        times = np.array(self._ms[name])
        p50, p99 = np.percentile(times, (50, 99))
        return Took(len(times), round(float(p50), 1), round(float(p99), 1), round(float(times.max()), 1))

    def every(self) -> dict[str, Took]:
        return {name: self.took(name) for name in sorted(self._ms)}


class Volunteers:
    """A campaign with a published action, and a connection for each volunteer."""

    def __init__(self, house: House, count: int, size: int) -> None:
        self._house = house
        self._count = count
        self._size = size
        self._campaign = self._action = ""
        self._clients = [Client(house.gateway_url, 1) for _ in range(count)]
        self._rows: dict[int, list[Any]] = {}

    async def come(self) -> None:
        """The action is published, and everybody has connected."""
        house = self._house
        campaign_id = await house.campaign("volunteers")
        await house.people(campaign_id, self._count * self._size)
        self._campaign = f"/v1/campaigns/{campaign_id}"
        made = await house.call(
            "POST", f"{self._campaign}/actions", {"title": "Will you vote?", "scripts": _SCRIPTS}
        )
        self._action = f"{self._campaign}/actions/{made['action_id']}"
        await house.call("POST", f"{self._action}/publish", {"to": "public"})
        for client in self._clients:
            await client.open()

    def leave(self) -> None:
        for client in self._clients:
            client.close()

    async def start_at_once(self) -> Storm:
        """Everybody's first bucket; kept for the presses."""
        times, before, began_at = _Times(), self._house.cpu_s(), time.perf_counter()
        buckets = await asyncio.gather(*(self._take(nth, times) for nth in range(self._count)))
        seconds, after = time.perf_counter() - began_at, self._house.cpu_s()
        self._rows = dict(enumerate(buckets))
        given = [row["contact_id"] for rows in buckets for row in rows]
        return Storm(
            claims=times.took("claim"),
            seconds=round(seconds, 3),
            contacts=len(given),
            given_twice=len(given) - len(set(given)),
            short=sum(len(rows) < self._size for rows in buckets),
            cpu_ms={name: round(1e3 * (after[name] - before[name]) / self._count, 2) for name in after},
        )

    async def _take(self, nth: int, times: _Times) -> list[Any]:
        request = self._house.request(
            "POST", f"{self._action}/buckets", {"volunteer_id": nth + 1, "size": self._size}
        )
        answer = await times.call(self._clients[nth], "claim", request)
        rows: list[Any] = msgspec.json.decode(answer.body)["rows"]
        return rows

    async def text(self, seconds: float) -> Pace:
        """Presses, looks at the inbox and answers, each volunteer at a pace of their own."""
        times, before, began_at = _Times(), self._house.cpu_s(), time.perf_counter()
        until = began_at + seconds
        await asyncio.gather(*(self._work(nth, times, until) for nth in range(self._count)))
        lasted_s, after = time.perf_counter() - began_at, self._house.cpu_s()
        every = times.every()
        return Pace(
            seconds=round(lasted_s, 1),
            sends_per_s=round(every["send"].requests / lasted_s, 1),
            answers=every["answer"].requests if "answer" in every else 0,
            refused=times.refused,
            took=every,
            cpu_share={name: round((after[name] - before[name]) / lasted_s, 2) for name in after},
        )

    async def _work(self, nth: int, times: _Times, until: float) -> None:
        luck, presses = random.Random(nth), 0
        while (now := time.perf_counter()) < until and self._rows[nth]:
            wait_s = luck.expovariate(SENDS_PER_S / self._count)
            await asyncio.sleep(min(wait_s, max(0.0, until - now)))
            row, client = self._rows[nth].pop(0), self._clients[nth]
            press = {"contact_id": row["contact_id"], "variant": row["variant"], "hash": row["hash"]}
            body = {"volunteer_id": nth + 1, **press}
            await times.call(
                client, "send", self._house.request("POST", f"{self._action}/sends", body), fine=_REPEATED
            )
            presses += 1
            if presses % _LOOKS_EVERY == nth % _LOOKS_EVERY:
                await self._look(nth, times)

    async def _look(self, nth: int, times: _Times) -> None:
        """Into the inbox; whoever has waited longest is read and answered."""
        client, house = self._clients[nth], self._house
        query = f"filter=needs_attention&limit={_SCREEN}&volunteer_id={nth + 1}"
        request = house.request("GET", f"{self._campaign}/conversations?{query}")
        answer = await times.call(client, "inbox", request, fine=_REPEATED)
        found = msgspec.json.decode(answer.body).get("conversations", ())
        for each in found[:1]:
            path = f"{self._campaign}/conversations/{each['contact_id']}"
            thread = await times.call(client, "thread", house.request("GET", path))
            revision = msgspec.json.decode(thread.body)["conversation"]["revision"]
            said = {"revision": revision, "response": "Yes", "sender_id": nth + 1}
            request = house.request("POST", f"{path}/answers", said)
            await times.call(client, "answer", request, fine=_REPEATED)


async def volunteers(house: House, count: int, size: int, seconds: float) -> tuple[Storm, Pace]:
    """Both, one after the other."""
    everybody = Volunteers(house, count, size)
    try:
        await everybody.come()
        storm = await everybody.start_at_once()
        await asyncio.sleep(_REST_S)
        return storm, await everybody.text(seconds)
    finally:
        everybody.leave()
