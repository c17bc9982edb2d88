"""What is predicted of a load test, by whom, and what stands beside it afterwards."""

import tomllib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from loadtests import rehearsing
from loadtests.forecast import Answers, Foretold, forecasts
from loadtests.ledger import seen
from loadtests.outcome import Route
from loadtests.people import CENTRAL, EASTERN, contacts
from loadtests.plan import Size
from loadtests.predicting import bank, comes_s, foretold, last_batch_s, press_s, volunteers_phones
from loadtests.rehearsing import Bank, Rehearsal, Unforetold, rehearsed, scenario
from simulator.model.draws import Lognormal
from simulator.model.scenario import load
from tests.loadtests.sample_run import CAMPAIGN, SECONDS, ledger, outcome, report

SIZE = Size(contacts=2000, volunteers=20, seconds=60.0, think_s=0.5)
REHEARSAL = Rehearsal(
    finished_s={EASTERN: 570.0, CENTRAL: 630.0}, accepted=16_500, verdict="GO", slowness=20.0, wall_s=30.0
)
SAID = Foretold(
    last_batch_s=500.0,
    people=20_000,
    rehearsal=REHEARSAL,
    calibration=Answers(batches={"p50": 0.02, "p95": 0.07, "p99": 0.11}, sends={"p50": 0.02}),
)


def told(said: Foretold = SAID):
    texted = seen(ledger(), CAMPAIGN)
    return {each.figure: each for each in forecasts(said, outcome(), seen=texted, of_volunteers=texted)}


def test_prediction_and_measurement_stand_side_by_side() -> None:
    found = told()
    finish = found["volunteers finish in Chicago"]
    assert (finish.predicted, finish.by) == (630.0, "rehearsal")
    assert finish.measured == pytest.approx(SECONDS, rel=0.01)
    assert finish.error == pytest.approx(0.05, abs=0.01)
    rate = found["first texts accepted a second"]
    assert (rate.predicted, rate.measured) == pytest.approx((20_000 / 630, 20_000 / SECONDS), rel=0.01)
    p99 = found["a batch, open: p99"]
    assert (p99.predicted, p99.by) == (0.11, "calibration")
    assert p99.error == pytest.approx(0.11 / (p99.measured or 1) - 1)


def test_what_is_not_predicted_says_why() -> None:
    found = told(Foretold(last_batch_s=500.0, people=20_000, why_not="it was an outage"))
    for figure in ("volunteers finish in Chicago", "first texts accepted a second", "a Send, closed: p99"):
        each = found[figure]
        assert (each.predicted, each.error, each.by) == (None, None, "nobody")
        assert each.measured is not None
    assert found["volunteers finish in Chicago"].why == "it was an outage"
    assert "no calibration" in found["a Send, closed: p99"].why
    assert "only the machine" in told()["texts waiting at most"].why


def test_the_page_shows_both() -> None:
    from loadtests.reading.page import page

    text = page(report(forecasts=list(told().values())))
    assert "Did the twin foresee it?" in text
    assert "10 min 30 s" in text
    assert "nobody: no rate limits this plan" in text
    assert "Did the twin foresee it?" not in page(report())


# ---------------------------------------------------------------- what is rehearsed

BANK = bank(SIZE, 0.03)


def test_the_scenario_is_one_and_holds_the_plan(tmp_path: Path) -> None:
    file = tmp_path / "bank.toml"
    file.write_text(scenario(BANK))
    world = load(file)
    ours = tomllib.loads(scenario(BANK))["volunteers"]
    assert world.volunteers.count == 20
    assert sum(shift["share"] for shift in ours["shifts"]) == pytest.approx(1)
    assert world.campaign.overrides.total_per_s == 100_000  # the town's: no rate limits it
    tap = Lognormal(world.volunteers.tap_median_s, world.volunteers.tap_p99_s)
    taps_s = [tap.at(each) for each in np.linspace(0.0005, 0.9995, 1000).tolist()]
    assert np.mean(taps_s) == pytest.approx(BANK.click_s * BANK.slowness, rel=0.02)


def test_a_bank_of_hours_is_rehearsed_at_its_own_pace_and_a_short_one_in_slow_motion() -> None:
    assert BANK.slowness == 100
    slow = msgspec.structs.replace(BANK, think_s=100.0)
    assert 1 < slow.slowness < 4
    assert slow.roughly_s * slow.slowness <= 9 * 3600
    assert msgspec.structs.replace(BANK, think_s=500.0).slowness == 1


def test_volunteers_and_batches_come_when_the_workers_draw_them() -> None:
    assert len(comes_s(SIZE)) == 20
    assert comes_s(SIZE) == comes_s(SIZE) == sorted(comes_s(SIZE))
    assert 0 < last_batch_s(SIZE) <= SIZE.seconds
    phones = list(volunteers_phones(SIZE))
    everybody = [int(row["phone"][1:]) for row in contacts(SIZE.contacts)]
    assert phones == everybody[SIZE.integrated :]
    assert len(BANK.people) == len(phones)


def test_a_volunteer_waits_for_all_that_a_send_brings_with_it() -> None:
    """Looks and answers of their own, not joining nor the admin's results, spread over the Sends."""
    routes = [
        Route(name=name, requests=count, failures=0, seconds={}, milliseconds={str(ms): count})
        for name, count, ms in (
            ("POST sends", 100, 20),
            ("GET conversations", 20, 10),
            ("POST buckets", 4, 50),
            ("POST /v1/join", 5, 1000),
            ("GET results", 30, 400),
        )
    ]
    assert press_s(outcome(routes=routes)) == pytest.approx((100 * 0.02 + 20 * 0.01 + 4 * 0.05) / 100)
    assert press_s(outcome(routes=[])) == 0.0


def test_a_calibration_is_the_load_of_the_plan_when_everybody_has_come() -> None:
    size = Size(contacts=20_000, volunteers=100, seconds=120.0, at_most_s=1200.0)
    step = size.calibration(20.0)
    assert (step.volunteers, step.seconds, step.at_most_s) == (100, 20.0, 20.0)
    assert step.integrated / 20 == pytest.approx(size.integrated / 120, rel=0.01)
    assert step.contacts - step.integrated >= 100 * 20 / step.think_s  # nobody runs out of people
    assert max(comes_s(step)) <= 5.0
    assert (step.form.ends, step.form.events) == ("time", ())


def test_a_plan_in_which_something_breaks_is_calibrated_and_not_rehearsed() -> None:
    steps = []

    def step(size: Size):
        steps.append(size.at_most_s)
        return outcome()

    said = foretold(Size(shape="recovery"), step, lambda _: None)
    assert (steps, said.rehearsal) == ([20.0], None)
    assert said.calibration is not None
    assert "nothing breaks" in said.why_not


def test_a_rehearsal_that_comes_to_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsing, "TOWN", tmp_path / "no.toml")
    with pytest.raises(Unforetold, match=r"ended with 2: .*no such scenario file"):
        rehearsed(BANK, tmp_path)


@pytest.mark.nightly
def test_the_twin_finishes_as_arithmetic_says(tmp_path: Path) -> None:
    """Ten volunteers with a bucket each: the last of ten sums of a hundred clicks."""
    people = list(contacts(1000))
    small = Bank(people=people, comes_s=[0.0] * 10, think_s=0.5, answers_s=0.0, seed=1)
    found = rehearsed(small, tmp_path)
    clicks_s = 100 * small.click_s
    assert clicks_s < max(found.finished_s.values()) < 1.35 * clicks_s
    assert set(found.finished_s) == {EASTERN, CENTRAL}
