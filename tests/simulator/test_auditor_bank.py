"""The rules about what people asked for, what texts say, who sees replies and what waits: each fault by hand."""

import numpy as np
import pytest
from msgspec.structs import replace

from simulator.audit.records import ANSWER, CALL, LOOK, MARK, QUEUED, SHOWN, Desk, NumberLife, Texts
from simulator.model.roster import Roster
from simulator.model.wording import Names, Wording, key_of
from tests.simulator.audited_bank import ANN, BOB, CAT, DAN, NOON, OF_THE_VOLUNTEERS, OURS, RATES, Bank

PEOPLE = np.array([ANN, BOB, CAT, DAN])
FIRST = ("Ann", "Bob", "Cat", "Dan")
SCRIPT = "Hi {{first_name}}, it's {{user.first_name}}. Will you vote?"
WORDING = Wording.of(SCRIPT)
RESPONSE = Wording.of("Thank you, {{first_name}}!")


class Watched(Bank):
    """A bank whose volunteers' phones kept everything."""

    keeps_consent = False

    def __init__(self, **world):
        codes = np.arange(4, dtype=np.int32)
        roster = Roster(PEOPLE, codes, codes, (FIRST, ("", "", "", "")), np.empty(0, np.int64))
        known = {
            "texts": Texts((WORDING,), (RESPONSE,), ("Sam", "Maria"), roster),
            "desk": Desk(first=1, limit=20, desk_take_over_s=600.0, own_take_over_s=3600.0),
            "numbers": (NumberLife(OURS, 0.0),),
            "day_ends_at": 20_000.0,
        }
        super().__init__(**{**known, **world})
        self.pressed, self.looked, self.shown, self.marks, self.broken, self.calls = [], [], [], [], [], []

    def press(self, message_id, phone=ANN, *, at=0.0, volunteer=0, response=-1, state=QUEUED):
        self.pressed.append((message_id, at, 0.0, volunteer, phone, response, 0, state, 0))
        return self

    def look(self, at, volunteer=1, shown=()):
        self.looked.append((at, at + 1, volunteer, len(shown)))
        self.shown += [(at + 1, phone, key_of(text), volunteer) for phone, text in shown]
        return self

    def texted(self, message_id, phone, text, *, at):
        """Pressed, and on the wire a second later in these words."""
        self.press(message_id, phone, at=at - 1)
        self.text(message_id, phone, at=at)
        rows = self.ledger.submissions
        dtype = rows.columns().dtype
        last = rows.columns()[-1:].copy()
        last["body_key"] = key_of(text)
        rows.raw()[-dtype.itemsize :] = last.tobytes()
        return self

    def books(self):
        def rows(dtype, tuples):
            return np.array(list(tuples), dtype)

        books = super().books()
        books.answers = rows(ANSWER, self.pressed)
        books.looks, books.shown = rows(LOOK, self.looked), rows(SHOWN, self.shown)
        books.marks, books.calls_in_vain = rows(MARK, self.marks), rows(CALL, self.calls)
        books.broken_presses = np.array(self.broken, np.int64)
        return books

    def opted_out(self, phone, at, source="keyword"):
        self.opt_outs.append((phone, NOON + at, source))
        return self

    def found(self):
        return {name: count for name, count in self.audit().counts.items() if count}


def words(name, sender="Sam"):
    return WORDING.text(Names(name), Names(sender))


# ---- consent kept


STOPS = {
    "STOP": True,
    "Stop.": True,
    "opt out": True,
    "Please take me off your list": False,
    "Go to hell": False,
    "Wrong number": False,
}


@pytest.mark.parametrize("text", STOPS)
def test_a_keyword_must_be_kept_other_words_may(text):
    assert Watched().writes(ANN, 10.0, text).opted_out(ANN, 10.5).found() == {}
    missing = Watched().writes(ANN, 10.0, text).found()
    assert missing == ({"consent_kept": 1} if STOPS[text] else {})


