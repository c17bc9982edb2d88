"""The answer to the question that a scenario asks (`asks`), in one sentence."""

from collections.abc import Callable, Mapping
from math import isnan

from simulator.audit.figures import Facts
from simulator.audit.throughput import ALL
from simulator.model.carriers import CARRIERS
from simulator.model.scenario import Question, Scenario
from simulator.report.result import Counts, Result
from simulator.report.words import (
    CARRIER_NAMES,
    clock,
    closing_at,
    counted,
    percent,
    roughly,
    share_of,
    span,
)

HOURS_OVER = 1202
_NAMES: Mapping[str, str] = {ALL: "the campaign's", **{name: f"{CARRIER_NAMES[name]}'s" for name in CARRIERS}}
_CARRIERS: Mapping[str, str] = {str(carrier): name for carrier, name in CARRIER_NAMES.items()}
RATE_BINDS = 0.9  # of a granted rate: from here it sets the pace


def answer(result: Result, scenario: Scenario, facts: Facts) -> str:
    """One sentence, with this run's own figures."""
    if not facts.accepted or isnan(facts.timing.first_at):
        return "No: no text reached a carrier."
    return _ANSWERS[scenario.asks](result, scenario, facts)


def _finish(result: Result, scenario: Scenario, facts: Facts) -> str:
    """Was everybody texted, in time, lawfully, and not filtered?"""
    limits = scenario.verdict
    filtered, hidden = _filtered(facts), share_of(result.ground_truth.never_shown, facts.accepted)
    worst = max(filtered, hidden)
    troubles = []
    if facts.untexted:
        troubles.append(
            (
                share_of(facts.untexted, result.contacts),
                f"{facts.untexted:,} of {counted(result.contacts, 'person', 'people')} were not texted by the end",
            )
        )
    if unlawful := result.invariants.get("lawful_hours", 0):
        troubles.append((1.0, f"{counted(unlawful, 'text')} went out outside the hours"))
    if worst > limits.warn_filtered_share:
        troubles.append((worst, _lost_to_filter(filtered, hidden)))
    finished = (
        f"everybody who can be texted was, the last at {clock(scenario, facts.timing.last_first_text_at)}"
        if not facts.untexted
        else ""
    )
    if not troubles:
        return f"Yes: {finished}; {_lost_to_filter(filtered, hidden)}."
    told = " and ".join(text for _, text in sorted(troubles, reverse=True))
    said_no = facts.untexted or unlawful or worst > limits.max_filtered_share
    return f"{'No' if said_no else 'Almost'}: {f'{finished}, but ' if finished else ''}{told}."


def _lost_to_filter(filtered: float, hidden: float) -> str:
    never = f", and {percent(hidden)} count as delivered and were never shown" if hidden else ""
    return f"{percent(filtered)} of the texts were filtered{never}"


def _filtering(result: Result, scenario: Scenario, facts: Facts) -> str:
    """How soon do carriers notice, and how much is lost?"""
    filtered, hidden = _filtered(facts), share_of(result.ground_truth.never_shown, facts.accepted)
    lost = _lost_to_filter(filtered, hidden)
    if facts.noticed is None:
        return f"The carriers never noticed: {lost}."
    at, texts = facts.noticed
    return f"The carriers noticed after {counted(texts, 'text')}, at {clock(scenario, at)}: {lost}."


def _closing(result: Result, scenario: Scenario, facts: Facts) -> str:
    """Does nothing go out after the hours, and where does the rest end up?"""
    unlawful = result.invariants.get("lawful_hours", 0)
    shut = f"{scenario.campaign.hours_end:%H:%M}"
    last = clock(scenario, facts.timing.last_at, seconds=True)
    went = (
        f"No: {counted(unlawful, 'text')} went out outside the hours"
        if unlawful
        else f"Yes: the last text was handed over at {last}, none after {shut}"
    )
    blocked, waiting = _count(result.messages.blocked, HOURS_OVER), result.messages.queued
    never = max(0, facts.untexted - blocked - waiting)
    return (
        f"{went}; of the {counted(facts.untexted, 'person', 'people')} left over {blocked:,} had a text that was "
        f"blocked when the hours ended, {waiting:,} have one that still waits, and for {never:,} nobody had pressed Send."
    )


def _cap(result: Result, scenario: Scenario, facts: Facts) -> str:
    """How long does the list take, and what does T-Mobile's cap leave unsent?"""
    times = facts.timing
    texted = result.contacts - facts.untexted
    unsent = facts.capped + facts.tmobile_held_back
    left = (
        "T-Mobile has no daily cap for it"
        if facts.tmobile_cap is None
        else f"T-Mobile's daily cap of {facts.tmobile_cap:,} segments left {counted(unsent, 'text')} unsent"
    )
    answers = (
        ""
        if isnan(times.answer_most_s)
        else f"; 90% of the replies were answered within {roughly(times.answer_most_s)}"
    )
    return (
        f"{texted:,} of {counted(result.contacts, 'person', 'people')} took {span(times.last_first_text_at - times.first_at)}, "
        f"from {clock(scenario, times.first_at)} to {clock(scenario, times.last_first_text_at)}, and {left}{answers}."
    )


