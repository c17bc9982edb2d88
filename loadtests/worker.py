"""One of Locust's workers: the integrators' share of one process, and what it tells the master once a second."""

import contextlib
import time
from typing import Any, Final

import gevent
import msgspec
import numpy as np

from loadtests.arrivals import Arrivals
from loadtests.asking import Asker
from loadtests.pacer import Failed, Pacer
from loadtests.plan import Plan
from loadtests.recording import Handed
from loadtests.schedule import Share, shaped
from loadtests.targets import Target
from loadtests.timeline import Timeline
from loadtests.users import Caller, Tally

TELLS_EVERY_S: Final = 1.0
_NOT_NOW: Final = 503
_AGAIN_AFTER_S: Final = 2.0
_AGAIN_AT_MOST_AFTER_S: Final = 60.0
"""Twice as long each time: who asks again and again at one pace keeps a full gateway full."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker tells once a second. `part` holds no histograms yet; `acknowledged` is what is new."""

    part: Handed
    acknowledged: list[int]
    idle: int
    turned_away: int


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker hands over at the end."""

    standing: Standing
    part: Handed
    joins: Handed
    phases: dict[str, Handed]
    rows: dict[int, list[int]]
    streamed: int


class Worker:
    """Starts with Locust's test; `plan` says what it does."""

    def __init__(self, runner: Any, plan: Plan, tally: Tally) -> None:
        self._runner = runner
        self._plan = plan
        self._tally = tally
        self._told = 0
        self._nth = 0
        self._refused = 0
        self._headers = {"Authorization": f"Bearer {plan.key}", "Content-Type": "application/json"}

    def begin(self) -> None:
        """Draws all instants; before anybody comes."""
        size = self._plan.size
        shape, share = size.form, Share(self._runner.worker_index, size.workers)
        self._batches = self._shared_out(share)
        luck = np.random.default_rng([size.seed, share.worker, 0])
        instants = shaped(len(self._batches), shape.batches, size.seconds, luck)
        phases = [(each.name, each.begins * size.seconds) for each in shape.phases]
        self._asker = Asker(Target(url=self._plan.url, named=self._plan.url, is_here=False))
        self._pacer = Pacer(instants, self._batch, timeline=Timeline(phases, size.step_s))
        began_at = time.perf_counter() + size.lead_s
        Caller.arrivals = self._arrivals = Arrivals(shape.comes, size.seconds, size.seed, share, began_at)
        Caller.drawn.set()
        gevent.spawn(self._pacer.run, began_at)
        gevent.spawn(self._tell)

    def _shared_out(self, share: Share) -> list[list[int]]:
        ids, of_one = self._plan.integrated_ids, self._plan.size.batch_size
        batches = [ids[first : first + of_one] for first in range(0, len(ids), of_one)]
        return batches[share.worker :: share.workers]

    def _batch(self) -> float:
        batch, self._nth = self._batches[self._nth], self._nth + 1
        status, blocked_s = self._sent(batch)
        if status == _NOT_NOW and not self._plan.size.form.refuses:
            gevent.spawn(self._again, batch)
        if status != 202:
            raise Failed(str(status))
        return blocked_s

    def _again(self, batch: list[int]) -> None:
        """What was refused for now is asked again, as integrators do; it counts as failed all the same."""
        self._refused += 1
        after_s, status = _AGAIN_AFTER_S, _NOT_NOW
        while status == _NOT_NOW:
            gevent.sleep(after_s)
            after_s = min(2 * after_s, _AGAIN_AT_MOST_AFTER_S)
            with contextlib.suppress(Failed):
                status, _ = self._sent(batch)
        self._refused -= 1

    def _sent(self, batch: list[int]) -> tuple[int, float]:
        """(status, seconds blocked); raises Failed when no answer comes."""
        body = {
            "campaign_id": self._plan.campaign_id,
            "messages": [
                {
                    "contact_id": contact_id,
                    "body": f"Polls are open today, {contact_id}. Reply STOP to opt out",
                }
                for contact_id in batch
            ],
        }
        headers = {**self._headers, "Idempotency-Key": f"batch-{batch[0]}"}
        status, content, blocked_s = self._asker.ask(
            "POST", "/v1/messages:batch", msgspec.json.encode(body), headers
        )
        if status == 202:
            for result in msgspec.json.decode(content)["results"]:
                self._tally.acknowledge(result)
        return status, blocked_s

    def _tell(self) -> None:
        while True:
            gevent.sleep(TELLS_EVERY_S)
            self._runner.send_message("standing", msgspec.to_builtins(self._standing()))

    def _standing(self) -> Standing:
        new = self._tally.acknowledged[self._told :]
        self._told += len(new)
        counts: dict[str, int] = msgspec.to_builtins(self._pacer.timeline.counts())
        part = Handed(
            counts=counts,
            histograms={},
            buckets=self._pacer.timeline.buckets(),
            cpu=self._pacer.cpu(),
            whole=self._pacer.whole and not self._refused,
        )
        return Standing(
            part=part, acknowledged=new, idle=len(self._tally.idle), turned_away=self._tally.turned_away
        )

    def hand_over(self, **_: Any) -> None:
        """Everything, when the master asks for it; writing histograms down takes time that arrivals would miss."""
        standing = self._standing()
        records = Records(
            standing=standing,
            part=msgspec.structs.replace(self._pacer.handed(), cpu=standing.part.cpu),
            joins=self._arrivals.handed(),
            phases=self._pacer.timeline.handed_phases(),
            rows=self._pacer.timeline.rows,
            streamed=self._tally.streamed,
        )
        self._runner.send_message("records", msgspec.to_builtins(records, str_keys=True))
