"""Volunteers: shifts, pace, buckets, the inbox and the desk, seen from a bank that writes everything down."""

from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
import pytest
import simpy

from simulator.model.draws import Draws
from simulator.model.volunteers import Shift, VolunteerParameters, Volunteers, Waiting

HOUR_S = 3600.0
RESPONSES = ("supports", "against", "question", "thanks")


class NotebookBank:
    """A bank of so many contacts; replies wait in the inbox until somebody deals with them."""

    def __init__(self, env, contacts, *, bucket=100, inbox=(), answers_accepted=True):
        self.env = env
        self.items = list(range(contacts))
        self.bucket = bucket
        self.waiting = list(inbox)
        self.answers_accepted = answers_accepted
        self.finishes = True
        self.claims, self.sent, self.released = [], [], []
        self.inboxes, self.answered, self.opted_out = [], [], []

    @property
    def finished(self):
        return self.finishes and not self.items

    def _soon(self, value=None):
        return self.env.timeout(0.1, value)

    def claim(self, volunteer):
        bucket, self.items = self.items[: self.bucket], self.items[self.bucket :]
        self.claims.append((self.env.now, volunteer, bucket))
        return self._soon(bucket)

    def send(self, volunteer, item):
        self.sent.append((self.env.now, volunteer, item))

    def release(self, volunteer, items):
        self.released.append((self.env.now, volunteer, list(items)))
        return self._soon()

    def inbox(self, volunteer):
        self.inboxes.append((self.env.now, volunteer))
        mine, self.waiting = self.waiting, []
        return self._soon(mine)

    def answer(self, volunteer, waiting, response):
        self.answered.append((self.env.now, volunteer, waiting, response))
        return self._soon(self.answers_accepted)

    def opt_out(self, volunteer, waiting):
        self.opted_out.append((self.env.now, volunteer, waiting))
        return self._soon(True)


def hold(
    contacts=1_000, parameters=None, *, duration_s=4 * HOUR_S, seed=1, responses=RESPONSES, **bank_facts
):
    """Run one bank to its end."""
    env = simpy.Environment()
    bank = NotebookBank(env, contacts, **bank_facts)
    volunteers = Volunteers(
        env,
        parameters or three_hours(count=3, desk_share=0.0),
        Draws(seed),
        bank,
        contacts=contacts,
        duration_s=duration_s,
        responses=responses,
    )
    volunteers.start()
    env.run()
    return bank, volunteers


def three_hours(*, double_tap_share=0.0, **parameters):
    parameters["double_tap_share"] = double_tap_share
    return VolunteerParameters(shifts=(Shift(from_h=0.0, to_h=3.0, share=1.0),), **parameters)


def waiting(text, nth=0, **facts):
    return Waiting(conversation=("thread", nth), text=text, **facts)


def test_a_thumb_bounces_now_and_then_and_the_press_comes_twice():
    bank, volunteers = hold(1_000, three_hours(count=3, desk_share=0.0, double_tap_share=0.05))
    assert volunteers.taps == 1_000
    assert 1_030 <= len(bank.sent) <= 1_070
    assert {item for *_, item in bank.sent} == set(range(1_000))
    assert all(count <= 2 for count in Counter(item for *_, item in bank.sent).values())


def test_everybody_on_the_list_is_texted_once():
    bank, volunteers = hold(1_000)
    assert sorted(item for *_, item in bank.sent) == list(range(1_000))
    assert volunteers.taps == 1_000


def test_a_volunteer_texts_a_few_hundred_an_hour():
    bank, _ = hold(50_000, three_hours(count=10, desk_share=0.0))
    per_hour = len(bank.sent) / 10 / 3
    assert 400 < per_hour < 700  # 200-800 are reported


def test_time_between_taps_has_the_given_median():
    parameters = three_hours(count=1, desk_share=0.0, inbox_every_s=1e9, break_every_s=1e9)
    bank, _ = hold(2_000, parameters, bucket=2_000)
    gaps = np.diff([at for at, *_ in bank.sent])
    assert np.median(gaps) == pytest.approx(4.0, rel=0.1)
    assert np.quantile(gaps, 0.99) == pytest.approx(30.0, rel=0.35)


