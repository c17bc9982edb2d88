"""The population: fictitious unique phones, traits keyed by phone, names for import."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.text import phone as gateway_phone
from simulator.model.carriers import CARRIERS
from simulator.model.draws import Draws
from simulator.model.population import (
    CarrierShares,
    Line,
    Population,
    PopulationParameters,
    State,
    TooManyContacts,
)

PARAMETERS = PopulationParameters()
ONE_CODE = PopulationParameters(
    states=(State(state="NV", weight=1, area_codes=(702,), zip_prefixes=("891",)),)
)


def invented(count, seed=1, parameters=PARAMETERS):
    return Population.synthetic(parameters, count, Draws(seed))


def test_invented_phones_are_unique_and_fictitious():
    phones = invented(30_000, parameters=ONE_CODE).phones
    assert len(np.unique(phones)) == 30_000
    exchanges, lines = phones // 10_000 % 1000, phones % 10_000
    assert set(exchanges.tolist()) == {555, 958, 959, 950}  # no subscriber has any of these
    assert set((phones // 10_000_000).tolist()) == {1702}
    assert not set(lines.tolist()) & {1212, 4334}
    assert lines.min() >= 200  # 555-0100 to 0199 are left to the campaign's own numbers


def test_small_lists_stay_in_exchange_555():
    assert set((invented(50_000).phones // 10_000 % 1000).tolist()) == {555}


def test_the_gateway_takes_every_invented_phone_for_a_phone():
    rows = invented(30_000, parameters=ONE_CODE).rows(0, 30_000)
    assert all(isinstance(gateway_phone.parse(row.phone), gateway_phone.Phone) for row in rows)


def test_a_longer_list_begins_with_the_shorter_one():
    assert invented(5_000).phones.tolist() == invented(9_000).phones[:5_000].tolist()


def test_the_seed_decides():
    assert invented(500, seed=1).phones.tolist() == invented(500, seed=1).phones.tolist()
    assert invented(500, seed=1).phones.tolist() != invented(500, seed=2).phones.tolist()


def test_an_area_code_can_run_out():
    with pytest.raises(TooManyContacts, match="name more area codes"):
        invented(127_400, parameters=ONE_CODE)


def test_shares_are_met():
    population = invented(50_000)
    lines = np.bincount(population.line, minlength=3) / len(population)
    assert lines[Line.LANDLINE] == pytest.approx(0.03, abs=0.004)
    assert lines[Line.DEAD] == pytest.approx(0.02, abs=0.004)
    carriers = np.bincount(population.carrier, minlength=len(CARRIERS)) / len(population)
    assert carriers == pytest.approx([0.28, 0.33, 0.34, 0.01, 0.01, 0.03], abs=0.01)
    assert population.reassigned.mean() == pytest.approx(0.03 * 0.95, abs=0.004)
    assert not population.reassigned[population.line != Line.MOBILE].any()


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(60)))
def test_traits_follow_the_phone_not_its_place_on_the_list(order):
    sorted_list = invented(60)
    shuffled = Population.from_phones(sorted_list.phones[list(order)], Draws(1), PARAMETERS)
    for place, original in enumerate(order):
        assert shuffled.carrier[place] == sorted_list.carrier[original]
        assert shuffled.line[place] == sorted_list.line[original]
        assert shuffled.reassigned[place] == sorted_list.reassigned[original]
        assert shuffled.first_name(place) == sorted_list.first_name(original)
        assert shuffled.index_of(int(sorted_list.phones[original])) == place


@pytest.mark.parametrize("unknown", [0, 12155550100, 19995550123, 99999999999])
def test_a_phone_of_nobody_has_no_index(unknown):
    assert invented(1_000).index_of(unknown) == -1


def test_index_of_finds_everybody():
    population = invented(3_000)
    assert [population.index_of(phone) for phone in population.phones.tolist()] == list(range(3_000))


def test_rows_agree_with_the_single_accessors():
    population = invented(9_000)
    rows = list(population.rows(8_100, 9_000))
    assert len(rows) == 900
    for index, row in zip(range(8_100, 9_000), rows, strict=True):
        assert row == (
            f"+{population.phones[index]}",
            population.first_name(index),
            population.last_name(index),
            *row[3:],
        )


def test_a_row_is_a_believable_voter():
    rows = list(invented(5_000).rows())
    at_home = [row for row in rows if row.state == "PA"]
    assert 4_400 <= len(at_home) <= 4_600  # one in ten lives elsewhere than the area code says
    assert {row.state for row in rows} == {"PA", "CA", "TX", "FL", "NY", "CO", "WA"}
    assert all(len(row.zip) == 5 and row.zip[0] == "1" for row in at_home)
    assert 5 <= sum(not row.first_name for row in rows) <= 60  # half a per cent have no first name
    assert all(row.last_name for row in rows)


def test_a_real_list_outside_the_scenario_has_no_state():
    population = Population.from_phones(np.array([12075550123]), Draws(1), PARAMETERS)
    (row,) = population.rows()
    assert (row.phone, row.state, row.zip) == ("+12075550123", "", "")


def test_an_empty_list_is_a_population():
    population = Population.from_phones(np.array([], dtype=np.int64), Draws(1), PARAMETERS)
    assert (len(population), population.index_of(12155550123), list(population.rows())) == (0, -1, [])


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"carriers": {"att": 0.5}}, "sum to"),
        ({"landline_share": 0.6, "dead_share": 0.5}, "more than 1"),
        ({"landline_share": -0.1}, ">= 0"),
        (
            {
                "states": [
                    {"state": "PA", "weight": 1, "area_codes": [215, 215], "zip_prefixes": ["191"]},
                ]
            },
            "215 is named twice",
        ),
    ],
)
def test_impossible_shares_are_refused(parameters, complaint):
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.convert(parameters, PopulationParameters)


def test_carrier_shares_come_in_the_order_of_carriers():
    shares = CarrierShares(att=0.1, tmobile=0.2, verizon=0.3, uscellular=0.15, regional=0.05, voip=0.2)
    assert shares.in_order() == (0.1, 0.2, 0.3, 0.15, 0.05, 0.2)
