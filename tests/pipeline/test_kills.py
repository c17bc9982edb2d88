"""kill -9 at every statement and every call to the provider of a bank of fifty texts, and at pairs of them.

`make test` takes a spread of the points, `make test-nightly` all of them and 500 pairs.
"""

from random import Random

import pytest

from tests.pipeline.mortal_bank import FEW_CALLS, PEOPLE, TEN_PER_S, MortalBank, MortalProvider
from tests.pipeline.world import World

DOWN_S = (0.0, 1.0, 20.0, 45.0)
BANK_STEPS, SETTLING_STEPS = 280, 760  # until all is said; until all is settled
PARTS = 8
PAIRS = 500


@pytest.fixture
def bank_dying_at(play_anew):
    """Plays the bank with these deaths; what was promised and not kept."""

    def play(*deaths: int):
        wrongs = {}

        async def story(world: World) -> int:
            bank = MortalBank(world, deaths, down_s=DOWN_S[sum(deaths) % len(DOWN_S)])
            wrongs.update(await bank.run())
            return bank.steps

        steps = play_anew(
            story, people=PEOPLE, campaign=TEN_PER_S, settings=FEW_CALLS, provider=MortalProvider
        )
        return wrongs, steps

    return play


def pair(seed: int) -> tuple[int, int]:
    """Two deaths: in the bank, and in the life that follows."""
    draw = Random(seed)
    return draw.randrange(1, BANK_STEPS), draw.randrange(1, BANK_STEPS)


def all_held(bank_dying_at, places) -> None:
    broken = {place: wrongs for place in places if (wrongs := bank_dying_at(*place)[0])}
    assert broken == {}


def test_a_bank_nobody_kills(bank_dying_at):
    """The measure of the others: nothing is wrong, and there are as many steps as they die at."""
    wrongs, steps = bank_dying_at()
    assert wrongs == {}
    assert steps >= BANK_STEPS


def test_killed_at_points_of_a_bank(bank_dying_at):
    all_held(bank_dying_at, [(place,) for place in range(1, BANK_STEPS, 12)])


def test_killed_twice(bank_dying_at):
    all_held(bank_dying_at, [pair(seed) for seed in range(12)])


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_every_point(bank_dying_at, part: int):
    all_held(bank_dying_at, [(place,) for place in range(1 + part, SETTLING_STEPS, PARTS)])


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_any_two_points(bank_dying_at, part: int):
    all_held(bank_dying_at, [pair(seed) for seed in range(part, PAIRS, PARTS)])