def _brownout(result: Result, scenario: Scenario, facts: Facts) -> str:
    """Do the others' texts and the replies pass, and is the backlog gone by the evening?"""
    if not facts.slow_hours:
        return "No carrier was slow in this run."
    worst = max(facts.slow_hours, key=lambda hour: hour.most_waiting)
    times = facts.timing
    answers = (
        ""
        if isnan(times.answer_most_s)
        else f", 90% of replies were answered within {roughly(times.answer_most_s)}"
    )
    others = (
        ""
        if isnan(worst.others_most_s)
        else f"99% of the other carriers' texts passed within {roughly(worst.others_most_s)}"
    )
    in_time = not isnan(worst.gone_at) and worst.gone_at < closing_at(scenario)
    gone = f"was gone at {clock(scenario, worst.gone_at)}" if in_time else "was not gone when the hours ended"
    return (
        f"{'Yes' if in_time or not worst.most_waiting else 'No'}: {others}{answers}, and {CARRIER_NAMES[worst.carrier]}'s backlog of at most "
        f"{counted(worst.most_waiting, 'text')} {gone}."
    )


def _opt_outs(result: Result, scenario: Scenario, facts: Facts) -> str:
    """Does the bank get through its list before the carriers suspend it?"""
    left = result.opt_outs.keyword + result.opt_outs.manual
    rules = scenario.filtering
    texted = result.contacts - facts.untexted
    through = (
        f"{texted:,} of {counted(result.contacts, 'person', 'people')} were texted or rightly left alone"
    )
    if facts.suspended:
        lead = f"No: the carriers suspended the campaign, which failed {counted(facts.suspended, 'text')}; {through}"
    elif facts.untexted:
        lead = f"No: {through}, though nobody suspended the campaign"
    else:
        lead = f"Yes: {through}, and nobody suspended the campaign"
    return (
        f"{lead}; {percent(share_of(left, facts.people_texted))} of the people texted opted out (carriers flag "
        f"{percent(rules.opt_out_flag)} and suspend at {percent(rules.opt_out_suspend)}), and "
        f"{percent(_filtered(facts))} of the texts were filtered."
    )


def _rates(result: Result, scenario: Scenario, facts: Facts) -> str:
    """Is a rate passed, which one binds, and how long do presses wait for it?"""
    most, times = facts.busiest[0], facts.timing
    passed = result.invariants.get("rates_and_caps", 0)
    lead = f"{counted(passed, 'text')} passed a rate or a cap" if passed else "No rate was passed"
    binds = "set the pace" if most.share >= RATE_BINDS else "was the fullest and bound nobody"
    wait = (
        ""
        if isnan(times.wire_half_s)
        else f"; half of the texts were on the wire {roughly(times.wire_half_s)} after Send was pressed, 99% after "
        f"{roughly(times.wire_most_s)}"
    )
    return (
        f"{lead}; {_NAMES[most.name]} {binds}, with {most.used_per_s:.1f} of {most.granted_per_s:g} granted segments a "
        f"second in its busiest minute{wait}."
    )


def _faults(result: Result, scenario: Scenario, facts: Facts) -> str:
    """Did the rules hold, and what was lost, while things broke?"""
    broken = sum(1 for count in result.invariants.values() if count)
    held = f"No: {counted(broken, 'rule was', 'rules were')} broken" if broken else "Yes: every rule held"
    texted = result.contacts - facts.untexted
    return (
        f"{held}; {texted:,} of {counted(result.contacts, 'person', 'people')} were texted or rightly left alone, "
        f"{counted(result.messages.unknown, 'text has', 'texts have')} an unknown outcome, and {counted(facts.presses.unanswered, 'press', 'presses')} of Send "
        "got no answer."
    )


def _breakers(result: Result, scenario: Scenario, facts: Facts) -> str:
    """What did breakers stop, and how much more would have been filtered without them?"""
    lost = f"{counted(facts.filtered, 'text')} were filtered, {percent(_filtered(facts))}"
    if not scenario.campaign.breaker.opens:
        return f"No breaker was on: {lost}."
    if not facts.stopped:
        return f"No breaker had to open: {lost}."
    first = facts.stopped[0]
    more = sum(round(each.spared * share_of(each.filtered, each.of)) for each in facts.stopped)
    others = len(facts.stopped) - 1
    also = f", and {counted(others, 'other breaker')} after it" if others else ""
    return (
        f"The breaker of script {first.variant + 1} at {_CARRIERS.get(first.carrier, 'unknown carriers')} opened at "
        f"{clock(scenario, first.at)}, when {first.filtered:,} of {first.of:,} texts had been filtered{also}; {lost}, and "
        f"at the share of before about {more:,} more would have been without breakers."
    )


def _filtered(facts: Facts) -> float:
    return share_of(facts.filtered, facts.accepted)


def _count(counts: Counts, code: int) -> int:
    return counts.get(str(code), 0)


_ANSWERS: Mapping[Question, Callable[[Result, Scenario, Facts], str]] = {
    "finish": _finish,
    "filtering": _filtering,
    "closing": _closing,
    "cap": _cap,
    "brownout": _brownout,
    "opt_outs": _opt_outs,
    "rates": _rates,
    "faults": _faults,
    "breakers": _breakers,
}
