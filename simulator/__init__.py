"""The digital twin: carriers, handsets and people in virtual time. `from simulator import rehearse` is its library."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.report.result import Rehearsed

__all__ = ["rehearse"]


def rehearse(
    scenario: str | Path = "election-day",
    *,
    contacts: int | None = None,
    contact_list: str | Path | None = None,
    consents: Mapping[str, str] | None = None,
    script: str | None = None,
    seed: int = 1,
    dsn: str | None = None,
) -> "Rehearsed":
    """A whole text bank in virtual time, as `textbank rehearse` runs it: its `.result` has the verdict and the counts.

    `scenario` is a name or the path of a TOML file, `consents` how columns of the list that look like consent are to be
    read (opt-out, opt-in or nothing, by header), `dsn` an empty PostgreSQL database instead of one of our own. May be
    called where an event loop runs, as in a notebook. Raises BadInput or BadScenario for what a person got wrong.
    """
    from simulator.rehearsal.library import rehearsed

    return rehearsed(scenario, contacts, contact_list, consents, script, seed, dsn)
