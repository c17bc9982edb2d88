"""2,000 small worlds, each of its own kind, in which no rule is ever broken (nightly; one of each kind always)."""

import os

import pytest

from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import broken, told
from tests.rehearsal.swarm import contacts, world

_MANY = range(100, int(os.environ.get("TEXTBANK_SMALL_WORLDS", "2100")))
_AT_ONCE = 50
_ONCE_BROKEN = {
    321: "a slow rate lost two slots of three to a text that had missed its own",
    358: "the same where the number's own rate is as slow",
}


def assert_clean(rehearse: Rehearse, number: int) -> None:
    done = rehearse(world(number), contacts=contacts(number), seed=number)
    assert broken(done) == set(), f"world {number}\n{told(done)}"


@pytest.mark.parametrize("number", range(13))
def test_a_world_of_each_kind_is_clean(rehearse: Rehearse, number: int) -> None:
    assert_clean(rehearse, number)


@pytest.mark.parametrize("number", sorted(_ONCE_BROKEN), ids=_ONCE_BROKEN.get)
def test_a_world_that_was_once_broken_is_clean(rehearse: Rehearse, number: int) -> None:
    assert_clean(rehearse, number)


@pytest.mark.nightly
@pytest.mark.parametrize("first", _MANY[::_AT_ONCE])
def test_many_worlds_are_clean(rehearse: Rehearse, first: int) -> None:
    for number in range(first, min(first + _AT_ONCE, _MANY.stop)):
        assert_clean(rehearse, number)
