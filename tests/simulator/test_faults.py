"""Faults: windows given or strewn by the seed, luck keyed by the call."""

from collections import Counter

import msgspec
import pytest

from simulator.model.carriers import ATT, VERIZON
from simulator.model.draws import Draws
from simulator.model.faults import (
    Answer,
    Brownout,
    Chaos,
    FaultParameters,
    Faults,
    NumberBan,
    StopWave,
    Window,
)


def faults(seed=3, **parameters):
    return Faults(FaultParameters(**parameters), Draws(seed))


def test_a_calm_day_has_no_faults():
    calm = faults()
    assert {calm.answer(nth) for nth in range(500)} == {Answer.GOOD}
    assert not calm.any_brownout
    assert (calm.slow_factor(ATT, 5.0), calm.refuses(5.0), calm.receipts_held_until(5.0)) == (1.0, False, 5.0)
    assert (calm.stop_wave_share(5.0), calm.ban_code(0, 5.0), calm.purchase_fails(0)) == (0.0, 0, 0)
    assert list(calm.crashes_at_s) == []


@pytest.mark.parametrize(("now", "inside"), [(99.9, False), (100.0, True), (159.9, True), (160.0, False)])
def test_windows_begin_and_end(now, inside):
    window = {"from_s": 100.0, "for_s": 60.0}
    day = faults(
        brownouts=(Brownout(carrier="verizon", slow_factor=8.0, **window),),
        outages=(Window(**window),),
        receipt_storms=(Window(**window),),
        stop_waves=(StopWave(share=0.2, **window),),
    )
    assert day.slow_factor(VERIZON, now) == (8.0 if inside else 1.0)
    assert day.slow_factor(ATT, now) == 1.0
    assert day.refuses(now) is inside
    assert day.receipts_held_until(now) == (160.0 if inside else now)
    assert day.stop_wave_share(now) == (0.2 if inside else 0.0)


def test_answers_come_in_their_shares_and_are_keyed_by_the_call():
    day = faults(
        answers_lost_after_share=0.1,
        answers_lost_before_share=0.05,
        errors_after_share=0.05,
        throttled_share=0.1,
    )
    counts = Counter(day.answer(nth) for nth in range(20_000))
    expected = {
        Answer.LOST_AFTER: 0.1,
        Answer.LOST_BEFORE: 0.05,
        Answer.ERROR_AFTER: 0.05,
        Answer.THROTTLED: 0.1,
        Answer.GOOD: 0.7,
    }
    assert {answer: count / 20_000 for answer, count in counts.items()} == pytest.approx(expected, abs=0.01)
    assert [day.answer(nth) for nth in (9, 3, 9)] == [faults(**_shares(day)).answer(nth) for nth in (9, 3, 9)]
    lost = [nth for nth in range(500) if day.answer_lost(nth)]
    assert lost == [nth for nth in range(500) if day.answer(nth) in (Answer.LOST_AFTER, Answer.LOST_BEFORE)]


def _shares(day):
    return {
        name: getattr(day.parameters, name)
        for name in day.parameters.__struct_fields__
        if name.endswith("_share")
    }


@pytest.mark.parametrize(
    ("answer", "processed"),
    [
        (Answer.GOOD, True),
        (Answer.LOST_AFTER, True),
        (Answer.ERROR_AFTER, True),
        (Answer.LOST_BEFORE, False),
        (Answer.ERROR_BEFORE, False),
        (Answer.THROTTLED, False),
    ],
)
def test_which_calls_are_processed(answer, processed):
    assert answer.processed is processed


def test_bans_and_purchases():
    day = faults(number_bans=(NumberBan(at_s=50.0, nth=2), NumberBan(at_s=10.0, nth=4, code=21606)))
    assert [day.ban_code(2, 49.0), day.ban_code(2, 50.0), day.ban_code(4, 50.0), day.ban_code(3, 50.0)] == [
        0,
        30007,
        21606,
        0,
    ]
    races = faults(purchase_failure_share=0.3)
    lost = [races.purchase_fails(nth) for nth in range(2_000)]
    assert set(lost) == {0, 21422}
    assert lost.count(21422) / 2_000 == pytest.approx(0.3, abs=0.04)


def test_chaos_is_strewn_by_the_seed_and_kinds_do_not_disturb_each_other():
    chaos = Chaos(brownouts=2, outages=3, receipt_storms=1, number_bans=2, gateway_crashes=2)
    one, same, other = (faults(seed, chaos=chaos).parameters for seed in (1, 1, 2))
    assert one == same != other
    assert [len(one.brownouts), len(one.outages), len(one.receipt_storms), len(one.number_bans)] == [
        2,
        3,
        1,
        2,
    ]
    assert all(0 <= window.from_s < 43_200 and window.for_s <= chaos.longest_s for window in one.outages)
    without = faults(1, chaos=msgspec.structs.replace(chaos, brownouts=0)).parameters
    assert without.outages == one.outages
    assert without.gateway_crashes_at_s == one.gateway_crashes_at_s
    crashes = faults(1, chaos=chaos, gateway_crashes_at_s=(7.0,)).crashes_at_s
    assert len(crashes) == 3
    assert crashes == sorted(crashes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"answers_lost_after_share": 0.6, "errors_after_share": 0.6},
        {"throttled_share": -0.1},
        {"outages": [{"from_s": 1, "for_s": 0}]},
        {"brownouts": [{"from_s": 1, "for_s": 5, "carrier": "verizn"}]},
        {"lost_answers": 0.1},
    ],
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, FaultParameters)
