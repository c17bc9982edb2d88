"""Keyed randomness: the scalar and the array form agree, and streams are independent of one another."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.model.draws import Draws, Lognormal

KEYS = st.integers(min_value=0, max_value=2**62)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31), who=st.lists(KEYS, min_size=1, max_size=20), nth=st.integers(0, 1000))
def test_the_array_form_gives_the_scalar_numbers(seed, who, nth):
    stream = Draws(seed).stream("anything")
    assert stream.many(np.array(who, dtype=np.int64), nth).tolist() == [stream(key, nth) for key in who]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31), who=KEYS, nth=st.integers(0, 1000))
def test_a_draw_is_in_the_unit_interval_and_agrees_with_its_word(seed, who, nth):
    stream = Draws(seed).stream("anything")
    assert 0 <= stream(who, nth) < 1
    assert stream(who, nth) == (stream.word(who, nth) >> 11) * 2.0**-53


def test_draws_are_uniform_and_streams_uncorrelated():
    phones = np.arange(12155550200, 12155550200 + 20_000)
    one, two = Draws(1).stream("one").many(phones), Draws(1).stream("two").many(phones)
    later = Draws(1).stream("one").many(phones, 1)
    counts = np.bincount((one * 10).astype(int), minlength=10)
    assert counts.min() > 1800
    assert counts.max() < 2200
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.03
    assert abs(np.corrcoef(one, later)[0, 1]) < 0.03


def test_another_seed_is_another_world():
    assert Draws(1).stream("x")(12155550123) != Draws(2).stream("x")(12155550123)


def test_draws_do_not_depend_on_the_hash_seed():
    program = "from simulator.model.draws import Draws; print(Draws(7).stream('reply')(12155550123, 2))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert outputs == {f"{Draws(7).stream('reply')(12155550123, 2)}\n"}


@pytest.mark.parametrize(("uniform", "expected_s"), [(0.5, 4.0), (0.99, 30.0)])
def test_lognormal_passes_through_its_percentiles(uniform, expected_s):
    assert Lognormal(4.0, 30.0).at(uniform) == pytest.approx(expected_s, rel=0.02)
