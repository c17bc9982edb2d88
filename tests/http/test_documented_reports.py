"""The commands of "Report, reassign, undo" do what the page says: one shell runs them all, in the page's order."""

from docs.generate import DOCS
from gateway.core.bank.permissions import Role
from tests.documented import ADDRESS, KEY, NEEDS_CURL, commands, compared_in_one_shell
from tests.http.house import House
from tests.http.persons import somebody
from tests.http.test_inbox import texted, wrote

PAGE = DOCS / "how-to" / "report-reassign-undo.md"


@NEEDS_CURL
async def test_the_commands_of_the_page(house: House) -> None:
    _, ann = await somebody(house, email="ann@example.org")
    _, ben = await somebody(house, email="ben@example.org")
    await texted(house, 1, 2, volunteer_id=ann)
    for contact_id in (1, 2):
        await wrote(house, contact_id)

    def mine(script: str) -> str:
        script = script.replace(ADDRESS, house.worker.url).replace(KEY, house.keys[Role.KEY_ADMIN])
        return script.replace("ANN=7 BEN=8", f"ANN={ann} BEN={ben}")

    assert await compared_in_one_shell(commands(PAGE), mine) == 9
