"""People: shares and delays as the parameters say, and nobody's mind changed by the order of events."""

import msgspec
import numpy as np
import pytest
import simpy

from gateway.core.text import consent
from simulator.model.draws import Draws
from simulator.model.people import People, PeopleParameters, Reaction
from simulator.model.population import Population, PopulationParameters
from simulator.model.replies import TEXTS, Intent, intent_of

OUR_NUMBER = 12155550101
POPULATION = Population.synthetic(PopulationParameters(), 40_000, Draws(1))


class Town:
    """People and everything they wrote."""

    def __init__(self, parameters=None, population=POPULATION, seed=1, stop_wave_share=None):
        self.env = simpy.Environment()
        self.wrote = []
        self.reported = []
        self.people = People(
            self.env,
            parameters or PeopleParameters(),
            population,
            Draws(seed),
            send=lambda phone, to, body: self.wrote.append((self.env.now, phone, to, body)),
            complain=lambda phone, number: self.reported.append((phone, number)),
            stop_wave_share=stop_wave_share,
        )
        self.population = population

    def text(self, indices, nth=0):
        for index in indices:
            phone = int(self.population.phones[index])
            self.people.received(index, phone, OUR_NUMBER, "Hi", nth, self.env.now)
        self.env.run()

    def everybody(self):
        return range(len(self.population))


def always(**shares):
    """Parameters under which everybody does the one thing."""
    nothing = {
        "reply_share": 0.0,
        "opt_out_share": 0.0,
        "hostile_share": 0.0,
        "wrong_number_reply_share": 0.0,
    }
    return PeopleParameters(**{**nothing, **shares})


def test_shares_of_first_texts():
    town = Town()
    town.text(town.everybody())
    total = len(POPULATION)
    plans = np.bincount([town.people.first_plan(index) for index in town.everybody()], minlength=7) / total
    assert plans[Reaction.REPLIES] == pytest.approx(0.07, abs=0.006)
    assert town.people.opt_outs.keyword / total == pytest.approx(0.046 * 0.75, abs=0.004)
    assert town.people.opt_outs.own_words / total == pytest.approx(0.046 * 0.25, abs=0.004)
    assert 0.01 < town.people.opt_outs.wrong_number / total < 0.02
    assert town.people.replies == len(town.wrote)


def test_delays_of_replies():
    town = Town(always(reply_share=1.0))
    town.text(town.everybody())
    times = np.array([at for at, *_ in town.wrote])
    assert np.median(times) == pytest.approx(240, rel=0.15)
    assert np.mean(times < 3600) == pytest.approx(0.82, abs=0.03)
    assert times.min() >= 5
    assert 3600 * 6 < times.max() <= 86_400


def test_most_people_write_nothing():
    town = Town(always())
    town.text(town.everybody())
    assert town.wrote == []


def test_a_plan_is_independent_of_order_and_of_who_else_is_texted():
    alone, crowd = Town(), Town()
    chosen = list(range(0, 4_000, 3))
    alone.text(chosen)
    crowd.text(reversed(range(4_000)))
    phones = {int(POPULATION.phones[index]) for index in chosen}
    assert alone.wrote
    assert sorted(alone.wrote) == sorted(line for line in crowd.wrote if line[1] in phones)


def test_a_plan_is_independent_of_the_list():
    reversed_list = Population.from_phones(POPULATION.phones[::-1].copy(), Draws(1), PopulationParameters())
    forward, backward = Town(), Town(population=reversed_list)
    forward.text(forward.everybody())
    backward.text(backward.everybody())
    assert sorted(forward.wrote) == sorted(backward.wrote)


def test_another_seed_is_another_town():
    one, two = Town(seed=1), Town(seed=2)
    one.text(one.everybody())
    two.text(two.everybody())
    assert one.wrote != two.wrote


def test_who_left_by_keyword_gets_angry_at_another_text():
    town = Town(always(opt_out_share=1.0, keyword_share=1.0, start_again_share=0.0))
    town.text(range(400))
    assert town.people.opt_outs.keyword == len(town.people.left_at) == 400
    town.text(range(400))
    assert town.people.texts_after_opt_out == 400
    assert 150 < sum(intent_of(body) is Intent.ABUSE for *_, body in town.wrote) < 250
    assert 20 < len(town.reported) < 65  # anger_complaint_share of them
    assert town.people.opt_outs.keyword == 400  # nobody leaves twice


