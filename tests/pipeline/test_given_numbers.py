"""What a road remembers of the numbers it gave is bounded, and goes when nobody needs it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pipeline.given_numbers import GivenNumbers


def test_the_last_are_remembered_and_never_many_more():
    numbers = GivenNumbers(100)
    for contact_id in range(1000):
        numbers.give(contact_id, contact_id % 49)
        last = range(max(0, contact_id - 99), contact_id + 1)
        assert [numbers.get(each) for each in last] == [each % 49 for each in last]
        assert len(numbers) <= 200
    assert numbers.get(0) is None


def test_two_turns_forget_all():
    numbers = GivenNumbers(100)
    numbers.give(1, 7)
    numbers.turn()
    numbers.give(2, 8)
    assert (numbers.get(1), numbers.get(2)) == (7, 8)
    numbers.turn()
    assert (numbers.get(1), numbers.get(2)) == (None, 8)
    numbers.turn()
    assert len(numbers) == 0


@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, 3)))))
@settings(max_examples=100)
def test_the_last_number_given_is_the_one_remembered(steps):
    numbers, given_lately = GivenNumbers(100), [{}, {}]
    for step in steps:
        if step is None:
            numbers.turn()
            given_lately = [{}, given_lately[0]]
        else:
            numbers.give(*step)
            given_lately[0][step[0]] = step[1]
        for contact_id in range(1, 5):
            assert numbers.get(contact_id) == {**given_lately[1], **given_lately[0]}.get(contact_id)