def test_nobody_is_opted_out_who_did_not_ask():
    assert Watched().writes(ANN, 10.0, "Yes!").opted_out(ANN, 10.5).found() == {"consent_kept": 1}
    assert Watched().opted_out(BOB, 10.5, "manual").found() == {"consent_kept": 1}


def test_what_a_volunteer_marks_is_kept():
    bank = Watched()
    bank.marks.append((ANN, 10.0, 12.0))
    assert bank.found() == {"consent_kept": 1}
    assert bank.opted_out(ANN, 11.0, "manual").found() == {}


def test_a_mark_that_nobody_answered_may_be_kept_or_not():
    bank = Watched()
    bank.marks.append((ANN, 10.0, np.inf))
    assert bank.found() == {}
    assert bank.opted_out(ANN, 11.0, "manual").found() == {}


def test_start_lifts_what_was_before_it():
    bank = Watched().writes(ANN, 10.0, "STOP").writes(ANN, 3700.0, "START", "start")
    assert bank.found() == {}
    assert bank.opted_out(ANN, 10.5).found() == {"consent_kept": 1}
    bank.writes(ANN, 4000.0, "STOP")
    assert bank.found() == {}


def test_a_stop_that_never_came_is_nobodys_fault():
    assert Watched().writes(ANN, 10.0, "STOP", comes=None, stored=False).found() == {}


def test_whom_the_list_marks_is_on_it_and_not_texted():
    marked = np.array([BOB])
    assert Watched(marked=marked).found() == {"consent_kept": 1}
    bank = Watched(marked=marked).opted_out(BOB, -5.0, "import")
    assert bank.found() == {}
    found = bank.texted(1, BOB, words("Bob"), at=20.0).found()
    assert found.pop("no_text_after_opt_out") == 1
    assert found == {"consent_kept": 1}


# ---- the right words


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        (words("Ann"), True),
        (words("Bob"), False),
        (words("Ann", "Maria"), False),
        (words("Ann")[:20], False),
        ("Thank you, Ann!", False),
    ],
)
def test_a_text_is_its_script_for_this_person(text, is_right):
    found = Watched().texted(1, ANN, text, at=20.0).found()
    assert found == ({} if is_right else {"right_words": 1})


def test_a_text_to_another_person_than_pressed():
    bank = Watched().texted(1, ANN, words("Ann"), at=20.0)
    bank.pressed[0] = (*bank.pressed[0][:4], BOB, *bank.pressed[0][5:])
    assert bank.found() == {"right_words": 1}


def test_a_text_that_nobody_pressed():
    bank = Watched().texted(1, ANN, words("Ann"), at=20.0)
    again = bank.pressed.pop()
    assert bank.found() == {"right_words": 1}
    bank.press(
        2, ANN, at=again[1]
    )  # a crash came between: it was pressed, and acknowledged under another name
    bank.request(2, ANN, at=21.0, code=1304)
    assert bank.found() == {}


def test_what_the_model_cant_render_is_not_tested():
    roster = Roster(np.empty(0, np.int64), *(np.empty(0, np.int32),) * 2, ((), ()), np.empty(0, np.int64))
    bank = Watched(texts=Texts((None,), (RESPONSE,), ("Sam",), roster)).texted(1, ANN, "anything", at=20.0)
    done = bank.audit()
    assert done.chances["right_words"] == 0
    assert done.counts["right_words"] == 0


# ---- replies shown


def replied(**world):
    bank = Watched(**world)
    bank.claims.append((0.0, 0, ANN, 1))
    return bank.writes(ANN, 100.0, "Yes!")


def test_a_reply_that_no_look_showed():
    assert replied().look(5000.0, volunteer=1).found() == {"replies_shown": 1}
    assert replied().look(5000.0, shown=[(ANN, "Yes!")]).found() == {}


def test_the_first_look_that_should_show_it_counts():
    late = replied().look(900.0).look(5000.0, shown=[(ANN, "Yes!")])
    assert late.found() == {"replies_shown": 1}
    too_soon = (
        replied().look(500.0).look(900.0, shown=[(ANN, "Yes!")])
    )  # the desk takes over after ten minutes
    assert too_soon.found() == {}
    own = replied().look(300.0, volunteer=0).look(900.0, shown=[(ANN, "Yes!")])
    assert own.found() == {"replies_shown": 1}


