"""A brand's day, shared: never above the cap whatever order things happen in, midnight to the second."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.sending.daily_cap import CAP_EDGE_S, Ask, DailyCap, cap_day, next_cap_reset

NOON = 1_792_500_000.0
MIDNIGHT = next_cap_reset(NOON)
CAP = 100


class Brand:
    """The store's side: who holds how much of which day."""

    def __init__(self, cap: int = CAP) -> None:
        self.cap = cap
        self.held: dict[date, dict[int, int]] = {}
        self.reached: set[date] = set()

    def settle(self, campaign: int, ask: Ask) -> tuple[int, bool]:
        day = self.held.setdefault(ask.day, {})
        if ask.is_reached:
            self.reached.add(ask.day)
        others = sum(held for other, held in day.items() if other != campaign)
        beyond = ask.used if ask.day in self.reached else min(ask.wanted, self.cap - others)
        day[campaign] = max(ask.used, beyond)
        return day[campaign], ask.day in self.reached


class Campaign:
    def __init__(self, number: int, brand: Brand) -> None:
        self.number, self.brand = number, brand
        self.cap = DailyCap(brand.cap, shared=True, rate_per_s=1.0)
        self.asks: list[Ask] = []
        self.sent: list[tuple[float, int]] = []

    def supply(self, now: float) -> None:
        for ask in self.cap.asks(now):
            self.cap.grant(ask, *self.brand.settle(self.number, ask), now)

    def send(self, now: float, segments: int = 1) -> bool:
        if self.cap.clear_at(now, segments) > now:
            return False
        self.cap.add(now, segments)
        self.sent.append((now, segments))
        return True


def day_use(campaigns: list[Campaign], begins: float, ends: float) -> int:
    return sum(n for each in campaigns for at, n in each.sent if begins <= at < ends)


def test_nothing_is_ours_before_it_is_granted() -> None:
    mine = Campaign(1, Brand())
    mine.supply(NOON)
    assert not mine.send(NOON)
    mine.supply(NOON)
    assert mine.send(NOON)


def test_a_campaign_that_sends_nothing_asks_for_nothing() -> None:
    mine = Campaign(1, Brand())
    assert [mine.cap.asks(NOON + each) for each in range(200)] == [[]] * 200


def test_more_is_asked_before_it_runs_out() -> None:
    mine = Campaign(1, Brand(1000))
    mine.supply(NOON)
    assert not mine.send(NOON)
    for second in range(100):
        mine.supply(NOON + second)
        assert mine.send(NOON + second)


def test_two_campaigns_use_one_day_whole_and_no_more() -> None:
    brand = Brand()
    both = [Campaign(1, brand), Campaign(2, brand)]
    for second in range(1000):
        for each in both:
            each.supply(NOON + second)
            each.send(NOON + second)
    assert day_use(both, NOON, MIDNIGHT) == CAP
    assert all(each.cap.full_until(NOON + 1001, 1) == MIDNIGHT for each in both)


def test_what_is_not_used_for_a_minute_goes_back_to_the_others() -> None:
    brand = Brand()
    first, second = Campaign(1, brand), Campaign(2, brand)
    for now in (NOON, NOON + 1):
        first.supply(now)
        first.send(now)
    for step in range(400):
        now = NOON + 2 + step
        first.supply(now)
        second.supply(now)
        second.send(now)
    assert day_use([first, second], NOON, MIDNIGHT) == CAP


def test_handed_back_at_the_end() -> None:
    brand = Brand()
    mine = Campaign(1, brand)
    for now in (NOON, NOON + 1):
        mine.supply(now)
        mine.send(now)
    for ask in mine.cap.hand_back():
        mine.cap.grant(ask, *brand.settle(1, ask), NOON + 2)
    assert list(brand.held.values()) == [{1: 1}]
    assert not mine.send(NOON + 2)


def test_an_end_that_the_carrier_announces_is_everybodys() -> None:
    brand = Brand()
    both = [Campaign(1, brand), Campaign(2, brand)]
    for each in both:
        for now in (NOON, NOON + 1):
            each.supply(now)
            each.send(now)
    both[0].cap.exhaust(NOON + 2)
    assert not both[0].send(NOON + 2)
    both[0].supply(NOON + 2)
    more = sum(both[1].send(NOON + 3 + each) for each in range(50) if not both[1].supply(NOON + 3 + each))
    assert more <= both[1].cap.block
    assert both[1].cap.full_until(NOON + 60, 1) == MIDNIGHT
    for each in both:
        for _ in range(2):
            each.supply(MIDNIGHT + 1)
            each.send(MIDNIGHT + 1)
        assert each.sent[-1][0] == MIDNIGHT + 1


