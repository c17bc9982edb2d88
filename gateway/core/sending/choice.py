"""What a message needs of a number, and what choosing one came to."""

import msgspec

from gateway.core.sending.purchases import BuyOne
from gateway.core.sending.rotation import How, Number


class Chosen(msgspec.Struct, frozen=True):
    """Send from this number at this slot; the capacity is reserved.

    `moved_from` is the retired number that the conversation leaves for good: store the new one.
    """

    number: Number
    slot: float
    how: How
    moved_from: int | None = None
    buy: BuyOne | None = None


class Wait(msgspec.Struct, frozen=True):
    """No slot within the horizon; nothing is reserved. `whole_pool`: nor for any other new conversation."""

    until: float
    buy: BuyOne | None = None
    whole_pool: bool = True


class NoNumber(msgspec.Struct, frozen=True):
    """No number, and none to be had: code 1203 (F054)."""


class Need(msgspec.Struct, frozen=True, gc=False):
    """What one message needs of a number; times in Unix seconds."""

    now: float
    due_at: float
    latest: float
    area_code: str
    carrier: str | None
    segments: int
    preferred: tuple[str, ...]
