"""Pictures of people at Twilio: whatever a text says its picture's address is, nobody but Twilio is asked for it."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.providers.base import AnswerLost, NotSent, Refused
from gateway.providers.twilio import media
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider
from tests.providers.fake_twilio import API, SID, TOKEN

AT = f"{API}/Messages/MM1/Media/ME1"
MOST = 1_000


class MediaServer:
    """Answers each request for a picture with what the test says, and remembers who asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.says = web.Response(body=b"a picture")
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self.server = TestServer(application)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers.get("Authorization")))
        return self.says


@pytest.fixture
async def twilio():
    twilio = MediaServer()
    await twilio.server.start_server()
    yield twilio
    await twilio.server.close()


@pytest.fixture
async def provider(twilio: MediaServer):
    url = f"twilio://{SID}:{TOKEN}@127.0.0.1:{twilio.server.port}?scheme=http"
    provider = TwilioProvider(Account.from_url(url, public_url="https://texts.example.org"))
    yield provider
    await provider.close()


async def test_it_is_asked_for_at_the_accounts_own_host(
    twilio: MediaServer, provider: TwilioProvider
) -> None:
    """Whatever host a text names: only the path is believed."""
    content = await provider.fetch_media("MM1", 0, f"https://169.254.169.254{AT}?token=1", MOST)
    assert content == b"a picture"
    [(path, authorization)] = twilio.asked
    assert path == AT
    assert authorization == aiohttp.encode_basic_auth(SID, TOKEN)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/admin",
        "https://example.org/a.png",
        f"https://api.twilio.com{API}/Messages/MM1/Media/../../Keys",
        f"https://api.twilio.com{API}/Messages/MM1/Media/%2e%2e",
        f"https://api.twilio.com/2010-04-01/Accounts/AC{'1' * 32}/Messages/MM1/Media/ME1",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "picture:MM1/0",
    ],
)
async def test_nobody_is_asked_for_any_other_address(
    twilio: MediaServer, provider: TwilioProvider, url: str
) -> None:
    with pytest.raises(Refused):
        await provider.fetch_media("MM1", 0, url, MOST)
    assert twilio.asked == []


@pytest.mark.parametrize(
    "location",
    [
        "https://example.org/a.png",
        "https://twilio.com.example.org/a.png",
        "https://eviltwiliocdn.com/a.png",
        "http://media.twiliocdn.com/a.png",
        "https://media.twiliocdn.com:8443/a.png",
        "https://s3-external-1.amazonaws.com/another-bucket/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "//10.0.0.1/a.png",
        "file:///etc/passwd",
        "",
    ],
)
async def test_no_redirect_leads_elsewhere(
    twilio: MediaServer, provider: TwilioProvider, location: str
) -> None:
    twilio.says = web.Response(status=307, headers={"Location": location})
    with pytest.raises(Refused):
        await provider.fetch_media("MM1", 0, f"https://api.twilio.com{AT}", MOST)
    assert {path for path, _ in twilio.asked} == {AT}


async def test_where_twilio_keeps_them_must_be_public(
    twilio: MediaServer, provider: TwilioProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that leads into the house leads nowhere; our credentials stay at home."""
    monkeypatch.setattr(media, "_KEPT_AT", (*media._KEPT_AT, "localhost"))
    twilio.says = web.Response(status=307, headers={"Location": "https://localhost/a.png"})
    with pytest.raises(NotSent):
        await provider.fetch_media("MM1", 0, f"https://api.twilio.com{AT}", MOST)
    assert len(twilio.asked) == 1
    assert provider._media._outside is not None
    assert "Authorization" not in provider._media._outside.headers


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (web.Response(body=b"x" * (MOST + 1)), Refused),
        (web.Response(status=404), Refused),
        (web.Response(status=403), Refused),
        (web.Response(status=429), AnswerLost),
        (web.Response(status=503), AnswerLost),
    ],
    ids=["too large", "gone", "not ours", "too often", "away"],
)
async def test_what_can_not_be_had(
    twilio: MediaServer, provider: TwilioProvider, says: web.Response, error: type[Exception]
) -> None:
    twilio.says = says
    with pytest.raises(error):
        await provider.fetch_media("MM1", 0, f"https://api.twilio.com{AT}", MOST)
