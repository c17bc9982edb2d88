"""Two stages for one play: the simulated provider in virtual time, and Twilio's over real HTTP to the twin's server.

Behind both is the same market with the same people; what a test knows of it is a Stage.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
import simpy
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.providers.base import BoughtNumber, InboundText, OutboundText, Provider, StatusReport
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider
from gateway.providers.twilio.webhooks import inbound_text, is_signed, status_report
from simulator.model.draws import Draws
from simulator.model.inventory import InventoryParameters
from simulator.model.ledger import Ledger
from simulator.model.market import Market
from simulator.model.population import Line, Population
from simulator.model.scenario import Scenario
from simulator.rehearsal.loop import run
from simulator.rehearsal.provider import SimulatedProvider
from simulator.twin.account_market import LiveFaults
from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from simulator.twin.server import ServerOptions, TwilioServer
from tests.twilio_server.twin import START_AT, calm

CAMPAIGN = 1
PEOPLE = 300
SPEED = 500.0
PATIENCE_S = 20.0
SOLD_OUT = "412"
OUTCOMES = {"delivered", "undelivered", "failed"}


class Heard:
    """A sink: what the provider told us, in the order in which it came."""

    def __init__(self) -> None:
        self._statuses: asyncio.Queue[StatusReport] = asyncio.Queue()
        self._texts: asyncio.Queue[InboundText] = asyncio.Queue()

    def status(self, report: StatusReport) -> "asyncio.Future[None]":
        self._statuses.put_nowait(report)
        return _done()

    def inbound(self, text: InboundText) -> "asyncio.Future[None]":
        self._texts.put_nowait(text)
        return _done()

    async def outcome(self) -> StatusReport:
        """The next word that ends a text."""
        while (report := await self._statuses.get()).status not in OUTCOMES:
            pass
        return report

    async def text(self) -> InboundText:
        return await self._texts.get()


class Stage(Protocol):
    """A provider, what it told us, and the world's own hands."""

    provider: Provider
    heard: Heard
    ledger: Ledger
    faults: LiveFaults
    population: Population

    def person_texts(self, phone: str, to: str, body: str, *pictures: str) -> None: ...


Play = Callable[[Stage], Awaitable[None]]


def scenario(*, provisioning_s: float = 0.0, registered: bool = True) -> Scenario:
    """A calm market, where one area code is sold out."""
    made = calm("election-day")
    overrides = msgspec.structs.replace(made.campaign.overrides, registered=registered)
    inventory = InventoryParameters(
        scarce={SOLD_OUT: 0},
        purchase_lag_s=0.1,
        provisioning_lag_s=provisioning_s,
        provisioning_p99_s=provisioning_s,
        lookup_error_share=0.0,
    )
    campaign = msgspec.structs.replace(made.campaign, overrides=overrides)
    return msgspec.structs.replace(made, inventory=inventory, campaign=campaign)


def phone_of(stage: Stage, line: Line = Line.MOBILE, nth: int = 0) -> str:
    """The nth person of the list with such a line."""
    people = [
        int(p) for p, kind in zip(stage.population.phones, stage.population.line, strict=True) if kind == line
    ]
    return f"+{people[nth]}"


def text(
    stage: Stage, ours: BoughtNumber, message_id: int = 1, *, to: str = "", attempt: int = 1
) -> OutboundText:
    words = f"Hello {message_id}. Reply STOP to opt out"
    return OutboundText(CAMPAIGN, message_id, attempt, to or phone_of(stage), ours.phone, words, 1, 3600.0)


# ---------------------------------------------------------------- in this process


class InProcess:
    """The simulated provider over its market."""

    def __init__(self, env: simpy.Environment, world: Scenario) -> None:
        draws = Draws(1)
        self.heard = Heard()
        self.ledger = Ledger(world.carriers)
        self.faults = LiveFaults(world.faults, draws, world.duration_s)
        self.population = Population.synthetic(world.population, PEOPLE, draws)
        self.market = Market(
            env,
            world.market(),
            start_at=START_AT,
            population=self.population,
            draws=draws,
            ledger=self.ledger,
            faults=self.faults,
        )
        self.market.register(CAMPAIGN, world.campaign.registration())
        self.provider: Provider = SimulatedProvider(
            env, self.market, self.faults, draws, world.carriers, start_at=START_AT, timeout_s=15.0
        )

    def person_texts(self, phone: str, to: str, body: str, *pictures: str) -> None:
        self.market.text_from_person(int(phone[1:]), int(to[1:]), body, pictures)


def play_in_process(play: Play, world: Scenario) -> None:
    env = simpy.Environment()

    async def begin(_loop: object) -> None:
        stage = InProcess(env, world)
        stage.provider.listen(stage.heard)
        async with asyncio.timeout(86_400.0):
            await play(stage)

    run(env, begin)


# ---------------------------------------------------------------- over HTTP


class OverHttp:
    """Twilio's provider; the market's webhooks come to a server of ours, signed."""

    def __init__(self, world: Scenario) -> None:
        options = ServerOptions(speed=SPEED, contacts=PEOPLE)
        self.server = TwilioServer(world, start_at=START_AT, options=options)
        self.heard = Heard()
        application = web.Application()
        application.router.add_post("/webhooks/twilio/status", self._status)
        application.router.add_post("/webhooks/twilio/inbound", self._inbound)
        self.ours = TestServer(application)
        self.provider: Provider

    async def open(self) -> None:
        await self.server.start()
        await self.ours.start_server()
        host = self.server.url.removeprefix("http://")
        url = f"twilio://{DEFAULT_SID}:{DEFAULT_TOKEN}@{host}?scheme=http"
        account = Account.from_url(url, public_url=self._url)
        self.provider = TwilioProvider(msgspec.structs.replace(account, timeout_s=0.5, pause_s=0.0))
        world = self.server.world
        self.ledger, self.faults, self.population = world.ledger, world.faults, world.population.listed

    async def close(self) -> None:
        """Whoever calls stops first: a call that is taken while its server closes leaves a socket open."""
        await self.provider.close()
        await self.server.stop()
        await self.ours.close()

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.ours.port}"

    def person_texts(self, phone: str, to: str, body: str, *pictures: str) -> None:
        world = self.server.world
        world.pump.act(world.market.text_from_person, int(phone[1:]), int(to[1:]), body, pictures)

    async def _form(self, request: web.Request) -> Any:
        form = await request.post()
        given = request.headers["X-Twilio-Signature"]
        assert is_signed(f"{self._url}{request.path_qs}", form, given, [DEFAULT_TOKEN])  # type: ignore[arg-type]
        return form

    async def _status(self, request: web.Request) -> web.Response:
        report = status_report(await self._form(request), request.query, at=START_AT)
        assert report is not None
        await self.heard.status(report)
        return web.Response(status=204)

    async def _inbound(self, request: web.Request) -> web.Response:
        heard = inbound_text(await self._form(request), at=START_AT)
        assert heard is not None
        await self.heard.inbound(heard)
        return web.Response(status=204)


def play_over_http(play: Play, world: Scenario) -> None:
    async def begin() -> None:
        stage = OverHttp(world)
        await stage.open()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await play(stage)
        finally:
            await stage.close()

    asyncio.run(begin())


def _done() -> "asyncio.Future[None]":
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done
