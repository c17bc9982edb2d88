"""The verdict is a table: what was counted on the left, what is said on the right."""

import msgspec
import numpy as np
import pytest

from simulator.audit.breakers import Stopped
from simulator.audit.ends import ends
from simulator.audit.figures import Facts, gather
from simulator.audit.filter_record import Cause
from simulator.audit.ground_truth import WorldKnows
from simulator.audit.slow_hour import SlowHour
from simulator.audit.throughput import RateUse
from simulator.audit.timing import Timing
from simulator.model.ledger import DELIVERED
from simulator.model.scenario import load
from simulator.report.result import INVARIANTS, Messages, OptOuts
from simulator.report.verdict import Reason, judged, verdict_of
from tests.simulator.sample_rehearsal import result, texted

HEALTHY = Facts(
    people_texted=1000,
    accepted=1000,
    delivered=950,
    filtered=5,
    silent=1,
    bad_numbers=20,
    expired=0,
    suspended=0,
    capped=0,
    timing=Timing(first_at=60.0, last_at=30_000.0, last_first_text_at=30_000.0),
    busiest=(RateUse("att", 73.0, 75.0),),
)
SCENARIO = load("election-day")  # 85/92 % delivered, 3/1 % filtered, 7/6.5 % opted out, must finish


def said(facts=HEALTHY, scenario=SCENARIO, **changes):
    outcome = judged(result(contacts=1000, **changes), scenario, facts)
    return outcome.verdict, " ".join(outcome.verdict_reasons)


def facts(**changes):
    return msgspec.structs.replace(HEALTHY, **changes)


def test_a_healthy_bank_goes_and_says_why() -> None:
    verdict, reason = said()
    assert verdict == "GO"
    assert reason.startswith("95.0% of the texts were delivered, 0.5% filtered")


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"delivered": 920}, "GO", ""),
        ({"delivered": 919}, "GO with limits", "91.9% of the texts"),
        ({"delivered": 850}, "GO with limits", "92.0% or more"),
        ({"delivered": 849}, "NO-GO", "85.0% or more"),
        (
            {"delivered": 849, "lost": {"went to landlines or numbers not in service": 20}},
            "NO-GO",
            "2.0% went to landlines",
        ),
        (
            {"delivered": 849, "lost": {"have no receipt": 90, "were filtered": 5}},
            "NO-GO",
            "9.0% have no receipt, 0.5% were filtered: judge",
        ),
        ({"filtered": 10}, "GO", ""),
        ({"filtered": 11}, "GO with limits", "filtered 1.1%"),
        ({"filtered": 30}, "GO with limits", "at most 1.0%"),
        ({"filtered": 31}, "NO-GO", "at most 3.0%"),
        ({"suspended": 1}, "NO-GO", "suspended"),
        ({"untexted": 7, "untexted_by_zone": {"America/Phoenix": 7}}, "NO-GO", "7 in America/Phoenix"),
        ({"capped": 4, "tmobile_cap": 2000}, "GO with limits", "cap of 2,000 segments was reached; 4 texts"),
        ({"tmobile_cap": 2000, "tmobile_busiest_day": 1999}, "GO with limits", "daily cap"),
        ({"tmobile_cap": 2000, "tmobile_busiest_day": 1900}, "GO", ""),
        ({"purchases_failed": 2}, "GO with limits", "2 purchases of a number failed"),
        ({"unanswered": 3}, "GO with limits", "3 conversations"),
        ({"script_findings": ("a link shortener",)}, "GO with limits", "Script: a link shortener"),
        ({"expired": 50}, "GO with limits", "50 messages (11.9%)"),
        ({"accepted": 0, "delivered": 0, "filtered": 0}, "NO-GO", "No text reached a carrier"),
    ],
)
def test_a_fact_decides(changes: dict[str, object], verdict: str, words: str) -> None:
    got, reasons = said(facts(**changes))
    assert got == verdict
    assert words in reasons


