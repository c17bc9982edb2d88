"""kill -9 in the middle of everything: one gateway comes back, nobody is left hanging, nothing is lost."""

import gc
from collections import Counter

import pytest
from msgspec.structs import replace

from gateway.app import Gateway
from gateway.core.text.scripts import ScriptFault
from simulator.model.faults import FaultParameters
from simulator.rehearsal.bank import BankOfVolunteers
from simulator.report.result import Rehearsed
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import longer_waits
from tests.rehearsal.small_worlds import ELECTION_DAY, TALKATIVE, broken, chaotic, limited, small, told

_DAY = small(ELECTION_DAY, hours=1.5, volunteers=8, people=TALKATIVE)


def crashing(*at_s: float) -> FaultParameters:
    return FaultParameters(gateway_crashes_at_s=at_s)


def test_a_crash_every_two_minutes(rehearse: Rehearse) -> None:
    done = rehearse(replace(_DAY, faults=crashing(*range(100, 5000, 120))), contacts=150)
    assert broken(done) == set(), told(done)
    assert done.result.messages.delivered > 100
    assert (done.result.messages.sending, done.result.messages.unknown) == (0, 0)


def test_two_crashes_in_a_row_leave_one_gateway(rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one comes while the supervisor is still starting the first one again."""
    start, crash = Gateway.start, Gateway.crash
    alive: dict[int, Gateway] = {}

    async def note_start(worker: Gateway) -> None:
        alive[id(worker)] = worker
        await start(worker)

    def note_crash(worker: Gateway) -> object:
        alive.pop(id(worker), None)
        return crash(worker)

    monkeypatch.setattr(Gateway, "start", note_start)
    monkeypatch.setattr(Gateway, "crash", note_crash)
    done = rehearse(replace(_DAY, faults=crashing(600.0, 610.0)), contacts=60)
    assert broken(done) == set(), told(done)
    assert len(alive) == 1, "two gateways dispatch one campaign"


def test_crashes_within_one_restart_break_no_rule(rehearse: Rehearse) -> None:
    """Found by the swarm: its seed strews crashes at 409 s and 423 s."""
    world = limited(chaotic(ELECTION_DAY, hours=1.0, volunteers=8), total_per_s=0.05)
    assert broken(done := rehearse(world, contacts=200, seed=6)) == set(), told(done)


def test_no_volunteer_waits_for_ever(rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever pressed Send on an answer just before a crash is told so, and goes on answering."""
    answer = BankOfVolunteers._answer
    calls: Counter[str] = Counter()

    async def counted(bank: BankOfVolunteers, *arguments: object) -> bool:
        calls["begun"] += 1
        answered = await answer(bank, *arguments)
        calls["ended"] += 1  # no `finally`: what is thrown away as garbage at the end has not ended
        return answered

    monkeypatch.setattr(BankOfVolunteers, "_answer", counted)
    longer_waits(monkeypatch, windows={"admission_s": 10.0})
    world = replace(_DAY, faults=crashing(*range(300, 4000, 30)))
    rehearse(world, contacts=150)
    assert calls["begun"] > 10
    assert calls["ended"] == calls["begun"]


def test_what_a_crash_left_unanswered_is_pressed_again(rehearse: Rehearse) -> None:
    """A press of Send while nobody answers: the volunteers' phones try again when the gateway is back."""
    calm = rehearse(_DAY, contacts=150)
    done = rehearse(replace(_DAY, faults=crashing(*range(100, 5000, 120))), contacts=150)
    assert texted(done) == texted(calm)
    assert not any("never answered" in reason for reason in done.result.verdict_reasons)


def texted(done: Rehearsed) -> set[int]:
    return set(done.ledger.submissions.columns()["to"].tolist())


def test_a_run_that_fails_leaves_nothing_at_work(rehearse: Rehearse) -> None:
    """The gateway stands already when the script is found wrong; what is left of it would warn at collection."""
    frozen = gc.get_freeze_count()
    with pytest.raises(ScriptFault):
        rehearse(_DAY, contacts=20, script="Hi {{first_name")
    gc.collect()
    assert gc.get_freeze_count() == frozen == 0


def test_a_rehearsal_hands_back_its_memory(rehearse: Rehearse) -> None:
    rehearse(_DAY, contacts=20)
    assert gc.get_freeze_count() == 0
