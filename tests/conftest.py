"""What every test shares."""

import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings
from structlog._config import BoundLoggerLazyProxy

# No deadline: a busy machine must not fail a law. The same examples for everybody: a failure can be repeated.
settings.register_profile("textbank", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("textbank")


_LONG = ("rehearsal", "benchmarks", "dashboards")  # rooms whose files take minutes, with few tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: begun last, one of them keeps a worker busy while the other has nothing left."""
    items.sort(key=lambda item: item.path.parent.name not in _LONG)


@pytest.fixture(autouse=True)
def logs_as_at_the_start() -> Iterator[None]:
    """A command that was run in this process has set up its logs; the next test's go where a test finds them."""
    yield
    if not structlog.is_configured():
        return
    structlog.reset_defaults()
    for module in list(sys.modules.values()):
        log = getattr(module, "__dict__", {}).get("_log")
        if isinstance(log, BoundLoggerLazyProxy):
            vars(log).pop("bind", None)  # what it has kept of those logs
