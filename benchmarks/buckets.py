"""Volunteers who claim buckets of one action at once, over connections of their own, PostgreSQL included.

    python -m benchmarks.buckets [--volunteers 500] [--size 100] [--connections 40]

Twice: all at one instant, when each waits for all before, and within ten seconds, as people come. Each contact must have
one volunteer, and no bucket be short while anybody is free. The contacts are of as many groups of hours as in a
nationwide list. Half of the volunteers are at one worker, half at another; as in the gateway a worker takes those together
who wait. What is measured is the claim, and the claim with what is known of its people; the texts are not rendered. Over
HTTP, texts rendered: `python -m benchmarks.http --only volunteers`.
Figures are kept in benchmarks/results/buckets.json.
"""

import asyncio
import json
import random
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.kept import keep
from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.p2p.publishing import publish_whole
from gateway.p2p.shared_claims import SharedClaims, Where
from gateway.store import buckets, campaigns, contacts, months
from gateway.store.buckets import Claimed, Fronts, Wanted
from gateway.store.campaign_actions import ActionRecord
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import migrate
from simulator.model.draws import Draws
from simulator.model.population import Population
from simulator.model.scenario import load
from simulator.rehearsal import contact_import

KEPT = Path(__file__).parent / "results" / "buckets.json"
KEY, ACTION, SCOPE = CampaignKey(1, 1), 1, 1
NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York
_WORKERS = 2
SPREADS_S = {"at one instant": 0.0, "within ten seconds": 10.0}


async def fill(database: Database, people: int) -> list[str]:
    """An action of so many people, nobody claimed; returns their groups of hours."""
    await migrate(database, NOON)
    await months.make_ahead(database, NOON)
    settings = CampaignSettings().to_json()
    await campaigns.create(database, CampaignRow(1, SCOPE, "Benchmark", settings, paused=False), NOON)
    population = Population.synthetic(load("election-day").population, people, Draws(1))
    for batch in contact_import.from_population(population):
        await contacts.add(database, KEY, batch)
    action = ActionRecord(action_id=ACTION, title="Polls", state="draft", settings="{}", created_at=NOON)
    await publish_whole(database, KEY, action, [], 1, NOON)
    return await contacts.hours_groups(database, KEY)


class Claims:
    """One run: everybody's claim, and how long each took."""

    def __init__(self, doors: Sequence[Database], groups: Sequence[str], size: int) -> None:
        self._doors = doors
        self._groups = groups
        self._size = size
        self._workers = [self._worker(nth) for nth in range(_WORKERS)]
        self.claim_ms: list[float] = []
        self.took_ms: list[float] = []
        self.given: list[list[int]] = []

    def _worker(self, nth: int) -> SharedClaims:
        door, fronts = self._doors[nth], Fronts()

        async def write(_where: Where, wanted: list[Wanted]) -> list[Claimed]:
            return await buckets.claim(
                door,
                KEY,
                ACTION,
                wanted,
                open_groups=self._groups,
                now=NOON,
                look_at=NOON + 3600,
                fronts=fronts,
            )

        return SharedClaims(write)

    async def one(self, volunteer: int, at_s: float) -> None:
        await asyncio.sleep(at_s)
        others = self._doors[_WORKERS:]
        door, began_at = others[volunteer % len(others)], time.perf_counter()
        worker = self._workers[volunteer % _WORKERS]
        claimed = await worker.claim((KEY.campaign_id, ACTION), Wanted(volunteer, None, self._size))
        self.claim_ms.append((time.perf_counter() - began_at) * 1e3)
        about = await buckets.about(
            door, KEY, ACTION, claimed.contact_ids, opt_out_scope=SCOPE, texts_since=0, given_to=volunteer
        )
        self.took_ms.append((time.perf_counter() - began_at) * 1e3)
        self.given.append([each.known.contact_id for each in about])

    def row(self, what: str) -> dict[str, Any]:
        everybody = [contact_id for bucket in self.given for contact_id in bucket]
        return {
            "what": what,
            "claims": len(self.given),
            "claim": _told(self.claim_ms),
            "with_its_people": _told(self.took_ms),
            "given_twice": len(everybody) - len(set(everybody)),
            "short": sum(len(bucket) < self._size for bucket in self.given),
        }


def _told(took_ms: Sequence[float]) -> dict[str, float]:
    took = sorted(took_ms)
    return {
        "p50_ms": round(took[len(took) // 2], 1),
        "p99_ms": round(took[len(took) * 99 // 100], 1),
        "longest_ms": round(took[-1], 1),
    }


async def measure(volunteers: int, size: int, connections: int) -> list[dict[str, Any]]:
    rows = []
    for what, spread_s in SPREADS_S.items():
        with EmbeddedServer() as server:
            doors = [Database(server.dsn(), connections=1) for _ in range(connections)]
            groups = await fill(doors[0], volunteers * size)
            await asyncio.gather(*(door.fetch("SELECT 1") for door in doors))
            run, luck = Claims(doors, groups, size), random.Random(1)
            await asyncio.gather(
                *(run.one(each, luck.uniform(0, spread_s)) for each in range(1, volunteers + 1))
            )
            rows.append({**run.row(what), "hours_groups": len(groups)})
            sys.stdout.write(f"{json.dumps(rows[-1])}\n")
            for door in doors:
                await door.close()
    return rows


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m benchmarks.buckets")
    parser.add_argument("--volunteers", type=int, default=500)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--connections", type=int, default=40)
    asked = parser.parse_args(arguments)
    rows = asyncio.run(measure(asked.volunteers, asked.size, asked.connections))
    keep(KEPT, connections=asked.connections, rows=rows)


if __name__ == "__main__":
    main(sys.argv[1:])
