"""Answers that are no JSON, of odd types, deep, endless or no HTTP at all: a bounded failure, never a surprise."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.base import Accepted, AnswerLost, Found, ProviderError, Refused
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider
from gateway.providers.twilio.wire import failure
from tests.providers.conftest import PUBLIC_URL, outbound
from tests.providers.fake_twilio import API, SID, TOKEN, FakeTwilio, Says
from tests.providers.payloads import CREATED_AT, created, message, page

DEEP = "[" * 100_000
SM1 = "SM" + "1" * 32

ODD_CREATIONS = [
    "",
    "null",
    "[]",
    '"SM"',
    "{",
    DEEP,
    '{"messages": ' + DEEP,
    created(sid=7),
    created(sid=""),
    created(sid="SM\x00"),
    created(sid="SM" + "1" * 5000),
    created(status=None),
    created(status={"is": "queued"}),
    created(status="q" * 5000),
    created(error_code=[30001]),
    created(to=12),
    "\ud83d",
]


@pytest.mark.parametrize("body", ODD_CREATIONS)
async def test_a_text_whose_answer_says_nothing_may_have_been_taken(
    twilio: FakeTwilio, provider: TwilioProvider, body: str
) -> None:
    twilio.says(Says(201, body.encode("utf-8", "replace").decode()))
    with pytest.raises(AnswerLost):
        await provider.send(outbound())


async def test_fields_that_nobody_needs_may_be_anything(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    answer = created(sid=SM1, price={"a": [1]}, num_segments=None, uri=7, error_code=10**30)
    twilio.says(Says(201, answer))
    assert await provider.send(outbound()) == Accepted(SM1)


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (200, {}, AnswerLost),
        (202, {}, AnswerLost),
        (204, {}, AnswerLost),
        (303, {"Location": "/elsewhere"}, AnswerLost),
        (304, {}, AnswerLost),
        (307, {"Location": "/elsewhere"}, Refused),
        (429, {"Retry-After": "9" * 400, "Twilio-Concurrent-Requests": "9" * 400}, Refused),
        (
            429,
            {"Retry-After": "Thu, 24 Aug 2023 05:01:45 GMT", "Twilio-Concurrent-Requests": "many"},
            Refused,
        ),
        (599, {}, AnswerLost),
        (999, {}, AnswerLost),
    ],
)
async def test_odd_statuses_and_headers(
    twilio: FakeTwilio,
    provider: TwilioProvider,
    status: int,
    headers: dict[str, str],
    kind: type[ProviderError],
) -> None:
    twilio.says(Says(status, "", {"Date": "tomorrow", **headers}))
    with pytest.raises(kind):
        await provider.send(outbound())
    assert len(twilio.asked) == 1
    assert provider.free_calls <= 100


@given(st.integers(100, 999), st.binary(max_size=300))
def test_no_body_of_a_failure_is_a_surprise(status: int, body: bytes) -> None:
    error = failure(status, body)
    assert isinstance(error, ProviderError)
    assert error.code is None or 0 <= error.code < 10**9


CODES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20), st.lists, max_leaves=4
)


@given(st.sampled_from([200, 400, 429, 500]), CODES, CODES)
def test_no_code_of_a_failure_is_a_surprise(status: int, code: object, words: object) -> None:
    error = failure(status, json.dumps({"code": code, "message": words}).encode())
    assert error.code is None or 0 <= error.code < 10**9


ODD_PAGES = ["", "{}", "[]", '{"messages": 7}', '{"messages": {}}', '{"messages": [' + DEEP, DEEP]


@pytest.mark.parametrize("body", ODD_PAGES)
async def test_a_list_that_is_none_is_not_an_empty_one(
    twilio: FakeTwilio, provider: TwilioProvider, body: str
) -> None:
    twilio.says(body)
    with pytest.raises(AnswerLost):
        await provider.find(outbound(), CREATED_AT)


async def test_one_odd_message_harms_no_other(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    odd: list[object] = [
        7,
        None,
        "text",
        {},
        {"sid": SM1},
        {"sid": SM1, "status": 1},
        {"sid": "\x00", "status": "sent"},
    ]
    twilio.says(page(*odd, message(SM1)))  # type: ignore[arg-type]
    assert await provider.find(outbound(), CREATED_AT) == Found(SM1, "queued", None)


async def test_a_list_without_end_has_one(
    twilio: FakeTwilio, provider: TwilioProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.providers.twilio.wire._MOST_PAGES", 20)
    twilio.says(*[page(next_page_uri=f"{API}/Messages.json?Page=1")] * 30)
    with pytest.raises(AnswerLost):
        await provider.find(outbound(), CREATED_AT)
    assert len(twilio.asked) == 20


@pytest.mark.parametrize(
    "address", ["/2010-04-01/\x00", "/2010-04-01/é", "/2010-04-01/ \r\nHost: evil.example"]
)
async def test_a_next_page_that_is_no_address(
    twilio: FakeTwilio, provider: TwilioProvider, address: str
) -> None:
    twilio.says(page(next_page_uri=address))
    with pytest.raises(AnswerLost, match="elsewhere"):
        await provider.find(outbound(), CREATED_AT)


# ---------------------------------------------------------------- no HTTP, or endless


class Saying(asyncio.Protocol):
    """Says its piece once it was asked, again and again when it is to be endless."""

    def __init__(self, piece: bytes, *, endless: bool) -> None:
        self._piece = piece
        self._endless = endless

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._piece)
        if self._endless:
            self._more()
        else:
            self._transport.close()

    def _more(self) -> None:
        if not self._transport.is_closing():
            if self._transport.get_write_buffer_size() < 2**20:
                self._transport.write(b"x" * 2**16)
            asyncio.get_running_loop().call_soon(self._more)


@pytest.fixture
async def saying() -> AsyncIterator[object]:
    servers: list[asyncio.Server] = []
    providers: list[TwilioProvider] = []

    async def start(piece: bytes, *, endless: bool = False) -> TwilioProvider:
        loop = asyncio.get_running_loop()
        servers.append(await loop.create_server(lambda: Saying(piece, endless=endless), "127.0.0.1", 0))
        port = servers[-1].sockets[0].getsockname()[1]
        account = Account.from_url(
            f"twilio://{SID}:{TOKEN}@127.0.0.1:{port}?scheme=http", public_url=PUBLIC_URL
        )
        providers.append(TwilioProvider(account))
        return providers[-1]

    yield start
    for provider in providers:
        await provider.close()
    for server in servers:
        server.close()


PIECES = [
    b"",
    b"\x00" * 100,
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 201 Created\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
    b"HTTP/1.1 201 Created\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"HTTP/1.1 201 Created\r\nContent-Length: -5\r\n\r\n",
    b"HTTP/1.1 201 Created\r\nContent-Length: 9999999999999\r\n\r\n{}",
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnogzp",
    b"HTTP/1.1 201 Created\r\nContent-Type: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 abc Created\r\n\r\n",
    b"HTTP/9.9 201\r\n\r\n",
]


@pytest.mark.parametrize("piece", PIECES)
async def test_what_is_no_answer(saying, piece: bytes) -> None:  # type: ignore[no-untyped-def]
    provider = await saying(piece)
    with pytest.raises(AnswerLost):
        await provider.send(outbound())
    assert provider.free_calls == 100


async def test_an_answer_without_end_is_cut(saying) -> None:  # type: ignore[no-untyped-def]
    provider = await saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", endless=True)
    with pytest.raises(AnswerLost, match="too long"):
        await provider.find(outbound(), CREATED_AT)
    assert provider.free_calls == 100
