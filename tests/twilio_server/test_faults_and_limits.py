"""What goes wrong on demand: faults under /twin/, the concurrency limit, outages, and the page."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

import aiohttp
import msgspec
import pytest

from simulator.model.carriers import CARRIERS
from simulator.model.faults import FaultParameters
from simulator.model.scenario import BadScenario
from simulator.twin.server import TwilioServer
from tests.twilio_server.twin import MESSAGES, OURS, PATIENCE_S, PERSON, START_AT, Receiver, Serve, Wire, calm


@pytest.mark.parametrize(
    ("share", "status", "code", "created"),
    [
        ("throttled_share", 429, 20429, 0),
        ("errors_before_share", 500, 20500, 0),
        ("errors_after_share", 500, 20500, 1),
    ],
)
async def test_unhappy_answers(wire: Wire, share: str, status: int, code: int, created: int) -> None:
    await wire.fault(kind="answers", **{share: 1.0})
    answered, body, _ = await wire.create()
    assert (answered, body["code"], body["status"]) == (status, code, status)
    assert len(wire.server.world.ledger.submissions) == created
    assert (await wire("DELETE", "/twin/faults"))[0] == 200
    assert (await wire.create())[0] == 201


@pytest.mark.parametrize(("share", "created"), [("lost_after_share", 1), ("lost_before_share", 0)])
async def test_an_answer_that_never_comes(wire: Wire, share: str, created: int) -> None:
    await wire.fault(kind="answers", **{share: 1.0})
    waits = asyncio.create_task(wire.create(StatusCallback="http://127.0.0.1:1/?c=3&m=4&a=0"))
    while not wire.server.accounts[0].open_requests:  # noqa: ASYNC110, a count has no event
        await asyncio.sleep(0)
    status, listed, _ = await wire("GET", MESSAGES)
    assert (status, len(listed["messages"])) == (200, created)
    assert not waits.done()
    waits.cancel()
    rows = (await wire("GET", "/twin/ledger/submissions"))[1]["rows"]
    assert [(row["campaign_id"], row["message_id"]) for row in rows] == [(3, 4)] * created


async def hung(wire: Wire) -> "asyncio.Task[Any]":
    """A create call whose answer never comes, under way."""
    await wire.fault(kind="answers", lost_after_share=1.0)
    call = asyncio.create_task(wire.create())
    await until(lambda: len(wire.server.world.ledger.submissions) == 1)
    return call


async def until(is_it: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):  # far below the 60 s of an answer that never comes
        while not is_it():  # noqa: ASYNC110, a count has no event
            await asyncio.sleep(0)


async def test_who_waits_no_more_for_an_answer_has_no_open_request(wire: Wire) -> None:
    call = await hung(wire)
    assert wire.server.accounts[0].open_requests == 1
    call.cancel()
    await until(lambda: wire.server.accounts[0].open_requests == 0)
    await wire("DELETE", "/twin/faults")
    assert (await wire.create())[2]["Twilio-Concurrent-Requests"] == "1"


async def test_the_end_of_the_carrier_ends_answers_that_never_come(serve: Serve) -> None:
    before = asyncio.all_tasks()
    server = await serve()
    async with aiohttp.ClientSession() as session:
        call = await hung(Wire(server, session))
        async with asyncio.timeout(PATIENCE_S):
            await server.stop()
            with pytest.raises(aiohttp.ClientError):
                await call
    assert server.accounts[0].open_requests == 0
    await until(lambda: asyncio.all_tasks() <= before)


async def test_an_outage_cuts_connections_and_creates_nothing(serve: Serve) -> None:
    server = await serve(speed=1.0)
    async with aiohttp.ClientSession() as session:
        wire = Wire(server, session)
        await wire.fault(kind="outage", for_s=3600)
        with pytest.raises(aiohttp.ClientError):
            await wire.create()
        assert len(server.world.ledger.submissions) == 0
        await wire("DELETE", "/twin/faults")
        assert (await wire.create())[0] == 201


async def test_a_banned_number_is_refused_or_filtered(wire: Wire, receiver: Receiver) -> None:
    await wire.fault(kind="number_ban", phone=OURS, code=30007)
    _, message, _ = await wire.create(StatusCallback=receiver.url)
    assert (await receiver.status(message["sid"], "undelivered"))["ErrorCode"] == "30007"
    await wire("DELETE", "/twin/faults")
    await wire.fault(kind="number_ban", phone=OURS, code=21606)
    assert (await wire.create())[1]["code"] == 21606


async def test_a_stop_wave(wire: Wire) -> None:
    await wire.fault(kind="stop_wave", share=1.0, for_s=1e9)
    people = wire.server.world.people
    await wire.create()
    async with asyncio.timeout(PATIENCE_S):
        while not people.opt_outs.keyword:
            await wire("GET", "/twin/state")
    assert people.opt_outs.keyword == 1


async def test_a_brownout_and_a_storm_show_in_the_state(wire: Wire) -> None:
    await wire.fault(kind="brownout", carrier="verizon", slow_factor=7, for_s=1e9)
    faults = await wire.fault(kind="receipt_storm", for_s=1e9)
    assert len(faults["receipt_storms"]) == 1
    state = (await wire("GET", "/twin/state"))[1]
    assert {c["name"]: c["slow_factor"] for c in state["carriers"]} == {
        **dict.fromkeys(CARRIERS, 1.0),
        "verizon": 7.0,
    }
    healed = (await wire("DELETE", "/twin/faults"))[1]
    assert (healed["brownouts"], healed["receipt_storms"]) == ([], [])


async def test_the_scenarios_own_faults_survive_healing(serve: Serve) -> None:
    scenario = msgspec.structs.replace(calm(), faults=FaultParameters(throttled_share=1.0))
    server = await serve(scenario)
    async with aiohttp.ClientSession() as session:
        wire = Wire(server, session)
        await wire("DELETE", "/twin/faults")
        assert (await wire.create())[0] == 429


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "nonsense"},
        {"kind": "brownout", "carrier": "acme"},
        {"kind": "answers", "lost_after_share": 0.7, "throttled_share": 0.7},
        {"kind": "outage", "for_s": -1},
        {"kind": "number_ban", "phone": "+12125550000"},
        {"kinds": 1},
    ],
)
async def test_a_bad_order_is_refused_in_words(wire: Wire, order: dict[str, Any]) -> None:
    status, body, _ = await wire("POST", "/twin/faults", json=order)
    assert status in {400, 404}
    assert body["message"]


async def test_too_many_at_once_are_refused_and_counted(serve: Serve) -> None:
    server = await serve(concurrency=2, answer_latency=True, speed=2.0)
    async with aiohttp.ClientSession() as session:
        wire = Wire(server, session)
        answers = await asyncio.gather(*(wire.create() for _ in range(6)))
    by_status = sorted(status for status, _, _ in answers)
    assert by_status == [201, 201, 429, 429, 429, 429]
    assert {int(headers["Twilio-Concurrent-Requests"]) for _, _, headers in answers} == {1, 2, 3}
    refused = next(body for status, body, _ in answers if status == 429)
    assert refused["code"] == 20429
    assert len(server.world.ledger.submissions) == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/2010-04-01/Accounts/nobody/Messages.json", 404, 20404),
        ("GET", f"/2010-04-01/Accounts/AC{'9' * 32}/Messages.json", 404, 20404),
        ("PUT", MESSAGES, 405, 20004),
        ("GET", "/v1/Nothing", 404, 20404),
        ("GET", f"{MESSAGES}?PageSize=x", 400, 20422),
        ("GET", f"{MESSAGES}?DateSent=yesterday", 400, 20422),
        ("GET", f"{MESSAGES}?PageToken=PAnone", 400, 20422),
        ("GET", "/twin/ledger/secrets", 404, 20404),
        ("GET", "/twin/nothing", 404, 20404),
    ],
)
async def test_error_bodies(wire: Wire, method: str, path: str, status: int, code: int) -> None:
    answered, body, _ = await wire(method, path)
    assert (answered, body["status"], body["code"]) == (status, status, code)
    assert body["more_info"].endswith(str(code))


async def test_a_request_too_large_is_refused(wire: Wire) -> None:
    status, body, _ = await wire("POST", MESSAGES, data=BytesIO(b"Body=" + b"x" * 2**21))
    assert (status, body["message"]) == (400, "The request is too large")


async def test_the_page_and_what_it_polls(wire: Wire) -> None:
    await wire.create()
    async with wire.session.get(f"{wire.server.url}/") as answer:
        assert answer.content_type == "text/html"
        assert "/twin/state" in await answer.text()
    state = (await wire("GET", "/twin/state"))[1]
    assert state["counts"]["submitted"] == 1
    assert state["recent"][0]["to"] == PERSON


async def test_the_ledger_in_pages(wire: Wire) -> None:
    for _ in range(3):
        await wire.create()
    first = (await wire("GET", "/twin/ledger/submissions?limit=2"))[1]
    assert ([row["n"] for row in first["rows"]], first["next"]) == ([0, 1], 2)
    rest = (await wire("GET", "/twin/ledger/submissions?after=2"))[1]
    assert ([row["n"] for row in rest["rows"]], rest["next"]) == ([2], None)
    whole = (await wire("GET", "/twin/ledger"))[1]
    assert whole["counts"]["submitted"] == whole["rows"]["submissions"] == 3
    await wire.create()  # after that instant
    snapshot = (await wire("GET", "/twin/ledger/submissions?limit=2&after=1&upto=3"))[1]
    assert ([row["n"] for row in snapshot["rows"]], snapshot["next"]) == ([1, 2], None)
    assert (await wire("GET", "/twin/ledger/submissions?upto=9"))[1]["rows"][-1]["n"] == 3


async def test_a_port_in_use_and_a_bad_number_are_said(serve: Serve, server: TwilioServer) -> None:
    other = TwilioServer(calm(), start_at=START_AT, options=server.options)
    with pytest.raises(BadScenario, match=f"port {server.port} is in use"):
        await other.start(port=server.port)
    with pytest.raises(BadScenario, match=r"can't listen at 192\.0\.2\.1 \(.+\): --host; give an address"):
        await other.start("192.0.2.1", port=0)
    with pytest.raises(BadScenario, match="not a US number"):
        await serve(numbers=("+44",))
