"""What Locust runs, master and workers: the users of `users.py`, and the integrators' batches by the open-model pacer.

Each worker tells the master once a second how it stands; the master starts the shape's events, ends the run when nobody
has anything left to do, when the time is up or when a worker is lost, has everything handed over, and writes it down.
"""

import os
from typing import Any, Final

import gevent
from locust import events, runners
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

from loadtests import plan as plans
from loadtests.master import Master
from loadtests.users import Admin, Caller, Tally, Volunteer
from loadtests.worker import Worker

PLAN: Final = plans.read(os.environ[plans.VARIABLE])
TALLY: Final = Tally()
Caller.plan, Caller.tally = PLAN, TALLY

runners.HEARTBEAT_LIVENESS = 6
"""Seconds without a word after which a worker is lost: on a machine short of processor time three are soon over."""

__all__ = ["Admin", "Volunteer"]


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Any, **_: Any) -> None:
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        worker = Worker(runner, PLAN, TALLY)
        runner.register_message("hand over", worker.hand_over)
        if runner.worker_state in (STATE_SPAWNING, STATE_RUNNING):  # it was started while it still connected
            worker.begin()
        else:
            environment.events.test_start.add_listener(lambda **_: worker.begin())
    elif isinstance(runner, MasterRunner):
        master = Master(environment, PLAN)
        runner.register_message("standing", master.standing)
        runner.register_message("records", master.records)
        environment.events.test_start.add_listener(lambda **_: gevent.spawn(master.watch))
        environment.events.quitting.add_listener(lambda **_: master.write())
