"""asyncio on SimPy's clock: a rehearsal's event loop.

The stock selector loop with a turn of its own, whose way of waiting is to step SimPy, and with timers that are
events of SimPy's. The clock stands still while somebody waits for the database, and goes no further than to the
moment at which its next answer is wanted; then the real socket is waited for.
Tie rule: at one instant SimPy's events come first, then asyncio's timers in the order in which they were set.
"""

import asyncio
import inspect
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from math import inf
from typing import Any, NoReturn, TypeVar

import simpy

Value = TypeVar("Value")

_READ_BYTES = 16_384


class Stalled(RuntimeError):
    """Nothing will ever happen again, and somebody still waits; the text names who and where."""


class Outside:
    """What works in real time beside the world, the database; this one never has anything to do."""

    def stops_the_clock(self) -> bool:
        """Whether somebody waits for it at this very instant."""
        return False

    def wanted_at(self) -> float:
        """The virtual time beyond which the clock may not go before its next answer; inf: none is under way."""
        return inf

    def in_line(self) -> bool:
        """Whether an answer is wanted as soon as it is there, so that the next question can be asked."""
        return False


class _Due(simpy.Event):
    """The instant of a timer, after all that SimPy has for it."""

    _AFTER_ALL = 2  # the priorities of simpy's own events are 0 and 1

    def __init__(self, env: simpy.Environment, timer: asyncio.TimerHandle, delay_s: float) -> None:
        self.env = env
        self.callbacks = [self._run]
        self._timer = timer
        self._ok = True
        self._value = None
        env.schedule(self, self._AFTER_ALL, delay_s)  # type: ignore[arg-type]  # any number will do

    def _run(self, _: simpy.Event) -> None:
        if not self._timer.cancelled():
            self._timer._run()  # a whole turn of the loop less than call_soon


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` is SimPy's; made for `asyncio.Runner(loop_factory=…)`."""

    _ready: deque[asyncio.Handle]  # asyncio's own, like all the names with an underscore that a turn needs
    _stopping: bool
    _selector: selectors.BaseSelector
    _process_events: Callable[[list[tuple[selectors.SelectorKey, int]]], None]

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self._outside = Outside()
        super().__init__()

    def wait_for(self, outside: Outside) -> None:
        """The clock keeps pace with what works in real time."""
        self._outside = outside

    def _run_once(self) -> None:
        """A turn: whoever is ready; when nobody is, the world's next event that wakes somebody."""
        ready = self._ready
        if self._outside.stops_the_clock():
            self._read(0 if ready or self._stopping else None)
        elif not ready and not self._stopping:
            self._move_on()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _move_on(self) -> None:
        if self._outside.in_line() and self._read(0):
            return
        if not self._step():
            self._read(None)

    def _read(self, timeout_s: float | None) -> bool:
        """What has come from the sockets, waiting for something if None is said; whether there was anything."""
        events = self._selector.select(timeout_s)
        self._process_events(events)
        return bool(events)

    def _step(self) -> bool:
        """Steps SimPy until somebody is woken; False: an answer is wanted first."""
        ready, peek, step = self._ready, self.env.peek, self.env.step
        wanted_at = self._outside.wanted_at()
        while peek() < wanted_at:
            step()
            if ready:
                return True
        if wanted_at == inf:
            raise Stalled(self.who_waits())
        return False

    def time(self) -> float:
        now: float = self.env.now
        return now

    async def create_unix_connection(self, *args: Any, **options: Any) -> Any:
        return _small_reads(await super().create_unix_connection(*args, **options))

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        return _small_reads(await super().create_connection(*args, **options))

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        delay_s = when - self.env.now
        if delay_s > 0:
            _Due(self.env, timer, delay_s)
        else:  # due already, also while the clock stands still
            self._ready.append(timer)
        return timer

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Any, *args: Any
    ) -> NoReturn:
        raise RuntimeError("no threads inside a rehearsal: virtual time would jump past them")

    def who_waits(self) -> str:
        """Who waits for what, one line a task, for the error of a stalled world."""
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        lines = [f"  {task.get_name()}: {_where(task)}" for task in tasks]
        return "nothing will ever happen, and these still wait:\n" + "\n".join(lines)

    def event_of(self, work: Coroutine[Any, Any, Value]) -> simpy.Event:
        """A SimPy event that succeeds with what the coroutine returns, or fails with its error."""
        event = self.env.event()
        task = self.create_task(work)
        task.add_done_callback(lambda done: _settle(event, done))
        return event


def _small_reads(connection: Any) -> Any:
    """asyncio reads into a fresh 256 KiB each time, which costs ten times a small answer's copy."""
    transport, _ = connection
    transport.max_size = _READ_BYTES
    return connection


def _settle(event: simpy.Event, task: "asyncio.Task[Any]") -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is None:
        event.succeed(task.result())
    elif isinstance(error, Exception):
        event.fail(error)


def _where(task: "asyncio.Task[Any]") -> str:
    stack = task.get_stack(limit=1)
    if not stack:
        return "at its start"
    frame = stack[-1]
    inner: Any = task.get_coro()
    while inspect.iscoroutine(inner) and inner.cr_frame is not None:  # what it waits in, however deep
        frame, inner = inner.cr_frame, inner.cr_await
    return f"{frame.f_code.co_qualname} line {frame.f_lineno}"


_at_work: "list[asyncio.Task[Any]]" = []  # the main task of the world that runs, for who has to end it


def run(env: simpy.Environment, work: Callable[["VirtualLoop"], Coroutine[Any, Any, Value]]) -> Value:
    """Runs `work(loop)` to its end in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(env)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        found: list[Value] = []

        async def keep() -> None:
            found.append(await _interruptible(work(loop)))

        runner.run(
            keep()
        )  # whatever its task returned would be put into words, tables and all, by `signal.getsignal`
        return found[0]


async def _interruptible(work: Coroutine[Any, Any, Value]) -> Value:
    task = asyncio.current_task()
    assert task is not None
    _at_work.append(task)
    try:
        return await work
    finally:
        _at_work.remove(task)


def interrupt() -> bool:
    """Cancels the world that runs, also out of a signal's handler; False when there is none."""
    for task in _at_work:
        task.cancel()
        task.get_loop().call_soon_threadsafe(lambda: None)  # it may be waiting for a socket
    return bool(_at_work)
