"""The ordered rules. Every code has rows that block and rows that pass (F036-F063, C2, C12, C19)."""

from math import inf
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.rules import safeguards
from gateway.core.rules.errors import SubReason, consequence
from gateway.core.rules.safeguards import (
    GATEWAY,
    RULES,
    Admitted,
    Blocked,
    Consent,
    Facts,
    Kind,
    Policy,
    Request,
    blocked,
    check,
    counted_as,
    second_look,
)

NOW = 1_780_000_000.0
HOUR_S = 3600.0

FACTS = Facts(phone="+12155550123", assignee_id=7, line_type="mobile")
FACTS_OF = {
    Kind.INITIAL: FACTS,
    Kind.REPLY: FACTS,
    Kind.CONFIRMATION: replace(FACTS, opted_out=True),
    Kind.BROADCAST: replace(FACTS, assignee_id=None, broadcasts=True, consent=Consent.GIVEN),
}
INITIAL, REPLY, CONFIRMATION, BROADCAST = Kind


def request_of(kind: Kind) -> Request:
    sender_id = {Kind.CONFIRMATION: None, Kind.BROADCAST: GATEWAY}.get(kind, 7)
    return Request(campaign_id=1, contact_id=2, kind=kind, body="Hi Ana!", action_id=3, sender_id=sender_id)


def outcome(kind: Kind, changes: dict[str, Any], policy: Policy | None = None, now: float = NOW) -> Any:
    """None when admitted, else the code, or the code with its sub-reason."""
    request, facts = request_of(kind), FACTS_OF[kind]
    of_request = {name: value for name, value in changes.items() if name in Request.__struct_fields__}
    of_facts = {name: value for name, value in changes.items() if name in Facts.__struct_fields__}
    assert of_request.keys() | of_facts.keys() == changes.keys()
    answer = check(replace(request, **of_request), replace(facts, **of_facts), policy or Policy(), now)
    match answer:
        case Admitted():
            return None
        case Blocked(code=code, sub_reason=None):
            return code
        case Blocked(code=code, sub_reason=sub_reason):
            return code, sub_reason


@pytest.mark.parametrize("kind", Kind)
def test_an_ordinary_message_of_every_kind_passes(kind: Kind) -> None:
    assert outcome(kind, {}) is None


