"""The catalogue, against the documents it was made from (F037-F071, C16, C17, C19)."""

from math import inf

import pytest

from gateway.core.rules import errors
from gateway.core.rules.errors import (
    CATALOGUE,
    Actor,
    BadInput,
    Billing,
    Box,
    Kind,
    Reason,
    Retry,
    Scope,
    SubReason,
    TextbankError,
    billed,
    consequence,
)

PLATFORM_CODES = {
    1001, 1002, 1101, 1102, 1103, 1104, 1105, 1106, 1107, 1108, 1109, 1110, 1111,
    1201, 1202, 1203, 1204, 1205, 1301, 1302, 1303, 1304, 1305, 9000, 9001,
}  # fmt: skip

DAY_S = 86_400.0


def test_every_platform_code_is_there_and_no_other() -> None:
    """F067: four digits are ours, five the provider's."""
    assert {code for code in CATALOGUE if 1000 <= code <= 9999} == PLATFORM_CODES


@pytest.mark.parametrize("code", sorted(PLATFORM_CODES))
def test_a_safeguard_is_free_and_counts_as_a_safeguard(code: int) -> None:
    entry = consequence(code)
    assert (entry.billing, entry.box, entry.memory_s) == (Billing.FREE, Box.SAFEGUARD, 0.0)
    assert not entry.opts_out
    assert not entry.blames_number


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: str(entry.code))
def test_every_entry_can_be_read_by_a_volunteer(entry: errors.Consequence) -> None:
    """F068."""
    assert entry.title
    for text in (entry.volunteer_reads, entry.what_to_do):
        assert text.endswith("."), entry
    for jargon in ("Twilio", "HTTP", "SID", "10DLC", "webhook", "Error"):
        assert jargon not in entry.volunteer_reads


@pytest.mark.parametrize(
    ("code", "kind", "retry", "scope", "billing"),
    [
        (20003, Kind.AUTH, Retry.FIX, Scope.ACCOUNT, Billing.FREE),
        (20005, Kind.ACCOUNT, Retry.FIX, Scope.ACCOUNT, Billing.FREE),
        (20429, Kind.THROTTLE, Retry.SAME, Scope.ACCOUNT, Billing.FREE),
        (429, Kind.THROTTLE, Retry.SAME, Scope.ACCOUNT, Billing.FREE),
        (20409, Kind.STATE, Retry.ONCE, Scope.MESSAGE, Billing.FREE),
        (20500, Kind.UNKNOWN, Retry.RECONCILE, Scope.MESSAGE, Billing.FREE),
        (21211, Kind.BAD_NUMBER, Retry.NEVER, Scope.RECIPIENT, Billing.FREE),
        (21212, Kind.BAD_SENDER, Retry.FIX, Scope.SENDER, Billing.FREE),
        (21408, Kind.GEO, Retry.FIX, Scope.RECIPIENT, Billing.FREE),
        (21610, Kind.OPT_OUT, Retry.NEVER, Scope.RECIPIENT, Billing.FREE),
        (21611, Kind.QUEUE_FULL, Retry.SAME, Scope.SENDER, Billing.FREE),
        (21612, Kind.UNREACHABLE, Retry.ALTERNATE, Scope.RECIPIENT, Billing.FREE),
        (21614, Kind.BAD_NUMBER, Retry.NEVER, Scope.RECIPIENT, Billing.FREE),
        (21617, Kind.CONTENT, Retry.NEVER, Scope.MESSAGE, Billing.FREE),
        (21710, Kind.BENIGN, Retry.NEVER, Scope.MESSAGE, Billing.FREE),
        (30001, Kind.QUEUE_FULL, Retry.SAME, Scope.SENDER, Billing.FEE),
        (30002, Kind.ACCOUNT, Retry.FIX, Scope.ACCOUNT, Billing.FREE),
        (30003, Kind.TRANSIENT, Retry.ONCE, Scope.RECIPIENT, Billing.FULL),
        (30004, Kind.BLOCKED, Retry.NEVER, Scope.RECIPIENT, Billing.FULL),
        (30005, Kind.BAD_NUMBER, Retry.NEVER, Scope.RECIPIENT, Billing.FULL),
        (30006, Kind.LANDLINE, Retry.NEVER, Scope.RECIPIENT, Billing.FULL),
        (30007, Kind.FILTERED, Retry.NEVER, Scope.CAMPAIGN, Billing.FULL),
        (30008, Kind.UNKNOWN, Retry.ONCE, Scope.MESSAGE, Billing.FULL),
        (30017, Kind.THROTTLE, Retry.SAME, Scope.CARRIER, Billing.FULL),
        (30022, Kind.THROTTLE, Retry.SAME, Scope.CARRIER, Billing.FULL),
        (30023, Kind.DAILY_CAP, Retry.SAME, Scope.CARRIER, Billing.FULL),
        (30032, Kind.REGISTRATION, Retry.FIX, Scope.SENDER, Billing.FEE),
        (30033, Kind.REGISTRATION, Retry.FIX, Scope.CAMPAIGN, Billing.FEE),
        (30034, Kind.REGISTRATION, Retry.SAME, Scope.CAMPAIGN, Billing.FEE),
        (30035, Kind.REGISTRATION, Retry.SAME, Scope.SENDER, Billing.FEE),
        (30036, Kind.EXPIRED, Retry.SAME, Scope.MESSAGE, Billing.FREE),
        (30410, Kind.UNKNOWN, Retry.RECONCILE, Scope.MESSAGE, Billing.FEE),
        (30450, Kind.FRAUD_GUARD, Retry.SAME, Scope.RECIPIENT, Billing.FREE),
        (30500, Kind.SYSTEM, Retry.ONCE, Scope.MESSAGE, Billing.FREE),
        (9001, Kind.LOCK, Retry.SAME, Scope.MESSAGE, Billing.FREE),
        (1302, Kind.OPT_OUT, Retry.NEVER, Scope.RECIPIENT, Billing.FREE),
    ],
)
def test_what_follows(code: int, kind: Kind, retry: Retry, scope: Scope, billing: Billing) -> None:
    """F069, F070: for 30003 and 30004 among others."""
    entry = consequence(code)
    assert (entry.kind, entry.retry, entry.scope, entry.billing) == (kind, retry, scope, billing)


