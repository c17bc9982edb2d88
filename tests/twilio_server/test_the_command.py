"""`textbank carrier` as a process of its own, with the loop it runs on in earnest."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from gateway import cli
from tests.twilio_server.twin import OURS, PATIENCE_S, PERSON, Receiver, Twilio

COMMAND = "from gateway.cli import main; main()"


@pytest.fixture
async def carrier() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    options = ("--port", "0", "--speed", "200", "--contacts", "10", "--number", OURS)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "carrier", "small-town", *options), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    said = (await asyncio.wait_for(process.stderr.readline(), PATIENCE_S)).decode()
    url = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert url is not None, said
    yield process, url[0]
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def test_a_message_lives_its_whole_life(
    carrier: tuple[asyncio.subprocess.Process, str], receiver: Receiver
) -> None:
    process, url = carrier
    twilio = Twilio(url)
    message = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON, from_=OURS, body="Hi. STOP to opt out", status_callback=f"{receiver.url}/s#rc=5&rp=all"
        )
    )
    await receiver.status(message.sid, "sent")
    assert (await twilio.call(lambda c: c.messages(message.sid).fetch())).status in {
        "sent",
        "delivered",
        "undelivered",
    }
    twilio.close()
    process.send_signal(signal.SIGTERM)
    _, rest = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, rest.decode()) == (0, "")


@pytest.mark.parametrize("speed", ["nan", "0", "-1", "inf", "1e9", "fast"])
def test_a_speed_that_is_none_is_one_line(speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["carrier", "--speed", speed]) == cli.BAD_INPUT
    assert capsys.readouterr().err.startswith("textbank: Invalid value for '--speed'")