@pytest.mark.parametrize(
    ("opted_out", "verdict"), [(65, "GO"), (66, "GO with limits"), (70, "GO with limits"), (71, "NO-GO")]
)
def test_opt_outs_count_by_keyword_and_by_hand(opted_out: int, verdict: str) -> None:
    assert said(opt_outs=OptOuts(keyword=opted_out - 10, manual=10))[0] == verdict


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (Messages(requested=1000, blocked={"1202": 10}), "10 messages (1.0%)"),
        (Messages(requested=1000, blocked={"1203": 1}), "1 message found no number"),
        (Messages(requested=1000, unknown=1), "Of 1 message nobody knows whether it went out"),
    ],
)
def test_messages_that_limit(messages: Messages, words: str) -> None:
    verdict, reasons = said(messages=messages)
    assert verdict == "GO with limits"
    assert words in reasons


@pytest.mark.parametrize("name", INVARIANTS)
def test_any_broken_rule_is_a_no_go_and_comes_first(name: str) -> None:
    broken = {**dict.fromkeys(INVARIANTS, 0), name: 2}
    outcome = judged(result(invariants=broken), SCENARIO, facts(purchases_failed=1))
    assert outcome.verdict == "NO-GO"
    assert "was broken 2 times" in outcome.verdict_reasons[0]
    assert len(outcome.verdict_reasons) == 2


def test_of_equal_weight_the_largest_cause_comes_first() -> None:
    lossy = facts(
        delivered=600,
        filtered=300,
        lost={"were filtered": 300, "went to landlines or numbers not in service": 100},
    )
    outcome = judged(result(contacts=1000), SCENARIO, lossy)
    assert [reason[:17] for reason in outcome.verdict_reasons] == ["Carriers filtered", "60.0% of the text"]
    outcome = judged(
        result(contacts=1000), SCENARIO, msgspec.structs.replace(lossy, filtered=120, delivered=500)
    )
    assert [reason[:17] for reason in outcome.verdict_reasons] == ["50.0% of the text", "Carriers filtered"]


def test_a_filter_says_what_it_held_and_from_when() -> None:
    held = (Cause("complaints", 1800.0, 0.35), Cause("dead_numbers", 7200.0, 0.02))
    _, reasons = said(facts(filtered=31, held=held, script_findings=("a link shortener",)))
    assert (
        "It held against you: complaints from 09:30 (adding up to 35.0%), dead numbers from 11:00 (adding up to 2.0%), "
        "the script's own words from the first text."
    ) in reasons


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"never_shown": 10}, "GO", ""),
        ({"never_shown": 11}, "GO with limits", "11 of 950 texts reported as delivered were never shown"),
        ({"never_shown": 31}, "NO-GO", "were never shown on a phone"),
        ({"asked_to_leave": 50, "opt_outs_overlooked": 2}, "GO", ""),
        ({"asked_to_leave": 50, "opt_outs_overlooked": 3, "sent_after_leaving": 4}, "GO with limits", "3 of 50 people who asked to be left alone are not opted out, and 4 texts"),
    ],
)  # fmt: skip
def test_what_only_the_world_knows_decides_too(changes: dict[str, int], verdict: str, words: str) -> None:
    got, reasons = said(ground_truth=WorldKnows(reported_delivered=950, **changes))
    assert got == verdict
    assert words in reasons


CLOSES_S = 12 * 3600.0


@pytest.mark.parametrize(
    ("times", "verdict", "words"),
    [
        (Timing(last_first_text_at=CLOSES_S - 901), "GO", ""),
        (Timing(last_first_text_at=CLOSES_S - 600), "GO with limits", "left at 20:50, 10 min 00 s before the hours end"),
        (Timing(last_first_text_at=1.0, wire_half_s=4, wire_most_s=600), "GO", ""),
        (Timing(last_first_text_at=1.0, wire_half_s=4, wire_most_s=601), "GO with limits", "one text in a hundred took 10 min or longer, half 4.0 s"),
        (Timing(last_first_text_at=1.0, answer_half_s=60, answer_most_s=3601), "GO with limits", "One reply in ten waited 60 min or longer"),
    ],
)  # fmt: skip
def test_latency_and_finish_time_are_reasons(times: Timing, verdict: str, words: str) -> None:
    got, reasons = said(facts(timing=times))
    assert got == verdict
    assert words in reasons


