"""What a watcher is told adds up to what there is, whenever they look and whatever they missed."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.live import InboxTopic, changed
from gateway.p2p.live import Seen, Watched, Watcher

NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.dictionaries(NAMES, st.integers(0, 3))


@given(NUMBERS, NUMBERS)
def test_changes_make_the_new_of_the_old(before: dict[str, int], after: dict[str, int]) -> None:
    made = before | changed(before, after)
    assert {name: number for name, number in made.items() if number} == {n: v for n, v in after.items() if v}
    assert changed(after, after) == {}


@given(st.lists(st.tuples(NUMBERS, st.booleans()), min_size=1, max_size=80), st.integers(0, 80))
def test_what_was_told_is_what_there_is(looks: list[tuple[dict[str, int], bool]], known: int) -> None:
    """One watches from the start and looks now and then; one comes back with a version of long ago."""
    watched = Watched(InboxTopic(None))
    watcher, told = Watcher([watched], None), {"b": 9}
    states: dict[int, dict[str, int]] = {}
    for version, (numbers, looks_now) in enumerate(looks, 1):
        watched.saw(Seen(version, 0.0, 0.0, numbers))
        states[version] = numbers
        for change in watcher.changes() if looks_now else ():
            told = dict(change.numbers) if change.is_whole else told | change.numbers
    for change in watcher.changes():
        told = dict(change.numbers) if change.is_whole else told | change.numbers
    last = looks[-1][0]
    assert {name: number for name, number in told.items() if number} == {n: v for n, v in last.items() if v}

    back = dict(states.get(known, {}))
    for change in Watcher([watched], known if known in states else None).changes():
        back = dict(change.numbers) if change.is_whole else back | change.numbers
    assert {name: number for name, number in back.items() if number} == {n: v for n, v in last.items() if v}