CASES: list[tuple[Kind, dict[str, Any], Any]] = [
    (INITIAL, {"phone": None}, 1106),
    (INITIAL, {"phone": ""}, (9000, SubReason.BLANK_NUMBER)),
    (REPLY, {"phone": "  "}, (9000, SubReason.BLANK_NUMBER)),
    (INITIAL, {"phone": "+442079460123"}, (9000, SubReason.WRONG_FORMAT)),
    (INITIAL, {"phone": "+1215555012x"}, (9000, SubReason.WRONG_FORMAT)),
    (CONFIRMATION, {"line_type": "landline"}, (9000, SubReason.LANDLINE)),
    (INITIAL, {"line_type": "Fixed_Line"}, (9000, SubReason.LANDLINE)),
    (INITIAL, {"line_type": "nonFixedVoip"}, None),
    (INITIAL, {"line_type": None}, None),
    (INITIAL, {"body": ""}, 1002),
    (REPLY, {"body": " \n\t\u00a0"}, 1002),
    (REPLY, {"body": "\u200b\ufeff"}, 1002),
    (REPLY, {"body": "👍"}, None),
    (REPLY, {"body": " ? "}, None),
    (INITIAL, {"opted_out": True}, 1302),
    (REPLY, {"opted_out": True}, 1302),
    (INITIAL, {"failure_until": inf}, 1205),
    (REPLY, {"failure_until": inf}, 1205),
    (INITIAL, {"line_type": "tollFree"}, 1205),
    (INITIAL, {"line_type": "voicemail"}, 1205),
    (INITIAL, {"line_type": "invalid"}, 1205),
    (INITIAL, {"failure_until": NOW + 1}, 1204),
    (INITIAL, {"failure_until": NOW}, None),
    (INITIAL, {"paused": True}, (1202, SubReason.PAUSED)),
    (INITIAL, {"hours_shut": SubReason.CAMPAIGN_HOURS}, (1202, SubReason.CAMPAIGN_HOURS)),
    (REPLY, {"hours_shut": SubReason.RECIPIENT_HOURS}, (1202, SubReason.RECIPIENT_HOURS)),
    (CONFIRMATION, {"hours_shut": SubReason.EXPIRED_IN_QUEUE}, (1202, SubReason.EXPIRED_IN_QUEUE)),
    (INITIAL, {"assignee_id": 8}, 1303),
    (REPLY, {"assignee_id": 8}, 1303),
    (INITIAL, {"assignee_id": 7, "keep_assignments": True}, None),
    (INITIAL, {"assignee_id": None, "keep_assignments": True}, 1303),
    (INITIAL, {"assignee_id": None}, None),
    (CONFIRMATION, {"already_sent_action": True}, None),
    (INITIAL, {"already_sent_action": True}, 1304),
    (REPLY, {"already_sent_action": True}, None),
    (INITIAL, {"same_text_at": NOW - 24 * HOUR_S + 1}, (1001, SubReason.IDENTICAL_TEXT)),
    (REPLY, {"same_text_at": NOW - 60}, (1001, SubReason.IDENTICAL_TEXT)),
    (INITIAL, {"same_text_at": NOW - 24 * HOUR_S}, None),
    (INITIAL, {"last_initial_at": NOW - 6 * HOUR_S + 1}, (1001, SubReason.OUTBOUND_LOCK)),
    (INITIAL, {"last_initial_at": NOW - 6 * HOUR_S}, None),
    (INITIAL, {"locked": True}, (9001, SubReason.LOCK_TRUE)),
    (REPLY, {"locked": True}, (9001, SubReason.LOCK_TRUE)),
    (CONFIRMATION, {"same_text_at": NOW - 60, "last_outbound_at": NOW - 60, "assignee_id": 8}, None),
    (CONFIRMATION, {"line_type": "landline"}, (9000, SubReason.LANDLINE)),
    (CONFIRMATION, {"hours_shut": SubReason.RECIPIENT_HOURS}, (1202, SubReason.RECIPIENT_HOURS)),
    (CONFIRMATION, {"paused": True}, (1202, SubReason.PAUSED)),
    (BROADCAST, {"broadcasts": False}, 1201),
    (INITIAL, {"broadcasts": False}, None),
    (BROADCAST, {"is_users_own": True}, 1103),
    (INITIAL, {"is_users_own": True}, None),
    (BROADCAST, {"consent": Consent.NONE}, 1301),
    (BROADCAST, {"consent": Consent.WITHDRAWN}, 1302),
    (BROADCAST, {"opted_out": True}, 1302),
    (INITIAL, {"consent": Consent.WITHDRAWN}, None),
    (BROADCAST, {"assignee_id": 8, "keep_assignments": True}, None),
    (BROADCAST, {"already_sent_action": True}, 1304),
    (BROADCAST, {"last_initial_at": NOW - 60}, (1001, SubReason.OUTBOUND_LOCK)),
    (BROADCAST, {"hours_shut": SubReason.RECIPIENT_HOURS}, (1202, SubReason.RECIPIENT_HOURS)),
]


@pytest.mark.parametrize(("kind", "changes", "expected"), CASES, ids=str)
def test_rule(kind: Kind, changes: dict[str, Any], expected: Any) -> None:
    """F037, F038, F040, F043, F052, F055, F056, F057, F058: one row a rule."""
    assert outcome(kind, changes) == expected


def test_the_table_above_has_every_code() -> None:
    seen = {expected[0] if isinstance(expected, tuple) else expected for _, _, expected in CASES}
    assert seen - {None} == {rule.code for rule in RULES}


