"""A rehearsal whose own database fails ends at once, in one sentence, and leaves nobody at work."""

import subprocess
from collections.abc import Callable

import pytest

from gateway.core.rules.errors import BadInput
from gateway.store.embedded import EmbeddedServer
from gateway.store.postgres_programs import _installed
from simulator.rehearsal.run import rehearse_on
from simulator.report.result import Plan, Snapshot
from tests.rehearsal.small_worlds import ELECTION_DAY, small

# As a disk that is full: whatever grows is refused.
FULL = """
SET lock_timeout = '2s';
CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file "base/5/1": No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION full_disk();
"""


class Day:
    """A small bank whose database gets into trouble an hour after it began."""

    def __init__(self, dsn: str, trouble: Callable[[], object]) -> None:
        self.dsn = dsn
        self.last_s = 0.0
        self._trouble: Callable[[], object] | None = trouble

    def run(self) -> None:
        rehearse_on(self.dsn, Plan(small(ELECTION_DAY, hours=8.0), contacts=400), self._seen)

    def _seen(self, snapshot: Snapshot) -> None:
        self.last_s = snapshot.virtual_s
        if snapshot.virtual_s >= 3_600 and self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            trouble()


def psql(dsn: str, sql: str) -> None:
    command = [_installed() / "bin" / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", sql, dsn]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("table", ["messages", "inbound"])
def test_a_disk_that_fills_up_ends_the_day(table: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It is full for the rest of it: a gateway would wait, and try again until the evening."""
    with EmbeddedServer() as server:
        dsn = server.dsn()
        day = Day(dsn, lambda: psql(dsn, FULL.format(table=table)))
        with pytest.raises(BadInput, match=r"the rehearsal's database failed \(could not extend .*make room"):
            day.run()
        assert 3_600 <= day.last_s < 3_600 * 2
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_that_is_gone_ends_the_day(capfd: pytest.CaptureFixture[str]) -> None:
    server = EmbeddedServer()
    server.start()
    day = Day(server.dsn(), server.stop)
    with pytest.raises(BadInput, match=r"the rehearsal's database failed \("):
        day.run()
    assert 3_600 <= day.last_s < 3_600 * 2
    assert "Traceback" not in capfd.readouterr().err
