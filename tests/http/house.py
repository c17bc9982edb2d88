"""A worker on a loopback port over a real PostgreSQL and a scripted provider, and who calls at its door."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp
import msgspec

from gateway.clock import Clock
from gateway.config import Database as DatabaseSettings
from gateway.config import Dispatch, Http, Settings, Windows
from gateway.core.bank.permissions import KEY_ROLES, Role
from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.core.rules.hours import group_key
from gateway.core.sending.numbers import Number
from gateway.p2p.keys import RANDOM_BYTES, ApiKeys
from gateway.providers.base import OutboundText
from gateway.providers.twilio.webhooks import signature
from gateway.serve import Worker, running, webhook_doors
from gateway.store import campaigns, contacts, numbers
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.numbers import NumberRow
from tests.http.signing_provider import TOKENS, SigningProvider

CAMPAIGN, OTHER_CAMPAIGN = 1, 2
START_AT = 1_773_154_800.0  # Tuesday 10 March 2026, 11:00 in New York
PUBLIC_URL = "https://texts.example.org/bank"  # a proxy shows another host and a prefix
GROUP = group_key("PA", ["America/New_York"])
NUMBER = "+12675550101"
UNDER_WAY = ("queued", "sending")  # which of the two depends on who is faster: the answer, or the road
SETTINGS = Settings(
    windows=Windows(admission_s=0.002, delivery_s=0.002, inbound_s=0.002),
    dispatch=Dispatch(horizon_s=2.0, poll_s=0.05),
    http=Http(port=0, public_url=PUBLIC_URL),
    database=DatabaseSettings(connections=3),
)


def phone(contact_id: int) -> str:
    return f"+1215555{100 + contact_id:04d}"


@dataclass
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Any = field(repr=False, default=None)


class House:
    """The worker, its provider, the callers' session and a key of each role."""

    def __init__(
        self, worker: Worker, provider: SigningProvider, session: aiohttp.ClientSession, store: Database
    ) -> None:
        self.worker = worker
        self.provider = provider
        self.session = session
        self.store = store
        self.keys: dict[Role, str] = {}
        self._sids = itertools.count(1)
        self._secrets = itertools.count(1)

    async def key(self, role: Role, campaign_id: int | None = None) -> str:
        random = next(self._secrets).to_bytes(RANDOM_BYTES, "big")
        random = random[::-1]
        word = next(word for word, each in KEY_ROLES.items() if each is role)
        return await ApiKeys(self.store, lambda: START_AT).create(random, f"a {word}", word, campaign_id)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | Role | None = Role.KEY_ADMIN,
        headers: dict[str, str] | None = None,
        data: bytes | BytesIO | None = None,
        url: str = "",
    ) -> Answer:
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {self.keys[key] if isinstance(key, Role) else key}"
        if body is not None:
            data = msgspec.json.encode(body)
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(
            method, (url or self.worker.url) + path, data=data, headers=sent
        ) as response:
            text = await response.read()
            is_json = bool(text) and response.content_type.endswith("json")
            return Answer(response.status, msgspec.json.decode(text) if is_json else text, response.headers)

    async def send(self, contact_id: int = 1, body: str = "Hello", **more: Any) -> Answer:
        message = {"campaign_id": CAMPAIGN, "contact_id": contact_id, "body": body, **more}
        return await self.call("POST", "/v1/messages", message)

    async def webhook(
        self,
        path: str,
        form: list[tuple[str, str]],
        *,
        token: str = TOKENS[0],
        given: str | None = None,
        url: str = PUBLIC_URL,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        signed = signature(url + path, form, token) if given is None else given
        sent = {"X-Twilio-Signature": signed, **(headers or {})}
        async with self.session.post(
            self.worker.url + path, data=aiohttp.FormData(form), headers=sent
        ) as response:
            return Answer(response.status, await response.read(), response.headers)

    async def says(self, text: OutboundText, status: str, code: int | None = None) -> Answer:
        """A status callback about a text."""
        path = f"/webhooks/twilio/status?c={text.campaign_id}&m={text.message_id}&a={text.attempt}"
        return await self.webhook(path, status_form(f"SM{text.message_id:032d}", status, code))

    async def writes(self, contact_id: int, body: str, *, sid: str | None = None) -> Answer:
        """A person's text."""
        sid = sid or f"SM{next(self._sids):032d}"
        return await self.webhook("/webhooks/twilio/inbound", inbound_form(sid, phone(contact_id), body))

    async def inside(self, path: str) -> Answer:
        """What the house's own door says."""
        return await self.call("GET", path, key=None, url=self.worker.internal_url)

    async def count(self, table: str) -> int:
        total: int = await self.store.fetch_value(f"SELECT count(*) FROM {table}")
        return total

    async def states(self) -> list[str]:
        return [row[0] for row in await self.store.fetch("SELECT state FROM messages ORDER BY message_id")]

    async def metric(self, line: str) -> float:
        """The value of one series of /metrics."""
        text = (await self.inside("/metrics")).body.decode()
        return float(next(each for each in text.splitlines() if each.startswith(line)).rpartition(" ")[2])


def status_form(sid: str, status: str, code: int | None = None) -> list[tuple[str, str]]:
    form = [("MessageSid", sid), ("MessageStatus", status), ("From", NUMBER), ("To", phone(1))]
    return [*form, ("ErrorCode", str(code))] if code else form


def inbound_form(sid: str, sender: str, body: str) -> list[tuple[str, str]]:
    """As Twilio sends it: places may be blank, and blanks are signed."""
    return [
        ("MessageSid", sid),
        ("From", sender),
        ("To", NUMBER),
        ("Body", body),
        ("NumMedia", "0"),
        ("FromCity", ""),
        ("FromZip", ""),
    ]


async def furnish(store: Database, people: int = 10) -> None:
    """Two campaigns; the first has people and a number."""
    for campaign_id in (CAMPAIGN, OTHER_CAMPAIGN):
        row = CampaignRow(campaign_id, campaign_id, "Bank", CampaignSettings().to_json(), paused=False)
        await campaigns.create(store, row, START_AT)
    rows = [ContactRow(each, phone(each), GROUP, first_name="Ann") for each in range(1, people + 1)]
    await contacts.add(store, CampaignKey(1, CAMPAIGN), rows)
    number = Number(number_id=1, phone=NUMBER, area_code="267")
    details = msgspec.json.encode(number).decode()
    await numbers.add(
        store,
        CampaignKey(1, CAMPAIGN),
        NumberRow(1, NUMBER, "PN1", "active", "first_number", details),
        START_AT,
    )


@asynccontextmanager
async def a_house(
    dsn: str,
    *,
    people: int = 10,
    settings: Settings = SETTINGS,
    provider: SigningProvider | None = None,
    worker_dsn: str | None = None,
) -> AsyncIterator[House]:
    """Opens the door at 11:00 of a working day. `worker_dsn`: the worker's own way to the database."""
    store = Database(dsn, connections=1)
    await furnish(store, people)
    clock = Clock(asyncio.get_running_loop(), START_AT)
    provider = provider or SigningProvider()
    doors = webhook_doors(provider, PUBLIC_URL)
    async with (
        aiohttp.ClientSession() as session,
        running(settings, worker_dsn or dsn, provider, doors, clock) as worker,
    ):
        house = House(worker, provider, session, store)
        for role in KEY_ROLES.values():
            house.keys[role] = await house.key(role)
        yield house
    await store.close()