# The documented order, with one way to break each rule in a kind where it applies.
BREAKERS: dict[str, dict[str, Any]] = {
    "contact": {"phone": None},
    "recipient_number": {"phone": ""},
    "blank": {"body": " "},
    "broadcast_set_up": {"broadcasts": False},
    "users_own_contact": {"is_users_own": True},
    "opt_out": {"opted_out": True},
    "consent": {"consent": Consent.NONE},
    "valid_mobile": {"line_type": "pager"},
    "failure_memory": {"failure_until": NOW + 60},
    "hours": {"hours_shut": SubReason.RECIPIENT_HOURS},
    "assignment": {"assignee_id": 8},
    "already_canvassed": {"already_sent_action": True},
    "identical_text": {"same_text_at": NOW - 60},
    "outbound_lock": {"last_initial_at": NOW - 60, "last_outbound_at": NOW - 60},
    "message_lock": {"locked": True},
}
ANY = Policy(lock_scope="any")


def test_the_order_is_the_documented_one() -> None:
    assert [rule.name for rule in RULES] == list(BREAKERS)
    lines = [line for line in (safeguards.__doc__ or "").splitlines() if line.startswith("| ")][1:]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    documented = [(int(row[1]), int(row[2]), row[3]) for row in rows]
    names = [f"{rule.name} *" if rule.at_hand_over else rule.name for rule in RULES]
    assert documented == [(n, rule.code, names[n - 1]) for n, rule in enumerate(RULES, 1)]


@settings(max_examples=100)
@given(st.data(), st.sampled_from(list(Kind)))
def test_the_earliest_of_several_failing_rules_answers(data: st.DataObject, kind: Kind) -> None:
    applicable = [rule for rule in RULES if kind in rule.applies_to]
    broken = data.draw(st.lists(st.sampled_from(applicable), min_size=1, max_size=5, unique=True))
    changes: dict[str, Any] = {}
    for rule in broken:
        breaker = BREAKERS[rule.name]
        assume(all(changes.get(name, value) == value for name, value in breaker.items()))
        changes |= breaker
    earliest = min(broken, key=RULES.index)
    answer = outcome(kind, changes, ANY)
    assert (answer[0] if isinstance(answer, tuple) else answer) == earliest.code


@pytest.mark.parametrize(
    ("scope", "kind", "changes", "locked"),
    [
        ("initial", INITIAL, {"last_initial_at": NOW - HOUR_S}, True),
        ("initial", INITIAL, {"last_outbound_at": NOW - HOUR_S}, False),
        ("initial", REPLY, {"last_initial_at": NOW - HOUR_S, "last_outbound_at": NOW - HOUR_S}, False),
        ("any", INITIAL, {"last_outbound_at": NOW - HOUR_S}, True),
        ("any", REPLY, {"last_outbound_at": NOW - HOUR_S}, False),
        ("any", INITIAL, {"last_outbound_at": NOW - 6 * HOUR_S}, False),
    ],
)
def test_lock_scope(scope: Any, kind: Kind, changes: dict[str, Any], locked: bool) -> None:
    """C2: a reply inside an open conversation is never locked."""
    expected = (1001, SubReason.OUTBOUND_LOCK) if locked else None
    assert outcome(kind, changes, Policy(lock_scope=scope)) == expected


def test_the_identical_text_check_stays_on_when_the_lock_is_off() -> None:
    off = Policy(lock_enabled=False)
    recent = {"last_initial_at": NOW - 60, "last_outbound_at": NOW - 60}
    assert outcome(INITIAL, recent, off) is None
    assert outcome(INITIAL, {**recent, "same_text_at": NOW - 60}, off) == (1001, SubReason.IDENTICAL_TEXT)