def test_at_the_end_of_the_shift_the_item_in_hand_is_finished_and_the_rest_released():
    bank, volunteers = hold(50_000, three_hours(count=4, desk_share=0.0))
    for volunteer in range(volunteers.count):
        sent = {item for _, who, item in bank.sent if who == volunteer}
        claimed = {item for _, who, bucket in bank.claims if who == volunteer for item in bucket}
        (left,) = [items for _, who, items in bank.released if who == volunteer]
        assert left
        assert sent | set(left) == claimed
        assert not sent & set(left)
    ends = [max(at for at, who, _ in bank.sent if who == volunteer) for volunteer in range(4)]
    longest_tap_s = 150
    assert all(3 * HOUR_S - longest_tap_s < end < 3 * HOUR_S + longest_tap_s for end in ends)


def test_shifts_are_staffed_by_their_shares():
    shifts = (
        Shift(from_h=0.0, to_h=2.0, share=0.25),
        Shift(from_h=1.0, to_h=3.0, share=0.5),
        Shift(from_h=3.0, to_h=4.0, share=0.25),
    )
    _, volunteers = hold(10, VolunteerParameters(shifts=shifts, count=40, desk_share=0.0))
    duties = [volunteers.duty(volunteer) for volunteer in range(40)]
    assert [sum(duty.ends_at == end * HOUR_S for duty in duties) for end in (2, 3, 4)] == [10, 20, 10]
    for duty in duties[:10]:
        assert 0 <= duty.begins_at <= 600


def test_nobody_works_outside_the_shift():
    parameters = VolunteerParameters(
        shifts=(Shift(from_h=1.0, to_h=2.0, share=1.0),), count=5, desk_share=0.0
    )
    bank, _ = hold(100_000, parameters)
    times = [at for at, *_ in bank.claims + bank.sent]
    assert min(times) >= HOUR_S
    assert max(at for at, *_ in bank.claims) <= 2 * HOUR_S


def test_volunteers_take_breaks():
    parameters = three_hours(count=1, desk_share=0.0, break_every_s=1800.0, break_s=400.0)
    bank, _ = hold(50_000, parameters)
    pauses = [later[0] - earlier[0] for earlier, later in pairwise(bank.sent)]
    assert 4 <= sum(pause >= 400 for pause in pauses) <= 5


def test_an_empty_claim_is_tried_again_until_the_shift_ends():
    env = simpy.Environment()
    bank = NotebookBank(env, 0)
    bank.finishes = False
    parameters = three_hours(count=1, desk_share=0.0, retry_claim_s=300.0, late_at_most_s=0.0)
    Volunteers(
        env, parameters, Draws(1), bank, contacts=0, duration_s=4 * HOUR_S, responses=RESPONSES
    ).start()
    env.run()
    assert len(bank.claims) == pytest.approx(36, abs=1)
    assert all(b - a >= 299 for (a, *_), (b, *_) in pairwise(bank.claims))


def test_when_the_list_is_finished_only_the_inbox_is_left():
    bank, _ = hold(150, three_hours(count=1, desk_share=0.0))
    last_claim_at = max(at for at, *_ in bank.claims)
    assert len(bank.claims) == 2
    assert sum(at > last_claim_at for at, _ in bank.inboxes) > 20
    assert bank.released == [(pytest.approx(3 * HOUR_S, abs=1), 0, [])]


@pytest.mark.parametrize(
    ("note", "opted_out"),
    [
        (waiting("Take me off", suggests_opt_out=True), True),
        (waiting("Aquí no vive", wrong_number=True), True),
        (waiting("Go to hell"), True),  # no suggestion: the volunteer reads it
        (waiting("Please take me off your list"), True),
        (waiting("Yes!"), False),
        (waiting("some text the model never writes"), False),
    ],
)
def test_who_wants_to_be_left_alone_is_opted_out(note, opted_out):
    parameters = three_hours(count=1, desk_share=0.0, opt_out_noticed_share=1.0)
    bank, volunteers = hold(200, parameters, inbox=[note])
    assert [line[2] for line in bank.opted_out] == [note] * opted_out
    assert [line[2] for line in bank.answered] == [note] * (not opted_out)
    assert (volunteers.opt_outs, volunteers.answers) == (opted_out, not opted_out)


