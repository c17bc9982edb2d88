"""What a message was billed: every attempt that the provider took, in full or by its flat fee (C17)."""

import pytest

from gateway.core.bank.billing import Billed, HandedOver, attempts_of, bill
from gateway.core.text.segments import PRICES

FEES = PRICES.fees("verizon")
PART = PRICES.sms_usd + FEES.sms_usd


def billed(*attempts: HandedOver, segments: int = 2, is_mms: bool = False, **more: bool) -> Billed:
    return bill(attempts, segments, "verizon", is_mms=is_mms, **({"pays_no_fee": False} | more))


def test_every_attempt_counts() -> None:
    """F010: what was handed to a carrier is billed, delivered or not; also the attempts before."""
    twice = billed(HandedOver("undelivered", 30005, True), HandedOver("delivered", None, True))
    assert twice == Billed(4, 0, 0, pytest.approx(4 * PART))


def test_what_failed_after_it_was_taken_costs_its_fee() -> None:
    assert billed(HandedOver("failed", 30001, True)) == Billed(0, 0, 1, PRICES.failed_usd)


@pytest.mark.parametrize(
    "attempt",
    [
        HandedOver("failed", 21211, False),  # refused at creation
        HandedOver("blocked", 1302, False),  # F011: never attempted
        HandedOver("queued", None, False),
        HandedOver("sending", None, False),
    ],
)
def test_what_the_provider_never_took_is_free(attempt: HandedOver) -> None:
    assert billed(attempt) == Billed(0, 0, 0, 0.0)


def test_a_picture_is_one_unit_whatever_its_text() -> None:
    """F002, F013."""
    one = billed(HandedOver("delivered", None, True), segments=5, is_mms=True)
    assert one == Billed(0, 1, 0, pytest.approx(PRICES.mms_usd + FEES.mms_usd))


def test_a_late_receipt_ends_a_message_once() -> None:
    past, now = HandedOver("delivered", None, True), HandedOver("delivered", None, True)
    assert attempts_of([past], 1, now) == [past]
    assert attempts_of([past], 2, now) == [past, now]
    assert attempts_of([], 1, now) == [now]
    assert attempts_of([], 0, HandedOver("blocked", 1302, False)) == []
