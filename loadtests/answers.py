"""What a run answers to the question of its shape, and what should have happened in it but did not. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, assert_never

from loadtests.ledger import Verdict
from loadtests.metrics import BUCKETS_S
from loadtests.outcome import Outcome, PhaseFigures
from loadtests.plan import Plan
from loadtests.shapes import Shape
from loadtests.timeline import Step

ACCEPTED_WITHIN_S: Final = 0.25
"""Of 99 in 100: the objective accept_latency of `dashboards/slos.py`."""
MOST_FAILED: Final = 0.001
"""The objective accept_availability."""
_STEADY_S: Final = 5.0
"""So long it must stay as before, to count as come back."""


def holds(figures: PhaseFigures) -> bool:
    """Whether both objectives were met by a phase's batches."""
    started, failed = figures.open["started"], figures.open["failed"]
    return bool(started > 0 and failed <= MOST_FAILED * started and p99_s(figures) <= ACCEPTED_WITHIN_S)


def is_well(step: Step) -> bool:
    """The same of one step of the timeline, to the accuracy of its buckets."""
    slow = sum(step.within[BUCKETS_S.index(ACCEPTED_WITHIN_S) + 1 :])
    return step.failed <= MOST_FAILED * step.started and slow <= 0.01 * max(step.started, 1)


def came_back_s(
    steps: Sequence[Step], ended_s: float, well: Callable[[Step], bool] = is_well
) -> float | None:
    """Seconds from `ended_s` until all is well and stays so; None when it never is."""
    after = [step for step in steps if step.at_s >= ended_s]
    back: Step | None = None
    for step in after:
        if not well(step):
            back = None
        elif back is None:
            back = step
    if back is None or after[-1].at_s + after[-1].step_s - back.at_s < _STEADY_S:
        return None
    return back.at_s - ended_s


def unmet(shape: Shape, outcome: Outcome, verdict: Verdict) -> list[str]:
    """What the run was made for and did not happen, so that it answers nothing."""
    refused = [
        f"the carrier did not start the {_words(each.kind)}: {each.refused}"
        for each in outcome.events
        if each.refused
    ]
    return refused + ([] if _seen(shape, outcome, verdict) else [_UNSEEN[shape.must_see or "opt_outs"]])


_UNSEEN: Final = {
    "opt_outs": "nobody answered STOP: take more contacts",
    "outage": "the outage did not begin",
    "unsent": "nothing was left when the hours ended: take more contacts, or fewer --seconds",
    "too_much": "it was not too much: take more contacts, or fewer --seconds",
}


def _seen(shape: Shape, outcome: Outcome, verdict: Verdict) -> bool:
    match shape.must_see:
        case None:
            return True
        case "opt_outs":
            return verdict.opt_outs > 0
        case "outage":
            return any(each.kind == "outage" and not each.refused for each in outcome.events)
        case "unsent":
            return verdict.unsent > 0
        case "too_much":
            return any(not holds(phase) for phase in outcome.phases if phase.name == "during")
        case _:
            assert_never(shape.must_see)


def answer(plan: Plan, outcome: Outcome, verdict: Verdict) -> str:
    """One or two sentences."""
    shape, seconds = plan.size.form, plan.size.seconds
    if shape.name == "steps":
        return _ladder(plan, outcome)
    if shape.name == "ramp":
        return _knee(plan, outcome)
    if shape.name == "soak":
        return _creep(outcome, seconds)
    if shape.name == "window-end":
        return (
            f"When the hours ended, {verdict.unsent:,} acknowledged texts were not sent any more, {verdict.waiting:,} wait,"
            f" and {verdict.outside_hours:,} came late."
        )
    if shape.events or shape.name == "overload":
        return _back(shape, outcome, seconds)
    done = "Everybody was texted" if not outcome.stopped_because else "Not everybody was texted"
    return (
        f"{done} in {outcome.lasted_s:,.0f} s: {verdict.handed_over / outcome.lasted_s:,.0f} texts a second."
    )


def _ladder(plan: Plan, outcome: Outcome) -> str:
    last: PhaseFigures | None = None
    for phase in outcome.phases:
        if not holds(phase):
            break
        last = phase
    if last is None:
        return "Not even the first step holds."
    most = "the last" if last is outcome.phases[-1] else f"{last.name} of {len(outcome.phases)}"
    return f"{_rate(plan, last):,.0f} texts a second hold ({most}): 99 in 100 batches were accepted within {p99_s(last):.3f} s."


def _rate(plan: Plan, phase: PhaseFigures) -> float:
    return float(phase.open["intended"]) * plan.size.batch_size / (phase.to_s - phase.from_s)


def p99_s(phase: PhaseFigures) -> float:
    """Of the time from the instant meant to the answer."""
    return float(phase.open["seconds"]["since_intended"]["p99"])


def _knee(plan: Plan, outcome: Outcome) -> str:
    """The first step from which three in a row are not well."""
    steps = outcome.steps
    for first, second, third in zip(steps, steps[1:], steps[2:], strict=False):
        if not (is_well(first) or is_well(second) or is_well(third)):
            per_s = first.intended * plan.size.batch_size / first.step_s
            return f"The knee is {first.at_s:,.0f} s in, at {per_s:,.0f} texts a second."
    return "There was no knee: every rate of the ramp holds."


def _creep(outcome: Outcome, seconds: float) -> str:
    halves = [
        [each.memory_mb for each in outcome.samples if low <= each.at_s < high]
        for low, high in ((0.1 * seconds, 0.5 * seconds), (0.5 * seconds, seconds))
    ]
    p99 = " and ".join(f"{p99_s(phase):.3f}" for phase in outcome.phases)
    memory = (
        " to ".join(f"{_mean(half):,.0f}" for half in halves) + " MB"
        if all(halves)
        else "not known: give --metrics"
    )
    return f"99 in 100 batches were accepted within {p99} s in the first half and the second; the gateway's memory: {memory}."


def _back(shape: Shape, outcome: Outcome, seconds: float) -> str:
    event = shape.events[0] if shape.events else None
    ended_s = seconds * (event.at + event.lasts if event else 0.5)
    back = came_back_s(outcome.steps, ended_s)
    queue = _drained_s(outcome, ended_s)
    what = _words(event.kind) if event else "overload"
    doors = "never" if back is None else f"{back:,.0f} s after it"
    drained = "is not known" if queue is None else f"was as short as before {queue:,.0f} s after it"
    return f"After the {what} batches were accepted as before: {doors}. The queue {drained}."


def _drained_s(outcome: Outcome, ended_s: float) -> float | None:
    """Seconds until the gateway's queue is as short as it ever was before."""
    first = (
        outcome.events[0].at_s
        if outcome.events
        else min((each.from_s for each in outcome.phases[1:2]), default=0.0)
    )
    before = max((each.queued for each in outcome.samples if 0 <= each.at_s < first), default=None)
    after = [each for each in outcome.samples if each.at_s >= ended_s]
    if before is None or not after:
        return None
    return next((each.at_s - ended_s for each in after if each.queued <= before), None)


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