def test_a_few_opt_outs_are_overlooked():
    inbox = [waiting("Lose my number", nth) for nth in range(2_000)]
    bank, volunteers = hold(
        10, VolunteerParameters(count=2, desk_share=0.5), duration_s=24 * HOUR_S, inbox=inbox
    )
    assert len(bank.opted_out) + len(bank.answered) == 2_000
    assert len(bank.answered) / 2_000 == pytest.approx(0.03, abs=0.015)
    assert volunteers.opt_outs_overlooked == len(bank.answered)


@pytest.mark.parametrize(
    ("text", "response"), [("Yes!", 0), ("Not a chance", 1), ("Who is this?", 2), ("Gracias", 3)]
)
def test_the_canned_response_fits_the_reply(text, response):
    bank, _ = hold(200, three_hours(count=1, desk_share=0.0), inbox=[waiting(text)])
    assert [line[3] for line in bank.answered] == [response]


def test_without_a_fitting_response_any_is_chosen():
    inbox = [waiting("Yes!", nth) for nth in range(200)]
    bank, _ = hold(200, three_hours(count=1, desk_share=0.0), inbox=inbox, responses=("a", "b", "c"))
    assert {line[3] for line in bank.answered} == {0, 1, 2}


def test_a_refused_answer_ends_the_look_at_the_inbox():
    inbox = [waiting("Yes!", nth) for nth in range(5)]
    bank, _ = hold(200, three_hours(count=1, desk_share=0.0), inbox=inbox, answers_accepted=False)
    assert len(bank.answered) == 1


def test_the_desk_only_answers_and_stays_to_the_end():
    parameters = three_hours(count=10, desk_share=0.2, desk_until_h=3.5)
    bank, volunteers = hold(1_000, parameters)
    assert volunteers.texting == 8
    assert {who for _, who, _ in bank.sent + bank.claims} <= set(range(8))
    assert max(at for at, who in bank.inboxes if who >= 8) > 3.4 * HOUR_S
    assert sorted(who for _, who, _ in bank.released) == list(range(10))


@pytest.mark.parametrize(
    ("parameters", "contacts", "count", "texting"),
    [
        (three_hours(per_thousand_contacts=1.0, desk_share=0.1), 20_000, 20, 18),
        (three_hours(per_thousand_contacts=1.0, desk_share=0.1), 20_001, 21, 19),
        (three_hours(count=7, desk_share=0.0), 20_000, 7, 7),
        (three_hours(count=1, desk_share=1.0), 10, 1, 1),  # somebody has to text
    ],
)
def test_how_many_come(parameters, contacts, count, texting):
    env = simpy.Environment()
    bank = NotebookBank(env, 0)
    volunteers = Volunteers(
        env, parameters, Draws(1), bank, contacts=contacts, duration_s=HOUR_S, responses=RESPONSES
    )
    assert (volunteers.count, volunteers.texting) == (count, texting)


def test_the_same_seed_gives_the_same_bank():
    one, _ = hold(3_000, seed=5)
    same, _ = hold(3_000, seed=5)
    other, _ = hold(3_000, seed=6)
    assert one.sent == same.sent
    assert one.sent != other.sent


def test_a_volunteers_pace_does_not_depend_on_the_pool():
    def taps_of_the_first(count):
        parameters = three_hours(count=count, desk_share=0.0, inbox_every_s=1e9, break_every_s=1e9)
        bank, _ = hold(1_000, parameters)
        return [at for at, who, _ in bank.sent if who == 0][:90]

    assert taps_of_the_first(1) == taps_of_the_first(5)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"shifts": [{"from_h": 3.0, "to_h": 2.0, "share": 1.0}]}, "to_h is not after from_h"),
        ({"shifts": [{"from_h": 0.0, "to_h": 2.0, "share": 0.7}]}, "do not sum to 1"),
        ({"retry_claim_s": 5.0}, ">= 60"),
        ({"pace_s": 5.0}, "unknown field"),
    ],
)
def test_impossible_parameters_are_refused(parameters, complaint):
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.convert(parameters, VolunteerParameters)
