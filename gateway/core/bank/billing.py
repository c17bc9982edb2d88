"""What a message was billed: each attempt that the provider took, the last one and those before it (C17, F010, F011)."""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.core.rules.errors import Billing, billed
from gateway.core.rules.lifecycle import State
from gateway.core.text.segments import cost_usd


class HandedOver(NamedTuple):
    """An attempt as it ended, or stands. `has_sid`: the provider gave it an id; a refusal at creation gets none."""

    state: str
    code: int | None
    has_sid: bool


class Billed(NamedTuple):
    """A message's bill: segments that count in full, units that count as one MMS each, failed ones' flat fees, dollars."""

    segments: int
    mms: int
    fees: int
    usd: float


def billing_of(attempt: HandedOver) -> Billing:
    """How the provider bills an attempt: in full once it is sent, a flat fee when it failed after it was taken."""
    is_refused = attempt.state == State.FAILED and not attempt.has_sid
    return billed(attempt.code, "refused" if is_refused else attempt.state)


def attempts_of(past: Sequence[HandedOver], attempt: int, now: HandedOver) -> list[HandedOver]:
    """Every attempt of a message that counts `attempt` of them: those that are over, and the one it tells of itself.

    A late receipt of an earlier attempt ends the message and its own attempt: it is counted once.
    """
    return [*past, now] if attempt > len(past) else list(past)


def bill(
    attempts: Sequence[HandedOver], segments: int, carrier: str | None, *, is_mms: bool, pays_no_fee: bool
) -> Billed:
    """The bill of a text of so many segments; an MMS is one unit whatever its text (C3)."""
    whole, fees, usd = 0, 0, 0.0
    for attempt in attempts:
        how = billing_of(attempt)
        whole += how is Billing.FULL
        fees += how is Billing.FEE
        usd += cost_usd(segments, carrier, how.value, mms=is_mms, pays_no_fee=pays_no_fee)
    return Billed(0 if is_mms else whole * segments, whole if is_mms else 0, fees, usd)
