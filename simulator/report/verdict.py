"""GO, GO with limits or NO-GO: pure rules over what was counted, each giving its reason in plain words."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from simulator.audit.figures import Facts
from simulator.model.scenario import Scenario
from simulator.report.result import INVARIANT_RULES, Counts, Result, Verdict

_WORTH_SAYING = 0.01  # share of messages from which a trouble limits a bank; assumption
_CAP_REACHED = 0.99  # of the daily cap: the last text may not have fitted
_CAP_NEAR = 0.90  # of the daily cap, when texts were left: the gateway keeps some for the edge of the day

Weight = Literal["stop", "limit"]


class Reason(msgspec.Struct, frozen=True):
    """One finding: `stop` alone makes NO-GO, `limit` GO with limits; `text` says what, how much and what to do."""

    weight: Weight
    text: str


def judged(result: Result, scenario: Scenario, facts: Facts) -> Result:
    """The result with its verdict and the reasons, the gravest first."""
    reasons = sorted(_reasons(result, scenario, facts), key=lambda reason: reason.weight != "stop")
    texts = tuple(reason.text for reason in reasons) or (_all_well(facts),)
    return msgspec.structs.replace(result, verdict=verdict_of(reasons), verdict_reasons=texts)


def verdict_of(reasons: list[Reason]) -> Verdict:
    """The gravest reason decides."""
    if any(reason.weight == "stop" for reason in reasons):
        return "NO-GO"
    return "GO with limits" if reasons else "GO"


def _reasons(result: Result, scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    yield from _broken(result)
    if not facts.accepted:
        yield Reason(
            "stop", "No text reached a carrier. Look at the blocked and failed messages for the cause."
        )
    yield from _finished(result, scenario, facts)
    yield from _delivery(scenario, facts)
    yield from _filtering(scenario, facts)
    yield from _opt_outs(result, scenario, facts)
    yield from _late(result, facts)
    yield from _limits(result, facts)
    yield from _presses(facts)
    yield from _people(result, facts)
    for finding in facts.script_findings:
        yield Reason("limit", f"Script: {finding}")


def _broken(result: Result) -> Iterator[Reason]:
    for name, count in result.invariants.items():
        if count:
            rule = INVARIANT_RULES.get(name, name)
            yield Reason(
                "stop", f'The rule "{rule}" was broken {count:,} times. Do not send: report this defect.'
            )


def _finished(result: Result, scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    if facts.untexted:
        weight: Weight = "stop" if scenario.verdict.must_finish else "limit"
        yield Reason(
            weight,
            f"{facts.untexted:,} of {result.contacts:,} people were not texted by the end"
            f"{_zones(facts)}. Start earlier, bring more volunteers, or spread the bank over more days.",
        )


def _zones(facts: Facts) -> str:
    named = [f"{count:,} in {zone}" for zone, count in list(facts.untexted_by_zone.items())[:4]]
    return f" ({', '.join(named)})" if named else ""


def _delivery(scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    limits, share = scenario.verdict, _share(facts.delivered, facts.accepted)
    if facts.accepted and share < limits.warn_delivered_share:
        stop = share < limits.min_delivered_share
        least = limits.min_delivered_share if stop else limits.warn_delivered_share
        yield Reason(
            "stop" if stop else "limit",
            f"{_percent(share)} of the texts that carriers accepted were delivered; {_percent(least)} or more is "
            f"wanted. {_percent(_share(facts.bad_numbers, facts.accepted))} went to landlines or numbers not in "
            "service: clean the list.",
        )


def _filtering(scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    limits, share = scenario.verdict, _share(facts.filtered, facts.accepted)
    if share > limits.warn_filtered_share:
        stop = share > limits.max_filtered_share
        most = limits.max_filtered_share if stop else limits.warn_filtered_share
        yield Reason(
            "stop" if stop else "limit",
            f"Carriers filtered {_percent(share)} of the texts they accepted; at most {_percent(most)} is fine. "
            "Personalise the script, name the sender, offer STOP, use no link shortener.",
        )
    if facts.suspended:
        yield Reason(
            "stop",
            f"The campaign was suspended, which failed {facts.suspended:,} texts. Text people who expect it.",
        )


def _opt_outs(result: Result, scenario: Scenario, facts: Facts) -> Iterator[Reason]:
    limits = scenario.verdict
    share = _share(result.opt_outs.keyword + result.opt_outs.manual, facts.people_texted)
    if share > limits.warn_opt_out_share:
        stop = share > limits.max_opt_out_share
        most = limits.max_opt_out_share if stop else limits.warn_opt_out_share
        yield Reason(
            "stop" if stop else "limit",
            f"{_percent(share)} of the people texted opted out; at most {_percent(most)} is fine. "
            "Text people who know the campaign, and say why.",
        )


def _late(result: Result, facts: Facts) -> Iterator[Reason]:
    late = _count(result.messages.blocked, 1202) + facts.expired
    share = _share(late, result.messages.requested)
    if share >= _WORTH_SAYING:
        yield Reason(
            "limit",
            f"{late:,} messages ({_percent(share)}) met the end of the texting hours. Start earlier, or send fewer "
            "in the last hour.",
        )


def _limits(result: Result, facts: Facts) -> Iterator[Reason]:
    if _cap_bound(facts):
        yield Reason(
            "limit",
            f"T-Mobile's daily cap of {facts.tmobile_cap or 0:,} segments was reached; {facts.capped:,} texts were "
            f"turned away and {facts.tmobile_held_back:,} held back. "
            "Spread the bank over more days, or raise the brand's vetting score.",
        )
    without = _count(result.messages.blocked, 1203)
    if facts.purchases_failed or without:
        yield Reason(
            "limit",
            f"{facts.purchases_failed:,} purchases of a number failed and {without:,} messages found no number. "
            "Allow more area codes, or buy numbers beforehand.",
        )


def _cap_bound(facts: Facts) -> bool:
    """Whether the daily cap turned texts away, was used up, or nearly so while texts waited for it."""
    cap = facts.tmobile_cap
    if facts.capped or cap is None:
        return facts.capped > 0
    if facts.tmobile_held_back and facts.tmobile_counted >= cap * _CAP_NEAR:
        return True
    return facts.tmobile_busiest_day >= cap * _CAP_REACHED > 0


def _presses(facts: Facts) -> Iterator[Reason]:
    presses = facts.presses
    if presses.failed:
        yield Reason(
            "stop",
            f"{presses.failed:,} presses of Send ended in an error of the gateway, the first with "
            f'"{presses.first_error}". Do not send: report this defect.',
        )
    if presses.unanswered:
        yield Reason(
            "limit",
            f"{presses.unanswered:,} presses of Send were never answered: the gateway was down. "
            "Press again when it is back.",
        )


def _people(result: Result, facts: Facts) -> Iterator[Reason]:
    if facts.unanswered and _share(facts.unanswered, result.replies) >= _WORTH_SAYING:
        yield Reason(
            "limit",
            f"{facts.unanswered:,} conversations were left without an answer. Keep volunteers at the desk longer.",
        )
    unknown = result.messages.unknown
    if unknown and _share(unknown, result.messages.requested) >= _WORTH_SAYING / 10:
        yield Reason(
            "limit",
            f"Of {unknown:,} messages nobody knows whether they went out; they are not sent again. "
            "Check the provider's health before the day.",
        )


def _all_well(facts: Facts) -> str:
    return (
        f"{_percent(_share(facts.delivered, facts.accepted))} of the texts were delivered, "
        f"{_percent(_share(facts.filtered, facts.accepted))} filtered, everybody who can "
        "be texted was, and every rule held."
    )


def _count(counts: Counts, code: int) -> int:
    return counts.get(str(code), 0)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _percent(share: float) -> str:
    """0.0123 -> "1.2%"; small ones keep a digit that counts."""
    return f"{share:.2%}" if 0 < share < 0.001 else f"{share:.1%}"
