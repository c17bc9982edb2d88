"""Webhooks that we send, from the door to somebody's server: signed, listed, sent again, and only for admins."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from gateway.config import Webhooks
from gateway.core.bank.permissions import Role
from gateway.core.bank.webhooks import MOST_ENDPOINTS
from gateway.upkeep import webhooks
from tests.http.house import CAMPAIGN, SETTINGS, House, a_house, phone
from tests.http.signing_provider import PATIENCE_S

PATH = f"/v1/campaigns/{CAMPAIGN}/endpoints"
TOLD = msgspec.structs.replace(SETTINGS, webhooks=Webhooks(allowed_networks="127.0.0.0/8"))
ALL = ["delivered", "replied", "opted_out"]


class Crm:
    """Somebody's server: what it was told, with the headers."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.status = 200
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.told.put_nowait((dict(request.headers), await request.read()))
        return web.Response(status=self.status)

    async def next(self) -> tuple[dict[str, str], bytes]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.told.get()


@pytest.fixture
async def crm() -> AsyncIterator[Crm]:
    made = Crm()
    app = web.Application()
    app.router.add_post("/hooks", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    yield made
    await runner.cleanup()


@pytest.fixture
async def house(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(webhooks, "_EVERY_S", 0.02)
    monkeypatch.setattr(webhooks, "_IDLE_EVERY_S", 0.02)
    async with a_house(dsn, settings=TOLD) as opened:
        await opened.worker.gateway.adopted()
        yield opened


async def endpoint(house: House, url: str = "https://crm.example.org/hooks", **more: object) -> Any:
    made = await house.call("POST", PATH, {"url": url, "topics": ALL, **more})
    assert made.status == 201, made.body
    return made.body


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver does it who has read Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return expected in headers["webhook-signature"].split()


async def test_a_reply_is_told_signed_and_listed(house: House, crm: Crm) -> None:
    made = await endpoint(house, crm.url)
    await house.send(1)
    await house.provider.next_text()
    await house.writes(1, "Yes")
    headers, body = await crm.next()
    told = msgspec.json.decode(body)
    assert (told["type"], told["data"]["body"], told["data"]["contact"]["phone"]) == (
        "replied",
        "Yes",
        phone(1),
    )
    assert verified(made["secret"], headers, body)
    assert not verified(made["secret"], headers, body + b" ")
    one = f"{PATH}/{made['endpoint_id']}"
    async with asyncio.timeout(PATIENCE_S):
        while not (
            listed := (await house.call("GET", f"{one}/deliveries?state=delivered")).body["deliveries"]
        ):
            pass
    assert [(each["topic"], each["state"], each["status"], each["body"]["type"]) for each in listed] == [
        ("replied", "delivered", 200, "replied")
    ]
    again = await house.call("POST", f"{one}/deliveries/{listed[0]['delivery_id']}/replay")
    assert (again.status, again.body) == (202, {"deliveries": 1})
    repeated, same = await crm.next()
    assert (repeated["webhook-id"], same) == (headers["webhook-id"], body)


async def test_a_test_delivery_and_a_new_secret(house: House, crm: Crm) -> None:
    made = await endpoint(house, crm.url)
    one = f"{PATH}/{made['endpoint_id']}"
    assert (await house.call("POST", f"{one}/test")).body == {"delivery_id": 1}
    headers, body = await crm.next()
    assert (msgspec.json.decode(body)["type"], verified(made["secret"], headers, body)) == ("test", True)
    renewed = await house.call("POST", f"{one}/secret")
    assert renewed.status == 201
    async with asyncio.timeout(PATIENCE_S):  # a worker reads endpoints anew at its next look
        while True:
            await house.call("POST", f"{one}/test")
            headers, body = await crm.next()
            if verified(renewed.body["secret"], headers, body):
                break
    assert verified(made["secret"], headers, body), "the one before signs as well for a day"


async def test_what_failed_is_shown_and_goes_on_when_it_is_switched_on(house: House, crm: Crm) -> None:
    crm.status = 410
    made = await endpoint(house, crm.url)
    one = f"{PATH}/{made['endpoint_id']}"
    await house.call("POST", f"{one}/test")
    await crm.next()
    async with asyncio.timeout(PATIENCE_S):
        while (shown := (await house.call("GET", one)).body)["active"]:
            pass
    assert "410" in shown["inactive_because"]
    [line] = [
        each
        for each in (await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")).body["lines"]
        if each["act"] == "endpoint switched off"
    ]
    assert (line["before"]["active"], line["after"]["active"]) == (True, False)
    crm.status = 204
    assert (await house.call("PATCH", one, {"active": True})).body["inactive_because"] is None
    await house.call("POST", f"{one}/deliveries/1/replay")
    assert msgspec.json.decode((await crm.next())[1])["type"] == "test"


async def test_secrets_are_shown_once(house: House) -> None:
    made = await endpoint(house)
    secret = made["secret"]
    shown = [
        await house.call("GET", PATH),
        await house.call("GET", f"{PATH}/{made['endpoint_id']}"),
        await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit"),
        await house.call("PATCH", f"{PATH}/{made['endpoint_id']}", {"topics": ["replied"]}),
    ]
    assert secret.startswith("whsec_")
    assert all(secret not in msgspec.json.encode(each.body).decode() for each in shown)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["url", "topics"]),
        ({"url": "crm.example.org", "topics": ["replied"]}, ["url"]),
        ({"url": "https://a:b@crm.example.org", "topics": ["replied"], "van": {}}, ["url", "van"]),
        ({"url": "https://crm.example.org", "topics": ["all"], "kind": "fax"}, ["topics[0]", "kind"]),
        ({"url": "https://crm.example.org", "topics": []}, ["topics"]),
        ({"url": "https://crm.example.org", "topics": ["test"]}, ["topics[0]"]),
    ],
)
async def test_what_can_not_be_an_endpoint(house: House, body: object, fields: list[str]) -> None:
    answer = await house.call("POST", PATH, body)
    assert (answer.status, [each["field"] for each in answer.body["errors"]]) == (422, fields)
    assert await house.count("webhook_endpoints") == 0


