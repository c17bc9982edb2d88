"""GO, GO with limits or NO-GO: pure rules over what was counted, each giving its reason in plain words."""

from collections.abc import Iterator
from math import inf
from typing import Literal

import msgspec

from simulator.audit.figures import Facts
from simulator.audit.filter_record import Cause
from simulator.model.scenario import Scenario
from simulator.report.answers import HOURS_OVER, RATE_BINDS, answer
from simulator.report.result import INVARIANT_RULES, Counts, Result, Verdict
from simulator.report.words import clock, closing_at, counted, percent, roughly, share_of, span, words

_WORTH_SAYING = 0.01  # share of messages from which a trouble limits a bank; assumption
_CAP_REACHED = 0.99  # of the daily cap: the last text may not have fitted
_CAP_NEAR = 0.90  # of the daily cap, when texts were left: the gateway keeps some for the edge of the day
_LOSSES_TOLD = 3
_OVERLOOKED = 0.05  # of those who asked to be left alone; assumption: volunteers miss 3 % of such texts

Weight = Literal["stop", "limit"]


class Reason(msgspec.Struct, frozen=True):
    """One finding: `stop` alone makes NO-GO, `limit` GO with limits; `text` says what, how much and what to do.

    `size` is the share of people or texts that it cost: of equal weight the largest comes first.
    """

    weight: Weight
    text: str
    size: float = 0.0


def judged(result: Result, scenario: Scenario, facts: Facts) -> Result:
    """The result with the answer to the scenario's question, the verdict, and the reasons: the gravest first, of them
    the largest.
    """
    reasons = sorted(
        _reasons(result, scenario, facts), key=lambda reason: (reason.weight != "stop", -reason.size)
    )
    texts = tuple(reason.text for reason in reasons) or (_all_well(scenario, facts),)
    return msgspec.structs.replace(
        result, answer=answer(result, scenario, facts), verdict=verdict_of(reasons), verdict_reasons=texts
    )


def verdict_of(reasons: list[Reason]) -> Verdict:
    """The gravest reason decides."""
    if any(reason.weight == "stop" for reason in reasons):
        return "NO-GO"
    return "GO with limits" if reasons else "GO"