def test_a_go_says_when_it_was_finished_and_how_quick_it_was() -> None:
    times = Timing(last_first_text_at=36_000.0, wire_most_s=5.0, answer_most_s=600.0)
    reason = said(facts(timing=times))[1]
    assert "The last first text left at 19:00; 99% of the texts were on the wire within 5.0 s" in reason
    assert "90% of the replies answered within 10 min" in reason


# ------------------------------------------------------------ the answer to the question

TIMES = Timing(first_at=60.0, last_at=CLOSES_S - 2, last_first_text_at=36_000.0, wire_half_s=4.0, wire_most_s=90.0, answer_most_s=600.0)  # fmt: skip
SLOW = SlowHour("verizon", 10_800.0, 14_400.0, most_waiting=412, gone_at=16_020.0, others_most_s=7.0)


def answered(asks: str, changes: dict[str, object], **of_result: object) -> str:
    scenario = msgspec.structs.replace(SCENARIO, asks=asks)
    known = facts(**{"timing": TIMES, "busiest": (RateUse("att", 73.0, 75.0),), **changes})
    return judged(result(contacts=1000, **of_result), scenario, known).answer


STOPPED = (
    Stopped(variant=1, carrier="att", at=3600.0, filtered=20, of=200, spared=500),
    Stopped(variant=1, carrier="verizon", at=3700.0, filtered=20, of=200, spared=100),
)


@pytest.mark.parametrize(
    ("asks", "changes", "of_result", "sentence"),
    [
        ("finish", {}, {}, "Yes: everybody who can be texted was, the last at 19:00; 0.5% of the texts were filtered."),
        ("finish", {"filtered": 20}, {}, "Almost: everybody who can be texted was, the last at 19:00, but 2.0% of the texts were filtered."),
        ("finish", {"filtered": 40}, {}, "No: everybody who can be texted was, the last at 19:00, but 4.0% of the texts were filtered."),
        ("finish", {"untexted": 250}, {}, "No: 250 of 1,000 people were not texted by the end."),
        ("finish", {"untexted": 30, "filtered": 200}, {}, "No: 20.0% of the texts were filtered and 30 of 1,000 people were not texted by the end."),
        ("filtering", {"noticed": (840.0, 41), "filtered": 269}, {"ground_truth": WorldKnows(never_shown=136)}, "The carriers noticed after 41 texts, at 09:14: 26.9% of the texts were filtered, and 13.6% count as delivered and were never shown."),
        ("filtering", {}, {}, "The carriers never noticed: 0.5% of the texts were filtered."),
        ("closing", {"untexted": 40}, {"messages": Messages(requested=90, blocked={"1202": 15}, queued=5)}, "Yes: the last text was handed over at 20:59:58, none after 21:00; of the 40 people left over 15 had a text that was blocked when the hours ended, 5 have one that still waits, and for 20 nobody had pressed Send."),
        ("closing", {}, {"invariants": {"lawful_hours": 2}}, "No: 2 texts went out outside the hours; of the 0 people"),
        ("cap", {"tmobile_cap": 2000, "capped": 4, "tmobile_held_back": 600, "untexted": 100}, {}, "900 of 1,000 people took 9 h 59 min, from 09:01 to 19:00, and T-Mobile's daily cap of 2,000 segments left 604 texts unsent; 90% of the replies were answered within 10 min."),
        ("cap", {}, {}, "T-Mobile has no daily cap for it; 90% of the replies"),
        ("brownout", {"slow_hours": (SLOW,)}, {}, "Yes: 99% of the other carriers' texts passed within 7.0 s, 90% of replies were answered within 10 min, and Verizon's backlog of at most 412 texts was gone at 13:27."),
        ("brownout", {"slow_hours": (msgspec.structs.replace(SLOW, gone_at=np.nan),)}, {}, "No: 99% of the other carriers' texts passed within 7.0 s, 90% of replies were answered within 10 min, and Verizon's backlog of at most 412 texts was not gone when the hours ended."),
        ("brownout", {}, {}, "No carrier was slow in this run."),
        ("opt_outs", {"suspended": 60, "untexted": 300}, {"opt_outs": OptOuts(100, 70)}, "No: the carriers suspended the campaign, which failed 60 texts; 700 of 1,000 people were texted or rightly left alone; 17.0% of the people texted opted out (carriers flag 5.0% and suspend at 10.0%), and 0.5% of the texts were filtered."),
        ("opt_outs", {}, {}, "Yes: 1,000 of 1,000 people were texted or rightly left alone, and nobody suspended the campaign; 0.6% of the people"),
        ("opt_outs", {"untexted": 1}, {}, "No: 999 of 1,000 people were texted or rightly left alone, though nobody suspended the campaign;"),
        ("rates", {}, {}, "No rate was passed; AT&T's set the pace, with 73.0 of 75 granted segments a second in its busiest minute; half of the texts were on the wire 4.0 s after Send was pressed, 99% after 90 s."),
        ("rates", {"busiest": (RateUse("all", 20.0, 225.0),)}, {"invariants": {"rates_and_caps": 2}}, "2 texts passed a rate or a cap; the campaign's was the fullest and bound nobody, with 20.0 of 225"),
        ("faults", {"untexted": 10}, {}, "Yes: every rule held; 990 of 1,000 people were texted or rightly left alone, 0 texts have an unknown outcome, and 0 presses of Send got no answer."),
        ("faults", {}, {"invariants": {"lawful_hours": 2}}, "No: 1 rule was broken; 1,000 of 1,000"),
        ("rates", {"accepted": 0}, {}, "No: no text reached a carrier."),
        ("breakers", {"filtered": 20}, {}, "No breaker had to open: 20 texts were filtered, 2.0%."),
        ("breakers", {"filtered": 20, "stopped": STOPPED}, {}, "The breaker of script 2 at AT&T opened at 10:00, when 20 of 200 texts had been filtered, and 1 other breaker after it; 20 texts were filtered, 2.0%, and at the share of before about 60 more would have been without breakers."),
    ],
)  # fmt: skip
def test_each_question_has_its_answer(asks: str, changes, of_result, sentence: str) -> None:
    assert sentence in answered(asks, changes, **of_result)


