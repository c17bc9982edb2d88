"""The auditor counts by itself what a carrier filters: what may wait for that, what must, and who may get another script."""

import numpy as np
import pytest

from simulator.audit.breakers import held_since, stopped
from simulator.audit.evidence import Evidence
from simulator.audit.records import ANSWER, QUEUED, Breaker, GroundTruth, NumberLife
from tests.simulator.audited_bank import OURS, Bank

PEOPLE = [12_155_550_100 + n for n in range(100)]
WAITS, LATER = 90, 3_000.0
ATT, VERIZON = 0, 2


class Filtered(Bank):
    """Script 1 to forty people at AT&T and forty at Verizon, a text a second; of AT&T's so many are filtered."""

    def __init__(self, filtered: int, **world: object) -> None:
        known = {"breaker": Breaker(0.05, 20), "numbers": (NumberLife(OURS, 0.0),), "day_ends_at": 10_000.0}
        super().__init__(**{**known, "registration": self._ample(), **world})
        self.pressed: list[tuple[object, ...]] = []
        for n in range(80):
            carrier = ATT if n % 2 else VERIZON
            is_bad = bool(n % 2) and n < 2 * filtered
            self.sent(n + 1, PEOPLE[n], at=100.0 + 2 * n, carrier=carrier, code=30_007 if is_bad else 0)

    @staticmethod
    def _ample():  # type: ignore[no-untyped-def]
        from simulator.model.carriers import CampaignRegistration

        return CampaignRegistration(
            total_per_s=400, carrier_per_s={"att": 100, "tmobile": 100, "verizon": 100}
        )

    def press(
        self, message_id: int, phone: int, *, at: float, variant: int = 0, drawn: int = 0, response: int = -1
    ) -> None:
        self.pressed.append((message_id, at, 0.0, 0, phone, response, variant, QUEUED, drawn))

    def sent(self, message_id, phone, *, at, carrier, code=0, variant=0, drawn=0):  # type: ignore[no-untyped-def]
        self.press(message_id, phone, at=at - 1, variant=variant, drawn=drawn)
        self.text(
            message_id,
            phone,
            status="undelivered" if code else "delivered",
            code=code,
            at=at,
            carrier=carrier,
        )

    def waits(self, message_id: int, phone: int, *, at: float, response: int = -1) -> "Filtered":
        self.request(message_id, phone, kind=0 if response < 0 else 1, state=QUEUED, at=at)
        self.press(message_id, phone, at=at, response=response)
        return self

    def books(self):  # type: ignore[no-untyped-def]
        books = super().books()
        books.answers = np.array(self.pressed, ANSWER)
        return books

    def evidence(self) -> Evidence:
        return Evidence(self.ledger, self.books(), GroundTruth(**self.world))

    def found(self) -> dict[str, int]:
        names = ("presses_sent", "nothing_idles", "filtered_scripts_stopped")
        return {name: count for name, count in self.audit().counts.items() if count and name in names}


def test_what_a_filtered_script_waits_for_is_seen_in_the_ledger() -> None:
    bank = Filtered(20).waits(WAITS, PEOPLE[1], at=LATER)
    [only] = stopped(bank.evidence())
    assert (only.variant, only.carrier, only.filtered, only.of, only.spared) == (0, "att", 20, 20, 1)
    assert bank.found() == {}
    assert held_since(bank.evidence(), np.array([WAITS]))[0] < 200.0


@pytest.mark.parametrize("filtered", [0, 2])
def test_without_so_much_filtering_nothing_may_wait(filtered: int) -> None:
    bank = Filtered(filtered).waits(WAITS, PEOPLE[1], at=LATER)
    assert stopped(bank.evidence()) == ()
    assert bank.found() == {"presses_sent": 1}


def test_another_carriers_text_and_a_reply_may_not_wait() -> None:
    assert Filtered(20).waits(WAITS, PEOPLE[0], at=LATER).found() == {"presses_sent": 1}
    assert Filtered(20).waits(WAITS, PEOPLE[1], at=LATER, response=0).found() == {"presses_sent": 1}


def test_nor_may_anything_where_breakers_are_off() -> None:
    off = Filtered(20, breaker=None).waits(WAITS, PEOPLE[1], at=LATER)
    assert np.isinf(held_since(off.evidence(), np.array([WAITS]))[0])
    assert off.audit().chances["filtered_scripts_stopped"] == 0


def test_what_is_plainly_filtered_must_stop() -> None:
    bank = Filtered(40)
    bank.sent(WAITS, PEOPLE[1], at=LATER, carrier=ATT)
    assert bank.found() == {"filtered_scripts_stopped": 1}
    calm = Filtered(40)
    calm.sent(WAITS, PEOPLE[0], at=LATER, carrier=VERIZON)
    assert calm.found() == {}
    away = Filtered(40, away=((150.0, LATER),))
    away.sent(WAITS, PEOPLE[1], at=LATER + 60, carrier=ATT)
    assert away.found() == {}


@pytest.mark.parametrize(
    ("filtered", "person", "expected"),
    [(20, 1, {}), (20, 0, {"filtered_scripts_stopped": 1}), (0, 1, {"filtered_scripts_stopped": 1})],
)
def test_who_may_get_another_script(filtered: int, person: int, expected: dict[str, int]) -> None:
    bank = Filtered(filtered)
    bank.sent(WAITS, PEOPLE[person], at=LATER, carrier=ATT if person else VERIZON, variant=1, drawn=0)
    assert bank.found() == expected