@pytest.mark.parametrize(
    ("code", "memory_s"),
    [
        (30003, DAY_S),
        (30008, DAY_S / 4),
        (30005, 90 * DAY_S),
        (30006, inf),
        (21614, inf),
        (21610, 0.0),
        (30007, 0.0),
        (30450, 1800.0),
    ],
)
def test_failure_memory_is_c16s(code: int, memory_s: float) -> None:
    assert consequence(code).memory_s == memory_s


@pytest.mark.parametrize("code", [30023, 30001, 30022, 20429, 20003, 30034, 30410, 30500])
def test_a_failure_that_is_not_the_recipients_is_not_held_against_them(code: int) -> None:
    assert consequence(code).memory_s == 0.0


def test_only_the_filtering_codes_count_as_filtering() -> None:
    """F071: exactly 30007."""
    assert [code for code, entry in CATALOGUE.items() if entry.box is Box.FILTERING] == [30007]


def test_only_a_provider_opt_out_opts_out() -> None:
    assert [code for code, entry in CATALOGUE.items() if entry.opts_out] == [21610]
    assert consequence(21610).alert


@pytest.mark.parametrize("code", [21212, 21606, 21660, 30024])
def test_codes_that_blame_the_number(code: int) -> None:
    assert consequence(code).blames_number


def test_two_codes_say_that_carriers_do_not_know_the_number() -> None:
    assert [code for code, entry in CATALOGUE.items() if entry.unsettles_number] == [30034, 30035]


@pytest.mark.parametrize("code", [30003, 30005, 30007, 21611, 30001, 21612, 30033, 30034, 30035, 20003])
def test_codes_that_do_not_blame_the_number(code: int) -> None:
    assert not consequence(code).blames_number


