"""A campaign of many messages taken out as files, and the results of its action: how long, and how much memory.

    python -m benchmarks.exports [--messages 250000] [--no-parquet]

Each file is written by a process of its own, whose memory is read before and after. The figures are kept in
benchmarks/results/exports.json.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.kept import keep
from gateway.core.bank.exports import Form, Subject
from gateway.core.bank.results import FigureName
from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.core.rules.months import first_id, month_of
from gateway.p2p.exports import Exports, Wanted
from gateway.p2p.results import Narrowed, Results
from gateway.p2p.usage import UsageBook
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import campaigns, counts, months
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import migrate
from gateway.turns import Floor

KEPT = Path(__file__).parent / "results" / "exports.json"
KEY = CampaignKey(1, 1)
NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York
WARM, ROUNDS, LIMIT = 3, 30, 100
_FILL = """
INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts, state, published_at)
VALUES (1, 1, 1, 'Polls', '{{}}', 'public', to_timestamp({now}));
INSERT INTO users (organisation_id, user_id, email, name, language, created_at)
SELECT 1, n, n || '@example.org', 'Volunteer ' || n, 'en', now() FROM generate_series(1, 500) n;
INSERT INTO numbers (organisation_id, campaign_id, number_id, phone, provider_sid, state, bought_at, bought_because, details)
SELECT 1, 1, n, '+1267555' || lpad(n::text, 4, '0'), 'PN' || n, 'active', now(), 'first_number', '{{}}'
FROM generate_series(1, 49) n;
INSERT INTO contacts (organisation_id, campaign_id, contact_id, phone, first_name, last_name, carrier, hours_group)
SELECT 1, 1, n, '+1215' || (2000000 + n), 'Ann', 'Number ' || n, 'verizon', 'PA@America/New_York' FROM generate_series(1, {count}) n;
INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn, volunteer_id)
SELECT 1, 1, 1, n, 'PA@America/New_York', n, CASE WHEN n % 2 = 0 THEN 1 + n % 500 END FROM generate_series(1, {count}) n;
INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, action_id, kind, sender_id, script, body, segments,
                      text_hash, state, code, lane, requested_at, number_id, attempt, provider_sid, slot_at, sent_at, final_at)
SELECT 1, 1, {first} + n, n, 1, 'initial', 1 + n % 500, 'initial-' || (1 + n % 3),
       'Hi Ann, this is Ben with the Library Friends. Are you in for the vote on Tuesday?', 1, 1,
       CASE n % 50 WHEN 0 THEN 'undelivered' WHEN 1 THEN 'blocked' WHEN 2 THEN 'sent' ELSE 'delivered' END,
       CASE n % 50 WHEN 0 THEN CASE n % 100 WHEN 0 THEN 30003 ELSE 30007 END WHEN 1 THEN 1302 END, 2,
       to_timestamp({now} + n / 100.0), 1 + n % 49, (n % 50 <> 1)::int, CASE WHEN n % 50 <> 1 THEN 'SM' || md5(n::text) END,
       to_timestamp({now} + n / 100.0), to_timestamp({now} + 1 + n / 100.0), to_timestamp({now} + 3 + n / 100.0)
FROM generate_series(1, {count}) n;
INSERT INTO conversations (organisation_id, campaign_id, contact_id, revision, last_initial_at, last_outbound_at, last_inbound_at,
                           action_id, volunteer_id, attention_at)
SELECT 1, 1, n, 2, to_timestamp({now}), to_timestamp({now}), CASE WHEN n % 10 = 0 THEN to_timestamp({now} + n) END, 1,
       1 + n % 500, CASE WHEN n % 50 = 0 THEN to_timestamp({now} + n) END FROM generate_series(1, {count}) n;
INSERT INTO inbound (organisation_id, campaign_id, inbound_id, provider_sid, contact_id, phone, number_phone, body, intent,
                     suggests_opt_out, wrong_number, received_at, action_id, volunteer_id, script, is_first)
SELECT 1, 1, {first} + n, 'SM' || n, n, '+1215' || (2000000 + n), '+12675550001', 'Yes, who is this?', 'reply', false, false,
       to_timestamp({now} + n), 1, 1 + n % 500, 'initial-1', true FROM generate_series(10, {count}, 10) n;
