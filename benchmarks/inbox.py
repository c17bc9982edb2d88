"""The inbox of a campaign with many conversations: how long its lists, counts and threads take, PostgreSQL included.

    python -m benchmarks.inbox [--conversations 100000] [--volunteers 500]

Half of the people wrote once, a fifth wait for an answer, a tenth is archived. The figures are kept in
benchmarks/results/inbox.json.
"""

import asyncio
import itertools
import sys
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.kept import keep
from gateway.core.bank.inbox import Filter, Order
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.months import first_id, month_of
from gateway.store import campaigns, inbox, months
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.inbox import Which
from gateway.store.migrate import migrate

KEPT = Path(__file__).parent / "results" / "inbox.json"
KEY, SCOPE = CampaignKey(1, 1), 1
NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York
WARM, ROUNDS, LIMIT, SCREEN = 10, 100, 100, 30
Act = Callable[[], Awaitable[object]]

_FILL = """
INSERT INTO actions (campaign_id, action_id, title, scripts) VALUES (1, 1, 'Polls', '{{}}'), (1, 2, 'Rides', '{{}}');
INSERT INTO contacts (organisation_id, campaign_id, contact_id, phone, first_name, last_name, hours_group)
SELECT 1, 1, n, '+1215' || (2000000 + n), 'Ann', 'Number ' || n, 'PA@America/New_York' FROM generate_series(1, {count}) n;
INSERT INTO conversations (organisation_id, campaign_id, contact_id, revision, last_initial_at, last_outbound_at,
                           last_inbound_at, action_id, volunteer_id, attention_at, unread, archived_at)
SELECT 1, 1, n, 2, to_timestamp({now}), to_timestamp({now}), to_timestamp({now} + n % 40000), 1 + n % 2, 1 + n % {volunteers},
       CASE WHEN n % 5 = 0 THEN to_timestamp({now} + n % 40000) END, (n % 5 = 0)::int,
       CASE WHEN n % 10 = 3 THEN to_timestamp({now} + 50000) END FROM generate_series(1, {count}) n;
INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, action_id, kind, sender_id, body, segments,
                      text_hash, state, lane, requested_at)
SELECT 1, 1, {first} + n + {count} * t, n, 1 + n % 2, 'initial', 1, 'Hi Ann, are you in on Tuesday?', 1, 1, 'delivered', 2,
       to_timestamp({now} + t) FROM generate_series(1, {count}) n, generate_series(0, 1) t;
INSERT INTO inbound (organisation_id, campaign_id, inbound_id, provider_sid, contact_id, phone, number_phone, body, intent,
                     suggests_opt_out, wrong_number, received_at)
SELECT 1, 1, {first} + n + {count} * t, 'SM' || n || '-' || t, n, '', '', 'Yes, who is this?', 'reply', false, false,
       to_timestamp({now} + n % 40000 - t) FROM generate_series(1, {count}) n, generate_series(0, n % 2) t;
INSERT INTO opt_outs (organisation_id, scope, phone, source, opted_out_at)
SELECT 1, 1, '+1215' || (2000000 + n), 'keyword', to_timestamp({now}) FROM generate_series(1, {count}, 40) n;
"""


async def fill(server: EmbeddedServer, conversations: int, volunteers: int) -> Database:
    database = Database(server.dsn(), connections=1)
    await migrate(database, NOON)
    await months.make_ahead(database, NOON)
    await campaigns.create(database, CampaignRow(1, SCOPE, "Benchmark", "{}", paused=False), NOON)
    filled = _FILL.format(
        count=conversations, volunteers=volunteers, now=NOON, first=first_id(month_of(NOON))
    )
    async with database.patient(600.0) as patient:
        await patient.script(filled)
        await patient.script("VACUUM ANALYZE")
    return database


def acts(database: Database, conversations: int, volunteers: int, middle: inbox.Place) -> dict[str, Act]:
    """What is measured, by name."""
    threads, of_whom = itertools.count(1), itertools.count(1)

    def page(place: inbox.Place | None = None, **which: Any) -> Act:
        return lambda: inbox.page(database, KEY, SCOPE, Which(**which), place, LIMIT)

    def own(**which: Any) -> Act:
        def one() -> Awaitable[object]:
            volunteer_id = 1 + next(of_whom) % volunteers
            return inbox.page(database, KEY, SCOPE, Which(volunteer_id=volunteer_id, **which), None, LIMIT)

        return one

    found: dict[str, Act] = {f"everybody's, {each}": page(filter=each) for each in Filter}
    found["everybody's, needs_attention, oldest first"] = page(
        filter=Filter.NEEDS_ATTENTION, order=Order.OLDEST
    )
    found["everybody's, all, from the middle on"] = page(middle)
    found["everybody's, of one action"] = page(action_id=2)
    found["everybody's, of an action without any"] = page(action_id=3)
    found |= {f"a volunteer's, {each}": own(filter=each) for each in Filter}
    found["everybody's counts"] = lambda: inbox.counts(database, KEY, volunteer_id=None, action_id=None)
    found["everybody's counts of one action"] = lambda: inbox.counts(
        database, KEY, volunteer_id=None, action_id=2
    )
    found["a volunteer's counts"] = lambda: inbox.counts(
        database, KEY, volunteer_id=1 + next(of_whom) % volunteers, action_id=None
    )
    found["a thread"] = lambda: inbox.thread(
        database, KEY, SCOPE, 1 + next(threads) * 7919 % conversations, None, SCREEN
    )
    return found


async def timed(act: Act) -> dict[str, float]:
    """Milliseconds a call, one after another."""
    took: list[float] = []
    for _ in range(WARM + ROUNDS):
        began_at = time.perf_counter()
        await act()
        took.append((time.perf_counter() - began_at) * 1e3)
    took = sorted(took[WARM:])
    return {"p50_ms": round(took[ROUNDS // 2], 2), "p99_ms": round(took[ROUNDS * 99 // 100], 2)}


async def measure(conversations: int, volunteers: int) -> list[dict[str, Any]]:
    with EmbeddedServer() as server:
        database = await fill(server, conversations, volunteers)
        middle = (await inbox.page(database, KEY, SCOPE, Which(), None, conversations // 2))[-1].place
        rows: list[dict[str, Any]] = []
        for what, act in acts(database, conversations, volunteers, middle).items():
            rows.append({"what": what, **await timed(act)})
            p50, p99 = rows[-1]["p50_ms"], rows[-1]["p99_ms"]
            sys.stdout.write(f"{what:45} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms\n")
        await database.close()
        return rows


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m benchmarks.inbox")
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--volunteers", type=int, default=500)
    asked = parser.parse_args(arguments)
    rows = asyncio.run(measure(asked.conversations, asked.volunteers))
    keep(KEPT, conversations=asked.conversations, volunteers=asked.volunteers, rows_a_page=LIMIT, rows=rows)


if __name__ == "__main__":
    main(sys.argv[1:])
