"""Shares that alerts look at, each over two windows: what is sudden and large is sure within minutes, what is small takes longer.

A share of few says little, so alerts look at Wilson's lower bound of it; the greater of the two windows' counts.
"""

from collections.abc import Iterator
from typing import Any, Final

from dashboards.queries import lower_bound, share, total

Rule = dict[str, Any]
SOON: Final = "2m"
LATER: Final = "30m"
_FINALS, _MOVES, _CALLS = (
    "p2p_messages_final_total",
    "p2p_state_transitions_total",
    "p2p_provider_requests_total",
)
_DELIVERIES = "p2p_delivery_duration_seconds"
SLOW_S: Final = "30.0"
"""A receipt that takes longer is slow: of a hundred that come at all, three do."""


def recorded(name: str, expression: str, **labels: str) -> Rule:
    return {"record": name, "expr": expression, **({"labels": labels} if labels else {})}


def shares() -> Iterator[Rule]:
    """Every one of them; what is used is recorded first."""
    yield from _of_finals()
    yield from _slow()
    yield from _bad_calls()
    yield from _leaving()
    yield from _unsettled()


def _greater(*values: str) -> str:
    """The greatest of two or three, and whichever there is."""
    first, *others = values
    if not others:
        return first
    rest = _greater(*others)
    rest = f"({rest})" if len(others) > 1 else rest
    return f"({first} >= {rest}) or {rest} or {first}"


def _surely(name: str, whole: str, least: int, soon: str = SOON, later: str = LATER) -> Iterator[Rule]:
    """`name`'s lower bound over both windows, from `least` events on, and the greater of the two."""
    for window in (soon, later):
        bound = lower_bound(f"{name}:ratio{window}", f"{whole}:increase{window}")
        yield recorded(f"{name}:lower_bound{window}", f"{bound} and {whole}:increase{window} >= {least}")
    yield recorded(f"{name}:lower_bound", _greater(f"{name}:lower_bound{soon}", f"{name}:lower_bound{later}"))


def _ratio(name: str, whole: str, part: str, by: str) -> Iterator[Rule]:
    """The share of the counter `part`, over both windows."""
    for window in (SOON, LATER):
        counted = total(f"increase({part}[{window}])", by)
        yield recorded(f"{name}:ratio{window}", share(counted, f"{whole}:increase{window}"))


def _of_finals() -> Iterator[Rule]:
    """How many of a carrier's last words are the filter's, and how many are failures that nobody here can help."""
    by, whole = "environment, carrier", "carrier:finals"
    reasons = 'status!="delivered",reason!~"landline|opted_out|filtered|bad_number"'
    for window in (SOON, LATER):
        yield recorded(f"{whole}:increase{window}", total(f"increase({_FINALS}[{window}])", by))
    yield from _ratio("carrier:filtered", whole, f'{_FINALS}{{reason="filtered"}}', by)
    yield from _surely("carrier:filtered", whole, 20)
    yield from _ratio("carrier:failed", whole, f"{_FINALS}{{{reasons}}}", by)
    yield from _surely("carrier:failed", whole, 10)


def _slow() -> Iterator[Rule]:
    """How many of a carrier's receipts come later than usual."""
    by, name, whole = "environment, carrier", "carrier:slow", "carrier:receipts"
    for window in (SOON, LATER):
        yield recorded(f"{whole}:increase{window}", total(f"increase({_DELIVERIES}_count[{window}])", by))
        quick = total(f'increase({_DELIVERIES}_bucket{{le="{SLOW_S}"}}[{window}])', by)
        ratio = f"clamp(1 - {share(quick, f'{whole}:increase{window}')}, 0, 1)"
        yield recorded(f"{name}:ratio{window}", ratio)
    yield from _surely(name, whole, 10)


def _bad_calls() -> Iterator[Rule]:
    """How many of the calls to the provider are throttled, fail or have no answer."""
    by, name, whole = "environment", "environment:bad_calls", "environment:calls"
    bad = f'{_CALLS}{{outcome=~"throttled|error|timeout"}}'
    for window in (SOON, LATER):
        yield recorded(f"{whole}:increase{window}", total(f"increase({_CALLS}[{window}])", by))
    yield from _ratio(name, whole, bad, by)
    yield from _surely(name, whole, 20)


def _leaving() -> Iterator[Rule]:
    """People who left, of the texts delivered meanwhile, or in a while before if those were more.

    When a bank ends, those who leave are still the ones texted before: their share must not grow because of that.
    """
    by, name, whole = "environment", "environment:optouts", "environment:delivered"
    delivered = f'increase({_FINALS}{{status="delivered"}}'
    now, before = total(f"{delivered}[1h])", by), total(f"{delivered}[1h] offset 30m)", by)
    yield recorded(f"{whole}:increase1h", _greater(now, before))
    usual = f"{whole}:increase30m"
    yield recorded(usual, total(f"{delivered}[30m])", by))
    soon = total(f"{delivered}[5m])", by)
    yield recorded(f"{whole}:increase5m", _greater(soon, f"{usual} / 6", f"{usual} offset 30m / 6"))
    for window in ("5m", "1h"):
        left = total(f'increase(p2p_optouts_total{{source=~"keyword|provider"}}[{window}])', by)
        ratio = f"clamp_max({share(left, f'{whole}:increase{window}')}, 1)"
        yield recorded(f"{name}:ratio{window}", ratio)
    yield from _surely(name, whole, 50, "5m", "1h")


def _unsettled() -> Iterator[Rule]:
    """By how much more texts came to `sent` than left it, of those taken: many never stop there, as their receipt is quick.

    Over two minutes those are looked at that were taken half a minute ago: a receipt needs some seconds. When a bank ends
    more leave than come, so its end looks like no trouble.
    """
    by, name, whole = "environment", "environment:unsettled", "environment:taken"
    taken = f'{_MOVES}{{from=~"sending|unknown",to=~"sent|delivered|undelivered"}}'
    for window, later, upto in ((SOON, " offset 30s", "150s"), (LATER, "", LATER)):
        yield recorded(f"{whole}:increase{window}", total(f"increase({taken}[{window}]{later})", by))
        came = total(f'increase({_MOVES}{{to="sent"}}[{window}]{later})', by)
        left = total(f'increase({_MOVES}{{from="sent"}}[{upto}])', by)
        ratio = share(f"({came} - {left})", f"{whole}:increase{window}")
        yield recorded(f"{name}:ratio{window}", f"clamp({ratio}, 0, 1)")
    yield from _surely(name, whole, 20)
