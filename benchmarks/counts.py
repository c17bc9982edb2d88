"""What counting costs: folding a night's journal, reading the counts of its action, and counting anew from the books.

    python -m benchmarks.counts [--texts 250000] [--volunteers 500]

Each text was admitted, sent and delivered in batches of forty; every sixth person answered. The figures are kept in
benchmarks/results/counts.json.
"""

import asyncio
import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.kept import keep
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.months import first_id, month_of
from gateway.store import campaigns, counts, months
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import migrate

KEPT = Path(__file__).parent / "results" / "counts.json"
KEY, ACTION = CampaignKey(1, 1), 5
NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York
ROUNDS = 20

_FILL = """
INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, action_id, kind, sender_id, script, body, segments,
                      text_hash, state, lane, requested_at)
SELECT 1, 1, {first} + n, n, {action}, 'initial', 1 + n % {volunteers}, 'initial-' || n % 3, 'Hi', 1 + n % 2, 1,
       CASE WHEN n % 20 = 0 THEN 'undelivered' ELSE 'delivered' END, 2, to_timestamp({now})
FROM generate_series(1, {texts}) n;
UPDATE messages SET code = 30003 + message_id % 5 WHERE state = 'undelivered';
INSERT INTO inbound (organisation_id, campaign_id, inbound_id, provider_sid, contact_id, phone, number_phone, body, intent,
                     suggests_opt_out, wrong_number, received_at, action_id, volunteer_id, script, is_first)
SELECT 1, 1, {first} + n, 'SM' || n, n, '', '', 'Yes', 'reply', false, false, to_timestamp({now}), {action},
       1 + n % {volunteers}, 'initial-' || n % 3, true FROM generate_series(1, {texts}, 6) n;
"""
_JOURNAL = """
INSERT INTO events (organisation_id, campaign_id, event_id, kind, at, ids, contact_ids, action_ids, user_ids, kinds, scripts,
                    segments, befores, states, codes)
SELECT 1, 1, {first} + nextval('event_ids'), '{kind}', to_timestamp({now}), array_agg(message_id), array_agg(contact_id),
       array_agg(action_id), array_agg(sender_id), array_agg(kind), array_agg(script), array_agg(segments),
       array_agg('{before}'::text), array_agg({after}), array_agg(code)
FROM messages GROUP BY message_id / 40
"""
_STEPS = (
    ("admitted", "", "'queued'::text"),
    ("moved", "sending", "'sent'::text"),
    ("moved", "sent", "state"),
)


async def fill(server: EmbeddedServer, texts: int, volunteers: int) -> Database:
    database = Database(server.dsn(), connections=1)
    await migrate(database, NOON)
    await months.make_ahead(database, NOON)
    await campaigns.create(database, CampaignRow(1, 1, "Benchmark", "{}", paused=False), NOON)
    given = {"first": first_id(month_of(NOON)), "now": NOON, "action": ACTION}
    async with database.patient(600.0) as patient:
        await patient.script(_FILL.format(texts=texts, volunteers=volunteers, **given))
        for kind, before, after in _STEPS:
            await patient.script(_JOURNAL.format(kind=kind, before=before, after=after, **given))
        await patient.script("VACUUM ANALYZE")
    return database


async def timed(act: Callable[[], Awaitable[object]], rounds: int = 1) -> float:
    """Milliseconds, the median of some rounds."""
    took = []
    for _ in range(rounds):
        began_at = time.perf_counter()
        await act()
        took.append((time.perf_counter() - began_at) * 1e3)
    return round(sorted(took)[rounds // 2], 2)


async def measure(texts: int, volunteers: int) -> dict[str, Any]:
    with EmbeddedServer() as server:
        database = await fill(server, texts, volunteers)
        anew = await timed(lambda: counts.count_anew(database, KEY, NOON))
        await database.execute("TRUNCATE counts")
        await database.execute("UPDATE count_progress SET xid = '0', event_id = 0")
        fold = await timed(lambda: counts.catch_up(database, KEY, NOON))
        events = await database.fetch_value("SELECT count(*) FROM events")
        await database.execute("VACUUM counts")
        figures = {
            "texts": texts,
            "volunteers": volunteers,
            "events": events,
            "journal_mb": round(await database.fetch_value(_SIZE) / 1e6, 1),
            "fold_all_ms": fold,
            "fold_us_a_text": round(fold * 1e3 / texts, 1),
            "nothing_to_fold_ms": await timed(lambda: counts.fold(database, KEY, NOON), ROUNDS),
            "count_anew_ms": anew,
            "read_action_ms": await timed(lambda: counts.read(database, KEY, ACTION, NOON), ROUNDS),
            "read_all_of_action_ms": await timed(
                lambda: counts.read(database, KEY, ACTION, NOON, ("action", "script", "user")), ROUNDS
            ),
        }
        await database.close()
        return figures


_SIZE = "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'events'::regclass"


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m benchmarks.counts")
    parser.add_argument("--texts", type=int, default=250_000)
    parser.add_argument("--volunteers", type=int, default=500)
    asked = parser.parse_args(arguments)
    figures = asyncio.run(measure(asked.texts, asked.volunteers))
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    keep(KEPT, **figures)


if __name__ == "__main__":
    main(sys.argv[1:])
