"""The line between gateway and carrier: a TCP proxy that can be cut, closed, or made slow on the way back."""

import asyncio
from collections.abc import Awaitable, Callable

_CHUNK = 65_536


class Line:
    """Passes bytes on. `answers_after_s` holds back what the carrier says, as long as it is above 0."""

    def __init__(self, carrier_port: int) -> None:
        self._carrier_port = carrier_port
        self._server: asyncio.Server | None = None
        self._ends: dict[asyncio.StreamWriter, None] = {}
        self._carried: dict[asyncio.Task[None], None] = {}
        self.port = 0
        self.answers_after_s = 0.0
        self.swallows_answers = False

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
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._carrier_port)
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
                self._pass_on(reader, far_writer, self._at_once),
                self._pass_on(far_reader, writer, self._held_back),
            )
        finally:
            del self._carried[task]
            for end in (writer, far_writer):
                self._ends.pop(end, None)
                end.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hold: Callable[[], Awaitable[bool]]
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if await hold():
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _at_once(self) -> bool:
        return True

    async def _held_back(self) -> bool:
        if self.answers_after_s:
            await asyncio.sleep(self.answers_after_s)
        return not self.swallows_answers
