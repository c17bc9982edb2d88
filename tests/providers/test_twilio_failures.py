"""Every way a request can fail, and whether it was carried out (twilio_wire's table)."""

import asyncio
import socket

import msgspec
import pytest

from gateway.core.rules.errors import Kind, consequence
from gateway.providers.base import AnswerLost, NotSent, ProviderError, Refused
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider
from gateway.providers.twilio.wire import failure
from tests.providers.conftest import PUBLIC_URL, MakeProvider, outbound
from tests.providers.fake_twilio import PATIENCE_S, SID, TOKEN, FakeTwilio, Says
from tests.providers.payloads import classic, created, rfc_9457

ANSWERS = [
    (400, classic(21211, 400), Refused, 21211),
    (400, classic(21610, 400), Refused, 21610),
    (400, classic(21611, 400), Refused, 21611),
    (400, rfc_9457(21614, 400), Refused, 21614),
    (400, classic(29999, 400), Refused, 29999),
    (400, '{"code": "21617", "message": "too long"}', Refused, 21617),
    (401, classic(20003, 401), Refused, 20003),
    (401, "", Refused, 401),
    (403, classic(20006, 403), Refused, 20006),
    (404, classic(20404, 404), Refused, 20404),
    (404, "<html>not here</html>", Refused, 404),
    (409, classic(20409, 409), Refused, 20409),
    (302, "", Refused, 302),
    (429, classic(20429, 429), Refused, 20429),
    (429, rfc_9457(20429, 429), Refused, 20429),
    (429, "Too many", Refused, 20429),
    (429, classic(99999, 429), Refused, 20429),
    (429, classic(63038, 429), Refused, 63038),
    (408, "", AnswerLost, 408),
    (500, classic(20500, 500), AnswerLost, 20500),
    (500, '{"code": {"deep": 1}}', AnswerLost, 500),
    (502, "<html>bad gateway</html>", AnswerLost, 502),
    (503, rfc_9457(20503, 503), AnswerLost, 20503),
    (503, classic(21610, 503), AnswerLost, 21610),
    (400, classic(30410, 400), AnswerLost, 30410),
    (201, "{}", AnswerLost, None),
    (201, "not json", AnswerLost, None),
    (200, "\xff", AnswerLost, None),
]


@pytest.mark.parametrize(("status", "body", "kind", "code"), ANSWERS)
async def test_answers(
    twilio: FakeTwilio,
    provider: TwilioProvider,
    status: int,
    body: str,
    kind: type[ProviderError],
    code: int | None,
) -> None:
    twilio.says(Says(status, body))
    with pytest.raises(ProviderError) as raised:
        await provider.send(outbound())
    assert (type(raised.value), raised.value.code) == (kind, code)
    assert len(twilio.asked) == 1


async def test_a_connection_that_breaks_after_the_request(
    twilio: FakeTwilio, provider: TwilioProvider
) -> None:
    twilio.says(Says(hangs_up=True))
    with pytest.raises(AnswerLost):
        await provider.send(outbound())
    assert len(twilio.asked) == 1, "a POST is never repeated"


async def test_a_kept_connection_that_closed_is_not_tried_again(
    twilio: FakeTwilio, provider: TwilioProvider
) -> None:
    twilio.says(Says(201, created()), Says(hangs_up=True))
    await provider.send(outbound(1))
    with pytest.raises(AnswerLost):
        await provider.send(outbound(2))
    assert len(twilio.asked) == 2


async def test_an_answer_that_never_comes() -> None:
    server = await asyncio.get_running_loop().create_server(Deaf, "127.0.0.1", 0)
    provider = to_port(server.sockets[0].getsockname()[1], "http", timeout_s=0.05)
    with pytest.raises(AnswerLost, match="Timeout"):
        await provider.send(outbound())
    await provider.close()
    server.close()


async def test_an_answer_that_is_no_http() -> None:
    server = await asyncio.get_running_loop().create_server(Babbler, "127.0.0.1", 0)
    provider = to_port(server.sockets[0].getsockname()[1], "http")
    with pytest.raises(AnswerLost):
        await provider.send(outbound())
    await provider.close()
    server.close()


