"""What only the world knows, from ledgers of a few lines: the model meant it so, whatever a book says."""

import msgspec
import numpy as np
import pytest

from simulator.audit.ends import ends
from simulator.audit.filter_record import RECORD, Cause, FilterWatch, causes, noticed
from simulator.audit.ground_truth import WorldKnows, world_knows
from simulator.audit.records import ANSWER, MARK, MESSAGE, OPT_OUT, SHOWN, Books
from simulator.audit.throughput import ALL, busiest
from simulator.audit.timing import conversations, press_to_wire_s, reply_to_answer_s, spans, timing
from simulator.audit.waits import Wait, Waits, waits
from simulator.model.carriers import CampaignRegistration
from simulator.model.draws import Draws
from simulator.model.filtering import Filtering, FilteringParameters
from simulator.model.ledger import DELIVERED, UNDELIVERED, Ledger
from simulator.model.messages import Submission
from simulator.model.population import Population, PopulationParameters

ANN, BEN, CAT, STRANGER = 12155550101, 12155550102, 12155550103, 12155550199
OURS = 12155550100
START_AT = 1_000_000.0


class Diary:
    """A ledger written line by line."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.answers: list[tuple] = []
        self.shown: list[tuple] = []

    def text(
        self,
        to: int,
        at: float,
        *,
        shown: bool | None = True,
        pressed_at: float | None = None,
        response: int = -1,
    ) -> int:
        """Handed over at `at`, on the phone two seconds later; `shown` None: filtered."""
        number = len(self.answers) + 1
        submission = Submission(
            to=to,
            sender=OURS,
            campaign=1,
            segments=1,
            body="Hi",
            body_key=number,
            validity_s=60.0,
            reference=(1, number, 1),
            handed_at=at,
        )
        n = self.ledger.submit(submission, at, 0)
        self.ledger.accept(n, at, at + 1)
        if shown is None:
            self.ledger.final(n, at + 2, UNDELIVERED, 30007)
        else:
            self.ledger.arrive(n, at + 2, shown)
            self.ledger.final(n, at + 2, DELIVERED)
        took_s = 1.5  # until the press was acknowledged
        acknowledged_at = (at if pressed_at is None else pressed_at) + took_s
        self.answers.append((number, acknowledged_at, took_s, 0, to, response, 0, 5, 0))
        return n

    def hear(self, person: int, at: float, text: str) -> None:
        n = self.ledger.receive(at, person, OURS, campaign=1, carrier=0, text=text, segments=1)
        self.ledger.inbound_deliveries.append(n, at)

    def books(self, *opted_out: tuple[int, float, str]) -> Books:
        left = [(phone, START_AT + at, source) for phone, at, source in opted_out]
        marks = [(phone, at, at + 1.0) for phone, at, source in opted_out if source == "manual"]
        return Books(
            campaign_id=1,
            messages=np.empty(0, MESSAGE),
            opt_outs=np.array(left, OPT_OUT),
            answers=np.array(self.answers, ANSWER),
            marks=np.array(marks, MARK),
            shown=np.array(self.shown, SHOWN),
        )

    def known(self, *opted_out: tuple[int, float, str], reassigned: tuple[int, ...] = ()) -> WorldKnows:
        phones = np.array([ANN, BEN, CAT])
        people = Population.from_phones(phones, Draws(1), PopulationParameters())
        people.reassigned = np.isin(phones, reassigned)
        return world_knows(self.ledger, self.books(*opted_out), people, complaints=3)


def test_a_wish_counts_in_any_words_and_ends_with_a_start() -> None:
    diary = Diary()
    for person, text in ((ANN, "Please take me off your list"), (BEN, "STOP"), (CAT, "Thanks!")):
        diary.text(person, 0.0)
        diary.hear(person, 10.0, text)
        diary.text(person, 20.0)
    diary.hear(BEN, 30.0, "START")
    diary.text(BEN, 40.0)
    known = diary.known((BEN, 10.0, "keyword"))
    assert known.asked_to_leave == 1
    assert known.opt_outs_overlooked == 1  # Ann's: nobody wrote it down
    assert (known.shown_after_leaving, known.sent_after_leaving) == (2, 2)  # Ann's and Ben's second
    assert diary.known((ANN, 11.0, "manual")).opt_outs_overlooked == 0


def test_a_text_on_its_way_is_told_apart_from_one_sent_after_the_wish() -> None:
    diary = Diary()
    diary.text(ANN, 0.0)
    diary.hear(ANN, 10.0, "No más mensajes por favor")
    diary.text(ANN, 9.0)
    diary.text(ANN, 30.0, shown=None)  # filtered: nobody got it
    known = diary.known()
    assert (known.shown_after_leaving, known.sent_after_leaving) == (1, 0)


def test_what_is_reported_as_delivered_and_never_shown() -> None:
    diary = Diary()
    for shown in (True, False, False, None):
        diary.text(ANN, 0.0, shown=shown)
    known = diary.known()
    assert (known.reported_delivered, known.never_shown) == (3, 2)


def test_strays_are_texts_to_reassigned_numbers_and_to_nobody_on_the_list() -> None:
    diary = Diary()
    diary.text(ANN, 0.0)
    diary.text(BEN, 0.0)
    diary.text(BEN, 5.0, shown=False)
    diary.text(STRANGER, 0.0, shown=None)
    known = diary.known(reassigned=(BEN,))
    assert (known.to_reassigned, known.to_unlisted) == (1, 1)
    assert known.complaints == 3


def test_an_empty_world_knows_nothing() -> None:
    assert Diary().known() == WorldKnows(complaints=3)


# ------------------------------------------------------------ how long things took


def test_from_the_press_to_the_first_hand_over() -> None:
    diary = Diary()
    diary.text(ANN, 10.0, pressed_at=4.0)
    diary.text(BEN, 90.0, pressed_at=30.0, response=0)
    spans = press_to_wire_s(diary.ledger, diary.books())
    assert spans.tolist() == pytest.approx([6.0, 60.0])


def test_a_conversation_waits_from_its_first_text_to_the_answer() -> None:
    diary = Diary()
    diary.hear(ANN, 10.0, "Who is this?")
    diary.hear(ANN, 15.0, "Is this a real person?")
    diary.hear(BEN, 20.0, "STOP")  # nobody need look
    diary.hear(CAT, 30.0, "Lose my number")
    diary.text(ANN, 41.0, pressed_at=40.0, response=0)
    diary.hear(ANN, 50.0, "Thanks!")  # nobody ever looked
    books = diary.books((CAT, 90.0, "manual"), (BEN, 20.0, "keyword"))
    found = conversations(diary.ledger, books, START_AT)
    told = sorted(
        zip(found.opened_at.tolist(), found.closed_at.tolist(), found.answered.tolist(), strict=True)
    )
    assert told[:1] == [(10.0, 40.0, True)]
    assert told[1] == (30.0, 90.0, False)
    assert told[2][0] == 50.0
    assert np.isnan(told[2][1])
    assert reply_to_answer_s(found).tolist() == [30.0]
    times = timing(diary.ledger, spans(diary.ledger, books, START_AT))
    assert (times.first_at, times.last_at, times.last_first_text_at) == (41.0, 41.0, 41.0)
    assert (times.wire_most_s, times.answer_half_s) == (1.0, 30.0)


def waits_of(diary: Diary) -> Waits:
    books = diary.books()
    return waits(diary.ledger, books, spans(diary.ledger, books, START_AT))


def test_each_wait_is_told_with_its_late_ones() -> None:
    diary = Diary()
    for nth in range(100):
        diary.text(ANN, 100.0 + nth, pressed_at=99.0)
    diary.hear(BEN, 300.0, "Who is this?")
    diary.shown.append((360.0, BEN, 0, 1))
    diary.text(BEN, 391.0, pressed_at=390.0, response=0)
    told = waits_of(diary)
    assert told.press_to_wire == Wait(101, p50_s=50.0, p95_s=95.0, p99_s=99.0, max_s=100.0)
    assert told.reply_to_screen == Wait(1, 60.0, 60.0, 60.0, 60.0)
    assert told.reply_to_answer == Wait(1, 90.0, 90.0, 90.0, 90.0)
    assert told.stop_to_effect == Wait()


def test_a_stop_has_its_effect_with_the_last_text_to_its_person() -> None:
    diary = Diary()
    diary.hear(ANN, 10.0, "STOP")
    diary.text(ANN, 14.0)
    diary.hear(ANN, 20.0, "START")
    diary.text(ANN, 30.0)
    diary.hear(BEN, 10.0, "STOP")
    told = waits_of(diary).stop_to_effect
    assert (told.count, told.p50_s, told.max_s) == (2, 2.0, 4.0)


def test_the_busiest_minute_of_each_meter() -> None:
    diary = Diary()
    for at in range(30):
        diary.text(ANN, 60.0 + at)
    [use, total] = busiest(diary.ledger, CampaignRegistration(5.0, {"att": 1.0}))
    assert (use.name, use.used_per_s, use.share) == ("att", 0.5, 0.5)
    assert (total.name, total.share) == (ALL, pytest.approx(0.1))


# ------------------------------------------------------------ what the filter held


def test_the_filter_is_noticed_when_a_window_loses_more_than_the_share() -> None:
    diary = Diary()
    for n in range(300):
        diary.text(ANN, float(n), shown=None if n >= 150 and n % 10 == 0 else n != 155)
    found = noticed(diary.ledger, ends(diary.ledger), 0.015)
    assert found == (155.0 + 2, 156)  # the second in a hundred
    assert noticed(diary.ledger, ends(diary.ledger), 0.5) is None
    assert noticed(Ledger(), ends(Ledger()), 0.0) is None


def test_looking_at_a_standing_changes_nothing_and_tells_the_causes() -> None:
    filtering = Filtering(FilteringParameters())
    filtering.register(1, 49)
    for n in range(600):
        filtering.judge(1, OURS, "Hi", body_key=1, first=True, uniform=0.99, now=float(n))
    for n in range(60):
        filtering.opt_out(1, OURS, 600.0 + n)
    before = msgspec.structs.astuple(filtering.standing(1, 700.0))
    watch = FilterWatch()
    for at in (700.0, 90_000.0, 700.0):
        watch.note(at, filtering.standing(1, at))
    assert msgspec.structs.astuple(filtering.standing(1, 700.0)) == before
    found = causes(watch.record())
    assert {cause.name for cause in found} == {"opt_outs", "identical_texts"}
    assert found[0].from_at == 700.0
    standing = filtering.standing(1, 700.0)
    assert standing.added_share == pytest.approx(standing.held.opt_outs + standing.held.identical_texts)


def test_the_worst_cause_comes_first_and_small_ones_are_not_told() -> None:
    record = np.zeros(3, RECORD)
    record["at"] = (120, 240, 360)
    record["complaints"] = (0.0, 0.3, 0.2)
    record["dead_numbers"] = (0.01, 0.01, 0.01)
    record["opt_outs"] = (0.001, 0.001, 0.001)
    assert causes(record) == (Cause("complaints", 240.0, 0.3), Cause("dead_numbers", 120.0, 0.01))
