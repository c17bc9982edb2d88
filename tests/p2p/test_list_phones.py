"""Each number once, in few bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.p2p.list_phones import SeenPhones


@settings(max_examples=50, deadline=None)
@given(
    numbers=st.lists(st.integers(2_000_000_000, 2_000_009_000), max_size=300), spread=st.integers(1, 10**5)
)
def test_seen_phones_is_a_dictionary(numbers: list[int], spread: int) -> None:
    seen, model = SeenPhones(), {}
    for line, number in enumerate((number * spread % 10**10 for number in numbers), start=2):
        assert seen.claim(number, line) == model.get(number, 0)
        model.setdefault(number, line)
    assert len(seen) == len(model)


def test_seen_phones_survives_growing() -> None:
    seen = SeenPhones()
    assert not any(seen.claim(2_155_550_000 + number, number + 1) for number in range(20_000))
    assert all(seen.claim(2_155_550_000 + number, 1) == number + 1 for number in range(20_000))
