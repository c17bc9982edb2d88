"""The record behind `--json`: its fields, their order, and what a rehearsal without a list leaves out."""

import json

import pytest

from simulator.report.result import INVARIANT_RULES, INVARIANTS, ContactList, Messages
from tests.simulator.sample_rehearsal import result

FIELDS = """scenario seed contacts virtual_seconds wall_seconds peak_rss_bytes trace_hash messages segments cost_usd
replies opt_outs numbers list invariants verdict verdict_reasons cpu_seconds setup_seconds""".split()  # noqa: SIM905


def test_json_has_the_documented_fields_in_order_on_one_line() -> None:
    text = result(list=ContactList(10, 8, {"invalid_phone": 2})).to_json()
    assert "\n" not in text
    content = json.loads(text)
    assert list(content) == FIELDS
    assert content["list"] == {"rows": 10, "used": 8, "rejected": {"invalid_phone": 2}}
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


def test_the_ten_invariants_stand_in_the_order_of_the_design() -> None:
    assert INVARIANTS == (
        "no_text_after_opt_out",
        "lawful_hours",
        "accepted_once",
        "books_balance",
        "accepted_is_stored",
        "one_number_a_contact",
        "rates_and_caps",
        "legal_moves",
        "inbound_once",
        "one_volunteer_a_contact",
    )
    assert all(INVARIANT_RULES.values())


def test_records_do_not_share_their_tables() -> None:
    first, second = Messages(), Messages()
    assert first.blocked is not second.blocked
