"""More single texts than can be accepted, and STOPs beside: what is accepted, how soon, and what the rest is told."""

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.http.batches import Latencies, arrivals
from benchmarks.http.calls import Client, body_length
from benchmarks.http.house import House, message, phones
from benchmarks.http.processes import HOST
from benchmarks.http.stops import PER_S as STOPS_PER_S
from benchmarks.http.stops import stop

_CONNECTIONS: Final = 1_000
_STOP_CONNECTIONS: Final = 50
_WARM: Final = 200
_TICK_S: Final = 0.001
_LATE_S: Final = 0.010
_LAST_ANSWER_S: Final = 60.0
_SETTLES_S: Final = 180.0
ACCEPTED: Final = 202
_REFUSALS: Final = (429, 503)


class Step(msgspec.Struct, frozen=True):
    """One rate. Milliseconds are from the intended instant to the answer; `at_wire_p99_ms` from when it set out.

    `cpu_share`: of one core, by process. `late_share` set out late for want of time or of a free connection.
    """

    offered_per_s: float
    accepted_per_s: float
    refused_per_s: float
    other: int
    p50_ms: float
    p99_ms: float
    at_wire_p99_ms: float
    refused_p99_ms: float
    late_share: float
    stops: Latencies
    cpu_share: dict[str, float]


