"""A server, and a provider that talks to it."""

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from gateway.providers.base import OutboundText
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider
from tests.providers.fake_twilio import FakeTwilio
from tests.providers.payloads import OURS, THEIRS

PUBLIC_URL = "https://texts.example.org"

MakeProvider = Callable[..., TwilioProvider]


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio()
    await fake.server.start_server()
    yield fake
    await fake.server.close()


@pytest.fixture
async def make_provider(twilio: FakeTwilio) -> AsyncIterator[MakeProvider]:
    """Providers that repeat without a pause; each is closed."""
    made: list[TwilioProvider] = []

    def make(**options: object) -> TwilioProvider:
        account = Account.from_url(twilio.url(**options), public_url=PUBLIC_URL)
        made.append(TwilioProvider(msgspec.structs.replace(account, pause_s=0.0)))
        return made[-1]

    yield make
    for provider in made:
        await provider.close()


@pytest.fixture
def provider(make_provider: MakeProvider) -> TwilioProvider:
    return make_provider()


async def no_phones() -> list[str]:
    raise AssertionError("one page was all there is")


def outbound(message_id: int = 42, *, body: str = "Hello", **changes: object) -> OutboundText:
    text = OutboundText(7, message_id, 1, THEIRS, OURS, body, 1, 3600.9)
    return msgspec.structs.replace(text, **changes)
