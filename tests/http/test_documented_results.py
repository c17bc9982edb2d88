"""The commands of "Read the results and export them" do what the page says: run against a worker, in the page's order."""

import csv
import zipfile
from pathlib import Path

import pytest

from docs.generate import DOCS
from gateway.core.bank.permissions import Role
from gateway.core.rules.campaign import CampaignKey
from gateway.store import counts
from tests.documented import ADDRESS, KEY, NEEDS_CURL, commands, compared_one_by_one
from tests.http.house import CAMPAIGN, START_AT, House
from tests.http.test_results import initial, published

PAGE = DOCS / "how-to" / "read-the-results-and-export-them.md"


async def bank(house: House) -> None:
    """Two texts arrive, one is filtered, one was stopped when its hours ended; somebody answers."""
    await published(house)
    for contact_id, status, code in (
        (1, "delivered", None),
        (2, "delivered", None),
        (3, "undelivered", 30007),
    ):
        await initial(house, contact_id, status, code)
    await house.writes(1, "Yes!")
    await house.store.execute("UPDATE messages SET script = 'initial-1'")
    await house.store.execute(
        "INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, action_id, kind, body, segments,"
        " text_hash, state, code, reason, lane, requested_at) SELECT 1, 1, max(message_id) + 1, 4, 5, 'initial', 'x', 1, 1,"
        " 'blocked', 1202, 'expired_in_queue', 2, max(requested_at) FROM messages"
    )
    await counts.count_anew(
        house.store, CampaignKey(1, CAMPAIGN), START_AT
    )  # the journal knows nothing of it


def codes(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row["error_code"] for row in csv.DictReader(file)]


@NEEDS_CURL
async def test_the_commands_of_the_page(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await bank(house)

    def mine(command: str) -> str:
        return command.replace(ADDRESS, house.worker.url).replace(KEY, house.keys[Role.KEY_SENDER])

    assert await compared_one_by_one(commands(PAGE), mine) == 5
    assert codes(Path("messages.csv")) == ["", "", "30007", "1202"]
    assert zipfile.ZipFile("evidence.zip").testzip() is None