def test_untexted_people_only_limit_a_bank_that_need_not_finish() -> None:
    assert said(facts(untexted=1), load("small-town"))[0] == "GO with limits"


def test_the_gravest_reason_decides() -> None:
    assert verdict_of([]) == "GO"
    assert verdict_of([Reason("limit", "")]) == "GO with limits"
    assert verdict_of([Reason("limit", ""), Reason("stop", "")]) == "NO-GO"


# ------------------------------------------------------------ the facts themselves


def test_facts_agree_with_the_ledger() -> None:
    scenario, ledger, people = texted(300)
    found = gather(ledger, people, scenario)
    totals = ledger.counts()
    assert found.people_texted == 300
    assert found.untexted == 0
    assert (found.accepted, found.delivered) == (totals.accepted, totals.delivered)
    assert found.filtered == totals.filtered
    assert found.bad_numbers == totals.undelivered.get(30005, 0) + totals.undelivered.get(30006, 0) > 0
    assert np.count_nonzero(ends(ledger).status == DELIVERED) == totals.delivered > 250


def test_whom_nobody_texted_is_counted_by_zone_unless_excused() -> None:
    scenario, ledger, people = texted(50)
    more = np.array([16_025_550_200, 16_025_550_201, 12_155_550_200], dtype=np.int64)
    people.phones = np.concatenate([people.phones, more])
    strangers = np.setdiff1d(more, ledger.submissions.columns()["to"])
    assert gather(ledger, people, scenario).untexted == len(strangers) >= 2
    found = gather(ledger, people, scenario, excused=strangers[:1])
    assert found.untexted == len(strangers) - 1
    assert sum(found.untexted_by_zone.values()) == found.untexted
    assert "America/Phoenix" in found.untexted_by_zone


def test_tmobiles_busiest_day_is_a_pacific_day() -> None:
    scenario, ledger, people = texted(300)
    tmobile = ledger.submissions.columns()["carrier"] == 1
    taken = int((tmobile & ends(ledger).accepted).sum())
    assert gather(ledger, people, scenario).tmobile_busiest_day == taken > 0  # one morning, one segment each
