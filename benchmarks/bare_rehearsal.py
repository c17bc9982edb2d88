"""The bare twin: a rehearsal's events and statements without anybody who decides.

    python -m benchmarks.bare_rehearsal tape CONTACTS FILE     a whole rehearsal, written down
    python -m benchmarks.bare_rehearsal play CONTACTS FILE     the same without a gateway; one JSON object

On the tape are every statement with its arguments, every call to the provider and what the volunteers' phones were
answered, with their virtual times. Played, the same model (market, handsets, people, volunteers) has the same events,
and the same PostgreSQL carries out the same statements in the same order: what is left of a rehearsal when the gateway
decides nothing. That events and rows are the same, a digest of the ledger and
the tables' counts say. Nothing is judged.
"""

import argparse
import asyncio
import json
import sys
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import simpy
import structlog

from benchmarks.tape_of_rehearsal import (
    Answered,
    Block,
    Bought,
    Edge,
    Finished,
    Sent,
    Taped,
    entries,
    events_hash,
    rows_of,
)
from gateway.providers.base import InboundText, ProviderError, StatusReport
from gateway.store import statistics
from gateway.store.database import Connection, Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import make_throwaway, migrate
from simulator.model.scenario import load
from simulator.model.volunteers import Volunteers, Waiting
from simulator.rehearsal import contact_import, run
from simulator.rehearsal.campaign_setup import create
from simulator.rehearsal.loop import run as run_virtually
from simulator.rehearsal.rehearsed_settings import ANSWER_S
from simulator.rehearsal.stopwatch import Stopwatch
from simulator.report.result import Plan

SCENARIO = "election-day"
SEED = 1


# ---------------------------------------------------------------- playing


class _Nobody:
    """Webhooks come, and nobody reads them."""

    def status(self, _: StatusReport) -> None:
        return None

    def inbound(self, _: InboundText) -> None:
        return None


class _TapedPhones:
    """Implements `simulator.model.volunteers.Bank`: each phone is told what it was told."""

    def __init__(self, env: simpy.Environment, tape: Path) -> None:
        self._env = env
        self._answers: defaultdict[int, deque[Answered]] = defaultdict(deque)
        self._changes: deque[Finished] = deque()
        self._finished = False
        for entry in entries(tape):
            if isinstance(entry, Answered):
                self._answers[entry.volunteer].append(entry)
            elif isinstance(entry, Finished):
                self._changes.append(entry)

    @property
    def finished(self) -> bool:
        while self._changes and self._changes[0].at <= self._env.now:
            self._finished = self._changes.popleft().is_so
        return self._finished

    def _told(self, volunteer: int) -> simpy.Event:
        answered = self._answers[volunteer].popleft()
        return self._env.timeout(answered.took_s, answered.value)

    def claim(self, volunteer: int) -> simpy.Event:
        answered = self._answers[volunteer].popleft()
        assert isinstance(answered.value, int)
        return self._env.timeout(answered.took_s, range(answered.value))

    def send(self, volunteer: int, item: object) -> None:
        return None

    def release(self, volunteer: int, _: Sequence[object]) -> simpy.Event:
        return self._told(volunteer)

    def inbox(self, volunteer: int) -> simpy.Event:
        return self._told(volunteer)

    def answer(self, volunteer: int, _waiting: Waiting, _response: int) -> simpy.Event:
        return self._told(volunteer)

    def opt_out(self, volunteer: int, _: Waiting) -> simpy.Event:
        return self._told(volunteer)


