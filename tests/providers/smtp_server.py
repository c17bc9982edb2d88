"""A real SMTP server on a loopback port, in the test's own loop: what it was given, and whom it lets in."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Office:
    """Takes letters, or refuses them all."""

    def __init__(self) -> None:
        self.port = 0
        self.letters: asyncio.Queue[EmailMessage] = asyncio.Queue()
        self.answer = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answer.startswith("250"):
            letter = message_from_bytes(envelope.content, policy=default)
            self.letters.put_nowait(cast("EmailMessage", letter))
        return self.answer

    async def next(self) -> EmailMessage:
        async with asyncio.timeout(10):
            return await self.letters.get()


@asynccontextmanager
async def office(*, login: tuple[str, str] | None = None, host: str = "127.0.0.1") -> AsyncIterator[Office]:
    """`login`: only who says these is let in."""
    opened = Office()

    def authenticated(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        said = (given.login.decode(), given.password.decode()) if isinstance(given, LoginPassword) else None
        return AuthResult(success=said == login, handled=False)  # the server says so itself

    callers: list[SMTP] = []

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # passwords without TLS: on this machine only
            caller = SMTP(
                opened,
                loop=asyncio.get_running_loop(),
                enable_SMTPUTF8=True,
                auth_require_tls=False,
                auth_required=login is not None,
                authenticator=authenticated,
            )
        callers.append(caller)
        return caller

    server = await asyncio.get_running_loop().create_server(protocol, host, 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        for caller in callers:
            if caller.transport is not None:
                caller.transport.close()
        await asyncio.sleep(0)  # a transport is closed in the loop's next turn