def test_the_last_seconds_before_midnight_want_room_on_both_days() -> None:
    brand = Brand()
    mine = Campaign(1, brand)
    now = MIDNIGHT - CAP_EDGE_S
    for _ in range(4):  # today's block, then tomorrow's
        mine.supply(now)
        mine.send(now)
    assert {day: held[1] > 0 for day, held in brand.held.items()} == {
        cap_day(NOON): True,
        cap_day(MIDNIGHT): True,
    }
    used = len(mine.sent)
    assert used
    mine.supply(MIDNIGHT)
    assert mine.cap.used == used


def test_a_grant_that_comes_after_its_day_changes_nothing() -> None:
    mine = Campaign(1, Brand())
    mine.supply(NOON)
    mine.send(NOON)
    (ask,) = mine.cap.asks(NOON)
    mine.cap.asks(MIDNIGHT + 86_400 * 2)
    mine.cap.grant(ask, 50, False, MIDNIGHT + 86_400 * 2)
    assert not mine.send(MIDNIGHT + 86_400 * 2)


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(
            ["send"] * 6 + ["ask", "ask", "answer", "answer", "twice", "crash", "drain", "unsent"]
        ),
        st.integers(1, 9),
        st.sampled_from([0.0, 0.5, 3.0, 40.0]),
    ),
    max_size=200,
)


class Unlucky(Campaign):
    """Its questions are answered late, twice or never; its worker dies and the next one counts the books."""

    def meet(self, event: str, now: float, segments: int) -> None:
        match event:
            case "send":
                self.send(now, segments)
            case "ask" if not self.asks:
                self.asks = self.cap.asks(now)
            case "answer":
                self.answer(now)
            case "twice":  # the first answer was lost
                for ask in self.asks:
                    self.brand.settle(self.number, ask)
            case "drain" if not self.asks:
                self.asks = self.cap.hand_back()
            case "unsent" if self.sent and self.sent[-1][0] >= self.cap.begins_at:
                self.cap.give_back(*self.sent.pop())
            case "crash":
                self.begin_anew(now)

    def answer(self, now: float) -> None:
        for ask in self.asks:
            self.cap.grant(ask, *self.brand.settle(self.number, ask), now)
        self.asks = []

    def begin_anew(self, now: float) -> None:
        self.cap, self.asks = DailyCap(self.brand.cap, shared=True), []
        begun, ends = next_cap_reset(now) - 86_400.0, next_cap_reset(now)
        used = day_use([self], begun - CAP_EDGE_S, ends)
        self.cap.recount(now, used, day_use([self], ends - CAP_EDGE_S, ends))


@settings(max_examples=300, deadline=None)
@given(EVENTS, st.sampled_from([NOON, MIDNIGHT - 60.0]), st.integers(3, 120))
def test_whatever_happens_no_day_is_passed(
    events: list[tuple[int, str, int, float]], begins: float, cap: int
) -> None:
    """Answers late, lost and repeated; workers that die and are counted anew from the books; a midnight between."""
    brand, now = Brand(cap), begins
    campaigns: list[Campaign] = [Unlucky(each, brand) for each in range(3)]
    for which, event, segments, step_s in events:
        now += step_s
        unlucky = campaigns[which]
        assert isinstance(unlucky, Unlucky)
        unlucky.meet(event, now, segments)
    for day in range(3):
        ends = MIDNIGHT + day * 86_400.0
        assert day_use(campaigns, ends - 86_400.0 - CAP_EDGE_S, ends) <= cap


@pytest.mark.parametrize(
    ("cap", "rate_per_s", "block"), [(2000, 4, 80), (200_000, 75, 1500), (30, 75, 8), (3, 1, 3)]
)
def test_blocks_are_small_and_last_a_while(cap: int, rate_per_s: float, block: int) -> None:
    assert DailyCap(cap, shared=True, rate_per_s=rate_per_s).block == block
