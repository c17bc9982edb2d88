"""The commands of "Read and answer replies" do what the page says: run against a worker, in the page's order."""

import json
import shlex

from docs.generate import DOCS
from gateway.core.bank.permissions import Role
from tests.documented import ADDRESS, CARRIER, KEY, NEEDS_CURL, commands, is_within, run
from tests.http.house import House, phone

PAGE = DOCS / "how-to" / "read-and-answer-replies.md"


async def written_by_somebody(house: House, command: str) -> None:
    """The carrier is none here: what a person would have written through it comes in by the provider's webhook."""
    said = json.loads(shlex.split(command)[-1])
    assert said["from"] == phone(1)
    assert (await house.writes(1, said["body"])).status < 300


@NEEDS_CURL
async def test_the_commands_of_the_page(house: House) -> None:
    await house.store.execute("UPDATE contacts SET first_name = 'Maria' WHERE contact_id = 1")
    assert (await house.send(1, sender_id=7)).status == 202
    assert (await house.says(await house.provider.next_text(), "delivered")).status < 300
    exports: list[str] = []
    compared = 0
    for command, printed in commands(PAGE):
        own = command.replace(ADDRESS, house.worker.url).replace(KEY, house.keys[Role.KEY_SENDER])
        if own.startswith("export "):
            exports.append(own)
        elif CARRIER in own:
            await written_by_somebody(house, own)
        else:
            answer = json.loads(await run("; ".join([*exports, own])))
            told = json.loads(printed)
            assert is_within(told, answer), (command, answer)
            compared += 1
    assert compared >= 11


def test_what_is_not_there_is_missed() -> None:
    whole = {"a": [{"b": 1, "c": 2}, {"b": 3}], "d": None}
    assert is_within({"a": [{"b": 3}], "d": None}, whole)
    assert not is_within({"a": [{"b": 3}, {"b": 1}]}, whole)
    assert not is_within({"d": 0}, whole)
    assert not is_within({"e": None}, whole)
