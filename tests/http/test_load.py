"""More is offered than can be done: what is accepted has its answer in time, and little of what can be done is lost."""

import asyncio
from collections import deque

import pytest
import simpy

from gateway.http.load import BEGINS_WITHIN_S, FEWEST, Load
from gateway.http.problems import Refusal
from simulator.rehearsal.loop import VirtualLoop, run

LASTS_S = 12.0
SETTLED_S = 5.0


class Shop:
    """Serves one after the other, so many a second."""

    def __init__(self, per_s: float) -> None:
        self.per_s = per_s
        self._free_at = 0.0

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + 1 / self.per_s
        await asyncio.sleep(self._free_at - loop.time())


def offered(load: Load, shop: Shop, per_s: float) -> tuple[list[float], int]:
    """How long each one accepted waited once it has settled, and how many were refused."""

    async def begin(loop: VirtualLoop) -> tuple[list[float], int]:
        waits: list[float] = []
        refused = 0

        async def comes() -> None:
            nonlocal refused
            came_at = loop.time()
            try:
                with load.place():
                    await shop.serve()
            except Refusal:
                refused += 1
            else:
                if came_at > SETTLED_S:
                    waits.append(loop.time() - came_at)

        callers: deque[asyncio.Task[None]] = deque()
        for nth in range(int(per_s * LASTS_S)):
            callers.append(loop.create_task(comes()))
            while callers and callers[0].done():
                callers.popleft().result()
            await asyncio.sleep((nth + 1) / per_s - loop.time())
        await asyncio.gather(*callers)
        return waits, refused

    return run(simpy.Environment(), begin)


@pytest.mark.parametrize("can_per_s", [50, 400, 1000])
@pytest.mark.parametrize("times", [1.5, 4])
def test_what_is_accepted_has_its_answer_within_a_second(can_per_s: int, times: float):
    waits, refused = offered(Load(), Shop(can_per_s), can_per_s * times)
    waits.sort()
    assert refused
    assert waits[int(len(waits) * 0.99)] <= 1.0
    assert len(waits) >= 0.9 * can_per_s * (LASTS_S - SETTLED_S)


def test_who_is_refused_is_told_when_to_come_again():
    load = Load()
    load.places = 0
    with pytest.raises(Refusal) as refused, load.place():
        pass
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")


def test_nobody_is_refused_while_there_is_little_to_do():
    waits, refused = offered(Load(), Shop(400), 200)
    assert refused == 0
    assert max(waits) < 0.1


def test_after_a_standstill_it_takes_as_many_as_before():
    load, shop = Load(), Shop(400)

    async def stands_still(_loop: VirtualLoop) -> None:
        async def one() -> None:
            with load.place():
                await asyncio.sleep(10)

        for _ in range(20):
            await asyncio.gather(*(one() for _ in range(int(load.places))))

    run(simpy.Environment(), stands_still)
    assert load.places == FEWEST
    load._fewer_at = 0.0  # another loop's clock
    waits, refused = offered(load, shop, 380)
    assert len(waits) >= 0.95 * 380 * (LASTS_S - SETTLED_S)
    assert refused < 0.1 * 380 * LASTS_S


def test_one_that_came_late_to_its_handler_is_refused_and_there_are_fewer_places():
    load = Load()

    async def comes_late(_loop: VirtualLoop) -> None:
        entered_at = load.enter()
        assert entered_at is not None
        load.begin(entered_at)
        await asyncio.sleep(BEGINS_WITHIN_S * 1.1)
        with pytest.raises(Refusal) as refused:
            load.begin(entered_at)
        load.leave(entered_at, was_taken=False)
        assert refused.value.headers["Retry-After"] == "1"

    before = load.places
    run(simpy.Environment(), comes_late)
    assert load.under_way == 0
    assert load.places < before


def test_quick_refusals_make_no_places():
    load = Load()
    load.places = 1

    async def comes(_loop: VirtualLoop) -> None:
        for _ in range(50):
            entered_at = load.enter()
            assert entered_at is not None
            load.leave(entered_at, was_taken=False)

    run(simpy.Environment(), comes)
    assert load.places == 1
