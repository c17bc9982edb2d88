"""`textbank export`: the same files from a shell, without a worker."""

import asyncio
import csv
from pathlib import Path

import pytest
from pyarrow import parquet

from gateway.store.database import Database
from tests.http.house import START_AT, furnish
from tests.http.test_commands import config, run
from tests.http.test_exports import FIRST, many_in

__all__ = ["config"]
pytestmark = pytest.mark.usefixtures("bare", "filled")


@pytest.fixture
def filled(dsn: str) -> None:
    async def work() -> None:
        database = Database(dsn, connections=1)
        await furnish(database)
        await many_in(database, 30)
        await database.close()

    asyncio.run(work())


def ids(path: Path) -> list[int]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [int(row["message_id"]) - FIRST for row in csv.DictReader(file)]


def test_a_file_and_the_rest_of_it(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """F175: exports from a shell."""
    out = tmp_path / "messages.csv"
    assert run("export", 1, "messages", "--out", out, "--config", config) == 0
    assert ids(out) == list(range(1, 31))
    whole = out.read_bytes()
    out.write_bytes(b"".join(whole.splitlines(keepends=True)[:11]))
    assert run("export", 1, "messages", "--out", out, "--after", FIRST + 10, "--config", config) == 0
    assert out.read_bytes() == whole
    assert run("export", 1, "messages", "--action", 2, "--config", config) == 0
    assert capsys.readouterr().out.count("\n") == 16  # the names, and every other text


def test_by_day_and_as_parquet(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "messages.parquet"
    words = ("--format", "parquet", "--since", "2026-03-09", "--until", "2026-03-10", "--out", out)
    assert run("export", 1, "messages", *words, "--config", config) == 0
    table = parquet.read_table(out)
    assert table.num_rows == 30
    assert table["requested_at"][0].as_py().timestamp() == START_AT - 86_400 + 1


def test_what_is_not_there_is_one_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", 9, "messages", "--config", config) == 2
    assert "there is no campaign 9" in capsys.readouterr().err
    assert run("export", 1, "messages", "--out", tmp_path / "no" / "file", "--config", config) == 2
    assert "the file can't be written" in capsys.readouterr().err
    assert run("export", 1, "messages", "--after", "x", "--config", config) == 2