def test_hostile_people_write_stop_and_then_abuse():
    town = Town(always(hostile_share=1.0, keyword_share=1.0, start_again_share=0.0))
    town.text([7])
    assert [intent_of(body) for *_, body in town.wrote] == [Intent.KEYWORD, Intent.ABUSE]
    assert town.people.opt_outs.keyword == 1


def test_a_few_start_again():
    town = Town(always(opt_out_share=1.0, keyword_share=1.0, start_again_share=1.0))
    town.text([7])
    assert [intent_of(body) for *_, body in town.wrote] == [Intent.KEYWORD, Intent.START]
    assert town.people.left_at == {}


def test_second_replies_get_rarer():
    town = Town(always(reply_share=1.0, second_thoughts_share=0.0))
    rounds = []
    for _ in range(4):
        before = len(town.wrote)
        town.text(range(2_000))
        rounds.append(len(town.wrote) - before)
    assert rounds[0] == 2_000
    assert rounds[1] / 2_000 == pytest.approx(0.47, abs=0.05)
    assert rounds[0] > rounds[1] > rounds[2] > rounds[3] > 0


def test_some_who_replied_want_no_more_after_all():
    town = Town(always(reply_share=1.0, second_thoughts_share=0.2, start_again_share=0.0))
    town.text(range(2_000))
    left = sum(intent_of(body) is Intent.KEYWORD for *_, body in town.wrote)
    assert left / 2_000 == pytest.approx(0.2, abs=0.03)
    assert len(town.wrote) == 2_000 + left
    assert town.people.opt_outs.keyword == left


def test_a_reassigned_number_answers_wrong_number():
    town = Town(always(wrong_number_reply_share=1.0))
    town.text(town.everybody())
    assert {intent_of(body) for *_, body in town.wrote} == {Intent.WRONG_NUMBER}
    assert len(town.wrote) == int(POPULATION.reassigned.sum())


def test_complaints_are_rare_and_name_our_number():
    town = Town(always(complaint_share=0.01))
    town.text(town.everybody())
    assert len(town.reported) == town.people.complaints
    assert 300 < town.people.complaints < 500
    assert {number for _, number in town.reported} == {OUR_NUMBER}


def test_a_wave_of_stops():
    town = Town(always(), stop_wave_share=lambda now: 0.5)
    town.text(range(2_000))
    assert 900 < len(town.people.left_at) < 1_100
    assert {intent_of(body) for *_, body in town.wrote} <= {Intent.KEYWORD, Intent.START}


def test_nobody_is_index_minus_one():
    town = Town(always(reply_share=1.0))
    town.people.received(-1, 12155550199, OUR_NUMBER, "Hi", 0, 0.0)
    town.env.run()
    assert town.wrote == []


def test_every_text_has_one_meaning():
    texts = [(text, intent) for intent, languages in TEXTS.items() for texts in languages for text in texts]
    assert [intent_of(text) for text, _ in texts] == [intent for _, intent in texts]


@pytest.mark.parametrize("intent", list(Intent))
def test_only_keywords_are_keywords_to_the_gateway(intent):
    """Whoever the model thinks left by keyword must count as such by C6, and nobody else."""
    for text in (text for texts in TEXTS[intent] for text in texts):
        is_stop = consent.read(text).intent is consent.Intent.STOP
        assert is_stop == (intent is Intent.KEYWORD), text


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"reply_share": 0.9, "opt_out_share": 0.2}, "more than 1"),
        ({"support_share": 0.9}, "do not sum to 1"),
        ({"reply_median_s": 4000.0}, "not below 3600"),
        ({"opt_out_share": 1.5}, "<= 1"),
        ({"reply_within_hour_share": 0.3}, "> 0.5"),
    ],
)
def test_impossible_parameters_are_refused(parameters, complaint):
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.convert(parameters, PeopleParameters)
