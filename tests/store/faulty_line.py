"""The line to PostgreSQL: a TCP proxy that can fall silent without closing, refuse, or break what it carries."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

_CHUNK = 65_536


class FaultyLine:
    """Before one server, by its DSN. `silent` passes nothing on and closes nothing, as a host does that vanished."""

    def __init__(self, dsn: str) -> None:
        self._url = urlsplit(dsn)
        self._server: asyncio.Server | None = None
        self._ends: dict[asyncio.StreamWriter, None] = {}
        self._carried: dict[asyncio.Task[None], None] = {}
        self._speaks = asyncio.Event()
        self._speaks.set()
        self.port = 0

    @property
    def dsn(self) -> str:
        user = self._url.username or "postgres"
        return f"postgresql://{user}@127.0.0.1:{self.port}{self._url.path}?sslmode=disable"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.speak()
        await self.refuse()
        for task in list(self._carried):
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    async def listen(self) -> None:
        """Takes connections, where it did before if it refused them in between."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Nobody listens any more, and every connection is broken."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Every connection breaks now."""
        for end in list(self._ends):
            end.transport.abort()

    def silence(self) -> None:
        """From now on nothing passes; connections stay open, and new ones are taken and not served."""
        self._speaks.clear()

    def speak(self) -> None:
        """What was held back passes on."""
        self._speaks.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carried[task] = None
        self._ends[writer] = None
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            del self._carried[task]
            self._ends.pop(writer, None)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._far_end()
        self._ends[far_writer] = None
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, far_writer))
                both.create_task(self._pass_on(far_reader, writer))
        except* OSError:
            pass
        finally:
            self._ends.pop(far_writer, None)
            far_writer.close()

    async def _far_end(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host = parse_qs(self._url.query).get("host", [""])[0]
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.5432")
        return await asyncio.open_connection(self._url.hostname, self._url.port)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await self._speaks.wait()
                writer.write(data)
                await writer.drain()
        finally:
            await self._speaks.wait()  # a host that vanished says no farewell
            writer.close()
