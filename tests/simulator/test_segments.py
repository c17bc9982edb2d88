"""The model's own count of segments, against the provider's published calculator."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.model.segments import segments_of

EXAMPLES = json.loads((Path(__file__).parents[1] / "core" / "data" / "segments-examples.json").read_text())


@pytest.mark.parametrize("case", EXAMPLES, ids=[case["note"] for case in EXAMPLES])
def test_examples_of_the_calculator(case):
    assert segments_of(case["text"]) == case["segments"]


def test_nothing_is_one_segment():
    assert segments_of("") == 1


@given(st.text(max_size=300), st.text(max_size=20))
def test_a_longer_text_is_never_fewer(text, more):
    assert segments_of(text + more) >= segments_of(text)


@given(st.text(alphabet="aZ9 @é", max_size=500))
def test_plain_septets(text):
    assert segments_of(text) == (1 if len(text) <= 160 else -(-len(text) // 153))