async def test_a_campaign_has_ten_and_they_can_be_deleted(house: House) -> None:
    for _ in range(MOST_ENDPOINTS):
        made = await endpoint(house)
    assert (await house.call("POST", PATH, {"url": "https://a.example.org", "topics": ALL})).status == 409
    assert (await house.call("DELETE", f"{PATH}/{made['endpoint_id']}")).status == 204
    assert (await house.call("DELETE", f"{PATH}/{made['endpoint_id']}")).status == 404
    assert len((await house.call("GET", PATH)).body["endpoints"]) == MOST_ENDPOINTS - 1


async def test_deliveries_come_in_pages(house: House) -> None:
    made = await endpoint(house, "https://127.0.0.1:1/hooks")
    one = f"{PATH}/{made['endpoint_id']}"
    for _ in range(3):
        await house.call("POST", f"{one}/test")
    first = (await house.call("GET", f"{one}/deliveries?limit=2")).body
    rest = (await house.call("GET", f"{one}/deliveries?limit=2&cursor={first['next']}")).body
    ids = [each["delivery_id"] for page in (first, rest) for each in page["deliveries"]]
    assert (ids, rest["next"]) == ([3, 2, 1], None)
    assert (await house.call("GET", f"{one}/deliveries?state=delivered")).body["deliveries"] == []


async def test_only_admins_see_what_is_told(house: House) -> None:
    made = await endpoint(house)
    for role in (Role.KEY_SENDER, Role.KEY_READER):
        for path in (PATH, f"{PATH}/{made['endpoint_id']}/deliveries"):
            assert (await house.call("GET", path, key=role)).status == 403


async def test_van_has_credentials_that_nobody_reads_again(house: House) -> None:
    """F116."""
    body = {"url": "https://api.securevan.com/v4", "topics": ["tagged"], "kind": "van"}
    bad = await house.call("POST", PATH, body | {"credentials": "key"})
    assert (bad.status, [each["field"] for each in bad.body["errors"]]) == (422, ["credentials"])
    made = await house.call(
        "POST", PATH, body | {"credentials": "demo:key-one|1", "van": {"activist_codes": {"A": 5}}}
    )
    assert (made.status, made.body["secret"], made.body["van"]["activist_codes"]) == (201, None, {"A": 5})
    one = f"{PATH}/{made.body['endpoint_id']}"
    assert (await house.call("POST", f"{one}/secret")).status == 422
    assert (await house.call("PATCH", one, {"credentials": "demo:key-two|1"})).status == 200
    shown = [await house.call("GET", one), await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/audit")]
    assert "key-" not in msgspec.json.encode([each.body for each in (made, *shown)]).decode()
    assert await house.store.fetch_value("SELECT secret FROM webhook_endpoints") == "demo:key-two|1"


async def test_van_credentials_go_to_no_address_that_they_were_not_given_for(house: House) -> None:
    """Else any admin would read them, at an address of their own."""
    van = {"url": "https://api.securevan.com/v4", "topics": ["tagged"], "kind": "van"}
    made = await house.call("POST", PATH, van | {"credentials": "demo:key-one|1"})
    one, elsewhere = f"{PATH}/{made.body['endpoint_id']}", {"url": "https://collector.example.org"}
    refused = await house.call("PATCH", one, elsewhere)
    assert (refused.status, [each["field"] for each in refused.body["errors"]]) == (422, ["credentials"])
    assert (await house.call("GET", one)).body["url"] == van["url"]
    assert (await house.call("PATCH", one, {"url": van["url"], "topics": ["replied"]})).status == 200
    assert (await house.call("PATCH", one, elsewhere | {"credentials": "demo:key-two|1"})).status == 200
