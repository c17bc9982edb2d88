"""Prometheus' programs, or a word on why they are not here."""

from pathlib import Path

import pytest

from dashboards.programs import NotHere, find


def program(name: str) -> Path:
    """Skips with the reason; `make test` ends with a line that says so."""
    try:
        return find(name)
    except NotHere as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def promtool() -> Path:
    return program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> Path:
    return program("prometheus")
