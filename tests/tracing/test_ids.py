"""Names of traces: the same on every worker, different for everything else, and a share of them kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tracing.ids import callers_place, drawn_place, is_kept, message_place, message_trace

IDS = st.integers(1, 2**53)


def test_a_message_has_the_same_trace_wherever_it_is_named() -> None:
    """Written down: a release that names them otherwise loses the links to what is under way."""
    trace_id = message_trace("textbank", 1, 26110000002000)
    places = [message_place(trace_id, attempt) for attempt in (0, 1)]
    assert f"{trace_id:032x}" == "a31d499ed2010d4437203eebca746fa0"
    assert [f"{place.span_id:016x}" for place in places] == ["a2b83d0d596d5487", "f051b18264521ff9"]


@given(st.sets(st.tuples(st.sampled_from(["textbank", "test"]), IDS, IDS), min_size=2, max_size=20))
def test_no_two_messages_share_one(messages: set[tuple[str, int, int]]) -> None:
    traces = {message_trace(*each) for each in messages}
    assert len(traces) == len(messages)
    assert all(0 < each < 2**128 for each in traces)
    trace_id = traces.pop()
    spans = {message_place(trace_id, attempt).span_id for attempt in range(8)}
    assert len(spans) == 8
    assert all(0 < each < 2**64 for each in spans)


def test_the_share_is_kept_none_and_all_among_them() -> None:
    traces = [message_trace("textbank", 1, message_id) for message_id in range(4000)]
    for share in (0.0, 0.01, 0.5, 1.0):
        kept = sum(is_kept(each, share) for each in traces) / len(traces)
        assert kept == pytest.approx(share, abs=0.03)
    assert not any(is_kept(each, 0.0) for each in traces)
    assert all(is_kept(each, 1.0) for each in traces)


def test_what_is_kept_at_a_small_share_is_kept_at_a_larger_one() -> None:
    for message_id in range(1000):
        trace_id = message_trace("textbank", 1, message_id)
        assert is_kept(trace_id, 0.1) <= is_kept(trace_id, 0.2)


def test_a_drawn_place_is_valid_even_if_nothing_was_drawn() -> None:
    place = drawn_place(bytes(24))
    assert place.trace_id
    assert place.span_id


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "is_one"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", True),
        (f"cc-{TRACE}-{SPAN}-01-what-a-later-version-adds", True),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        (f"00-{TRACE[1:]}-{SPAN}-01", False),
        (f"00-+{TRACE[1:]}-{SPAN}-01", False),
        ("", False),
        ("x" * 10_000, False),
    ],
)
def test_a_callers_header_is_read_or_is_none(header: str, is_one: bool) -> None:
    place = callers_place(header)
    assert (place is not None) is is_one
    if place is not None:
        assert (f"{place.trace_id:032x}", f"{place.span_id:016x}") == (TRACE, SPAN)
