"""`textbank campaigns` and `textbank actions`, over a database of their own."""

from pathlib import Path

import pytest

from gateway.cli import run
from gateway.store.database import Database
from tests.http.house import furnish

GOOD = 'title = "Polls"\npublish = "{to}"\n[[scripts]]\nkind = "initial"\nsource = "{source}"\n'


@pytest.fixture
async def store(dsn: str, bare: None):
    opened = Database(dsn, connections=1)
    await furnish(opened)
    yield opened
    await opened.close()


def words(dsn: str, *given: str) -> list[str]:
    return [*given, "--set", f"database.dsn={dsn}"]


async def call(dsn: str, *given: str) -> int:
    import asyncio

    return await asyncio.to_thread(run, words(dsn, *given))


async def test_a_campaign_and_its_settings(
    store: Database, dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text('bucket_size = 25\n[wording]\ncontact_fallback = "neighbour"\n')
    assert await call(dsn, "campaigns", "create", "Second", "--settings", str(file)) == 0
    campaign_id = int(capsys.readouterr().out)
    row = await store.fetch_row(
        "SELECT name, settings ->> 'bucket_size' FROM campaigns WHERE campaign_id = $1", campaign_id
    )
    assert row is not None
    assert tuple(row) == ("Second", "25")
    file.write_text("bucket_size = 9000\n")
    assert await call(dsn, "campaigns", "create", "Third", "--settings", str(file)) == 2
    assert "bucket_size" in capsys.readouterr().err


async def test_an_action_from_a_file(
    store: Database, dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "polls.toml"
    file.write_text(GOOD.format(to="public", source="Hi {{first_name}}"))
    assert await call(dsn, "actions", "publish", "1", str(file)) == 1
    told = capsys.readouterr()
    assert "not published: initial-1, line 1: say how to opt out" in told.err
    file.write_text(GOOD.format(to="public", source="Hi! Reply STOP to unsubscribe."))
    assert await call(dsn, "actions", "publish", "1", str(file)) == 0
    rows = await store.fetch("SELECT action_id, state FROM actions ORDER BY action_id")
    assert [row[1] for row in rows] == ["draft", "public"]
    assert int(capsys.readouterr().out) == rows[1][0]
    assert await store.fetch_value("SELECT count(*) FROM assignments") == 10
    assert await call(dsn, "actions", "publish", "77", str(file)) == 2