@pytest.mark.parametrize(
    ("code", "retry", "box", "title"),
    [
        (21999, Retry.NEVER, Box.PROVIDER, "Unknown code 21999"),
        (418, Retry.NEVER, Box.PROVIDER, "Unknown code 418"),
        (30999, Retry.NEVER, Box.PROVIDER, "Unknown code 30999"),
        (30000, Retry.NEVER, Box.PROVIDER, "Unknown code 30000"),
        (99999, Retry.NEVER, Box.PROVIDER, "Unknown code 99999"),
        (1999, Retry.NEVER, Box.SAFEGUARD, "Unknown code 1999"),
    ],
)
def test_an_unknown_code_is_permanent_and_an_alert(code: int, retry: Retry, box: Box, title: str) -> None:
    """F066."""
    entry = consequence(code)
    assert (entry.code, entry.retry, entry.box, entry.title) == (code, retry, box, title)
    assert entry.alert
    assert entry.actor is Actor.OPERATOR
    assert entry.reason is Reason.UNKNOWN


@pytest.mark.parametrize("code", [500, 502, 503, 504, 599, 20503])
def test_a_server_error_leaves_the_outcome_open(code: int) -> None:
    assert consequence(code).retry is Retry.RECONCILE


def test_unknown_delivery_is_billed_in_full_and_unknown_refusal_is_free() -> None:
    assert consequence(30999).billing is Billing.FULL
    assert consequence(21999).billing is Billing.FREE


SUB_REASONS = {
    SubReason.IDENTICAL_TEXT: 1001,
    SubReason.OUTBOUND_LOCK: 1001,
    SubReason.CAMPAIGN_HOURS: 1202,
    SubReason.RECIPIENT_HOURS: 1202,
    SubReason.EXPIRED_IN_QUEUE: 1202,
    SubReason.PAUSED: 1202,
    SubReason.LOCK_TRUE: 9001,
    SubReason.LOCK_FALSE: 9001,
    SubReason.BLANK_NUMBER: 9000,
    SubReason.WRONG_FORMAT: 9000,
    SubReason.LANDLINE: 9000,
}


def test_every_sub_reason_is_in_the_table() -> None:
    assert set(SUB_REASONS) == set(SubReason)


@pytest.mark.parametrize(("sub_reason", "code"), SUB_REASONS.items())
def test_a_sub_reason_has_a_title_of_its_own(sub_reason: SubReason, code: int) -> None:
    entry = consequence(code, sub_reason)
    assert entry.code == code
    assert entry.title != consequence(code).title
    others = [other for other, its in SUB_REASONS.items() if its == code and other is not sub_reason]
    assert entry.title not in {consequence(code, other).title for other in others}


def test_a_sub_reason_of_another_code_changes_nothing() -> None:
    assert consequence(1302, SubReason.PAUSED) == consequence(1302)


def test_metrics_have_at_most_twelve_classes_with_none_for_success() -> None:
    assert len(Reason) + 1 <= 12


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (None, "delivered", Billing.FULL),
        (None, "sent", Billing.FULL),
        (30003, "undelivered", Billing.FULL),
        (30007, "undelivered", Billing.FULL),
        (30007, "failed", Billing.FEE),
        (21610, "failed", Billing.FEE),
        (21610, "refused", Billing.FREE),
        (30008, "failed", Billing.FREE),
        (30002, "failed", Billing.FREE),
        (30036, "failed", Billing.FREE),
        (None, "failed", Billing.FEE),
        (1302, "blocked", Billing.FREE),
    ],
)
def test_what_is_billed(code: int | None, status: str, expected: Billing) -> None:
    """C17, and the provider's list of codes without the fee. F010, F011: what reached the provider is billed, what a safeguard stopped is not (C17)."""
    assert billed(code, status) is expected


def test_a_code_in_two_families_is_refused() -> None:
    family = {**errors._FAMILIES["landline"], "codes": {"30007": {"title": "Again"}}}
    with pytest.raises(ValueError, match="30007 stands in two families"):
        errors._catalogue({**errors._FAMILIES, "second": family})


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BadInput("no phone column", "list.csv", "add one"), "no phone column: list.csv; add one"),
        (BadInput("no phone column"), "no phone column"),
        (BadInput("no phone column", do="add one"), "no phone column; add one"),
        (BadInput("two\nlines", "here\r\nthere"), "two lines: here there"),
    ],
)
def test_bad_input_reads_as_one_line(error: BadInput, line: str) -> None:
    assert str(error) == line
    assert isinstance(error, TextbankError)
