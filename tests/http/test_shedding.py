"""Sends beyond the places are refused by their first bytes; whatever else comes is served as ever (31)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from aiohttp import web

from gateway.core.bank.permissions import Role
from gateway.http import csv_lists, uploads
from gateway.http.load import Load
from gateway.http.shedding import SHEDDING
from gateway.turns import Floor
from tests.http.house import CAMPAIGN, House
from tests.http.signing_provider import PATIENCE_S

SEND = b"POST /v1/messages HTTP/1.1\r\nHost: texts.example.org\r\n"
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: texts.example.org\r\n\r\n"
BODY = msgspec.json.encode({"campaign_id": CAMPAIGN, "contact_id": 1, "body": "Hello"})
PLAIN = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY),
    BODY,
)


class Told(NamedTuple):
    status: int
    headers: dict[str, str]


class Line:
    """One connection, and what is written to it byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answers(self, count: int, *pieces: bytes) -> list[Told]:
        """What so many requests are answered; each piece arrives by itself."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            for _ in range(20):
                await asyncio.sleep(0)
        return [await self._answer() for _ in range(count)]

    async def _answer(self) -> Told:
        async with asyncio.timeout(PATIENCE_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Told(int(status.split()[1]), headers)


@asynccontextmanager
async def line(house: House) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.worker.url.rpartition(":")[2]))
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def load(house: House) -> Load:
    return house.worker._public.app[SHEDDING].load


@pytest.fixture
async def full(house: House) -> House:
    """Its places are taken, and stay so."""
    load(house).places = 0
    return house


async def test_no_key_is_needed_to_be_refused_and_nothing_is_written(full: House) -> None:
    async with line(full) as caller:
        (told,) = await caller.answers(1, SEND + PLAIN)
    assert (told.status, told.headers["retry-after"]) == (503, "1")
    assert told.headers["content-type"] == "application/problem+json"
    answer = await full.send()
    assert (answer.status, answer.body["status"], answer.headers["Retry-After"]) == (503, 503, "1")
    assert await full.count("messages") == 0


async def test_who_is_refused_is_counted(full: House) -> None:
    before = await full.metric('p2p_http_requests_total{method="POST",route="/v1/messages",status="5xx"}')
    for _ in range(3):
        await full.send()
    after = await full.metric('p2p_http_requests_total{method="POST",route="/v1/messages",status="5xx"}')
    assert after - before == 3


async def test_a_stop_goes_through_while_sends_are_refused(full: House) -> None:
    assert (await full.send()).status == 503
    assert (await full.writes(1, "STOP")).status == 200
    assert await full.count("inbound") == 1
    load(full).places = 10
    assert (await full.send()).body["state"] == "blocked"


async def test_everything_else_is_served_while_sends_are_refused(full: House) -> None:
    rows = {"campaign_id": CAMPAIGN, "messages": [{"contact_id": 1, "body": "Hello"}]}
    assert (await full.call("POST", "/v1/messages:batch", rows)).status == 202
    assert (await full.call("GET", f"/v1/campaigns/{CAMPAIGN}")).status == 200
    assert (await full.call("GET", "/v1/messages")).status == 405


PIECES = {
    "whole": [SEND + PLAIN],
    "head, body": [SEND + PLAIN[: -len(BODY)], BODY],
    "body in two": [SEND + PLAIN[:-9], PLAIN[-9:]],
    "with what follows": [SEND + PLAIN[:-9], PLAIN[-9:] + ALIVE[:10], ALIVE[10:]],
    "together": [SEND + PLAIN + ALIVE],
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
async def test_the_connection_goes_on_after_a_refusal(full: House, pieces: list[bytes]) -> None:
    follows = [] if pieces[-1].endswith(ALIVE[10:]) else [ALIVE]
    async with line(full) as caller:
        told = await caller.answers(2, *pieces, *follows)
    assert [each.status for each in told] == [503, 200]


async def test_answers_keep_the_order_of_the_requests(full: House) -> None:
    async with line(full) as caller:
        told = await caller.answers(5, ALIVE + SEND + PLAIN, SEND + PLAIN + SEND + PLAIN + ALIVE)
    assert told[0].status == 200
    assert {each.status for each in told[1:4]} <= {
        401,
        503,
    }  # pipelined ones may be the library's: they have no key
    assert told[4].status == 200


@pytest.mark.parametrize(
    "head_and_body",
    [
        CHUNKED,
        b"Content-Length: 5\r\n" + PLAIN,
        b"Expect: 100-continue\r\n" + PLAIN,
        b"Connection: close\r\n" + PLAIN,
    ],
    ids=["chunked", "two lengths", "expect", "close"],
)
async def test_what_is_not_plain_is_read_by_the_library(full: House, head_and_body: bytes) -> None:
    async with line(full) as caller:
        (told,) = await caller.answers(1, SEND + head_and_body)
    assert told.status in (100, 400, 401)


async def test_what_the_library_reads_is_refused_too(full: House) -> None:
    authorization = f"Authorization: Bearer {full.keys[Role.KEY_SENDER]}\r\n".encode()
    async with line(full) as caller:
        (told,) = await caller.answers(1, SEND + authorization + CHUNKED)
    assert (told.status, told.headers["retry-after"]) == (503, "1")


async def test_heads_alone_hold_no_place(house: House) -> None:
    load(house).places = 3
    async with line(house) as first, line(house) as second, line(house) as third, line(house) as fourth:
        for each in (first, second, third, fourth):
            await each.answers(0, SEND + PLAIN[:-9])
        assert load(house).under_way == 0
        assert (await house.send()).status == 202


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [(SEND + PLAIN, 401), (SEND + PLAIN.replace(b"Content-Type", b"Bad\x00Name"), 400)],
    ids=["no key", "malformed"],
)
async def test_every_place_is_given_back(house: House, request_bytes: bytes, status: int) -> None:
    for _ in range(3):
        async with line(house) as caller:
            assert [each.status for each in await caller.answers(1, request_bytes)] == [status]
    assert (await house.send()).status == 202
    async with line(house) as caller:
        caller.writer.write(SEND + PLAIN)
    await house.call("GET", "/healthz", key=None)
    async with asyncio.timeout(PATIENCE_S):
        while load(house).under_way:  # noqa: ASYNC110 - nobody tells that a client's end was seen
            await asyncio.sleep(0)


@pytest.mark.parametrize("size", [525_000, 600_000, 780_000, 1_100_000, 3_000_000])
async def test_a_body_that_was_paused_is_read_to_its_end(
    house: House, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Beyond half a megabyte the library pauses a body, and goes on with it by a call without data."""
    received = csv_lists.received

    async def late(request: web.Request, path: Path, floor: Floor) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not request.protocol._reading_paused:  # noqa: ASYNC110 - the library has no event for it
                await asyncio.sleep(0)
        await received(request, path, floor)

    monkeypatch.setattr(uploads, "received", late)
    row = "2155550101," + "x" * 988 + "\n"
    text = ("phone,notes\n" + row * (size // len(row))).encode()
    head = (
        f"POST /v1/campaigns/{CAMPAIGN}/contacts HTTP/1.1\r\nHost: texts.example.org\r\nContent-Type: text/csv\r\n"
        f"Authorization: Bearer {house.keys[Role.KEY_ADMIN]}\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    async with line(house) as caller:
        (told,) = await caller.answers(1, head.encode() + text)
        assert told.status == 200
        (told,) = await caller.answers(1, ALIVE)  # and the connection goes on
    assert told.status == 200
