"""The record behind `--json`: its fields, their order, and what a rehearsal without a list leaves out."""

import json

import pytest

from simulator.audit.rules import RULES
from simulator.report.result import INVARIANTS, ContactList, Messages
from tests.simulator.sample_rehearsal import result

FIELDS = """scenario seed contacts virtual_seconds wall_seconds peak_rss_bytes trace_hash messages segments cost_usd
replies opt_outs numbers list invariants chances ground_truth waits texted_s answer verdict verdict_reasons cpu_seconds setup_seconds not_rehearsed""".split()  # noqa: SIM905


def test_json_has_the_documented_fields_in_order_on_one_line() -> None:
    text = result(
        list=ContactList(10, 8, {"invalid_phone": 2}, {"Cell": "phone"}, ("VANID",), ("a warning",))
    ).to_json()
    assert "\n" not in text
    content = json.loads(text)
    assert list(content) == FIELDS
    assert content["list"] == {
        "rows": 10,
        "used": 8,
        "rejected": {"invalid_phone": 2},
        "columns": {"Cell": "phone"},
        "ignored": ["VANID"],
        "warnings": ["a warning"],
    }
    assert content["messages"] == {
        "requested": 420,
        "blocked": {"1302": 5},
        "queued": 0,
        "sending": 0,
        "sent": 6,
        "delivered": 390,
        "undelivered": {"30005": 8, "30007": 11},
        "failed": {},
        "unknown": 0,
    }
    assert content["opt_outs"] == {"keyword": 5, "manual": 1}
    assert content["numbers"] == {"bought": 1, "in_use": 3, "retired": 0}


def test_without_a_list_there_is_no_list() -> None:
    assert list(json.loads(result().to_json())) == [name for name in FIELDS if name != "list"]


@pytest.mark.parametrize("name", INVARIANTS)
def test_one_violation_of_any_invariant_breaks_the_result(name: str) -> None:
    assert result().held
    assert not result(invariants={**dict.fromkeys(INVARIANTS, 0), name: 1}).held


def test_a_rule_without_chances_is_not_tested() -> None:
    chances = {**dict.fromkeys(INVARIANTS, 3), "lawful_hours": 0, "legal_moves": 0}
    assert result(chances=chances).not_tested == ("lawful_hours", "legal_moves")
    broken = {**dict.fromkeys(INVARIANTS, 0), "legal_moves": 1}
    assert result(chances=chances, invariants=broken).not_tested == ("lawful_hours",)


def test_every_rule_says_what_it_means_and_what_a_chance_is() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.sentence and rule.chance for rule in RULES)


def test_records_do_not_share_their_tables() -> None:
    first, second = Messages(), Messages()
    assert first.blocked is not second.blocked
