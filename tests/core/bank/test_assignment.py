"""Contacts split over people: every contact once, shares even, the same from the same seed (F191)."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.assignment import split, to_creators

CONTACTS = st.lists(st.integers(1, 2**63 - 1), unique=True, max_size=60)
PEOPLE = st.lists(st.integers(1, 2**63 - 1), unique=True, min_size=1, max_size=8)
SEEDS = st.integers(0, 2**63 - 1)


@given(CONTACTS, PEOPLE, SEEDS)
def test_each_contact_goes_to_one_person_and_shares_are_even_to_within_one(
    contacts: list[int], people: list[int], seed: int
) -> None:
    dealt = split(contacts, people, seed)
    assert [contact_id for contact_id, _ in dealt.pairs] == sorted(contacts)
    assert dealt.left == []
    shares = [dealt.shares.get(each, 0) for each in people]
    assert sum(shares) == len(contacts)
    assert max(shares) - min(shares) <= 1


@given(CONTACTS, PEOPLE, SEEDS, st.randoms())
def test_order_and_repeats_change_nothing(
    contacts: list[int], people: list[int], seed: int, random: object
) -> None:
    again, others = [*contacts, *contacts], [*people, *people]
    random.shuffle(again)  # type: ignore[attr-defined]
    random.shuffle(others)  # type: ignore[attr-defined]
    assert split(again, others, seed) == split(contacts, people, seed)


def test_another_seed_is_another_split() -> None:
    contacts, people = range(1, 101), [1, 2, 3]
    assert split(contacts, people, 1) != split(contacts, people, 2)
    firsts = {split([7], people, seed).pairs[0][1] for seed in range(20)}
    assert firsts == {1, 2, 3}, "nobody is always the first"


@given(
    st.lists(st.integers(1, 30), unique=True),
    st.lists(st.integers(1, 4), unique=True, min_size=1),
    SEEDS,
    st.dictionaries(st.integers(1, 30), st.sets(st.integers(1, 4)), max_size=5),
)
def test_nobody_gets_whom_they_reported(
    contacts: list[int], people: Sequence[int], seed: int, barred: dict[int, set[int]]
) -> None:
    """F126."""
    dealt = split(contacts, people, seed, barred)
    assert sorted([*dealt.left, *(contact_id for contact_id, _ in dealt.pairs)]) == sorted(contacts)
    assert all(user_id not in barred.get(contact_id, ()) for contact_id, user_id in dealt.pairs)
    assert all(set(people) <= barred[contact_id] for contact_id in dealt.left)


def test_nobody_to_give_to_leaves_all() -> None:
    assert split([2, 1], [], 1).left == [1, 2]


def test_each_goes_to_the_creator_of_its_action() -> None:
    """F195: one whose creator is gone goes to somebody else of the staff."""
    given_back = to_creators({1: 10, 2: 11, 3: None, 4: 10}, {10: 7}, 8, {4: {7}})
    assert (given_back.pairs, given_back.left) == ([(1, 7), (2, 8), (3, 8)], [4])
    assert to_creators({1: 10}, {}, None).left == [1]
