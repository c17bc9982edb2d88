"""Before a load test: a calibration on the same gateway, then the twin's rehearsal of the same plan."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from loadtests.forecast import Foretold, answers
from loadtests.outcome import Outcome
from loadtests.people import contacts
from loadtests.plan import Size
from loadtests.rehearsing import Bank, Unforetold, rehearsed
from loadtests.schedule import shaped

_CALIBRATES_FOR_S: Final = 20.0
_SEND: Final = "POST sends"
_OF_OTHERS: Final = frozenset({"POST /v1/join", "GET actions", "GET results", "GET conversations:count"})
"""Before the first Send, and the admin's."""


def foretold(size: Size, load: Callable[[Size], Outcome], say: Callable[[str], None]) -> Foretold:
    """What can be said of a plan; `load` loads the gateway with one."""
    said = Foretold(last_batch_s=last_batch_s(size), people=size.contacts)
    say(f"a calibration: {_CALIBRATES_FOR_S:g} s of the load when everybody has come")
    step = load(size.calibration(_CALIBRATES_FOR_S))
    said = msgspec.structs.replace(said, calibration=answers(step))
    if why := _not_rehearsed(size):
        return msgspec.structs.replace(said, why_not=why)
    say("the twin rehearses the same plan")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return msgspec.structs.replace(said, rehearsal=rehearsed(bank(size, press_s(step)), Path(folder)))
        except Unforetold as error:
            return msgspec.structs.replace(said, why_not=str(error))


def _not_rehearsed(size: Size) -> str:
    if size.form.ends != "texted" or size.form.events or size.form.pace is not None:
        return "only a bank that ends when everybody is texted, and in which nothing breaks, is rehearsed"
    return ""


def bank(size: Size, answers_s: float) -> Bank:
    """What the volunteers of a plan are to do."""
    return Bank(
        people=list(islice(contacts(size.contacts), size.integrated, None)),
        comes_s=comes_s(size),
        think_s=size.think_s,
        answers_s=answers_s,
        seed=size.seed,
    )


def volunteers_phones(size: Size) -> Iterator[int]:
    """Of those whom volunteers text, as the carrier's ledger writes them."""
    return (int(row["phone"][1:]) for row in islice(contacts(size.contacts), size.integrated, None))


def comes_s(size: Size) -> list[float]:
    """When each volunteer comes: the workers' own draws, as evenly shared out as Locust does."""
    found = []
    for worker in range(size.workers):
        luck = np.random.default_rng([size.seed, worker, 1])
        ours = len(range(worker, size.volunteers, size.workers))
        found += [shaped(1, size.form.comes, size.seconds, luck)[0] for _ in range(ours)]
    return sorted(found)


def last_batch_s(size: Size) -> float:
    """When the last of the integrators' batches is meant: the workers' own draws."""
    batches = -(-size.integrated // size.batch_size)
    last = 0.0
    for worker in range(size.workers):
        luck = np.random.default_rng([size.seed, worker, 0])
        ours = len(range(worker, batches, size.workers))
        last = max(last, *shaped(ours, size.form.batches, size.seconds, luck)) if ours else last
    return last


def press_s(outcome: Outcome) -> float:
    """How long a volunteer waits for the gateway for each Send, in the mean, looks, answers and buckets included."""
    waits = sum(
        float(ms) / 1000 * count
        for route in outcome.routes
        if route.name not in _OF_OTHERS
        for ms, count in route.milliseconds.items()
    )
    sends = sum(route.requests for route in outcome.routes if route.name == _SEND)
    return waits / sends if sends else 0.0
