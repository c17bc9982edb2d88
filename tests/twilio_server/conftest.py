"""Servers, SDK clients and receivers that are stopped at the end of a test."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulator.model.scenario import Scenario
from simulator.twin.server import ServerOptions, TwilioServer
from tests.twilio_server.twin import (
    OURS,
    PATIENCE_S,
    SPEED,
    START_AT,
    Connect,
    Receiver,
    Serve,
    Twilio,
    Wire,
    calm,
)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers that are stopped at the end."""
    servers: list[TwilioServer] = []

    async def start(scenario: Scenario | None = None, accounts: Any = (), **options: Any) -> TwilioServer:
        chosen = {"speed": SPEED, "contacts": 50, "numbers": (OURS,), **options}
        server = TwilioServer(
            scenario or calm(), start_at=START_AT, accounts=accounts, options=ServerOptions(**chosen)
        )
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def server(serve: Serve) -> TwilioServer:
    found: TwilioServer = await serve()
    return found


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.open()
    yield receiver
    await receiver.close()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes SDK clients that are closed at the end."""
    clients: list[Twilio] = []

    def make(server: TwilioServer, *arguments: str, **more: Any) -> Twilio:
        clients.append(Twilio(server.url, *arguments, **more))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
async def twilio(server: TwilioServer, connect: Connect) -> Twilio:
    return connect(server)


@pytest.fixture
async def wire(server: TwilioServer) -> AsyncIterator[Wire]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
        yield Wire(server, session)
