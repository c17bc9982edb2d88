"""The commands of "Send events to your CRM" do what the page says, and its receiver takes what is sent."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from docs.generate import DOCS
from gateway.config import Webhooks
from gateway.core.bank.permissions import Role
from gateway.upkeep import webhooks
from tests.documented import ADDRESS, KEY, NEEDS_CURL, blocks, commands, is_within, run
from tests.end_to_end.processes import free_port
from tests.http.house import SETTINGS, House, a_house

PAGE = DOCS / "how-to" / "send-events-to-your-crm.md"
TOLD = msgspec.structs.replace(SETTINGS, webhooks=Webhooks(allowed_networks="127.0.0.0/8"))
PATIENCE_S = 30.0


@pytest.fixture
async def house(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(webhooks, "_EVERY_S", 0.05)
    monkeypatch.setattr(webhooks, "_IDLE_EVERY_S", 0.05)
    async with a_house(dsn, settings=TOLD) as opened:
        await opened.worker.gateway.adopted()
        yield opened


async def receiver(folder: Path, port: int, secret: str) -> asyncio.subprocess.Process:
    script = folder / "receive.py"
    text = blocks(PAGE, "python")[0].replace(
        "abs(time.time() - int(at)) < 300", "True"
    )  # the house has a time of its own
    script.write_text(text, encoding="utf-8")
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        str(port),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SECRET": secret},
    )
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0)
                continue
            writer.close()
            return started


@NEEDS_CURL
async def test_the_commands_of_the_page(house: House, tmp_path: Path) -> None:
    port, exports, compared = free_port(), [], 0
    started = None
    try:
        for command, printed in commands(PAGE):
            own = command.replace(ADDRESS, house.worker.url).replace(KEY, house.keys[Role.KEY_ADMIN])
            own = own.replace("127.0.0.1:9000", f"127.0.0.1:{port}")
            if own.startswith("export "):
                if "MADE=$(" in own:  # made once
                    made = await run("; ".join([*exports, own, 'echo "$MADE"']))
                    own = f"export MADE='{made.strip()}'"
                    started = await receiver(tmp_path, port, json.loads(made)["secret"])
                exports.append(own)
                continue
            answer = json.loads(await run("; ".join([*exports, own])))
            told = json.loads(printed.replace("127.0.0.1:9000", f"127.0.0.1:{port}"))
            assert is_within(told, answer), (command, answer)
            compared += 1
        assert started is not None
        assert started.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = (await started.stdout.readline()).decode()
        assert re.fullmatch(r"1-\d+-1 test\n", line)
        await house.send(1)
        await house.provider.next_text()
        await house.writes(1, "Yes")
        async with asyncio.timeout(PATIENCE_S):
            while not line.endswith(" replied\n"):
                line = (await started.stdout.readline()).decode()
    finally:
        if started is not None:
            started.kill()
            await started.wait()
    assert compared == 4