INSERT INTO reports (organisation_id, campaign_id, report_id, action_id, contact_id, user_id, at, tags, removed_tags, fields)
SELECT 1, 1, n, 1, n, 1 + n % 500, to_timestamp({now} + n), '{{}}', '{{}}', '{{"vote": "yes"}}'
FROM generate_series(10, {count}, 10) n;
"""


async def fill(server: EmbeddedServer, count: int) -> None:
    database = Database(server.dsn(), connections=1)
    await migrate(database, NOON)
    await months.make_ahead(database, NOON)
    row = CampaignRow(1, 1, "Benchmark", CampaignSettings().to_json(), paused=False)
    await campaigns.create(database, row, NOON)
    async with database.patient(600.0) as patient:
        await patient.script(_FILL.format(count=count, now=NOON, first=first_id(month_of(NOON))))
        await patient.script("VACUUM ANALYZE")
    await counts.count_anew(database, KEY, NOON)
    await database.close()


async def opened(dsn: str) -> tuple[Database, Campaign]:
    database = Database(dsn, connections=1)
    known = Campaigns(database)
    await known.load()
    return database, known[1]


async def export(dsn: str, subject: Subject, form: Form) -> dict[str, Any]:
    """One file, read to its end as fast as it comes."""
    database, campaign = await opened(dsn)
    exports = Exports(database, lambda: NOON + 86_400)
    await _read(
        exports, campaign, Wanted(subject=subject, form=form, until=NOON + 10)
    )  # everything is loaded
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, began_at = time.process_time(), time.perf_counter()
    size = await _read(exports, campaign, Wanted(subject=subject, form=form))
    took_s = time.perf_counter() - began_at
    await database.close()
    return {
        "what": f"{subject.value} as {form.value}",
        "seconds": round(took_s, 2),
        "processor_s": round(time.process_time() - cpu, 2),
        "megabytes": round(size / 1e6, 1),
        "memory_grew_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024, 1),
    }


async def _read(exports: Exports, campaign: Campaign, wanted: Wanted) -> int:
    size = 0
    async with exports.file("benchmark", campaign, wanted, Floor()) as pieces:
        async for piece in pieces:
            size += len(piece)
    return size


async def results(dsn: str) -> list[dict[str, Any]]:
    database, campaign = await opened(dsn)
    told, now = Results(database, lambda: NOON), NOON + 86_400
    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "results": lambda: told.of(campaign, 1),
        "results by volunteer": lambda: told.volunteers(campaign, 1, None, LIMIT),
        "labels": lambda: told.labels(campaign, 1),
        "rows: safeguards": lambda: told.rows(campaign, 1, FigureName.SAFEGUARDS, Narrowed(), None, LIMIT),
        "rows: needs attention": lambda: told.rows(
            campaign, 1, FigureName.NEEDS_ATTENTION, Narrowed(), None, LIMIT
        ),
        "usage of a day": lambda: UsageBook(database).between(campaign, NOON - 86_400, now),
    }
    found = [{"what": what, **await _timed(act)} for what, act in acts.items()]
    await database.close()
    return found


async def _timed(act: Callable[[], Awaitable[object]]) -> dict[str, float]:
    took: list[float] = []
    for _ in range(WARM + ROUNDS):
        began_at = time.perf_counter()
        await act()
        took.append((time.perf_counter() - began_at) * 1e3)
        if sum(took) > 30_000:
            break
    took = sorted(took[min(WARM, len(took) - 1) :])
    return {"p50_ms": round(took[len(took) // 2], 1), "longest_ms": round(took[-1], 1)}


def measure(count: int, forms: Sequence[Form]) -> list[dict[str, Any]]:
    with EmbeddedServer() as server:
        asyncio.run(fill(server, count))
        rows: list[dict[str, Any]] = []
        for subject in (Subject.MESSAGES, Subject.CONTACTS, Subject.REPLIES, Subject.REPORTS):
            for form in forms if subject is Subject.MESSAGES else (Form.CSV,):
                words = [
                    sys.executable,
                    "-m",
                    "benchmarks.exports",
                    "--one",
                    server.dsn(),
                    subject.value,
                    form.value,
                ]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                rows.append(json.loads(done.stdout))
        rows += asyncio.run(results(server.dsn()))
    return rows


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m benchmarks.exports")
    parser.add_argument("--messages", type=int, default=250_000)
    parser.add_argument("--no-parquet", action="store_true")
    parser.add_argument(
        "--one", nargs=3, metavar=("DSN", "SUBJECT", "FORM"), help="one file, in this process"
    )
    asked = parser.parse_args(arguments)
    if asked.one:
        dsn, subject, form = asked.one
        sys.stdout.write(json.dumps(asyncio.run(export(dsn, Subject(subject), Form(form)))))
        return
    rows = measure(asked.messages, [Form.CSV] if asked.no_parquet else list(Form))
    for row in rows:
        told = ", ".join(f"{name} {value}" for name, value in row.items() if name != "what")
        sys.stdout.write(f"{row['what']:24} {told}\n")
    keep(KEPT, messages=asked.messages, rows=rows)


if __name__ == "__main__":
    main(sys.argv[1:])
