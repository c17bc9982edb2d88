"""Shapes as data: each can be drawn, asks a question, and its instants follow its curve; and too few volunteers are told."""

from itertools import pairwise

import numpy as np
import pytest

from loadtests.plan import Size, TooFew
from loadtests.schedule import shaped
from loadtests.shapes import BY_NAME, COMMANDS, FLAT, SHAPES, Curve, Shape

NAMES = "election-day smoke ramp steps spike soak recovery receipt-storm stop-wave window-end overload"


def test_every_load_test_of_the_issue_is_a_command() -> None:
    assert {shape.name for shape in COMMANDS} == set(NAMES.split())
    assert len(BY_NAME) == len(SHAPES)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_can_be_run(shape: Shape) -> None:
    assert shape.question.endswith("?")
    begins = [phase.begins for phase in shape.phases]
    assert begins == sorted(set(begins))
    assert begins[0] == 0.0
    assert all(event.at + event.lasts <= 1 for event in shape.events)
    for curve in (shape.batches, shape.comes):
        assert len(shaped(10, curve, 1.0, np.random.default_rng(1))) == 10
    size = Size(
        shape=shape.name,
        contacts=shape.contacts,
        volunteers=shape.volunteers,
        think_s=shape.think_s,
        seconds=shape.seconds,
        at_most_s=10 * shape.seconds,
    )
    size.possible()
    assert 0 < size.integrated < size.contacts


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (FLAT, [0.25, 0.25, 0.25, 0.25]),
        (((0, 0), (1, 1)), [1 / 16, 3 / 16, 5 / 16, 7 / 16]),
        (((0, 1), (0.5, 1), (0.5, 0), (1, 0)), [0.5, 0.5, 0, 0]),
        (((0, 0), (0.5, 0), (0.5, 1), (0.75, 3), (1, 3)), [0, 0, 0.4, 0.6]),
    ],
)
def test_instants_follow_the_curve(curve: Curve, expected: list[float]) -> None:
    instants = shaped(40_000, curve, 100.0, np.random.default_rng(1))
    assert len(instants) == 40_000
    assert all(0 <= a <= b <= 100 for a, b in pairwise(instants))
    quarters = np.histogram(instants, bins=[0, 25, 50, 75, 100])[0] / 40_000
    assert quarters == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    "curve", [((0, 1), (0.5, 1)), ((0.1, 1), (1, 1)), ((0, 0), (1, 0)), ((0, 1), (0.6, 1), (0.5, 1), (1, 1))]
)
def test_what_is_no_curve_is_refused(curve: Curve) -> None:
    with pytest.raises(ValueError, match="is no curve"):
        shaped(1, curve, 1.0, np.random.default_rng(1))


def test_too_few_volunteers_are_told_with_how_many_would_do() -> None:
    few = Size(contacts=20_000, volunteers=10, think_s=1.0, at_most_s=100.0)
    with pytest.raises(
        TooFew, match=r"10 volunteers .* text 699 within 100 s, not 16,000: take 229 volunteers"
    ):
        few.possible()
    Size(contacts=20_000, volunteers=240, think_s=1.0, at_most_s=100.0).possible()
    Size(shape="steps", contacts=20_000, volunteers=1, at_most_s=10.0).possible()