class _Caller(asyncio.Protocol):
    """One kept connection, one request at a time; opened again when the server closes it."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._nth = -1
        self._buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, nth: int, request: bytes) -> None:
        self._nth = nth
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or len(buffer) - end - 4 < body_length(buffer, end):
            return
        head = buffer[:end].lower()
        self._buffer = b""
        status = int(head[9:12])
        if status in _REFUSALS and b"\r\nretry-after: " not in head:
            raise RuntimeError("a refusal does not say when to come again")
        self._crowd.answered(self, self._nth, status)

    def connection_lost(self, _error: Exception | None) -> None:
        self._crowd.lost(self, self._nth)


class Crowd:
    """Requests that set out at instants of their own, whatever became of those before."""

    def __init__(self, port: int, requests: Sequence[bytes], per_s: float) -> None:
        luck = random.Random(1)
        self._port = port
        self._requests = requests
        self._offsets_s = np.cumsum([luck.expovariate(per_s) for _ in requests])
        self._idle: list[_Caller] = []
        self._wait: deque[int] = deque()
        self._left = len(requests)
        self._done = asyncio.Event()
        self.began_at = 0.0
        self.statuses = np.zeros(len(requests), dtype=int)
        self.intended_at, self.set_out_at, self.ended_at = (np.zeros(len(requests)) for _ in range(3))

    async def open(self) -> None:
        for _ in range(_CONNECTIONS):
            await self._connect()

    async def run(self) -> None:
        """Every request to its answer; TimeoutError when the last ones have none."""
        loop = asyncio.get_running_loop()
        self.began_at = loop.time() + 0.1
        self.intended_at = self.began_at + self._offsets_s
        for nth, due_at in enumerate(self.intended_at.tolist()):
            while due_at > loop.time():
                self._send()
                await asyncio.sleep(_TICK_S)
            self._wait.append(nth)
            if nth % 16 == 0:
                self._send()
                await asyncio.sleep(0)
        self._send()
        async with asyncio.timeout(_LAST_ANSWER_S):
            await self._done.wait()

    def close(self) -> None:
        self._left = 0
        for caller in self._idle:
            caller.transport.close()

    def answered(self, caller: _Caller, nth: int, status: int) -> None:
        self.ended_at[nth] = asyncio.get_running_loop().time()
        self.statuses[nth] = status
        self._left -= 1
        if not self._left:
            self._done.set()
        caller._nth = -1
        self._idle.append(caller)
        if self._wait:
            self._send()

    def lost(self, caller: _Caller, nth: int) -> None:
        if self._left <= 0:
            return
        if caller in self._idle:
            self._idle.remove(caller)
        if nth >= 0:
            self.ended_at[nth] = asyncio.get_running_loop().time()
            self._left -= 1
        self._reopening = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(lambda: _Caller(self), HOST, self._port)
        self._idle.append(caller)

    def _send(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._wait and self._idle:
            nth = self._wait.popleft()
            self.set_out_at[nth] = now
            self._idle.pop().ask(nth, self._requests[nth])


async def overload(house: House, rates_per_s: Iterable[float], for_s: float) -> list[Step]:
    """One rate after the other, each when the texts of the one before have been delivered."""
    rates = list(rates_per_s)
    counts = [round(rate * for_s) for rate in rates]
    leaving = round(STOPS_PER_S * for_s)
    campaign_id = await house.campaign("overload")
    people = await house.people(campaign_id, _WARM + sum(counts) + leaving * len(rates))
    everybody = [*phones(len(people))]
    await house.warm_up(campaign_id, people[:_WARM])
    number = await house.store.fetch_value("SELECT phone FROM numbers ORDER BY number_id LIMIT 1")
    steps, first, last = [], _WARM, len(people)
    for rate, count in zip(rates, counts, strict=True):
        requests = [
            house.request("POST", "/v1/messages", message(campaign_id, people[nth], nth))
            for nth in range(first, first + count)
        ]
        last -= leaving
        opt_outs = [stop(house, everybody[nth], number, nth) for nth in range(last, last + leaving)]
        steps.append(await _step(house, campaign_id, rate, requests, opt_outs))
        first += count
    return steps


async def _step(
    house: House, campaign_id: int, per_s: float, requests: list[bytes], opt_outs: list[bytes]
) -> Step:
    crowd = Crowd(int(house.gateway_url.rpartition(":")[2]), requests, per_s)
    client = Client(house.gateway_url, _STOP_CONNECTIONS)
    before = await _written(house, campaign_id)
    await crowd.open()
    await client.open()
    cpu_before = house.cpu_s()
    try:
        _, stops = await asyncio.gather(crowd.run(), arrivals(client, opt_outs, STOPS_PER_S))
    finally:
        crowd.close()
        client.close()
    used_s = {name: after - cpu_before[name] for name, after in house.cpu_s().items()}
    found = _found(crowd, per_s, stops, used_s)
    accepted = int(np.sum(crowd.statuses == ACCEPTED))
    if (written := await _written(house, campaign_id) - before) != accepted:
        raise RuntimeError(f"{accepted} were accepted, and {written} are in the books")
    await _settled(house, campaign_id)
    return found


def _found(crowd: Crowd, per_s: float, stops: Latencies, used_s: dict[str, float]) -> Step:
    accepted = crowd.statuses == ACCEPTED
    refused = np.isin(crowd.statuses, _REFUSALS)
    took_s = crowd.ended_at - crowd.intended_at
    for_s = float(crowd.ended_at.max()) - crowd.began_at
    late = crowd.set_out_at - crowd.intended_at > _LATE_S
    p50_ms, p99_ms = _percentiles_ms(took_s[accepted], 50, 99)
    return Step(
        offered_per_s=per_s,
        accepted_per_s=round(int(accepted.sum()) / for_s, 1),
        refused_per_s=round(int(refused.sum()) / for_s, 1),
        other=len(accepted) - int(accepted.sum()) - int(refused.sum()),
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        at_wire_p99_ms=_percentiles_ms((crowd.ended_at - crowd.set_out_at)[accepted], 99)[0],
        refused_p99_ms=_percentiles_ms(took_s[refused], 99)[0],
        late_share=round(float(np.mean(late)), 4),
        stops=stops,
        cpu_share={name: round(each / for_s, 2) for name, each in used_s.items()},
    )


def _percentiles_ms(times_s: NDArray[np.float64], *shares: float) -> list[float]:
    if not len(times_s):
        return [0.0] * len(shares)
    found: list[float] = (1000 * np.percentile(times_s, shares)).round(1).tolist()
    return found


async def _written(house: House, campaign_id: int) -> int:
    count: int = await house.store.fetch_value(
        "SELECT count(*) FROM messages WHERE campaign_id = $1", campaign_id
    )
    return count


async def _settled(house: House, campaign_id: int) -> None:
    """Nothing of this step is on its way when the next begins."""
    async with asyncio.timeout(_SETTLES_S):
        while await house.store.fetch_value(  # noqa: ASYNC110 - nobody tells
            "SELECT count(*) FROM messages WHERE campaign_id = $1 AND state IN ('queued', 'sending', 'sent')",
            campaign_id,
        ):
            await asyncio.sleep(0.5)
