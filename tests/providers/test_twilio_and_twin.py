"""The provider and the webhook functions against the carrier server: faults, callbacks, people who answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.providers.base import Accepted, AnswerLost, BoughtNumber, InboundText, OutboundText, Refused
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider
from gateway.providers.twilio.webhooks import inbound_text, is_signed, status_report
from simulator.model.inventory import InventoryParameters
from simulator.model.scenario import load
from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from simulator.twin.server import ServerOptions, TwilioServer
from tests.providers.conftest import no_phones, outbound

SOME_DAY = 1793718000.0
PERSON = "+12155550123"


class Listener:
    """Our side of the webhooks: keeps what came and whether it was signed."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        application = web.Application()
        application.router.add_post("/webhooks/twilio/status", self._status)
        application.router.add_post("/webhooks/twilio/inbound", self._inbound)
        self.server = TestServer(application)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def _signed_form(self, request: web.Request) -> Any:
        form = await request.post()
        given = request.headers["X-Twilio-Signature"]
        assert is_signed(f"{self.url}{request.path_qs}", form, given, [DEFAULT_TOKEN])  # type: ignore[arg-type]
        return form

    async def _status(self, request: web.Request) -> web.Response:
        form = await self._signed_form(request)
        self.heard.put_nowait(status_report(form, request.query, at=5.0))
        return web.Response(status=204)

    async def _inbound(self, request: web.Request) -> web.Response:
        self.heard.put_nowait(inbound_text(await self._signed_form(request), at=5.0))
        return web.Response(status=204)

    async def next(self) -> Any:
        return await asyncio.wait_for(self.heard.get(), 10)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    await listener.server.start_server()
    yield listener
    await listener.server.close()


@pytest.fixture
async def server() -> AsyncIterator[TwilioServer]:
    options = ServerOptions(speed=100.0, contacts=100)
    known_at_once = InventoryParameters(provisioning_lag_s=0.0)
    scenario = msgspec.structs.replace(load("election-day"), inventory=known_at_once)
    server = TwilioServer(scenario, start_at=SOME_DAY, options=options)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def provider(server: TwilioServer, listener: Listener) -> AsyncIterator[TwilioProvider]:
    provider = TwilioProvider(account_of(server, listener))
    yield provider
    await provider.close()


@pytest.fixture
async def ours(provider: TwilioProvider) -> BoughtNumber:
    return await provider.buy(7, "267")


def account_of(server: TwilioServer, listener: Listener, **changes: object) -> Account:
    host = server.url.removeprefix("http://")
    url = f"twilio://{DEFAULT_SID}:{DEFAULT_TOKEN}@{host}?scheme=http"
    account = Account.from_url(url, public_url=listener.url)
    return msgspec.structs.replace(account, timeout_s=0.5, pause_s=0.0, **changes)


async def twin(server: TwilioServer, path: str, order: dict[str, object]) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{server.url}{path}", json=order) as answer:
        assert answer.status in (201, 202), await answer.text()


def hello(ours: BoughtNumber, message_id: int = 1) -> OutboundText:
    return outbound(message_id, phone=PERSON, number_phone=ours.phone)


FAULTS = [
    ("lost_after_share", AnswerLost, True),
    ("lost_before_share", AnswerLost, False),
    ("errors_after_share", AnswerLost, True),
    ("errors_before_share", AnswerLost, False),
    ("throttled_share", Refused, False),
]


@pytest.mark.parametrize(("fault", "error", "arrived"), FAULTS, ids=[row[0] for row in FAULTS])
async def test_an_uncertain_answer_is_settled_by_asking(
    server: TwilioServer,
    provider: TwilioProvider,
    ours: BoughtNumber,
    fault: str,
    error: type[Exception],
    arrived: bool,
) -> None:
    await twin(server, "/twin/faults", {"kind": "answers", fault: 1.0})
    with pytest.raises(error):
        await provider.send(hello(ours))
    found = await provider.find(hello(ours), since=SOME_DAY)
    assert (found is not None) is arrived
    assert len(server.world.ledger.submissions) == int(arrived)


async def test_receipts_come_signed_and_name_the_attempt(
    provider: TwilioProvider, listener: Listener, ours: BoughtNumber
) -> None:
    text = hello(ours, 42)
    accepted = await provider.send(text)
    report = await listener.next()
    assert (report.campaign_id, report.message_id, report.attempt) == (7, 42, 1)
    assert report.provider_sid == accepted.provider_sid


