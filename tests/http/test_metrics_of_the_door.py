"""What /metrics says of the door and of the people behind it."""

import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.http.server import OPERATIONS, application, internal_application
from gateway.routes import ROUTES
from gateway.serve import webhook_doors
from gateway.upkeep.headcount import Headcount
from tests.http.house import CAMPAIGN, PUBLIC_URL, House, phone

REQUESTS = 'p2p_http_requests_total{method="%s",route="%s",status="%s"}'


async def test_every_route_has_its_series(house: House) -> None:
    app = application(house.worker._parts, webhook_doors(house.provider, PUBLIC_URL), "0")
    templates = {resource.canonical for resource in app.router.resources()}
    inside = {each.canonical for each in internal_application(house.worker._parts).router.resources()}
    assert templates | inside == set(ROUTES)
    assert inside - templates == {"/metrics"}
    assert {operation.path for operation in OPERATIONS} < templates


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/healthz", "/healthz", "2xx"),
        ("GET", "/v1/campaigns/77", "/v1/campaigns/{campaign_id}", "4xx"),
        ("GET", "/v1/messages/1/2", "/v1/messages/{campaign_id}/{message_id}", "4xx"),
        ("GET", "/nowhere/+12155550123", "other", "4xx"),
        ("POST", "/v1/messages", "/v1/messages", "4xx"),
    ],
)
async def test_requests_are_counted_by_template(
    house: House, method: str, path: str, route: str, status: str
) -> None:
    line = REQUESTS % (method, route, status)
    before = await house.metric(line)
    await house.call(method, path)
    assert await house.metric(line) == before + 1
    assert await house.metric(f'p2p_http_request_duration_seconds_count{{route="{route}"}}') >= 1


async def test_an_odd_method_is_counted_as_other(house: House) -> None:
    await house.call("PURGE", "/healthz")
    assert await house.metric(REQUESTS % ("other", "other", "4xx")) == 1


async def test_a_batchs_rows_are_counted_by_what_became_of_them(house: House) -> None:
    await house.writes(2, "STOP")
    rows = [{"contact_id": 1, "body": "Hi"}, {"contact_id": 2, "body": "Hi"}, {"body": "to nobody"}]
    await house.call("POST", "/v1/messages:batch", {"campaign_id": CAMPAIGN, "messages": rows})
    for result in ("accepted", "blocked", "rejected"):
        assert await house.metric(f'p2p_http_batch_rows_total{{result="{result}"}}') == 1


async def test_the_people_of_a_bank(house: House) -> None:
    await house.send(1, sender_id=7)
    await house.writes(1, "Who is this?")
    await house.writes(3, "Hello?")
    await house.store.execute("INSERT INTO assignments VALUES ($1, 5, 4, 'x', 1)", CAMPAIGN)
    gateway = house.worker.gateway
    headcount = Headcount(gateway.database, gateway.clock, gateway.metrics, gateway.admission)
    await headcount.run_once([CampaignKey(1, CAMPAIGN)])
    people = {"conversations_waiting": 2, "volunteers_active": 1, "contacts_remaining": 1}
    for name, count in people.items():
        assert await house.metric(f"p2p_{name} ") == count
    assert await house.metric("p2p_first_reply_seconds_count") == 0
    for _ in range(2):
        await house.send(1, body=f"Ann, of the bank, {_}", kind="reply", sender_id=7)
    assert await house.metric("p2p_first_reply_seconds_count") == 1
    gateway.admission.senders[8] = gateway.clock.now() - 901
    await headcount.run_once([])
    assert await house.metric("p2p_volunteers_active ") == 1
    assert phone(1) not in (await house.inside("/metrics")).body.decode()
