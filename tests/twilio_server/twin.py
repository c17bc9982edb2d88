"""A calm market behind Twilio's API on loopback, the official SDK pointed at it, and a receiver of webhooks."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from simulator.model.carriers import CarrierParameters
from simulator.model.filtering import FilteringParameters
from simulator.model.handsets import HandsetParameters
from simulator.model.inventory import InventoryParameters
from simulator.model.people import PeopleParameters
from simulator.model.scenario import Scenario, load
from simulator.model.webhooks import WebhookParameters
from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from simulator.twin.server import TwilioServer

START_AT = 1_793_800_000.0  # a day in November 2026
OURS = "+12155550100"
PERSON = "+14145550142"
SPEED = 500.0
PATIENCE_S = 20.0


def calm(scenario: str = "small-town", provisioning_s: float = 0.0) -> Scenario:
    """Everything arrives, once and in order, and nobody answers by themselves."""
    return msgspec.structs.replace(
        load(scenario),
        people=PeopleParameters(
            reply_share=0, opt_out_share=0, hostile_share=0, wrong_number_reply_share=0, complaint_share=0
        ),
        handsets=HandsetParameters(off_share=0),
        carriers=CarrierParameters(unknown_error_share=0, receipt_missing={}),
        filtering=FilteringParameters(
            base_share=0, missing_opt_out_share=0, identical_share=0, shouting_share=0, many_links_share=0
        ),
        webhooks=WebhookParameters(overtaken_share=0, twice_share=0, lost_share=0),
        inventory=InventoryParameters(provisioning_lag_s=provisioning_s, provisioning_p99_s=provisioning_s),
    )


@dataclass
class Webhook:
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.parameters.get(name, "")


class Receiver:
    """Keeps what is posted to it; `answer` says what it answers."""

    def __init__(self) -> None:
        self.calls: list[Webhook] = []
        self.answer: Callable[[Webhook], web.Response] = lambda _: web.Response(status=204)
        self._changed = asyncio.Condition()
        self._runner = web.ServerRunner(web.Server(self._take, access_log=None))

    async def open(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        form = await request.post()
        webhook = Webhook(request.raw_path, {k: str(v) for k, v in form.items()}, dict(request.headers))
        self.calls.append(webhook)
        async with self._changed:
            self._changed.notify_all()
        return self.answer(webhook)

    async def until(self, is_it: Callable[[Webhook], bool]) -> Webhook:
        """The first webhook that is it, now or soon."""

        def found() -> Webhook | None:
            return next(filter(is_it, self.calls), None)

        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: found() is not None)
        webhook = found()
        assert webhook is not None
        return webhook

    async def status(self, sid: str, status: str) -> Webhook:
        return await self.until(lambda w: w["MessageSid"] == sid and w["MessageStatus"] == status)


class Twilio:
    """The official SDK, unchanged but for its base URLs. It blocks, so `call` runs it beside the loop."""

    def __init__(self, url: str, user: str = DEFAULT_SID, secret: str = DEFAULT_TOKEN, **more: Any) -> None:
        self.client = Client(user, secret, http_client=TwilioHttpClient(timeout=PATIENCE_S), **more)
        self.client.api.base_url = url
        self.client.messaging.base_url = url
        self.client.lookups.base_url = url

    async def call(self, ask: Callable[[Client], Any]) -> Any:
        return await asyncio.to_thread(ask, self.client)

    def close(self) -> None:
        self.client.http_client.session.close()


MESSAGES = f"/2010-04-01/Accounts/{DEFAULT_SID}/Messages.json"
_HEADERS = {"Authorization": aiohttp.encode_basic_auth(DEFAULT_SID, DEFAULT_TOKEN)}


class Wire:
    """Bare HTTP to one server."""

    def __init__(self, server: TwilioServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def __call__(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, Any, Any]:
        async with self.session.request(
            method, f"{self.server.url}{path}", headers={**_HEADERS, **(headers or {})}, **more
        ) as answer:
            body = await answer.read()
            return answer.status, msgspec.json.decode(body) if body else None, answer.headers

    async def create(self, to: str = PERSON, **more: str) -> tuple[int, Any, Any]:
        form = {"To": to, "From": OURS, "Body": "Hello. Reply STOP to opt out", **more}
        return await self("POST", MESSAGES, data=form)

    async def fault(self, **order: Any) -> Any:
        status, body, _ = await self("POST", "/twin/faults", json=order)
        assert status == 201, body
        return body

    async def bare(self, method: str, path: str, **more: Any) -> tuple[int, str, Any]:
        """The same, the answer as its text, and no redirect followed."""
        url = f"{self.server.url}{path}"
        async with self.session.request(
            method, url, headers=_HEADERS, allow_redirects=False, **more
        ) as answer:
            return answer.status, await answer.text(), answer.headers


Serve = Callable[..., Any]
Connect = Callable[..., Twilio]
