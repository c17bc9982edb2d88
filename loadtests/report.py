"""The record of a load test: what was asked, how it went, and what is said of it. `load.json` is this record.

Its form is told in docs/reference/load-report.md; `format` grows when an old reader would misread it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from loadtests.forecast import Forecast
from loadtests.gauges import FULL, PLANNED, Sample
from loadtests.ledger import Seen, Verdict
from loadtests.objectives import OBJECTIVES, Objective, share_between
from loadtests.outcome import Happened, Outcome, PhaseFigures, Route
from loadtests.plan import Size
from loadtests.recording import INVALID, LEAST_STARTED, MOST_CPU, MOST_LATE, Handed, Recording
from loadtests.timeline import Step
from loadtests.watching import Kept, Watched

HELD, VIOLATED = 0, 1
FORMAT: Final = 1
CURVE: Final = (0.0, 20.0, 40.0, 50.0, 70.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9)
"""The percentiles of a curve; 100 comes last."""

Decision = Literal["GO", "GO with limits", "NO-GO", "NO VERDICT"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of validity: what is wanted, what was seen, and whether that will do."""

    rule: str
    wanted: str
    seen: str
    held: bool


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """An objective in this run. `share` of its events were good, of which 95 % confidence says `low` to `high`.

    `held`: None where there was no event. It is broken only when even `high` is below what is promised.
    """

    name: str
    title: str
    wanted: float
    good: int
    total: int
    share: float
    low: float
    high: float
    held: bool | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict`: a broken rule weighs more than an invalid run; `open` holds the pacer's counts and seconds.

    `answer` to the shape's question. `joins`: the volunteers' coming. `curves` by duration: (percent, seconds). `gateway`: what it told Prometheus, None where it was not asked.
    """

    verdict: Literal["held", "violated", "invalid"]
    why: str
    command: str
    size: Size
    lasted_s: float
    invalid: list[str]
    ledger: Verdict
    open: dict[str, Any]
    routes: list[Route]
    errors: dict[str, int]
    format: int = FORMAT
    decision: Decision = "NO VERDICT"
    question: str = ""
    owner: str = ""
    rules: list[Rule] = []
    promises: list[Promise] = []
    curves: dict[str, list[tuple[float, float]]] = {}
    steps: list[Step] = []
    looks: list[Sample] = []
    generators: list[float] = []
    answer: str = ""
    phases: list[PhaseFigures] = []
    events: list[Happened] = []
    joins: dict[str, Any] = {}
    seen: Seen | None = None
    gateway: Watched | None = None
    forecasts: list[Forecast] = []
    machine: dict[str, str] = {}

    @property
    def exit_status(self) -> int:
        """0 held, 1 a rule was broken, 3 invalid."""
        return {"held": HELD, "violated": VIOLATED, "invalid": INVALID}[self.verdict]

    @property
    def texts_per_s(self) -> float:
        """Texts handed over a second, of the whole run."""
        return self.ledger.handed_over / self.lasted_s if self.lasted_s else 0.0


def reported(
    outcome: Outcome,
    verdict: Verdict,
    size: Size,
    command: str,
    *,
    seen: Seen | None = None,
    gateway: Watched | None = None,
    forecasts: Sequence[Forecast] = (),
    machine: Mapping[str, str] | None = None,
    owner: str = "",
) -> Report:
    """What came of a run, judged."""
    invalid = outcome.invalid(size.workers)
    if verdict.waiting:
        invalid.append(f"{verdict.waiting:,} texts still wait to be sent")
    word: Literal["held", "violated", "invalid"] = (
        "violated" if not verdict.held else "invalid" if invalid else "held"
    )
    whole = Recording.merged(outcome.parts)
    promises = [_promise(kept) for kept in gateway.kept] if gateway else []
    return Report(
        verdict=word,
        why=_why(word, verdict, invalid),
        decision=_decision(word, promises),
        question=size.form.question,
        owner=owner,
        command=command,
        size=size,
        lasted_s=outcome.lasted_s,
        invalid=invalid,
        rules=rules(outcome, size.workers, verdict.waiting),
        promises=promises,
        ledger=verdict,
        open=whole.figures(),
        curves={name: whole.curve(name, CURVE) for name in ("since_intended", "since_actual", "blocked")},
        steps=outcome.steps,
        looks=outcome.samples,
        answer=outcome.answer,
        phases=outcome.phases,
        events=outcome.events,
        joins=Recording.merged(outcome.joins).figures() if outcome.joins else {},
        generators=[part.cpu for part in outcome.parts],
        routes=outcome.routes,
        errors=outcome.errors,
        seen=seen,
        gateway=gateway,
        forecasts=list(forecasts),
        machine=dict(machine or {}),
    )


def _why(word: str, verdict: Verdict, invalid: list[str]) -> str:
    if word == "violated":
        return (
            f"{verdict.lost} texts lost, {verdict.twice} twice, {verdict.after_stop} after STOP,"
            f" {verdict.outside_hours} outside lawful hours."
        )
    if word == "invalid":
        return f"The figures mean nothing: {'; '.join(invalid)}."
    return f"All {verdict.acknowledged:,} acknowledged texts are accounted for, none twice, after STOP or outside lawful hours."


def _decision(word: str, promises: Sequence[Promise]) -> Decision:
    if word != "held":
        return "NO-GO" if word == "violated" else "NO VERDICT"
    return "GO with limits" if any(promise.held is False for promise in promises) else "GO"


def _promise(kept: Kept) -> Promise:
    objective: Objective = next(each for each in OBJECTIVES if each.name == kept.objective)
    low, high = share_between(kept.good, kept.total)
    return Promise(
        name=objective.name,
        title=objective.title,
        wanted=objective.share,
        good=kept.good,
        total=kept.total,
        share=kept.good / kept.total if kept.total else 0.0,
        low=low,
        high=high,
        held=high >= objective.share if kept.total else None,
    )


def rules(outcome: Outcome, workers: int, waiting: int) -> list[Rule]:
    """Every rule of validity with its value; those that do not hold are why the run is invalid."""
    found = _kept_up("batches", outcome.parts, workers)
    if outcome.joins:
        found += _kept_up("volunteers", outcome.joins, len(outcome.joins))
    busiest, ended = max((part.cpu for part in outcome.parts), default=0.0), outcome.stopped_because
    return [
        *found,
        _rule("the busiest generator's core", f"below {MOST_CPU:.0%}", f"{busiest:.0%}", busiest < MOST_CPU),
        _rule("volunteers who could not join", "none", f"{outcome.turned_away:,}", not outcome.turned_away),
        _rule("the end of the run", "as planned", ended or "as planned", not ended),
        _rule(
            "what the test is about", "happened", "; ".join(outcome.unmet) or "happened", not outcome.unmet
        ),
        _rule("texts that still wait", "none", f"{waiting:,}", not waiting),
    ]


def _kept_up(who: str, parts: Sequence[Handed], workers: int) -> list[Rule]:
    """Whether a generator asked what was meant, when it was meant."""
    counts, whole = Recording.merged(parts).counts, sum(part.whole for part in parts)
    started = counts.started / counts.intended if counts.intended else 0.0
    late = counts.late / counts.started if counts.started else 0.0
    wanted = f"at least {LEAST_STARTED:.1%}"
    return [
        _rule(f"{who}: asked, of those meant", wanted, f"{started:.2%}", started >= LEAST_STARTED),
        _rule(f"{who}: over 10 ms late", f"at most {MOST_LATE:.0%}", f"{late:.2%}", late <= MOST_LATE),
        _rule(f"{who}: generators at their end", f"all {workers}", f"{whole}", whole >= workers),
    ]


def _rule(rule: str, wanted: str, seen: str, held: bool) -> Rule:
    return Rule(rule=rule, wanted=wanted, seen=seen, held=held)


def fullest(looks: Sequence[Sample]) -> list[tuple[str, float]]:
    """Each resource at its fullest, the fullest first; those that a bank is meant to fill come last."""
    most: dict[str, float] = {}
    for look in looks:
        for name, used in look.full.items():
            most[name] = max(used, most.get(name, 0.0))
    return sorted(most.items(), key=lambda each: (each[0] in PLANNED, -each[1]))


def limited_by(report: Report) -> str:
    """What set the pace, as far as it was seen."""
    if report.gateway is None and not report.looks:
        return "what nobody knows: the gateway's metrics were not asked (--metrics)"
    full = [f"{name} ({used:.0%} full)" for name, used in fullest(report.looks) if used >= FULL]
    cores, all_cores = busy_cores(report), report.gateway.cores if report.gateway else 1
    if report.gateway and cores >= FULL * all_cores:
        full.insert(0, f"this machine's {all_cores} cores ({cores:.1f} of them busy on average)")
    return ", ".join(full) if full else "the people's own pace: nothing was full"


def busy_cores(report: Report) -> float:
    """Cores that gateway, carrier, database and generators used together, on average; only of what was known."""
    if not report.gateway or not report.lasted_s:
        return 0.0
    return sum(report.gateway.used.values()) / report.lasted_s + sum(report.generators)


def capacity(report: Report) -> str:
    """What this run allows to say of a day."""
    if report.seen is None or report.verdict != "held" or not report.seen.finished_s:
        return "Nothing: the run is not valid, or nobody was texted."
    per_s = sum(zone.people for zone in report.seen.zones) / report.seen.finished_s
    hours = 12
    spare = [used for name, used in fullest(report.looks) if name not in PLANNED]
    most = max([*spare[:1], busy_cores(report) / report.gateway.cores if report.gateway else 0.0])
    headroom = f" with {1 - most:.0%} to spare in the fullest resource" if report.gateway else ""
    return (
        f"{report.size.volunteers:,} volunteers at a click each {report.size.think_s:g} s, and the integrators, text"
        f" {per_s:,.1f} people a second{headroom}: at that pace {per_s * 3600 * hours:,.0f} contacts between 09:00 and"
        f" 21:00 in each zone. Limited by {limited_by(report)}."
    )


def findings(report: Report) -> list[str]:
    """What somebody should look at, the gravest first."""
    found = [report.why] if report.verdict != "held" else []
    found += [
        f"{promise.title}: {promise.share:.2%} of {promise.total:,}, promised are {promise.wanted:.2%}"
        for promise in report.promises
        if promise.held is False
    ]
    found += [f"{count:,} times {what}" for what, count in report.errors.items()]
    if report.open["failed"]:
        found.append(f"{report.open['failed']:,} of {report.open['started']:,} batches failed")
    found += [
        f"{name} was {used:.0%} full"
        for name, used in fullest(report.looks)
        if used >= FULL and name not in PLANNED
    ]
    if report.gateway is None:
        found.append("The gateway's metrics were not asked: give their address by --metrics")
    return found
