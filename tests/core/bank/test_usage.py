"""Usage and its bill: SMS and MMS apart, every group as if each of its texts were billed alone (F001, F002)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.billing import HandedOver, bill
from gateway.core.bank.usage import usage_of
from gateway.core.rules.registration import Registration, limits

LIMITS = limits(Registration())


class Group(msgspec.Struct, frozen=True):
    is_mms: bool
    carrier: str | None
    state: str
    code: int | None
    has_sid: bool
    number: int
    segments: int
    day: float = 0.0


ALIKE = st.builds(
    Group,
    st.booleans(),
    st.sampled_from([None, "verizon", "tmobile", "att"]),
    st.sampled_from(["sent", "delivered", "undelivered", "failed", "unknown"]),
    st.sampled_from([None, 30003, 30007, 30001]),
    st.booleans(),
    st.integers(1, 5),
    st.just(0),
).map(lambda each: msgspec.structs.replace(each, segments=2 * each.number))


@given(st.lists(ALIKE))
def test_a_group_costs_what_its_texts_cost(groups: list[Group]) -> None:
    alone = [
        bill(
            [HandedOver(each.state, each.code, each.has_sid)],
            2,
            each.carrier,
            is_mms=each.is_mms,
            pays_no_fee=LIMITS.pays_no_fee(each.carrier),
        )
        for each in groups
        for _ in range(each.number)
    ]
    usage = usage_of(groups, LIMITS)
    assert usage.cost_usd == pytest.approx(sum(each.usd for each in alone), abs=1e-5)
    assert usage.sms.units == sum(each.segments for each in alone)
    assert usage.mms.units == usage.mms.texts == sum(each.mms for each in alone)
    assert usage.sms.failed + usage.mms.failed == sum(each.fees for each in alone)
    counted = [usage.sms.texts, usage.mms.texts, usage.sms.failed, usage.mms.failed, usage.free]
    assert sum(counted) == len(alone)
