"""The access log: a line a request, with fields, in the form of the other logs."""

import json
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from gateway.config import Log
from gateway.core.bank.permissions import Role
from gateway.http.access_log import Line, as_json, for_people
from tests.http.house import SETTINGS, House, a_house
from tests.http.test_hostile_bodies import BATCH


async def lines(house: House, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert house.worker._access_log is not None
    house.worker._access_log.flush()
    return capsys.readouterr().err.splitlines()


@pytest.fixture
async def told(dsn: str) -> AsyncIterator[House]:
    settings = msgspec.structs.replace(SETTINGS, log=Log(format="json"))
    async with a_house(dsn, settings=settings) as house:
        yield house


async def test_a_line_says_who_what_and_how_long(told: House, capsys: pytest.CaptureFixture[str]) -> None:
    await told.send(1, body="Hello Ann")
    await told.call("GET", "/v1/messages/1/77")
    await told.call("GET", "/nowhere/+12155550123", key=None)
    await told.call("POST", BATCH, data=b"{", headers={"Content-Type": "application/json"})
    await told.writes(1, "STOP")
    await told.inside("/metrics")
    written = [json.loads(line) for line in await lines(told, capsys)]
    shown = [(line["method"], line["route"], line["status"], line["key_id"] is not None) for line in written]
    assert shown == [
        ("POST", "/v1/messages", 202, True),
        ("GET", "/v1/messages/{campaign_id}/{message_id}", 404, True),
        ("GET", "other", 404, False),
        ("POST", "/v1/messages:batch", 400, True),
        ("POST", "/webhooks/twilio/inbound", 200, False),
    ]
    assert {line["key_id"] for line in written} == {None, told.keys[Role.KEY_ADMIN].split("_")[1]}
    assert all(line["remote"] == "127.0.0.1" and line["duration_s"] > 0 for line in written)
    assert written[0]["bytes"] > 0


async def test_it_can_be_switched_off(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = msgspec.structs.replace(SETTINGS, log=Log(access=False))
    async with a_house(dsn, settings=settings) as house:
        await house.send(1)
        assert house.worker._access_log is None
    assert "route" not in capsys.readouterr().err


async def test_a_line_is_written_soon_and_at_the_latest_at_the_stop(
    dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_house(dsn) as house:
        await house.call("GET", "/livez", key=None)
    assert "route=/livez" in capsys.readouterr().err


@pytest.mark.parametrize("form", [as_json, for_people])
def test_a_form_is_one_line(form: Callable[[Line], str]) -> None:
    line = Line(
        method="GET",
        route="/docs",
        status=200,
        duration_s=0.1,
        bytes=5,
        key_id=None,
        remote=None,
        timestamp="t",
    )
    assert form(line).count("\n") == 1
    assert "request" in form(line)
