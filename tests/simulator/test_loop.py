"""The rehearsal's event loop: asyncio on SimPy's clock."""

import asyncio

import pytest
import simpy

from simulator.rehearsal.loop import Outside, Stalled, VirtualLoop, run


def test_sleeping_costs_virtual_time_only():
    async def nap(loop: VirtualLoop) -> float:
        await asyncio.sleep(43_200)
        return loop.time()

    assert run(simpy.Environment(), nap) == pytest.approx(43_200)


def test_at_one_instant_simpy_comes_before_timers_and_timers_in_order():
    seen = []

    async def both(loop: VirtualLoop) -> None:
        for name in ("first timer", "second timer"):
            loop.call_later(5, seen.append, name)
        loop.env.timeout(5).callbacks.append(lambda _: seen.append("simpy"))
        await asyncio.sleep(6)

    run(simpy.Environment(), both)
    assert seen == ["simpy", "first timer", "second timer"]


@pytest.mark.parametrize("others", [(), (1, 2, 3), (1, 6, 2, 7), (9, 8, 7, 6, 1, 2, 3)])
def test_timers_of_one_instant_keep_their_order_whatever_other_timers_there_are(others):
    seen = []

    async def many(loop: VirtualLoop) -> None:
        for nth in range(20):
            loop.call_at(5, seen.append, nth)
            for at_s in others:
                loop.call_at(at_s, lambda: None)
        await asyncio.sleep(10)

    run(simpy.Environment(), many)
    assert seen == list(range(20))


def test_a_cancelled_timer_does_not_fire_and_a_timer_of_the_past_fires_now():
    seen = []

    async def both(loop: VirtualLoop) -> None:
        await asyncio.sleep(5)
        loop.call_later(1, seen.append, "cancelled").cancel()
        loop.call_at(2, lambda: seen.append(loop.time()))
        await asyncio.sleep(5)

    run(simpy.Environment(), both)
    assert seen == [5]


def test_a_timer_set_by_a_simpy_callback_fires_in_time():
    seen = []

    async def wait(loop: VirtualLoop) -> None:
        def later(_: simpy.Event) -> None:
            loop.call_later(1, lambda: seen.append(loop.time()))

        loop.env.timeout(10).callbacks.append(later)
        loop.env.timeout(10.5).callbacks.append(lambda _: seen.append(loop.time()))
        loop.env.timeout(50).callbacks.append(lambda _: seen.append(loop.time()))
        await asyncio.sleep(100)

    run(simpy.Environment(), wait)
    assert seen == pytest.approx([10.5, 11, 50])


def test_the_clock_stands_still_while_somebody_is_busy():
    async def with_a_socket(loop: VirtualLoop) -> float:
        outside = Busy()
        loop.wait_for(outside)
        loop.env.timeout(1)  # would be stepped if the clock moved
        server = await asyncio.start_unix_server(_echo, path=None, sock=_listening())
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_unix_connection(address)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        writer.close()
        server.close()
        await asyncio.wait_for(_due_now(loop), timeout=1)  # needs no clock
        outside.busy = False
        return loop.time()

    assert run(simpy.Environment(), with_a_socket) == 0


async def _due_now(loop: VirtualLoop) -> None:
    done = loop.create_future()
    loop.call_later(0, done.set_result, None)
    await done


class Busy(Outside):
    """Somebody waits all the time."""

    busy = True

    def stops_the_clock(self) -> bool:
        return self.busy


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(1))
    writer.close()


def _listening():
    import socket

    listening = socket.socket(socket.AF_UNIX)
    listening.bind("")  # Linux picks an abstract address
    return listening


def test_a_stalled_world_names_who_waits_for_what():
    async def waits_in_vain(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(Stalled, match=r"waits_in_vain line \d+"):
        run(simpy.Environment(), waits_in_vain)


def test_a_coroutine_becomes_a_simpy_event():
    async def answer() -> int:
        await asyncio.sleep(3)
        return 42

    async def ask(loop: VirtualLoop) -> tuple[int, float]:
        values = []

        def process():
            values.append((yield loop.event_of(answer())))

        loop.env.process(process())
        await asyncio.sleep(10)
        return values[0], loop.time()

    assert run(simpy.Environment(), ask)[0] == 42


def test_threads_are_refused():
    async def thread(loop: VirtualLoop) -> None:
        await loop.run_in_executor(None, print)

    with pytest.raises(RuntimeError, match="no threads"):
        run(simpy.Environment(), thread)
