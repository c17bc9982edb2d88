"""Thousands of signed callbacks, odd, extreme and contradictory: understood, harmless or refused, never a 5xx (story 24)."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote_from_bytes, quote_plus

import pytest
from yarl import URL

from gateway.providers.twilio.webhooks import signature
from tests.http.house import CAMPAIGN, NUMBER, PUBLIC_URL, House, inbound_form, phone, status_form
from tests.http.signing_provider import TOKENS

STATUSES = 3_000
TEXTS = 1_000
AT_ONCE = 40
Pairs = list[tuple[str, str]]

NUMBERS = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "00001",
    "1.5",
    "1e3",
    "NaN",
    "nan",
    "inf",
    "Infinity",
    "-0",
    "32767",
    "32768",
    "65536",
    "2147483647",
    "2147483648",
    "999999",
    "1000000",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999",
    "²",
    "٣",
    "0x10",
    "true",
    "null",
    "+",
]
CODES = ["", "30003", "30007", "21610", "21211", "500", "599", "99999", "x", "9" * 5_000, *NUMBERS]
WORDS = [
    "delivered",
    "sent",
    "failed",
    "undelivered",
    "queued",
    "sending",
    "accepted",
    "scheduled",
    "canceled",
    "read",
    "received",
    "partially_delivered",
    "DELIVERED",
    "levitating",
]
ODD = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "STOP\x00",
    "é",
    "👍",
    "\u202e",
    "'; DROP TABLE messages; --",
    "x" * 10_000,
    "\r\n",
    "\ufffd",
]


def statuses(luck: random.Random, message_ids: list[int]) -> Iterator[tuple[str, Pairs]]:
    """(path, form): mostly about messages that there are."""
    while True:
        ids = [
            luck.choice([str(CAMPAIGN), str(CAMPAIGN), "2", "77", *NUMBERS]),
            luck.choice([*map(str, message_ids), *map(str, message_ids), *NUMBERS]),
            luck.choice(["1", "1", "1", "2", *NUMBERS]),
        ]
        query = "&".join(f"{name}={quote_plus(value)}" for name, value in zip("cma", ids, strict=True))
        query = luck.choice([query, query, query, query + "&" + query, query[1:], "", "c=%ff&m=%00&a=1"])
        form = status_form(luck.choice(["SM1", "SM" + "0" * 32, *ODD]), luck.choice([*WORDS, *WORDS, *ODD]))
        form += [("ErrorCode", luck.choice(CODES))] * luck.choice([0, 1, 1, 2])
        form += [(luck.choice(ODD), luck.choice(ODD))] * luck.choice([0, 0, 1])
        for _ in range(luck.choice([0, 0, 0, 1, 3])):
            form.pop(luck.randrange(len(form)))
        luck.shuffle(form)
        yield f"/webhooks/twilio/status?{query}", form


def texts(luck: random.Random) -> Iterator[tuple[str, Pairs]]:
    while True:
        sid = luck.choice([f"SM{luck.randrange(50)}", "SM" + "0" * 32, *ODD])
        sender = luck.choice([phone(luck.randrange(1, 10)), "12345", "VOTE", *ODD, *NUMBERS])
        form = inbound_form(sid, sender, luck.choice(["STOP", "hello", "START", "STOP\x00", *ODD]))
        form += [("NumMedia", luck.choice([*NUMBERS, "11"])), ("MediaUrl0", luck.choice(ODD))]
        for _ in range(luck.choice([0, 0, 0, 1, 3])):
            form.pop(luck.randrange(len(form)))
        yield "/webhooks/twilio/inbound", form


def encoded(form: Pairs) -> bytes:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in form).encode()


async def called(house: House, path: str, body: bytes, given: str) -> int:
    headers = {"X-Twilio-Signature": given, "Content-Type": "application/x-www-form-urlencoded"}
    url = URL(house.worker.url + path, encoded=True)
    async with house.session.post(url, data=body, headers=headers) as response:
        await response.read()
        return response.status


async def test_no_callback_ends_in_a_defect(house: House) -> None:
    luck = random.Random(24)
    message_ids = [(await house.send(each)).body["message_id"] for each in range(1, 6)]
    status, text = statuses(luck, message_ids), texts(luck)
    cases = [next(status) for _ in range(STATUSES)] + [next(text) for _ in range(TEXTS)]
    luck.shuffle(cases)
    seen: Counter[int] = Counter()

    async def some(worker: int) -> None:
        for path, form in cases[worker::AT_ONCE]:
            given = signature(PUBLIC_URL + path, form, TOKENS[0])
            seen[await called(house, path, encoded(form), given)] += 1

    await asyncio.gather(*(some(worker) for worker in range(AT_ONCE)))
    assert seen.total() == len(cases)
    assert {status // 100 for status in seen} <= {2, 4}, seen
    assert seen[200] > TEXTS // 4
    assert seen[204] > STATUSES // 4
    assert await house.metric(
        'p2p_http_requests_total{method="POST",route="/webhooks/twilio/status",status="2xx"}'
    )


@pytest.mark.parametrize(
    "sid", ["SM1", "x" * 10_000, "\x00", "s\x00id"], ids=["plain", "long", "nul", "with nul"]
)
@pytest.mark.parametrize("body", ["STOP\x00", "\x00stop", "S\x00TOP"])
async def test_a_stop_is_heard_whatever_stands_around_it(house: House, sid: str, body: str) -> None:
    answer = await house.writes(1, body, sid=sid)
    if sid == "\x00":  # nothing is left of it: no text of a provider's
        assert answer.status == 204
        return
    assert answer.status == 200
    assert (await house.writes(1, body, sid=sid)).status == 200  # again
    assert await house.count("inbound") == 1
    assert (await house.send(1)).body["code"] == 1302


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/webhooks/twilio/inbound?x=\udcff", "x"),
        ("/webhooks/twilio/inbound", "\udcff\udcfe"),
        ("/webhooks/twilio/inbound", "é" * 2_000),
    ],
)
async def test_bytes_that_are_no_text_prove_nothing(house: House, path: str, given: str) -> None:
    body = encoded(inbound_form("SM1", phone(1), "hello"))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Twilio-Signature: {given}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode("utf-8", "surrogateescape")
    url = URL(house.worker.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head + body)
    status = int((await reader.readline()).split()[1])
    writer.close()
    assert status in (400, 403)


@pytest.mark.parametrize(
    "lone", [b"\xed\xa0\x80", b"\xff", b"\xc0\x80"], ids=["surrogate", "byte", "overlong"]
)
async def test_a_form_that_is_not_utf8_is_refused(house: House, lone: bytes) -> None:
    body = (
        b"MessageSid=SM1&From=%2B12155550101&To="
        + quote_plus(NUMBER).encode()
        + b"&Body="
        + quote_from_bytes(lone).encode()
    )
    assert await called(house, "/webhooks/twilio/inbound", body, "x") == 400
