"""Scenarios: what ships is valid and means what it says; what is wrong is named with its key."""

import re
from datetime import UTC, datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from gateway.core.text import consent, phone
from simulator.model.draws import Draws
from simulator.model.population import Population
from simulator.model.scenario import BadScenario, load, shipped

SHIPPED = (
    "bad-list",
    "capped-nonprofit",
    "carrier-brownout",
    "cold-list",
    "election-day",
    "election-week",
    "everything-breaks",
    "fast-thumbs",
    "filtered-script",
    "small-town",
    "two-campaigns-one-brand",
    "window-close",
)


def write(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def over_election_day(tmp_path, text):
    return write(tmp_path, f'base = "election-day"\n{text}')


def test_what_ships():
    assert shipped() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_scenario_loads_and_can_be_populated(name):
    scenario = load(name)
    assert scenario.name == name
    population = Population.synthetic(scenario.population, scenario.contacts, Draws(1))
    assert len(np.unique(population.phones)) == scenario.contacts
    for state in scenario.population.states:
        assert all(phone.place(f"+1{code}5550123").state == state.state for code in state.area_codes)
    assert set(scenario.campaign.preferred_area_codes) <= {
        str(code) for state in scenario.population.states for code in state.area_codes
    }


@pytest.mark.parametrize("name", SHIPPED)
def test_every_figure_of_a_shipped_file_is_commented(name):
    """On its own line or, for a whole table, on the table's; the weights of states above the first of them."""
    text = (files("simulator") / "scenarios" / f"{name}.toml").read_text(encoding="utf-8")
    table = ""
    for line in text.splitlines():
        if line.startswith("["):
            table = line
        elif re.match(r"\w+ = [0-9.]", line) and "population.states" not in table:
            assert "#" in line or "#" in table, line


def test_election_day():
    scenario = load("election-day")
    assert datetime.fromtimestamp(scenario.start_at, UTC) == datetime(2026, 11, 3, 14, 0, tzinfo=UTC)
    assert scenario.contacts == 250_000
    registration = scenario.campaign.registration()
    assert (registration.total_per_s, registration.tmobile_daily_segments) == (225.0, None)
    assert len(scenario.population.states) == 7


def test_small_town_has_the_low_volume_limits_and_two_segments():
    scenario = load("small-town")
    registration = scenario.campaign.registration()
    assert (registration.total_per_s, registration.carrier_per_s["tmobile"]) == (12.0, 4.0)
    assert registration.tmobile_daily_segments == 2_000
    assert all(160 < len(script) <= 306 for script in scenario.campaign.scripts)


def test_bad_list_differs_from_election_day_where_it_should():
    bad, good = load("bad-list"), load("election-day")
    assert (bad.population.landline_share, bad.population.dead_share) == (0.08, 0.06)
    assert "bit.ly" in bad.campaign.scripts[0]
    assert "{{" not in bad.campaign.scripts[0]
    assert bad.people.opt_out_share > good.people.opt_out_share
    assert bad.campaign.responses == good.campaign.responses


def test_carrier_brownout_and_window_close():
    (brownout,) = load("carrier-brownout").faults.brownouts
    assert (brownout.carrier, brownout.from_s, brownout.for_s) == ("verizon", 10_800, 3_600)
    closing = load("window-close")
    start = datetime.fromtimestamp(closing.start_at, ZoneInfo(closing.campaign.zone))
    assert (start.hour, closing.campaign.hours_end.hour) == (20, 21)
    fits = closing.campaign.registration().total_per_s * 3600
    assert closing.contacts > 2 * fits


@pytest.mark.parametrize("name", SHIPPED)
def test_scripts_carry_opt_out_wording(name):
    """C10: no initial without it, or the gateway refuses to publish."""
    assert all("Reply STOP" in script for script in load(name).campaign.scripts)


@pytest.mark.parametrize("name", SHIPPED)
def test_canned_responses_are_not_opt_out_keywords(name):
    for response in load(name).campaign.responses:
        assert consent.read(response.text).intent is consent.Intent.REPLY


def test_a_file_of_ones_own_lies_over_its_base(tmp_path):
    path = over_election_day(tmp_path, "contacts = 10\n[people]\nreply_share = 0.5\n")
    mine, base = load(path), load("election-day")
    assert (mine.name, mine.contacts, mine.people.reply_share) == ("mine", 10, 0.5)
    assert msgspec.structs.replace(mine, name=base.name, contacts=base.contacts, people=base.people) == base


def test_a_base_may_be_a_file_beside(tmp_path):
    over_election_day(tmp_path, "contacts = 10\n")
    child = write(tmp_path, 'base = "mine.toml"\nduration_s = 50000\n', name="child.toml")
    assert (load(str(child)).contacts, load(child).duration_s) == (10, 50_000)


def test_overrides_of_the_registration(tmp_path):
    path = over_election_day(
        tmp_path, "[campaign.overrides]\ntmobile_daily_segments = 0\nmax_numbers = 400\n"
    )
    registration = load(path).campaign.registration()
    assert (registration.tmobile_daily_segments, registration.max_numbers) == (0, 400)
    assert registration.total_per_s == 225.0


@pytest.mark.parametrize(
    ("text", "what", "key", "do"),
    [
        ("[people]\nreply_shar = 0.5", "unknown key", "people.reply_shar", "did you mean reply_share?"),
        ("colour = 1", "unknown key", "colour", "remove it"),
        ('contacts = "many"', "Expected `int`, got `str`", "contacts", "correct it"),
        ("contacts = 0", "Expected `int` >= 1", "contacts", "correct it"),
        ("[people]\nreply_share = 1.2", "<= 1", "people.reply_share", "correct it"),
        ("[population.carriers]\natt = 0.5", "sum to 1.220, not 1", "population.carriers", "correct it"),
        ("[volunteers]\ntap_median_s = -4", "> 0", "volunteers.tap_median_s", "correct it"),
        (
            "[volunteers]\nshifts = [{from_h = 0, to_h = 20, share = 1}]",
            "volunteers.shifts end 20 h",
            "the whole file",
            "correct it",
        ),
        ("[campaign]\nhours_end = 08:00:00", "hours_end is not after", "campaign", "correct it"),
        ('[campaign]\nzone = "America/Nowhere"', '"America/Nowhere" is no IANA', "campaign", "correct it"),
        ('zone = "EST5"', "no IANA time zone", "the whole file", "correct it"),
        ("start = 2026-03-08T02:30:00", "does not exist", "the whole file", "correct it"),
        ("start = 2026-11-03T09:00:00Z", "timezone", "start", "correct it"),
        (
            '[campaign]\nbrand_kind = "secret"',
            "Invalid enum value 'secret'",
            "campaign.brand_kind",
            "correct it",
        ),
        ("[campaign]\nscripts = []", "length >= 1", "campaign.scripts", "correct it"),
        ("[[faults.brownouts]]\ncarrier = 'verizon'", "missing key", "faults.brownouts[0].from_s", "add it"),
        ("[verdict]\nwarn_filtered_share = 0.5", "nothing would ever warn", "verdict", "correct it"),
        ("contacts = ", "not valid TOML", "end of document", "correct that line"),
        ('base = "x"\n', "not valid TOML", "line 2", "correct that line"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, what, key, do):
    path = over_election_day(tmp_path, text)
    with pytest.raises(BadScenario) as caught:
        load(path)
    assert what in caught.value.what or what in str(caught.value)
    assert str(path) in caught.value.where
    assert key in caught.value.where
    assert do in caught.value.do
    assert str(caught.value).count("\n") == 0
    assert caught.value.textbank_exit_status == 2


def test_missing_keys_are_named(tmp_path):
    with pytest.raises(BadScenario, match=r"missing key: .*mine.toml: title; add it, or name a base"):
        load(write(tmp_path, "contacts = 5\n"))


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(BadScenario) as caught:
        load("electon-day")
    assert caught.value.do.startswith("did you mean election-day? there are bad-list, capped-nonprofit,")


@pytest.mark.parametrize("path", ["missing.toml", "folder/missing"])
def test_a_missing_file(path):
    with pytest.raises(BadScenario, match=r"no such scenario file: .*missing"):
        load(path)


def test_bases_in_a_circle(tmp_path):
    write(tmp_path, 'base = "b.toml"', name="a.toml")
    b = write(tmp_path, 'base = "a.toml"', name="b.toml")
    with pytest.raises(BadScenario, match="its own base"):
        load(b)


def test_a_base_that_is_no_name(tmp_path):
    with pytest.raises(BadScenario, match="base; give a text"):
        load(write(tmp_path, "base = 7"))


def test_the_market_gets_every_part_of_the_scenario(tmp_path):
    text = 'block_scope = "service"\n[filtering]\nbase_share = 0.1\n[handsets]\noff_share = 0.2\n'
    scenario = load(over_election_day(tmp_path, text))
    market = scenario.market()
    assert (market.filtering.base_share, market.handsets.off_share) == (0.1, 0.2)
    assert market.block_scope == "service"
    for name in ("carriers", "inventory", "webhooks"):
        assert getattr(market, name) == getattr(scenario, name)
