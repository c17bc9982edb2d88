"""A rehearsal as a function call: in a script, where a loop runs already, and over a database of the caller's."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.rules.errors import BadInput
from simulator import rehearse
from tests.store.cluster import Cluster

DAY = """
base = "election-day"
duration_s = 900
[volunteers]
count = 2
desk_until_h = 0.25
shifts = [{ from_h = 0.0, to_h = 0.2, share = 1.0 }]
"""


@pytest.fixture
def day(tmp_path):
    """A day short enough for a test."""
    path = tmp_path / "day.toml"
    path.write_text(DAY, encoding="utf-8")
    return path


def test_in_a_script(day) -> None:
    script = (
        f"from simulator import rehearse; print(rehearse({str(day)!r}, contacts=20, seed=3).result.verdict)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] in {"GO", "GO with limits", "NO-GO"}


async def test_where_a_loop_runs_as_in_a_notebook(day) -> None:
    assert asyncio.get_running_loop().is_running()
    done = rehearse(day, contacts=20, seed=3)
    assert done.result.contacts == 20


def test_over_an_empty_database_of_the_caller_s_and_no_other(day, cluster: Cluster) -> None:
    cluster.execute("CREATE DATABASE rehearsal TEMPLATE template0")
    dsn = cluster._server.dsn("rehearsal")
    try:
        own, given = rehearse(day, contacts=20, seed=3), rehearse(day, contacts=20, seed=3, dsn=dsn)
        assert given.result.trace_hash == own.result.trace_hash
        with pytest.raises(BadInput, match="the database is not empty"):
            rehearse(day, contacts=20, dsn=dsn)
    finally:
        cluster.execute("DROP DATABASE rehearsal WITH (FORCE)")


def test_a_script_prints_what_it_prints_and_nothing_else(day) -> None:
    code = f"from simulator import rehearse; print(rehearse({str(day)!r}, contacts=20).result.contacts)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("20\n", "")


def test_a_list_with_its_owner_s_answers(day, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("phone,first_name,Consent Source\n+12155550123,Ann,web form\n", encoding="utf-8")
    with pytest.raises(BadInput, match="looks like consent"):
        rehearse(day, contact_list=path)
    assert rehearse(day, contact_list=path, consents={"Consent Source": "nothing"}).result.contacts == 1


def test_bad_input_is_told_before_anything_starts() -> None:
    with pytest.raises(Exception, match="no-such-day"):
        rehearse("no-such-day")