async def test_people_are_heard_by_webhook_and_by_asking(
    server: TwilioServer, provider: TwilioProvider, listener: Listener, ours: BoughtNumber
) -> None:
    await twin(server, "/twin/texts", {"from": PERSON, "to": ours.phone, "body": "Sí, I will & you? 👍"})
    heard = await listener.next()
    assert heard == InboundText(heard.provider_sid, PERSON, ours.phone, "Sí, I will & you? 👍", 5.0)
    asked = [text async for text in provider.inbound_since(SOME_DAY, None, no_phones)]
    assert [msgspec.structs.replace(text, at=5.0) for text in asked] == [heard]
    assert asked[0].at >= SOME_DAY


async def test_an_opt_out_is_refused(
    server: TwilioServer, provider: TwilioProvider, listener: Listener, ours: BoughtNumber
) -> None:
    await twin(server, "/twin/texts", {"from": PERSON, "to": ours.phone, "body": "STOP"})
    assert (await listener.next()).body == "STOP"
    with pytest.raises(Refused) as raised:
        await provider.send(hello(ours))
    assert raised.value.code == 21610
    assert await provider.find(hello(ours), since=SOME_DAY) is None, "Twilio's own confirmation is not ours"


async def test_a_messaging_service(server: TwilioServer, listener: Listener) -> None:
    for_twin = TwilioProvider(account_of(server, listener))
    body = await for_twin._wire.post(_url(server, "/v1/Services"), [("FriendlyName", "Bank")])
    await for_twin.close()
    service = json.loads(body)["sid"]
    provider = TwilioProvider(account_of(server, listener, messaging_service=service))
    assert len(await provider.check()) == 1
    await provider._wire.post(
        _url(server, f"/v1/Services/{service}"), [("UseInboundWebhookOnNumber", "true")]
    )
    assert await provider.check() == []
    ours = await provider.buy(7, "267")
    await provider.numbers.add_to_service(ours.provider_sid)
    assert isinstance(await provider.send(hello(ours)), Accepted)
    assert (await provider.find(hello(ours), since=SOME_DAY)) is not None
    await provider.numbers.remove_from_service(ours.provider_sid)
    with pytest.raises(Refused) as raised:
        await provider.send(hello(ours, 2))
    assert raised.value.code == 21711
    await provider.close()


async def test_look_ups_name_our_carriers(server: TwilioServer, provider: TwilioProvider) -> None:
    phones = [f"+1215555{n:04d}" for n in range(100, 160)]
    lines = await provider.look_up(phones)
    known = {"att", "tmobile", "verizon", "uscellular", "regional", "voip", None}
    assert len(lines) == 60
    assert {line.carrier for line in lines} <= known
    assert {"att", "tmobile", "verizon"} <= {line.carrier for line in lines}


def _url(server: TwilioServer, path: str) -> Any:
    return aiohttp.client.URL(f"{server.url}{path}")


async def test_numbers_bought_for_a_campaign_are_known_by_name_and_address(
    server: TwilioServer, listener: Listener, provider: TwilioProvider, ours: BoughtNumber
) -> None:
    """Another gateway on the same account may have a campaign of the same id."""
    other = TwilioProvider(
        msgspec.structs.replace(account_of(server, listener), public_url="http://127.0.0.1:9")
    )
    theirs = await other.buy(7, "267")
    await provider.buy(8, "267")
    assert await provider.bought_for(7) == [ours]
    assert await other.bought_for(7) == [theirs]
    assert await provider.bought_for(9) == []
    await other.close()


async def test_pictures_go_with_a_text(
    server: TwilioServer, provider: TwilioProvider, ours: BoughtNumber
) -> None:
    pictures = ["https://texts.example.org/a.jpg", "https://texts.example.org/b.jpg?n=1&m=2"]
    accepted = await provider.send(msgspec.structs.replace(hello(ours), body="", media=pictures))
    url = _url(server, f"/2010-04-01/Accounts/{DEFAULT_SID}/Messages/{accepted.provider_sid}.json")
    shown = json.loads(await provider._wire.get(url))
    assert (shown["num_media"], shown["num_segments"]) == ("2", "1")
