"""How the world differs by carrier and by day: parameters for one carrier, a carrier that fails, election week."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from simulator.model.carriers import CARRIERS, CampaignRegistration, CarrierParameters, registration_of
from simulator.model.draws import Draws
from simulator.model.faults import CarrierFailure, Chaos, FaultParameters, Faults, Rush, WebhookBacklog
from simulator.model.handsets import HandsetParameters
from simulator.model.ledger import Ledger
from simulator.model.population import Line, Population, PopulationParameters
from simulator.model.webhooks import WebhookParameters
from tests.simulator.test_market import CALM, MOBILE, NOON_EASTERN, OURS, People, World, calm

ATT_AND_VERIZON = (0, 2)
NO_DELAY = WebhookParameters(
    overtaken_share=0.0, twice_share=0.0, lost_share=0.0, fastest_s=0.1, slowest_s=0.1
)


def both(count=200):
    """People half with AT&T, half with Verizon."""
    return People([MOBILE] * count, carriers=ATT_AND_VERIZON)


def ends_by_carrier(world):
    """The codes with which texts to each carrier ended."""
    submissions, finals = world.ledger.submissions.columns(), world.ledger.finals.columns()
    carrier = submissions["carrier"][finals["n"]]
    return {
        name: set(finals["code"][carrier == CARRIERS.index(name)].tolist()) for name in ("att", "verizon")
    }


def sent_to(people, count=200, **world):
    made = World(people=people, **world)
    for nth in range(count):
        made.send(nth)
    return made.run()


# ------------------------------------------------------------ carriers differ


def test_one_carrier_has_more_unknown_errors():
    carriers = CarrierParameters(unknown_error_share=0.0, unknown_error={"verizon": 1.0}, receipt_missing={})
    assert ends_by_carrier(sent_to(both(), parameters=calm(carriers=carriers))) == {
        "att": {0},
        "verizon": {30008},
    }


def test_one_carrier_is_slower():
    plain = CarrierParameters(unknown_error_share=0.0, receipt_missing={})
    slow = CarrierParameters(unknown_error_share=0.0, receipt_missing={}, latency_factor={"verizon": 20.0})
    before, after = (sent_to(both(), parameters=calm(carriers=each)).ledger for each in (plain, slow))
    for stage in ("accepted", "shown"):
        assert after.latency_s(stage, "att").tolist() == before.latency_s(stage, "att").tolist()
        assert np.median(after.latency_s(stage, "verizon")) > 4 * np.median(
            before.latency_s(stage, "verizon")
        )


def test_one_carriers_filter_is_stricter():
    filtering = type(CALM.filtering)(base_share=0.01, missing_opt_out_share=0.0, identical_share=0.0)
    carriers = CarrierParameters(unknown_error_share=0.0, receipt_missing={}, filter_factor={"verizon": 60.0})
    world = sent_to(both(400), 400, parameters=calm(filtering=filtering, carriers=carriers))
    filtered = world.ledger.finals.columns()
    carrier = world.ledger.submissions.columns()["carrier"][filtered["n"]][filtered["code"] == 30007]
    counts = np.bincount(carrier, minlength=3)
    assert counts[0] < 15
    assert counts[2] > 80


def test_a_carriers_numbers_may_be_dead_more_often():
    parameters = PopulationParameters(dead_share=0.0, dead_by_carrier={"tmobile": 0.5})
    people = Population.synthetic(parameters, 4000, Draws(1))
    dead = people.carrier[people.line == Line.DEAD]
    assert set(dead.tolist()) == {CARRIERS.index("tmobile")}
    assert 0.4 < len(dead) / np.count_nonzero(people.carrier == CARRIERS.index("tmobile")) < 0.6
    with pytest.raises(ValueError, match="more than 1"):
        PopulationParameters(landline_share=0.6, dead_by_carrier={"att": 0.5})


def test_some_handsets_are_given_up_within_the_bank():
    """30003 comes within hours, for about the share whose carrier does not wait for days."""
    away = HandsetParameters(off_share=1.0, off_median_s=1e6, off_p95_s=2e6)
    world = World(calm(handsets=away), people=People([MOBILE] * 400))
    for nth in range(400):
        world.send(nth)
    world.run(6 * 3600)
    assert set(world.finals()) == {(3, 30003)}
    assert 150 < world.finals()[3, 30003] < 250


# ------------------------------------------------------------ money


def test_look_ups_cost_money():
    world = World()
    for nth in range(50):
        world.market.lookup(12_155_550_200 + nth)
    assert (world.ledger.lookups, world.ledger.cost_usd) == (50, pytest.approx(50 * 0.008))


def test_an_mms_has_its_own_price_and_rate():
    registration = CampaignRegistration(100.0, {"att": 50.0, "verizon": 50.0}, mms_per_s=5.0)
    world = World(people=People([MOBILE] * 21), registration=registration)
    for nth in range(21):
        world.send(nth, pictures=1, body="")
    world.run()
    left = np.sort(world.ledger.accepts.columns()["departed_at"])
    assert np.diff(left) == pytest.approx([0.2] * 20)
    assert world.ledger.cost_usd == pytest.approx(21 * (0.022 + 0.009))


def test_charities_have_class_p_and_pay_tmobile_nothing():
    granted = registration_of("charity", 90, "charity")
    assert (granted.total_per_s, granted.carrier_per_s["att"], granted.mms_per_s) == (120.0, 40.0, 20.0)
    assert (granted.tmobile_daily_segments, granted.tmobile_fee_waived) == (200_000, True)
    world = World(people=People([MOBILE] * 2, carriers=(0, 1)), registration=granted)
    world.send(0)
    world.send(1)
    world.run()
    assert world.ledger.cost_usd == pytest.approx(2 * 0.0083 + 0.0035)
    other = registration_of("charity", 90, "mixed")
    assert (other.total_per_s, other.tmobile_fee_waived) == (225.0, False)


# ------------------------------------------------------------ bad days


@pytest.mark.parametrize("code", [30008, 30017, 30022])
def test_a_carrier_fails_for_a_while(code):
    failure = CarrierFailure(from_s=0.0, for_s=600.0, carrier="verizon", code=code)
    world = World(people=both(), carrier_failures=(failure,))
    for nth in range(100):
        world.send(nth)
    world.run(700)
    assert ends_by_carrier(world) == {"att": {0}, "verizon": {code}}
    for nth in range(100, 200):
        world.send(nth)
    world.run()
    late = world.ledger.finals.columns()
    assert set(late["code"][late["n"] >= 100].tolist()) == {0}


def test_a_part_of_a_failing_carriers_texts_passes():
    failure = CarrierFailure(from_s=0.0, for_s=600.0, carrier="verizon", share=0.5)
    world = sent_to(both(400), 400, carrier_failures=(failure,))
    assert 70 < world.finals()[3, 30008] < 130


def at(start, rush):
    """The faults of a world that starts then, by the clock of Chicago."""
    start = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo("America/Chicago"))
    return Faults(FaultParameters(rushes=(rush,)), Draws(1), start_at=start.timestamp())


def test_election_week_is_worst_at_the_full_hour():
    rush = Rush(from_s=0.0, for_s=7_200.0, slow_factor=2.0, full_hour_factor=6.0, full_hour_s=600.0)
    faults = at("2026-10-31T17:00", rush)
    slow = {
        now: {faults.slow_factor(carrier, now) for carrier in range(6)}
        for now in (0.0, 300.0, 900.0, 3600.0, 7300.0)
    }
    assert slow == {0.0: {6.0}, 300.0: {4.0}, 900.0: {2.0}, 3600.0: {6.0}, 7300.0: {1.0}}
    assert (faults.mms_late_s(10.0), faults.mms_late_s(7300.0)) == (1200.0, 0.0)
    assert at("2026-10-31T17:50", rush).slow_factor(0, 600.0) == 6.0, (
        "the full hour is the wall clock's, not the world's"
    )


def test_a_rush_slows_every_text_and_an_mms_most():
    rush = Rush(from_s=0.0, for_s=7_200.0, slow_factor=4.0, full_hour_factor=4.0)
    well, ill = sent_to(both()), sent_to(both(), rushes=(rush,))
    for carrier in ("att", "verizon"):
        assert np.median(ill.ledger.latency_s("shown", carrier)) > 3 * np.median(
            well.ledger.latency_s("shown", carrier)
        )
    picture = World(rushes=(rush,))
    picture.send(pictures=1)
    picture.run()
    assert picture.ledger.latency_s("shown", "att")[0] > 1200


def test_a_backlog_of_webhooks_keeps_their_order_and_is_worked_off():
    """2 a second for 100 s, then 50 a second: nothing is lost, nobody comes early."""
    backlog = WebhookBacklog(from_s=0.0, for_s=100.0, per_s=2.0, after_per_s=50.0)
    world = World(calm(webhooks=NO_DELAY), people=People([MOBILE] * 500), webhook_backlogs=(backlog,))
    for nth in range(500):
        world.send(nth)
    world.run(100.0)
    assert 190 <= len(world.statuses) <= 200
    world.run(60.0)
    assert len(world.statuses) > 980, "some receipts take minutes"
    times = [event.at for event in world.statuses]
    assert times == sorted(times)
    world.run()
    assert len(world.statuses) == 1000
    world.send(0)
    before = world.env.now
    world.run(300.0)
    assert world.statuses[-2].at - before < 10


def test_a_backlog_holds_peoples_texts_too():
    backlog = WebhookBacklog(from_s=0.0, for_s=1_000.0, per_s=0.01, after_per_s=10.0)
    world = World(calm(webhooks=NO_DELAY), people=People([MOBILE] * 3), webhook_backlogs=(backlog,))
    for person in range(3):
        world.market.text_from_person(12_155_550_200 + person, OURS, "STOP")
    world.run(150.0)
    assert len(world.inbound) == 1
    world.run()
    assert len(world.inbound) == 3


def test_the_seed_strews_them_too_and_changes_no_other():
    plain = Faults(FaultParameters(chaos=Chaos(brownouts=2, outages=1, number_bans=2)), Draws(3)).parameters
    more = Faults(
        FaultParameters(
            chaos=Chaos(brownouts=2, outages=1, number_bans=2, carrier_failures=4, webhook_backlogs=2)
        ),
        Draws(3),
    ).parameters
    assert (more.brownouts, more.outages, more.number_bans) == (
        plain.brownouts,
        plain.outages,
        plain.number_bans,
    )
    assert (len(more.carrier_failures), len(more.webhook_backlogs)) == (4, 2)
    assert len({(each.carrier, each.code) for each in more.carrier_failures}) > 1


def test_nothing_of_this_on_a_calm_day():
    faults = Faults(FaultParameters(), Draws(1), start_at=NOON_EASTERN)
    assert (faults.any_brownout, faults.any_carrier_failure, faults.backlog(1.0)) == (False, False, None)
    assert Ledger().lookups == 0