def test_a_full_screen_proves_nothing():
    bank = replied()
    bank.looked.append((5000.0, 5001.0, 1, 20))
    assert bank.found() == {}


def test_without_a_look_nothing_is_tested():
    done = replied().audit()
    assert (done.counts["replies_shown"], done.chances["replies_shown"]) == (0, 0)


def test_who_has_left_needs_no_answer():
    bank = replied().writes(ANN, 200.0, "STOP").opted_out(ANN, 200.5).look(5000.0)
    assert bank.found() == {}


def test_words_on_a_screen_that_nobody_wrote():
    assert replied().look(5000.0, shown=[(ANN, "Yes?")]).found() == {"replies_shown": 1}


# ---- presses sent, nothing idles


def waited(seconds, **world):
    bank = Watched(**world).texted(1, ANN, words("Ann"), at=100.0 + seconds)
    bank.pressed[0] = (1, 100.0, 0.0, *bank.pressed[0][3:])
    return bank


def test_a_text_that_waited_for_nothing():
    assert waited(60.0).found() == {}
    assert waited(900.0).found() == {"nothing_idles": 1}


@pytest.mark.parametrize(
    "world",
    [
        {"numbers": (NumberLife(OURS, 950.0),)},
        {"numbers": (NumberLife(OURS, 0.0, dies_at=150.0),)},
        {"away": ((90.0, 950.0),)},
        {"registration": replace(RATES, registered=False)},
        {"start_minute": 12 * 60 + 15},
        {"end_minute": 12 * 60 + 5},
    ],
)
def test_what_it_had_to_wait_for(world):
    assert "nothing_idles" not in waited(900.0, **world).found()


def test_it_waited_for_a_busy_rate():
    bank = waited(900.0)
    for n in range(900):  # three a second of four
        for tenth in range(3):
            bank.ledger.submissions.append(
                100.0 + n + tenth / 3, 100.0 + n + tenth / 3, BOB, OURS, 7, 0, 1, 0, 60.0, 7, -1, 1
            )
            bank.ledger._states.append(0)
    assert "nothing_idles" not in bank.found()


def test_a_call_in_vain_ends_the_wait():
    bank = waited(900.0)
    bank.calls.append((110.0, 1, False))
    assert bank.found() == {}


def test_a_slow_down_is_no_reason_to_wait_for_minutes():
    bank = waited(900.0)
    bank.calls.append((110.0, 1, True))
    assert bank.found() == {"nothing_idles": 1}


def test_a_press_that_never_went():
    bank = Watched().press(1, ANN, at=100.0).request(1, ANN, state=QUEUED, at=100.0)
    assert bank.found() == {"presses_sent": 1}
    blocked = Watched().press(1, ANN, at=100.0).request(1, ANN, at=100.0, code=9000)
    assert blocked.found() == {}


def test_a_press_that_ended_in_an_error():
    bank = Watched()
    bank.broken.append(ANN)
    assert bank.found() == {"presses_sent": 1}


# ---- chances


def test_each_rule_has_its_chances():
    bank = replied().look(5000.0, shown=[(ANN, "Yes!")]).texted(1, ANN, words("Ann"), at=6000.0)
    bank.writes(BOB, 10.0, "STOP").opted_out(BOB, 10.5)
    done = bank.audit()
    assert not any(done.counts.values())
    assert {name: done.chances[name] for name in OF_THE_VOLUNTEERS} == dict(
        zip(OF_THE_VOLUNTEERS, (2, 1, 1, 1, 1, 0), strict=True)
    )


def test_nobody_watched_so_nothing_is_tested():
    done = Bank().text(1, ANN).writes(BOB, 10.0, "Yes!").audit()
    assert {name: done.chances[name] for name in OF_THE_VOLUNTEERS} == dict.fromkeys(OF_THE_VOLUNTEERS, 0)
