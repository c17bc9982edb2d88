"""What a person gets wrong is told in one line: what, where, what to do. Nothing starts, and no traceback."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from gateway.providers.twilio.webhooks import signature
from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from tests.end_to_end.processes import free_port, run
from tests.end_to_end.town import CAMPAIGN, SHIFT_S, Town, open_town, phone, until

NOBODY = f"twilio://{DEFAULT_SID}:{DEFAULT_TOKEN}@127.0.0.1:9?scheme=http"  # nobody listens at port 9


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
async def town(dsn: str) -> AsyncIterator[Town]:
    async with open_town(dsn, contacts=1) as opened:
        yield opened


def assert_one_line(outcome: tuple[int, str, str], said: str) -> None:
    status, out, error = outcome
    assert (status, out) == (2, ""), outcome
    assert "Traceback" not in error
    lines = [line for line in error.splitlines() if line.startswith("textbank: ")]
    assert len(lines) == 1, error
    assert re.search(said, lines[0]), lines[0]
    assert DEFAULT_TOKEN not in error.replace("twilio", "")


def serve(dsn: str, provider: str, port: int, *more: str) -> tuple[str, ...]:
    settings = {"database.dsn": dsn, "provider.url": provider, "http.port": str(port)}
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return ("serve", *given, "--public-url", "https://texts.example.org", *more)


async def test_commands_that_cannot_start(dsn: str, taken: int) -> None:
    """All at once: each is a process of its own."""
    free = free_port()
    cases = {
        ("carrier", "nowhere"): r"unknown scenario: nowhere; .*there are .*election-day",
        ("carrier", "missing.toml"): r"no such scenario file: missing\.toml; give the path",
        (
            "carrier",
            "small-town",
            "--port",
            str(taken),
        ): rf"port {taken} is in use: --port on 127\.0\.0\.1; give another",
        ("carrier", "small-town", "--account", "me:secret"): r"not an account: --account me:…; give AC",
        serve(
            dsn, NOBODY, taken
        ): rf"can't listen \(Address already in use\): 127\.0\.0\.1:{taken}; stop what listens",
        serve(dsn, "twilio://AC1:x@", free): r"not the sid of an account: provider\.url; it is AC and 32",
        serve(
            dsn, NOBODY, free, "--check"
        ): r"the provider says no \(no connection .*\): provider\.url; start the provider",
        serve(dsn, NOBODY, free, "--config", "nowhere.toml"): r"can't read the settings file: nowhere\.toml",
    }
    outcomes = await asyncio.gather(*(run(*words, shift_s=SHIFT_S) for words in cases))
    for said, outcome in zip(cases.values(), outcomes, strict=True):
        assert_one_line(outcome, said)


async def test_a_token_that_the_provider_refuses(town: Town) -> None:
    """The carrier answers 401 (20003): told at the start, not by every text of a bank."""
    wrong = f"twilio://{DEFAULT_SID}:wrong@127.0.0.1:{town.line.port}?scheme=http"
    for more in ((), ("--check",)):
        outcome = await run(*serve(town.dsn, wrong, free_port(), *more), shift_s=SHIFT_S)
        assert_one_line(outcome, r"the provider says no \(.*\): provider\.url; correct its credentials")


async def test_an_unreachable_provider_keeps_no_worker_from_serving(town: Town) -> None:
    """An outage of the provider must not stop a restart: the worker serves, and says that it isn't ready."""
    await town.line.close()
    assert town.gateway is not None
    await town.gateway.stop()
    gateway = await town.open_gateway()
    assert [line for line in gateway.lines if "the provider does not answer as it should" in line]
    status, body = await town.inside("/readyz")
    assert (status, body["parts"]) == (503, {"database": "ok", "clock": "ok", "provider": "NotSent"})
    await town.send([phone(0)])
    await town.line.open()

    async def is_ready() -> bool:
        return (await town.call("GET", "/readyz"))[0] == 200

    await until(is_ready)
    await town.until_submitted(1)


async def test_forged_callbacks_change_nothing(town: Town) -> None:
    """Without the provider's signature: 403, counted, nothing stored and nothing moved."""
    await town.send([phone(0)])
    await town.until_submitted(1)
    await town.until_quiet()
    number = (await town.call("GET", f"/v1/campaigns/{CAMPAIGN}/numbers"))[1]["numbers"][0]["phone"]
    before = await town.states()
    message_id = town.answers[0][0]
    stop = {"MessageSid": "SM" + "9" * 32, "From": phone(0), "To": number, "Body": "STOP"}
    failed = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "failed", "ErrorCode": "30007"}
    status_path = f"/webhooks/twilio/status?c={CAMPAIGN}&m={message_id}&a=1"
    inbound = await forged(town, "/webhooks/twilio/inbound", stop, signature(town.url, stop, "guess"))
    for answer in (
        inbound,
        await forged(town, "/webhooks/twilio/inbound", stop, ""),
        await forged(town, status_path, failed, "nonsense"),
        # signed by the right token, but for another address
        await forged(town, status_path, failed, signature(f"{town.url}/elsewhere", failed, DEFAULT_TOKEN)),
    ):
        assert answer == 403
    assert await town.metric('p2p_webhooks_total{result="bad_signature"') == 4
    assert await town.states() == before
    assert await town.store.fetch_value("SELECT count(*) FROM inbound") == 0
    assert await town.store.fetch_value("SELECT count(*) FROM opt_outs") == 0


async def forged(town: Town, path: str, form: dict[str, str], given: str) -> int:
    headers = {"X-Twilio-Signature": given}
    async with town.session.post(town.url + path, data=aiohttp.FormData(form), headers=headers) as answer:
        return answer.status