def _reasons(result: Result, scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    yield from _broken(result)
    if not facts.accepted:
        yield Reason(
            "stop", "No text reached a carrier. Look at the blocked and failed messages for the cause.", inf
        )
    yield from _finished(result, scenario, facts)
    yield from _delivery(scenario, facts)
    yield from _filtering(scenario, facts)
    yield from _hidden(result, scenario, facts)
    yield from _opt_outs(result, scenario, facts)
    yield from _overlooked(result)
    yield from _late(result, facts)
    yield from _limits(result, facts)
    yield from _slow(scenario, facts)
    yield from _waited(scenario, facts)
    yield from _presses(result, facts)
    yield from _people(result, facts)
    for finding in facts.script_findings:
        yield Reason("limit", f"Script: {finding}")


def _broken(result: Result) -> Iterator[Reason]:
    for name, count in result.invariants.items():
        if count:
            rule = INVARIANT_RULES.get(name, name)
            yield Reason(
                "stop",
                f'The rule "{rule}" was broken {counted(count, "time")}. Do not send: report this defect.',
                inf,
            )


def _finished(result: Result, scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    margin_s = closing_at(scenario) - facts.timing.last_first_text_at
    if facts.untexted:
        weight: Weight = "stop" if scenario.verdict.must_finish else "limit"
        yield Reason(
            weight,
            f"{facts.untexted:,} of {counted(result.contacts, 'person was', 'people were')} not texted by the end"
            f"{_zones(facts)}. Start earlier, bring more volunteers, or spread the bank over more days.",
            share_of(facts.untexted, result.contacts),
        )
    elif 0 <= margin_s < scenario.verdict.warn_margin_s:
        yield Reason(
            "limit",
            f"The last first text left at {clock(scenario, facts.timing.last_first_text_at)}, {span(margin_s)} before "
            "the hours end: a small delay leaves people out. Start earlier, or bring more volunteers.",
        )


def _zones(facts: Facts) -> str:
    named = [f"{count:,} in {zone}" for zone, count in list(facts.untexted_by_zone.items())[:4]]
    return f" ({', '.join(named)})" if named else ""


_ADVICE = {
    "were filtered": "see what the filter held against the campaign",
    "went to landlines or numbers not in service": "clean the list",
    "met a phone that stayed off": "text earlier in the day",
    "ended with an unknown error": "ask the provider",
    "have no receipt": "judge small carriers by what comes back",
    "ended otherwise": "look at the codes",
}


def _delivery(scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    limits, share = scenario.verdict, share_of(facts.delivered, facts.accepted)
    if facts.accepted and share < limits.warn_delivered_share:
        stop = share < limits.min_delivered_share
        least = limits.min_delivered_share if stop else limits.warn_delivered_share
        most = next(iter(facts.lost), "")
        told = [
            f"{percent(share_of(count, facts.accepted))} {words}"
            for words, count in list(facts.lost.items())[:_LOSSES_TOLD]
        ]
        yield Reason(
            "stop" if stop else "limit",
            f"{percent(share)} of the texts that carriers accepted were delivered; {percent(least)} or more is "
            f"wanted. Of the rest {', '.join(told)}: {_ADVICE.get(most, 'look at the codes')}.",
            1 - share - share_of(facts.filtered, facts.accepted),  # what the filter took has its own reason
        )


def _filtering(scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    limits, share = scenario.verdict, share_of(facts.filtered, facts.accepted)
    if share > limits.warn_filtered_share:
        stop = share > limits.max_filtered_share
        most = limits.max_filtered_share if stop else limits.warn_filtered_share
        yield Reason(
            "stop" if stop else "limit",
            f"Carriers filtered {percent(share)} of the texts they accepted; at most {percent(most)} is fine."
            f"{_held(scenario, facts)} Personalise the script, name the sender, offer STOP, use no link shortener.",
            share,
        )
    if facts.suspended:
        yield Reason(
            "stop",
            f"The campaign was suspended, which failed {counted(facts.suspended, 'text')}. Text people who expect it.",
            1.0,
        )


def _held(scenario: Scenario, facts: Facts) -> str:
    """What the filter held against the campaign, and from when."""
    told = [_told(scenario, cause) for cause in facts.held]
    if facts.script_findings:
        told.append("the script's own words from the first text")
    return f" It held against you: {', '.join(told)}." if told else ""


def _told(scenario: Scenario, cause: Cause) -> str:
    return f"{words(cause.name)} from {clock(scenario, cause.from_at)} (adding up to {percent(cause.most_share)})"


def _hidden(result: Result, scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    """What the carriers call delivered and nobody saw."""
    limits, hidden = scenario.verdict, result.ground_truth.never_shown
    share, reported = share_of(hidden, facts.accepted), result.ground_truth.reported_delivered
    if share > limits.warn_filtered_share:
        yield Reason(
            "stop" if share > limits.max_filtered_share else "limit",
            f"{hidden:,} of {counted(reported, 'text')} reported as delivered {'was' if hidden == 1 else 'were'} never shown on a phone: "
            "carriers drop some without a word. No receipt and no provider's page shows it; the remedy is that of filtering.",
            share,
        )


def _opt_outs(result: Result, scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    limits = scenario.verdict
    share = share_of(result.opt_outs.keyword + result.opt_outs.manual, facts.people_texted)
    if share > limits.warn_opt_out_share:
        stop = share > limits.max_opt_out_share
        most = limits.max_opt_out_share if stop else limits.warn_opt_out_share
        yield Reason(
            "stop" if stop else "limit",
            f"{percent(share)} of the people texted opted out; at most {percent(most)} is fine. "
            "Text people who know the campaign, and say why.",
            share,
        )


def _overlooked(result: Result) -> Iterator[Reason]:
    """Wishes that nobody wrote down: a share that anybody would call careless."""
    known = result.ground_truth
    share = share_of(known.opt_outs_overlooked, known.asked_to_leave)
    if share >= _OVERLOOKED:
        yield Reason(
            "limit",
            f"{known.opt_outs_overlooked:,} of {counted(known.asked_to_leave, 'person', 'people')} who asked to be left alone "
            f"{'is' if known.opt_outs_overlooked == 1 else 'are'} not opted out, and {counted(known.sent_after_leaving, 'text')} went to such people after that. Have volunteers read every reply.",
            share_of(known.opt_outs_overlooked, result.contacts),
        )


def _slow(scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    limits, times = scenario.verdict, facts.timing
    if times.wire_most_s > limits.warn_wire_s:
        yield Reason(
            "limit",
            f"From a press of Send to the hand-over one text in a hundred took {roughly(times.wire_most_s)} or longer, "
            f"half {roughly(times.wire_half_s)}. {_why_slow(facts)}",
        )
    if times.answer_most_s > limits.warn_answer_s:
        yield Reason(
            "limit",
            f"One reply in ten waited {roughly(times.answer_most_s)} or longer for a volunteer, half {roughly(times.answer_half_s)}. "
            "Keep more volunteers at the desk.",
        )


def _waited(scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    """What only the volunteers' phones and the ledger show: replies on no screen yet, texts on their way after a STOP."""
    limits = scenario.verdict
    screen, stop = facts.waits.reply_to_screen, facts.waits.stop_to_effect
    if screen.p95_s > limits.warn_screen_s:
        yield Reason(
            "limit",
            f"One reply in twenty waited {roughly(screen.p95_s)} or longer until a volunteer saw it, half "
            f"{roughly(screen.p50_s)}. Keep more volunteers at the desk.",
        )
    if stop.p99_s > limits.warn_stop_s:
        yield Reason(
            "limit",
            f"One STOP in a hundred took {roughly(stop.p99_s)} or longer from the provider to its effect, half "
            f"{roughly(stop.p50_s)}: see that the provider's webhooks reach the gateway at once.",
        )


def _why_slow(facts: Facts) -> str:
    """What most likely held texts up, and what to do about it."""
    if facts.capped or facts.tmobile_held_back:
        return "T-Mobile's daily cap held them: spread the bank over more days."
    if facts.busiest and facts.busiest[0].share >= RATE_BINDS:
        return "A granted rate set the pace: ask for a higher one, or press Send more slowly."
    if facts.unknown_numbers:
        return "They waited for new numbers that carriers did not know yet: buy numbers the day before."
    return "Look at the plots of queue and rates for the hour."


def _late(result: Result, facts: Facts) -> Iterator[Reason]:
    late = _count(result.messages.blocked, HOURS_OVER) + facts.expired
    share = share_of(late, result.messages.requested)
    if share >= _WORTH_SAYING:
        yield Reason(
            "limit",
            f"{counted(late, 'message')} ({percent(share)}) met the end of the texting hours. Start earlier, or send fewer "
            "in the last hour.",
            share,
        )


def _limits(result: Result, facts: Facts) -> Iterator[Reason]:
    if _cap_bound(facts):
        yield Reason(
            "limit",
            f"T-Mobile's daily cap of {facts.tmobile_cap or 0:,} segments was reached; {counted(facts.capped, 'text was', 'texts were')} "
            f"turned away and {facts.tmobile_held_back:,} held back. "
            "Spread the bank over more days, or raise the brand's vetting score.",
            share_of(facts.capped + facts.tmobile_held_back, result.messages.requested),
        )
    without = _count(result.messages.blocked, 1203)
    if facts.purchases_failed or without:
        yield Reason(
            "limit",
            f"{counted(facts.purchases_failed, 'purchase')} of a number failed and {counted(without, 'message')} found no number. "
            "Allow more area codes, or buy numbers beforehand.",
            share_of(without, result.messages.requested),
        )


def _cap_bound(facts: Facts) -> bool:
    """Whether the daily cap turned texts away, was used up, or nearly so while texts waited for it."""
    cap = facts.tmobile_cap
    if facts.capped or cap is None:
        return facts.capped > 0
    if facts.tmobile_held_back and facts.tmobile_counted >= cap * _CAP_NEAR:
        return True
    return facts.tmobile_busiest_day >= cap * _CAP_REACHED > 0


def _presses(result: Result, facts: Facts) -> Iterator[Reason]:
    presses = facts.presses
    if presses.failed:
        yield Reason(
            "stop",
            f"{presses.failed:,} presses of Send ended in an error of the gateway, the first with "
            f'"{presses.first_error}". Do not send: report this defect.',
            inf,
        )
    if presses.unanswered:
        yield Reason(
            "limit",
            f"{presses.unanswered:,} presses of Send were never answered: the gateway was down. "
            "Press again when it is back.",
            share_of(presses.unanswered, result.messages.requested),
        )


def _people(result: Result, facts: Facts) -> Iterator[Reason]:
    if facts.unanswered and share_of(facts.unanswered, result.replies) >= _WORTH_SAYING:
        left = counted(facts.unanswered, "conversation was left", "conversations were left")
        yield Reason(
            "limit",
            f"{left} without an answer. Keep volunteers at the desk longer.",
            share_of(facts.unanswered, result.contacts),
        )
    unknown = result.messages.unknown
    if unknown and share_of(unknown, result.messages.requested) >= _WORTH_SAYING / 10:
        yield Reason(
            "limit",
            f"Of {counted(unknown, 'message')} nobody knows whether {'it' if unknown == 1 else 'they'} went out; nothing is sent again. "
            "Check the provider's health before the day.",
            share_of(unknown, result.messages.requested),
        )


def _all_well(scenario: Scenario, facts: Facts) -> str:
    times = facts.timing
    finish = (
        f" The last first text left at {clock(scenario, times.last_first_text_at)}; 99% of the texts were on the wire "
        f"within {roughly(times.wire_most_s)} of a press of Send, 90% of the replies answered within "
        f"{roughly(times.answer_most_s)}."
        if times.wire_most_s >= 0 and times.answer_most_s >= 0
        else ""
    )
    return (
        f"{percent(share_of(facts.delivered, facts.accepted))} of the texts were delivered, "
        f"{percent(share_of(facts.filtered, facts.accepted))} filtered, everybody who can "
        f"be texted was, and every rule held.{finish}"
    )


def _count(counts: Counts, code: int) -> int:
    return counts.get(str(code), 0)
