"""What counting an action's open ends reads: whom nobody has yet (F162), and who waits for an answer (F163).

    python -m benchmarks.open_ends [--contacts 250000]

Pages that PostgreSQL touches for each, with the action untouched, with a tenth of it left, and before any VACUUM. The
figures are kept in benchmarks/results/open_ends.json.
"""

import asyncio
import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from benchmarks.kept import keep
from gateway.core.rules.campaign import CampaignKey
from gateway.store import buckets, campaigns
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import migrate
from gateway.store.results import NEEDS_ATTENTION

KEPT = Path(__file__).parent / "results" / "open_ends.json"
KEY, ACTION = CampaignKey(1, 1), 5
NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York
_FILL = """
INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts) VALUES (1, 1, {action}, 'Polls', '{{}}');
INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn)
SELECT 1, 1, {action}, n, 'G' || n % 40, hashint8extended(n, 1) FROM generate_series(1, {contacts}) n
ORDER BY hashint8extended(n, 1);
INSERT INTO conversations (organisation_id, campaign_id, contact_id, action_id, volunteer_id, last_inbound_at, attention_at)
SELECT 1, 1, n, {action}, 1 + n % 500, to_timestamp({now}), CASE WHEN n % 20 = 0 THEN to_timestamp({now}) END
FROM generate_series(1, {contacts}) n;
ANALYZE;
"""
_GIVEN = "UPDATE assignments SET volunteer_id = 1 + contact_id % 500 WHERE contact_id % 10 > 0"


async def read(database: Database, sql: str) -> dict[str, Any]:
    """The number, the pages that were touched, and the nodes of the plan that read a table."""
    found: str = await database.fetch_value(
        f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", *KEY, ACTION
    )
    plan = json.loads(found)[0]["Plan"]
    return {
        "counted": await database.fetch_value(sql, *KEY, ACTION),
        "pages": plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        "plan": sorted(_nodes(plan)),
    }


def _nodes(plan: dict[str, Any]) -> list[str]:
    below = [node for each in plan.get("Plans", ()) for node in _nodes(each)]
    if "Relation Name" not in plan:
        return below
    where = plan.get("Index Name", plan["Relation Name"])
    return [f"{plan['Node Type']} on {where}", *below]


async def measured(contacts: int) -> dict[str, Any]:
    with EmbeddedServer() as server:
        database = Database(server.dsn(), connections=1)
        try:
            await migrate(database, NOON)
            await campaigns.create(database, CampaignRow(1, 1, "Bank", "{}", paused=False), NOON)
            async with database.patient(600.0) as patient:
                await patient.script(_FILL.format(action=ACTION, contacts=contacts, now=NOON))
                figures = {"before any vacuum": await _both(database)}
                await patient.script("VACUUM ANALYZE assignments")
                await patient.script("VACUUM ANALYZE conversations")
                figures["nobody has been given anybody"] = await _both(database)
                await patient.script(_GIVEN)
                figures["a tenth is left"] = await _both(database)
                await patient.script("VACUUM assignments")
                figures["a tenth is left, after a vacuum"] = await _both(database)
        finally:
            await database.close()
    return figures


async def _both(database: Database) -> dict[str, Any]:
    return {
        "remaining": await read(database, buckets.REMAINING_OF_ACTION),
        "needs_attention": await read(database, f"SELECT {NEEDS_ATTENTION}"),
    }


def main() -> None:
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--contacts", type=int, default=250_000)
    contacts = parser.parse_args().contacts
    figures = asyncio.run(measured(contacts))
    keep(KEPT, contacts=contacts, figures=figures)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