def test_a_campaigns_own_durations_are_used() -> None:
    short = Policy(lock_s=60, same_text_s=120)
    assert outcome(INITIAL, {"last_initial_at": NOW - 59}, short) == (1001, SubReason.OUTBOUND_LOCK)
    assert outcome(INITIAL, {"last_initial_at": NOW - 60}, short) is None
    assert outcome(INITIAL, {"same_text_at": NOW - 119}, short) == (1001, SubReason.IDENTICAL_TEXT)
    assert outcome(INITIAL, {"same_text_at": NOW - 120}, short) is None


@pytest.mark.parametrize("rule", [rule for rule in RULES if INITIAL in rule.applies_to], ids=lambda r: r.name)
def test_an_admins_phone_skips_the_lock_and_nothing_else(rule: safeguards.Rule) -> None:
    """C12. F039 (C12)."""
    answer = outcome(INITIAL, {**BREAKERS[rule.name], "is_admin_phone": True})
    code = answer[0] if isinstance(answer, tuple) else answer
    assert code == (None if rule.name == "outbound_lock" else rule.code)


def test_a_campaign_may_lock_its_admins_too() -> None:
    changes = {"last_initial_at": NOW - 60, "is_admin_phone": True}
    strict = Policy(admin_bypass=False)
    assert outcome(INITIAL, changes, strict) == (1001, SubReason.OUTBOUND_LOCK)


@pytest.mark.parametrize("kind", [INITIAL, REPLY, BROADCAST])
@pytest.mark.parametrize("admin", [False, True])
def test_nobody_texts_a_person_who_opted_out(kind: Kind, admin: bool) -> None:
    """F121: no bypass, for any kind of message but the opt-out's own confirmation, at either look."""
    facts = replace(FACTS_OF[kind], opted_out=True, is_admin_phone=admin)
    answer = check(request_of(kind), facts, Policy(lock_enabled=False), NOW)
    assert isinstance(answer, Blocked)
    assert answer.code == 1302
    assert second_look(kind, facts, NOW) == answer


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_second_look_asks_only_what_may_have_changed(rule: safeguards.Rule) -> None:
    kind = min(rule.applies_to, key=list(Kind).index)
    breaker = {name: value for name, value in BREAKERS[rule.name].items() if hasattr(FACTS, name)}
    refused = second_look(kind, replace(FACTS_OF[kind], **breaker), NOW)
    assert rule.at_hand_over is (refused is not None)
    if refused is not None:
        assert refused.code == rule.code
    assert rule.at_hand_over is (
        rule.name in {"recipient_number", "opt_out", "consent", "valid_mobile", "failure_memory", "hours"}
    )


@pytest.mark.parametrize("kind", Kind)
def test_the_second_look_lets_an_ordinary_message_go(kind: Kind) -> None:
    assert second_look(kind, FACTS_OF[kind], NOW) is None


@pytest.mark.parametrize(
    ("kind", "last_inbound_at", "counts_as"),
    [
        (INITIAL, None, INITIAL),
        (INITIAL, NOW, INITIAL),
        (REPLY, None, INITIAL),
        (REPLY, NOW - 90 * 24 * HOUR_S, REPLY),
        (CONFIRMATION, None, CONFIRMATION),
    ],
)
def test_a_reply_to_somebody_who_never_wrote_counts_as_an_initial(
    kind: Kind, last_inbound_at: float | None, counts_as: Kind
) -> None:
    assert counted_as(kind, last_inbound_at) is counts_as


@pytest.mark.parametrize("kind", Kind)
def test_a_block_carries_the_catalogues_words(kind: Kind) -> None:
    facts = replace(FACTS_OF[kind], hours_shut=SubReason.RECIPIENT_HOURS)
    answer = check(request_of(kind), facts, Policy(), NOW)
    means = consequence(1202, SubReason.RECIPIENT_HOURS)
    assert answer == Blocked(1202, SubReason.RECIPIENT_HOURS, means.volunteer_reads, means.what_to_do)
    assert answer == blocked(1202, SubReason.RECIPIENT_HOURS)


def test_a_policy_with_negative_durations_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Policy(lock_s=-1)
