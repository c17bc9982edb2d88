"""A line to the carrier or the database: a TCP proxy that can be cut, closed, made slow on the way back, or a black hole."""

import asyncio
from collections.abc import Callable

_CHUNK = 65_536


class Line:
    """Passes bytes on. `answers_after_s` holds back what the far end says, as long as it is above 0."""

    def __init__(self, far_port: int) -> None:
        self._far_port = far_port
        self._server: asyncio.Server | None = None
        self._ends: dict[asyncio.StreamWriter, None] = {}
        self._carried: dict[asyncio.Task[None], None] = {}
        self.port = 0
        self.answers_after_s = 0.0
        self.swallows_answers = False
        self._passes = asyncio.Event()  # cleared: packets vanish, and are sent again until they come through
        self._passes.set()

    def vanish(self) -> None:
        """A black hole: connections stay open, new ones are taken, and nothing comes through in either direction."""
        self._passes.clear()

    def appear(self) -> None:
        self._passes.set()

    async def open(self) -> None:
        """Listens, where it listened before if it was closed in between."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Every connection breaks now; new ones are taken."""
        for end in list(self._ends):
            end.transport.abort()

    async def close(self) -> None:
        """Nobody listens any more, and every connection is broken."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        carried = list(self._carried)
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._far_port)
        except OSError:
            writer.transport.abort()
            return
        for end in (writer, far_writer):
            self._ends[end] = None
        task = asyncio.current_task()
        assert task is not None
        self._carried[task] = None
        try:
            await asyncio.gather(
                self._pass_on(reader, far_writer, lambda: 0.0),
                self._pass_on(far_reader, writer, self._delay_s),
            )
        finally:
            del self._carried[task]
            for end in (writer, far_writer):
                self._ends.pop(end, None)
                end.close()

    def _delay_s(self) -> float | None:
        """How long what the far end says now is held back; None: it is swallowed."""
        return None if self.swallows_answers else self.answers_after_s

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: Callable[[], float | None]
    ) -> None:
        """What is held back does not hold up what comes after it, beyond its own time."""
        time = asyncio.get_running_loop().time
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        giving = asyncio.create_task(self._give(held, writer))
        try:
            while data := await reader.read(_CHUNK):
                delay = delay_s()
                if delay is not None:
                    held.put_nowait((time() + delay, data))
        except OSError:
            pass
        except asyncio.CancelledError:
            giving.cancel()
            raise
        held.put_nowait((time(), b""))
        try:
            await giving
        finally:
            giving.cancel()

    async def _give(self, held: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        """Until the end, which is an empty chunk."""
        time = asyncio.get_running_loop().time
        try:
            while True:
                due, data = await held.get()
                await asyncio.sleep(max(0.0, due - time()))
                await self._passes.wait()
                if not data:
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
