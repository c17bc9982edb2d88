"""Health, and the database going away: not ready, nothing lost, and on with the work."""

import asyncio
import contextlib

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.http.readiness import Asked
from gateway.providers.base import NotSent, Refused
from gateway.store.database import Database
from tests.http.house import CAMPAIGN, House
from tests.http.signing_provider import PATIENCE_S


async def test_a_worker_that_works(house: House) -> None:
    assert (await house.call("GET", "/healthz", key=None)).body == {"status": "ok", "parts": {}}
    ready = await house.inside("/readyz")
    assert (ready.status, ready.body["parts"]) == (200, {"database": "ok", "clock": "ok", "provider": "ok"})


@pytest.mark.parametrize("wrong", [["the account is suspended"], NotSent(), Refused(20003)], ids=str)
async def test_a_provider_that_says_no(house: House, wrong: list[str] | Exception) -> None:
    house.provider.wrong = wrong
    ready = await house.inside("/readyz")
    assert (ready.status, ready.body["status"]) == (503, "unavailable")
    assert ready.body["parts"]["database"] == "ok"
    assert (await house.call("GET", "/healthz", key=None)).status == 200


async def test_metrics_are_prometheus_text(house: House) -> None:
    answer = await house.inside("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    await house.send(1)
    accepted = await house.metric('p2p_messages_accepted_total{channel="sms",kind="initial"}')
    assert accepted == 1
    assert await house.metric("p2p_build_info") == 1


async def test_metrics_are_open_metrics_for_whoever_asks(house: House) -> None:
    """With the message that each bucket counted last: an exemplar leads to its story."""
    first = await house.send(1)
    await house.says(await house.provider.next_text(), "delivered")
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
    told = await house.call("GET", "/metrics", key=None, headers=wanted, url=house.worker.internal_url)
    assert told.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    text = told.body.decode()
    families = {each.name: each for each in text_string_to_metric_families(text)}
    found = [
        each.exemplar.labels
        for each in families["p2p_delivery_duration_seconds"].samples
        if each.exemplar is not None
    ]
    assert found == [{"campaign_id": str(CAMPAIGN), "message_id": str(first.body["message_id"])}]


async def test_a_broken_connection_loses_nothing(house: House) -> None:
    """As in a failover: every connection of the worker breaks, then the database is there again."""
    await house.send(1)
    await house.provider.next_text()
    await house.store.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'textbank'"
    )
    answers = await asyncio.gather(*(house.send(each, f"Hello {each}") for each in range(2, 8)))
    assert {answer.status for answer in answers} == {202}
    await house.worker.gateway.adopt(1)  # the next round, at once
    async with asyncio.timeout(PATIENCE_S):
        handed = {(await house.provider.next_text()).message_id for _ in range(6)}
    assert handed == {answer.body["message_id"] for answer in answers}


async def test_while_the_database_is_away_we_are_not_ready(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(_self: Database) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(Database, "_connect", refused)
    house.worker.database.drop()
    house.worker.probe.drop()
    ready = await house.inside("/readyz")
    assert (ready.status, ready.body["parts"]["database"]) == (503, "DatabaseGone")
    asked = await house.call("GET", "/v1/campaigns")  # the key can't be looked up
    assert (asked.status, asked.headers["Retry-After"]) == (503, "2")
    monkeypatch.undo()
    async with asyncio.timeout(PATIENCE_S):
        while (await house.call("GET", "/readyz", key=None)).status != 200:
            pass


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/v1/messages", 405), ("GET", "/v1/messages/a/b", 404)],
)
async def test_what_is_not_there_is_a_problem_too(house: House, method: str, path: str, status: int) -> None:
    answer = await house.call(method, path)
    assert (answer.status, answer.body["status"]) == (status, status)
    assert ("Allow" in answer.headers) == (status == 405)


async def test_the_public_door_tells_no_detail(house: House) -> None:
    house.provider.wrong = ["the account is suspended"]
    answer = await house.call("GET", "/readyz", key=None)
    assert (answer.status, answer.body) == (503, {"status": "unavailable", "parts": {}})
    assert (await house.call("GET", "/metrics", key=None)).status == 404
    assert (await house.call("GET", "/livez", key=None)).status == 200


@pytest.mark.parametrize("path", ["/v1/campaigns", "/docs", "/openapi.json", "/webhooks/twilio/status"])
async def test_the_houses_own_door_is_for_the_house_only(house: House, path: str) -> None:
    assert (await house.inside(path)).status == 404


async def test_a_provider_that_is_down_is_not_asked_by_every_probe(house: House) -> None:
    asked = []

    async def check() -> list[str]:
        asked.append(1)
        raise NotSent

    house.provider.check = check  # type: ignore[method-assign]
    answers = [await house.inside("/readyz") for _ in range(20)]
    answers += await asyncio.gather(*(house.inside("/readyz") for _ in range(20)))
    assert {answer.body["parts"]["provider"] for answer in answers} == {"NotSent"}
    assert len(asked) == 1


async def test_who_never_answers_is_asked_by_one_at_a_time() -> None:
    asked: list[asyncio.Event] = []

    async def deaf() -> None:
        asked.append(asyncio.Event())
        while not asked[-1].is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asked[-1].wait()

    part = Asked(deaf, kept_s=0)
    words = await asyncio.gather(*(part.word() for _ in range(5)))
    part._good_until = 0.0  # as if some seconds had passed
    words += [await part.word()]
    assert set(words) == {"no answer"}
    assert len(asked) == 1
    asked[0].set()
    assert part._asking is not None
    await part._asking
