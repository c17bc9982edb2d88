"""What every test shares."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# No deadline: a busy machine must not fail a law. The same examples for everybody: a failure can be repeated.
settings.register_profile("textbank", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("textbank")


@pytest.fixture(autouse=True)
def logs_as_at_the_start() -> Iterator[None]:
    """A command that was run in this process has set up its logs; the next test's go where a test finds them."""
    yield
    structlog.reset_defaults()
