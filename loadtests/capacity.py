"""The highest rate of texts that holds: steps of one rate each, judged by objectives and validity, and what is full first.

A step holds when its run is valid, 99 in 100 batches are accepted in time, hardly any fails, and the texts go out as fast
as they come: what then waits is no more than two seconds of them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from loadtests.answers import ACCEPTED_WITHIN_S, holds, p99_s
from loadtests.door import Door
from loadtests.gauges import FULL, fullest
from loadtests.ledger import Verdict, fetched
from loadtests.outcome import Outcome
from loadtests.people import MOST
from loadtests.plan import Plan, Size
from loadtests.recording import INVALID, Recording
from loadtests.run import Town, loaded, settled, verdict_of
from loadtests.search import Judged, Search, Try

MOST_CONTACTS: Final = 250_000
_WAIT_MOST_S: Final = 2.0


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How it is searched: `first` and rates in texts a second; each step lasts `step_s`; see `Search`."""

    first: float = 100.0
    step_s: float = 20.0
    repeats: int = 3
    precision: float = 1.1
    workers: int = 2
    seed: int = 1


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """`rate_per_s`: the highest that holds, None when nothing did; `interval`: between which no try said otherwise.

    `full`: how full what must not be full was in the steps at the lowest rate that fails, fullest first.
    """

    verdict: Literal["found", "violated", "invalid"]
    why: str
    command: str
    rate_per_s: float | None
    interval: tuple[float, float | None]
    full: list[tuple[str, float]]
    tries: list[Try]
    ledger: list[Verdict]

    @property
    def exit_status(self) -> int:
        """0 found, 1 a text was lost, twice, after STOP or outside hours, 3 it could not be judged."""
        return {"found": 0, "violated": 1, "invalid": INVALID}[self.verdict]


def measured(town: Town, terms: Terms, command: str, say: Callable[[str], None]) -> Capacity:
    """Searches until nothing more is to be found; raises Unanswered where gateway or carrier isn't there."""
    most = min(MOST_CONTACTS, MOST) / terms.step_s
    search = Search(terms.first, most=most, repeats=terms.repeats, precision=terms.precision)
    runs: list[tuple[Plan, Outcome]] = []
    with Door(town.gateway, town.key) as door, Door(town.carrier) as market:
        while (rate := search.next_rate()) is not None:
            size = _size(rate, terms, nth=len(runs))
            before = _handed_over(market)
            plan, outcome = loaded(town, door, market, size, lambda _: None)
            waiting = len(outcome.acknowledged) - (_handed_over(market) - before)
            judged, why = judge(outcome, size, waiting)
            search.told(judged, why)
            runs.append((plan, outcome))
            say(f"{rate:,.0f} texts a second: {judged}{': ' if why else ''}{why}")
            settled(market)
        ledger = fetched(market)
        verdicts = [verdict_of(door, ledger, plan, outcome) for plan, outcome in runs]
    return concluded(search, [outcome for _, outcome in runs], verdicts, command)


def _size(rate: float, terms: Terms, nth: int) -> Size:
    return Size(
        shape="step",
        contacts=max(20, round(rate * terms.step_s)),
        volunteers=1,
        workers=terms.workers,
        think_s=1.0,
        seconds=terms.step_s,
        at_most_s=3 * terms.step_s + 60,
        seed=terms.seed + nth,
    )


def _handed_over(market: Door) -> int:
    return int(market.call("GET", "/twin/ledger")["rows"]["submissions"])


def judge(outcome: Outcome, size: Size, waiting: int) -> tuple[Judged, str]:
    """Of one step, after whose end so many texts still wait.

    That an arrival was dropped is the gateway's fault and not the generator's: thousands were under way.
    """
    if dropped := Recording.merged(outcome.parts).counts.dropped:
        return "failed", f"{dropped:,} batches were not asked, for as many as may be were under way"
    if reasons := outcome.invalid(size.workers):
        return "invalid", "; ".join(reasons)
    (phase,) = outcome.phases
    if not holds(phase):
        failed, started = phase.open["failed"], phase.open["started"]
        return (
            "failed",
            f"p99 {p99_s(phase):.3f} s of {ACCEPTED_WITHIN_S:g} s, {failed} of {started} batches failed",
        )
    most = _WAIT_MOST_S * size.contacts / size.seconds
    if waiting > most:
        return "failed", f"{waiting:,} texts wait, more than two seconds' worth ({most:,.0f})"
    return "held", ""


def concluded(search: Search, outcomes: Sequence[Outcome], verdicts: list[Verdict], command: str) -> Capacity:
    """What the tries and the ledger say together."""
    of_failing = [
        sample
        for each, outcome in zip(search.tries, outcomes, strict=True)
        if each.rate_per_s == search.fails
        for sample in outcome.samples
    ]
    full = fullest(of_failing, from_s=2.0)
    wrong = sum(not each.held for each in verdicts)
    word: Literal["found", "violated", "invalid"] = (
        "violated" if wrong else "invalid" if search.is_stuck or search.holds is None else "found"
    )
    return Capacity(
        verdict=word,
        why=_why(search, word, full, wrong),
        command=command,
        rate_per_s=search.holds,
        interval=search.interval,
        full=full,
        tries=search.tries,
        ledger=verdicts,
    )


def _why(search: Search, word: str, full: list[tuple[str, float]], wrong: int) -> str:
    if word == "violated":
        return f"In {wrong} of {len(search.tries)} steps a text was lost, came twice, after STOP or outside lawful hours."
    if search.is_stuck:
        last = search.tries[-1]
        known = f"; {search.holds:,.0f} hold" if search.holds else ""
        return f"{last.rate_per_s:,.0f} texts a second can't be judged: {last.why}{known}."
    if search.holds is None:
        return f"Not even {search.tries[-1].rate_per_s:,.1f} texts a second hold: {search.tries[-1].why}."
    low, high = search.interval
    upto = "as far as it was tried" if high is None else f"between {low:,.0f} and {high:,.0f}"
    return f"{search.holds:,.0f} texts a second hold ({upto}). {_first(full)}"


def _first(full: list[tuple[str, float]]) -> str:
    if not full:
        return "What is full first is not known: no rate failed, or nobody said where the gateway's --metrics are."
    (name, share), words = full[0], "is full first" if full[0][1] >= FULL else "is fullest, and not full,"
    return f"Beyond, {name.replace('_', ' ')} {words} at {share:.0%}."


def written(found: Capacity, folder: Path) -> Path:
    """`capacity.json` in the folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "capacity.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))
    return file