class Bare(run._Rehearsal):
    """A world whose gateway is a tape; `played` counts statements."""

    def __init__(self, tape: Path, *parts: Any) -> None:
        super().__init__(*parts)
        self._phones = _TapedPhones(self.env, tape)
        self._tape = entries(tape)
        self._tasks: dict[asyncio.Task[None], None] = {}
        self.played = 0
        self.has_same_events = self.has_same_rows = False

    async def play(self) -> None:
        await self.database.open()
        try:
            await self._make_world()
            await self._play_to_edge()
            self.setup_s = self.watch.wall_s()
            self.database.answer_s = ANSWER_S
            self.volunteers.start()
            edge = await self._play_to_edge()
            if self._tasks:
                await asyncio.wait(self._tasks)
            await asyncio.sleep(max(0.0, self.scenario.duration_s - self.loop.time()))
            self.database.answer_s = 0.0
            self.has_same_events = events_hash(self.ledger) == edge.events_hash
            self.has_same_rows = await rows_of(self.database) == edge.rows
        finally:
            await self.database.close()

    async def _make_world(self) -> None:
        people = self._people()
        await migrate(self.database, self.clock.now())
        await make_throwaway(self.database)
        self._build_market()
        await create(self.database, run.CAMPAIGN, self.scenario, self.clock.now(), opt_out_scope=run.CAMPAIGN)
        contacts = await contact_import.put(
            self.database, run.KEY, people, self.provider.look_up, self.clock.now()
        )
        await statistics.refresh(self.database)
        self.provider.listen(_Nobody())  # type: ignore[arg-type]
        self.volunteers = Volunteers(
            self.env,
            self.scenario.volunteers,
            self.draws,
            self._phones,
            contacts=contacts,
            duration_s=self.scenario.duration_s,
            responses=[response.name for response in self.scenario.campaign.responses],
        )

    async def _play_to_edge(self) -> Edge:
        for entry in self._tape:
            if isinstance(entry, Edge):
                return entry
            if isinstance(entry, Block | Sent | Bought):
                if entry.at > self.loop.time():
                    await asyncio.sleep(entry.at - self.loop.time())
                await self._begin(entry)
        raise ValueError("the tape was cut off")

    async def _begin(self, entry: Block | Sent | Bought) -> None:
        """Statements of the set-up one after the other, as there; of the day as soon as they were asked."""
        if isinstance(entry, Block) and not self.database.answer_s:
            await self._carry_out(entry)
            return
        task = asyncio.create_task(self._carry_out(entry))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _carry_out(self, entry: Block | Sent | Bought) -> None:
        if isinstance(entry, Block):
            self.played += len(entry.asked)
            await _ask_again(self.database, entry)
            return
        with suppress(ProviderError):
            if isinstance(entry, Sent):
                await self.provider.send(entry.text)
            else:
                await self.provider.buy(entry.campaign_id, entry.area_code)


async def _ask_again(database: Database, block: Block) -> None:
    if block.is_paced:
        ((_, sql, arguments),) = block.asked
        await database.fetch(sql, *arguments)
        return
    async with database.connection() as connection:
        if not block.is_transaction:
            await _ask_each(connection, block)
            return
        async with connection.transaction():
            await _ask_each(connection, block)


async def _ask_each(connection: Connection, block: Block) -> None:
    for how, sql, arguments in block.asked:
        await getattr(connection, how)(sql, *arguments)


# ---------------------------------------------------------------- the two commands


def plan_of(contacts: int) -> Plan:
    scenario = load(SCENARIO)
    if scenario.companions or scenario.faults.gateway_crashes_at_s:
        raise SystemExit("only a world with one campaign and a gateway that lives can be played")
    return Plan(scenario=scenario, contacts=contacts, list_path=None, script=None, seed=SEED)


def tape(contacts: int, path: Path) -> None:
    env = simpy.Environment()
    with path.open("wb") as file, EmbeddedServer() as server:
        parts = server.dsn(), plan_of(contacts), Stopwatch()
        run_virtually(env, lambda loop: Taped(file, env, loop, *parts).run(None))


def play(contacts: int, path: Path) -> dict[str, object]:
    """The figures of the bare twin, in the names of a rehearsal's result."""
    env = simpy.Environment()
    made: list[Bare] = []

    async def played(loop: Any, dsn: str, watch: Stopwatch) -> None:
        made.append(Bare(path, env, loop, dsn, plan_of(contacts), watch))
        await made[0].play()

    watch = Stopwatch()
    with EmbeddedServer() as server, run._little_garbage():
        run_virtually(env, lambda loop: played(loop, server.dsn(), watch))
    return {
        "contacts": contacts,
        "seed": SEED,
        "wall_seconds": round(watch.wall_s(), 3),
        "setup_seconds": round(made[0].setup_s, 3),
        "cpu_seconds": round(watch.cpu_s(), 3),
        "statements": made[0].played,
        "same_events": made[0].has_same_events,
        "same_rows": made[0].has_same_rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["tape", "play"])
    parser.add_argument("contacts", type=int)
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    if asked.what == "tape":
        tape(asked.contacts, asked.file)
    else:
        sys.stdout.write(json.dumps(play(asked.contacts, asked.file)) + "\n")


if __name__ == "__main__":
    main()
