"""What the provider may rely on, against a small Twilio of our own and against the carrier server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from gateway.core.rules.errors import Kind, consequence
from gateway.core.rules.lifecycle import provider_word
from gateway.providers.base import BoughtNumber, OutboundText, ProviderError, Refused
from gateway.providers.twilio.provider import TwilioProvider
from simulator.model.scenario import load
from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from simulator.twin.server import ServerOptions, TwilioServer
from tests.providers.conftest import PUBLIC_URL, no_phones, outbound
from tests.providers.fake_twilio import SID, TOKEN
from tests.providers.small_twilio import SmallTwilio

AREA_CODE, NOWHERE = "267", "888"  # toll-free: no local numbers there
LONG_AGO, SOME_DAY = 0.0, 1793718000.0


@dataclass
class Carrier:
    """Where a Twilio listens, and the providers that talk to it."""

    address: str
    credentials: str
    made: list[TwilioProvider]

    def provider(self, credentials: str | None = None, **options: object) -> TwilioProvider:
        query = "".join(f"&{name}={value}" for name, value in options.items())
        url = f"twilio://{credentials or self.credentials}@{self.address}?scheme=http{query}"
        self.made.append(TwilioProvider.from_url(url, public_url=PUBLIC_URL))
        return self.made[-1]


async def small() -> AsyncIterator[Carrier]:
    twilio = SmallTwilio()
    await twilio.server.start_server()
    yield Carrier(f"127.0.0.1:{twilio.server.port}", f"{SID}:{TOKEN}", [])
    await twilio.server.close()


async def twin() -> AsyncIterator[Carrier]:
    """The carrier server at a hundred times the speed, so that a purchase takes no time."""
    options = ServerOptions(speed=100.0, contacts=100)
    server = TwilioServer(load("election-day"), start_at=SOME_DAY, options=options)
    await server.start()
    yield Carrier(f"127.0.0.1:{server.port}", f"{DEFAULT_SID}:{DEFAULT_TOKEN}", [])
    await server.stop()


CARRIERS = {"small": small, "twin": twin}


@pytest.fixture(params=list(CARRIERS))
async def carrier(request: pytest.FixtureRequest) -> AsyncIterator[Carrier]:
    async for carrier in CARRIERS[request.param]():
        yield carrier
        for provider in carrier.made:
            await provider.close()


@pytest.fixture
def provider(carrier: Carrier) -> TwilioProvider:
    return carrier.provider()


@pytest.fixture
async def ours(provider: TwilioProvider) -> BoughtNumber:
    return await provider.buy(7, AREA_CODE)


def text_from(ours: BoughtNumber, message_id: int = 1, **changes: object) -> OutboundText:
    text = outbound(message_id, number_phone=ours.phone, phone="+12155550123")
    return msgspec.structs.replace(text, **changes)


async def test_good_credentials(provider: TwilioProvider) -> None:
    assert await provider.check() == []


async def test_wrong_credentials(carrier: Carrier) -> None:
    wrong = carrier.provider(credentials=f"{carrier.credentials}x")
    for call in (wrong.check(), wrong.send(outbound()), wrong.buy(7, AREA_CODE)):
        with pytest.raises(Refused) as raised:
            await call
        assert raised.value.code == 20003


async def test_a_number_of_the_area_code(provider: TwilioProvider, ours: BoughtNumber) -> None:
    assert ours.phone[:5] == f"+1{AREA_CODE}"
    assert ours.provider_sid.startswith("PN")
    assert [number async for number in provider.numbers.owned()] == [ours]


async def test_two_purchases_bring_two_numbers(provider: TwilioProvider, ours: BoughtNumber) -> None:
    assert (await provider.buy(7, AREA_CODE)).phone != ours.phone


async def test_no_number_there(provider: TwilioProvider) -> None:
    with pytest.raises(Refused) as raised:
        await provider.buy(7, NOWHERE)
    assert consequence(raised.value.code or 0).kind is Kind.PURCHASE


async def test_a_text_is_accepted_and_known(provider: TwilioProvider, ours: BoughtNumber) -> None:
    accepted = await provider.send(text_from(ours))
    assert accepted.provider_sid.startswith("SM")
    found = await provider.fetch(accepted.provider_sid)
    assert found is not None
    assert found.provider_sid == accepted.provider_sid
    assert provider_word(found.status) is not None


async def test_many_at_once(carrier: Carrier, ours: BoughtNumber) -> None:
    provider = carrier.provider(concurrency=8)
    sends = [provider.send(text_from(ours, n, phone=f"+1215555{n:04d}")) for n in range(100, 140)]
    sids = {accepted.provider_sid for accepted in await asyncio.gather(*sends)}
    assert len(sids) == 40


async def test_a_lost_answer_is_found_by_whoever_asks(carrier: Carrier, ours: BoughtNumber) -> None:
    """Another process knows nothing of the first one's answers."""
    accepted = await carrier.provider().send(text_from(ours))
    for asker, text in (
        (carrier.provider(), text_from(ours)),
        (carrier.provider(), text_from(ours, body="")),
    ):
        found = await asker.find(text, since=LONG_AGO)
        assert found is not None
        assert found.provider_sid == accepted.provider_sid


