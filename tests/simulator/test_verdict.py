"""The verdict is a table: what was counted on the left, what is said on the right."""

import msgspec
import numpy as np
import pytest

from simulator.audit.figures import Facts, ends, gather
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
        ({"delivered": 849}, "NO-GO", "2.0% went to landlines"),
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
        (Messages(requested=1000, blocked={"1203": 1}), "1 messages found no number"),
        (Messages(requested=1000, unknown=1), "Of 1 messages nobody knows"),
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
