"""The examples of the how-to do what the page says: run against a server, as a reader would."""

import asyncio
import io
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from simulator.twin.server import TwilioServer
from tests.twilio_server.twin import PATIENCE_S, Twilio

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "point-your-twilio-app-at-the-carrier.md"
ADDRESS = "http://127.0.0.1:8900"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """(command, what the page says it prints) of every export and curl, in their order."""
    found = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", "".join(blocks("console")), re.MULTILINE)
    return [(command, printed) for command, printed in found if command.startswith(("curl ", "export "))]


async def test_the_python_example(server: TwilioServer) -> None:
    (source,) = blocks("python")
    printed = io.StringIO()
    with redirect_stdout(printed):
        await asyncio.to_thread(exec, compile(source.replace(ADDRESS, server.url), str(PAGE), "exec"), {})
    assert re.fullmatch(r"SM[0-9a-f]{32} queued\n", printed.getvalue())
    assert len(server.world.ledger.submissions) == 1


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="no curl here")
async def test_the_curl_examples(server: TwilioServer, twilio: Twilio) -> None:
    exports: list[str] = []
    for command, printed in commands():
        own = command.replace(ADDRESS, server.url)
        if own.startswith("export "):
            exports.append(own)
            continue
        answer = await run("; ".join([*exports, own]))
        for told in re.findall(r'"(?:sid|code)":[^,}]+', printed):
            assert told in answer, command
        if "/twin/texts" in own:
            async with asyncio.timeout(PATIENCE_S):
                while not server.world.ledger.opt_outs:
                    await twilio.call(lambda c: c.balance.fetch())
        if own.endswith("STOP to opt out'"):
            await arrived(server, twilio)
    assert len(commands()) > 10
    healed = server.world.faults.parameters
    assert (healed.brownouts, healed.number_bans, healed.errors_after_share) == ((), (), 0.0)


async def arrived(server: TwilioServer, twilio: Twilio) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not len(server.world.ledger.finals):
            await twilio.call(lambda c: c.balance.fetch())


async def run(command: str) -> str:
    process = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 0, command
    return printed.decode()