async def test_a_server_that_speaks_no_tls() -> None:
    server = await asyncio.get_running_loop().create_server(Plain, "127.0.0.1", 0)
    provider = to_port(server.sockets[0].getsockname()[1], "https")
    with pytest.raises(NotSent):
        await provider.send(outbound())
    await provider.close()
    server.close()


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    provider = to_port(port, "http")
    with pytest.raises(NotSent):
        await provider.send(outbound())
    await provider.close()


async def test_a_host_that_does_not_exist() -> None:
    url = f"twilio://{SID}:{TOKEN}@twilio.invalid?scheme=http"
    provider = TwilioProvider.from_url(url, public_url=PUBLIC_URL)
    with pytest.raises(NotSent):
        await provider.send(outbound())
    await provider.close()


async def test_born_failed_was_not_sent(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(Says(201, created(status="failed", error_code=30034)))
    with pytest.raises(Refused) as raised:
        await provider.send(outbound())
    assert raised.value.code == 30034


@pytest.mark.parametrize("code", [20429, 21611])
def test_slower_spends_no_attempt(code: int) -> None:
    """What the road asks before it calls a failure throttled."""
    kind = consequence(failure(429 if code == 20429 else 400, classic(code, 400).encode()).code or 0).kind
    assert kind in (Kind.THROTTLE, Kind.QUEUE_FULL)


# ---------------------------------------------------------------- secrets and people's numbers


async def test_nothing_shows_the_secret(
    twilio: FakeTwilio, make_provider: MakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    provider = make_provider(signing_token="another-secret")
    twilio.says(Says(401, classic(20003, 401, "Authenticate")), Says(hangs_up=True))
    errors = [await failing(provider), await failing(provider)]
    shown = [repr(provider), repr(provider._account), repr(provider._wire), *errors, caplog.text]
    shown += [str(pair) for pair in provider._account.__rich_repr__()]
    assert [text for text in shown if TOKEN in text or "another-secret" in text] == []
    assert all(TOKEN not in f"{asked.path}{asked.query}{asked.form}" for asked in twilio.asked)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("The 'To' number +12125550123 is not valid", "The 'To' number +…0123 is not valid"),
        ("code 21211 at 10:15", "code 21211 at 10:15"),
        ("two\nlines", "two lines"),
    ],
)
def test_errors_mask_numbers(said: str, kept: str) -> None:
    assert str(failure(400, classic(21211, 400, said).encode())) == kept


async def failing(provider: TwilioProvider) -> str:
    with pytest.raises(ProviderError) as raised:
        await provider.send(outbound())
    error = raised.value
    return f"{error!r} {error} {error.__dict__} {error.__cause__!r}"


def to_port(port: int, scheme: str, timeout_s: float = 15.0) -> TwilioProvider:
    url = f"twilio://{SID}:{TOKEN}@127.0.0.1:{port}?scheme={scheme}"
    account = Account.from_url(url, public_url=PUBLIC_URL)
    return TwilioProvider(msgspec.structs.replace(account, timeout_s=timeout_s))


class Deaf(asyncio.Protocol):
    """Takes every request and says nothing."""


class Plain(asyncio.Protocol):
    """Answers a TLS greeting in plain HTTP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        transport.close()


class Babbler(asyncio.Protocol):
    """Answers in no protocol at all, once it was asked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(b"\x00\x01 hello\r\n\r\n")
        self.transport.close()


async def test_what_was_given_up_is_not_delivered_by_the_kernel_later():
    """A closed connection drops what the peer has not acknowledged: the peer meets a reset, not a farewell."""
    met: asyncio.Future[bytes | OSError] = asyncio.get_running_loop().create_future()

    async def reads_and_never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"Body=Hello")
        try:
            while await reader.read(1000):
                pass
            met.set_result(b"")
        except OSError as error:
            met.set_result(error)
        writer.close()

    server = await asyncio.start_server(reads_and_never_answers, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"twilio://{SID}:{TOKEN}@127.0.0.1:{port}?scheme=http"
    provider = TwilioProvider(Account.from_url(url, public_url=PUBLIC_URL, timeout_s=1))
    with pytest.raises(AnswerLost):
        await provider.send(outbound())
    assert isinstance(await asyncio.wait_for(met, PATIENCE_S), ConnectionResetError)
    await provider.close()
    server.close()