async def test_what_never_arrived_is_not_found(provider: TwilioProvider, ours: BoughtNumber) -> None:
    assert await provider.find(text_from(ours), since=LONG_AGO) is None
    await provider.send(text_from(ours, 1))
    assert await provider.find(text_from(ours, 2), since=LONG_AGO) is None
    assert await provider.find(text_from(ours, 1, phone="+12155550124"), since=LONG_AGO) is None


async def test_what_was_sent_before_is_not_found(carrier: Carrier, ours: BoughtNumber) -> None:
    await carrier.provider().send(text_from(ours))
    in_the_far_future = 1e11
    assert await carrier.provider().find(text_from(ours), since=in_the_far_future) is None


REFUSALS = [
    ({"phone": "+1"}, Kind.BAD_NUMBER),
    ({"number_phone": "+12675559999"}, Kind.BAD_SENDER),
]


@pytest.mark.parametrize(("changes", "kind"), REFUSALS)
async def test_refusals(
    provider: TwilioProvider, ours: BoughtNumber, changes: dict[str, object], kind: Kind
) -> None:
    with pytest.raises(Refused) as raised:
        await provider.send(text_from(ours, **changes))
    assert consequence(raised.value.code or 0).kind is kind


async def test_a_message_nobody_knows(provider: TwilioProvider) -> None:
    assert await provider.fetch("SM" + "f" * 32) is None


async def test_a_released_number_is_gone(provider: TwilioProvider, ours: BoughtNumber) -> None:
    await provider.release(ours.provider_sid)
    await provider.release(ours.provider_sid)
    assert [number async for number in provider.numbers.owned()] == []
    with pytest.raises(ProviderError):
        await provider.send(text_from(ours))


async def test_nobody_has_written_yet(provider: TwilioProvider, ours: BoughtNumber) -> None:
    await provider.send(text_from(ours))
    assert [text async for text in provider.inbound_since(LONG_AGO, None, no_phones)] == []


async def test_our_texts_are_listed(provider: TwilioProvider, ours: BoughtNumber) -> None:
    sids = {(await provider.send(text_from(ours, n, body=f"Hello {n}"))).provider_sid for n in range(3)}
    assert {found.provider_sid async for found in provider.outbound_since(ours.phone, LONG_AGO)} == sids


async def test_look_ups(provider: TwilioProvider) -> None:
    phones = ["+12155550123", "+1215", "+12155550124"]
    lines = await provider.look_up(phones)
    assert [line.line_type == "invalid" for line in lines] == [False, True, False]
