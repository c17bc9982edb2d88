"""Usage and its bill: what was handed to the provider between two instants, SMS and MMS apart (F001, F002, F014)."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from gateway.core.bank.billing import HandedOver, bill
from gateway.core.rules.registration import Limits


class Alike(Protocol):
    """Attempts that are billed alike: how many, and the segments of their texts."""

    @property
    def day(self) -> float: ...
    @property
    def is_mms(self) -> bool: ...
    @property
    def carrier(self) -> str | None: ...
    @property
    def state(self) -> str: ...
    @property
    def code(self) -> int | None: ...
    @property
    def has_sid(self) -> bool: ...
    @property
    def number(self) -> int: ...
    @property
    def segments(self) -> int: ...


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """One meter: hand-overs that are billed in full, their units (segments, or one for each MMS), those that failed after
    the provider took them, and dollars for both."""

    texts: int = 0
    units: int = 0
    failed: int = 0
    cost_usd: float = 0.0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """SMS and MMS apart. `free`: hand-overs that cost nothing, such as those that were refused at once."""

    sms: Metered
    mms: Metered
    free: int
    cost_usd: float


def usage_of(groups: Iterable[Alike], limits: Limits) -> Usage:
    """The bill of all of them; `limits` are their campaign's."""
    meters = {False: Metered(), True: Metered()}
    free = 0
    for each in groups:
        one = HandedOver(each.state, each.code, each.has_sid)
        waived = limits.pays_no_fee(each.carrier)
        billed = bill([one], each.segments, each.carrier, is_mms=each.is_mms, pays_no_fee=waived)
        in_full = bool(billed.segments or billed.mms)
        if not in_full and not billed.fees:
            free += each.number
            continue
        by_the_text = each.is_mms or not in_full  # segments are priced together, pictures and fees each
        meter = meters[each.is_mms]
        meters[each.is_mms] = Metered(
            texts=meter.texts + (each.number if in_full else 0),
            units=meter.units + ((each.number if each.is_mms else each.segments) if in_full else 0),
            failed=meter.failed + (0 if in_full else each.number),
            cost_usd=meter.cost_usd + billed.usd * (each.number if by_the_text else 1),
        )
    sms, mms = (
        msgspec.structs.replace(meters[each], cost_usd=round(meters[each].cost_usd, 6))
        for each in (False, True)
    )
    return Usage(sms=sms, mms=mms, free=free, cost_usd=round(sms.cost_usd + mms.cost_usd, 6))
