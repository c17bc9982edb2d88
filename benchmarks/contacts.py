"""A list of contacts brought in through the use case, and pages and counts of them, PostgreSQL included.

    python -m benchmarks.contacts [--contacts 250000]

Imports once into an empty campaign, once more merging every row, then lists by every filter. The figures are kept in
benchmarks/results/contacts.json.
"""

import asyncio
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.kept import keep
from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.p2p.contacts import ContactLists, Contacts, HowToImport
from gateway.pipeline.campaigns import Campaigns
from gateway.providers.base import Line
from gateway.store import campaigns, contact_search, months
from gateway.store.campaigns import CampaignRow
from gateway.store.contact_search import Wanted
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer
from gateway.store.migrate import migrate
from gateway.turns import Floor

KEPT = Path(__file__).parent / "results" / "contacts.json"
KEY, SCOPE = CampaignKey(1, 1), 1
NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York
WARM, ROUNDS, LIMIT = 3, 40, 100
FIRST = ("Maria", "James", "Ann", "Zoë", "Luis", "Wei", "Fatima", "Noah")
LAST = ("Lopez", "Li", "Smith", "Nguyen", "O'Hara", "Garcia", "Kim", "Brown", "Patel")
PLACES = (("19103", "PA"), ("08540", "NJ"), ("10001", "NY"), ("90001", "CA"), ("82001", "WY"))
Act = Callable[[], Awaitable[object]]

_FILL = """
INSERT INTO conversations (organisation_id, campaign_id, contact_id, last_initial_at, last_outbound_at, attention_at)
SELECT 1, 1, contact_id, to_timestamp({now}), to_timestamp({now}),
       CASE WHEN contact_id % 100 = 0 THEN to_timestamp({now}) END FROM contacts WHERE contact_id % 10 < 8;
INSERT INTO contact_tags (organisation_id, campaign_id, contact_id, tag_id, tagged_at)
SELECT 1, 1, contact_id, 1, now() FROM contacts WHERE contact_id % 50 = 0;
INSERT INTO opt_outs (organisation_id, scope, phone, source, opted_out_at)
SELECT 1, 1, phone, 'keyword', now() FROM contacts WHERE contact_id % 40 = 0;
INSERT INTO messages (organisation_id, campaign_id, message_id, contact_id, kind, body, segments, text_hash, state, lane,
                      code, requested_at)
SELECT 1, 1, contact_id, contact_id, 'initial', 'Hi', 1, 1, 'undelivered', 2,
       CASE WHEN contact_id % 30 = 0 THEN 30005 END, to_timestamp({now}) FROM contacts WHERE contact_id % 10 < 8;
"""


def write_list(path: Path, count: int) -> None:
    """As an export has them: one in a hundred a landline, one in two hundred a duplicate."""
    with path.open("w", encoding="utf-8") as file:
        file.write("First Name,Last Name,Cell Phone,Phone Type,ZIP,State,Email,custom_field_pet,Precinct\n")
        for nth in range(count):
            zip_code, state = PLACES[4 if nth % 500 == 0 else nth % 4]
            number = 2_000_000 + (nth - nth % 200 if nth % 200 == 199 else nth)
            kind = "landline" if nth % 100 == 50 else "mobile"
            first, last = FIRST[nth % len(FIRST)], LAST[nth % len(LAST)]
            file.write(
                f"{first},{last}{nth % 997},(215) {number // 10_000}-{number % 10_000:04},{kind},{zip_code},{state},"
                f"a{nth}@example.org,{'cat' if nth % 1000 == 0 else 'dog'},{nth % 60}\n"
            )


async def no_look_up(_phones: Sequence[str]) -> list[Line]:
    return []


def acts(database: Database, count: int, list_id: int) -> dict[str, Act]:
    """What is measured, by name."""

    def page(after: int = 0, **wanted: Any) -> Act:
        return lambda: contact_search.page(database, KEY, SCOPE, Wanted(**wanted), after, LIMIT)

    filters: dict[str, dict[str, Any]] = {
        "all": {},
        "a list": {"list_id": list_id},
        "a tag": {"tag_id": 1},
        "a state of many": {"state": "PA"},
        "a state of few": {"state": "WY"},
        "three digits of a ZIP": {"zip_prefix": "191"},
        "a whole ZIP": {"zip_prefix": "82001"},
        "a custom field of many": {"field": ("pet", "dog")},
        "a custom field of few": {"field": ("pet", "cat")},
        "a custom field of nobody": {"field": ("pet", "cow")},
        "opted out": {"opted_out": True},
        "never texted": {"texted": False},
        "needs attention": {"needs_attention": True},
        "an error's code": {"error_code": 30005},
        "an error's code that nobody has": {"error_code": 30007},
        "a phone": {"phone": "+12152000001"},
        "last digits": {"last_digits": "0001"},
        "a name of many": {"name": ("mar",)},
        "a last name": {"name": ("garcia12",)},
        "both names": {"name": ("garcia1", "maria")},
        "a list, a state, never texted": {"list_id": list_id, "state": "NJ", "texted": False},
    }
    found: dict[str, Act] = {f"page, {name}": page(**wanted) for name, wanted in filters.items()}
    found["page, all, from the middle on"] = page(count // 2)
    for name, wanted in filters.items():
        found[f"count, {name}"] = lambda wanted=wanted: contact_search.count(
            database, KEY, SCOPE, Wanted(**wanted)
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
    return {"p50_ms": round(took[ROUNDS // 2], 2), "p99_ms": round(took[-1], 2)}


async def imported(database: Database, path: Path) -> tuple[float, Contacts]:
    """Seconds that the import takes, whole."""
    known = Campaigns(database)
    await known.load()
    lists = ContactLists(database, lambda: NOON, no_look_up, lambda _count: None)

    async def receive(place: Path) -> None:
        await asyncio.to_thread(place.symlink_to, path)

    began_at = time.perf_counter()
    told = await lists.from_csv(
        known[1], receive, Floor(), HowToImport(owner="benchmark", list_name="Everybody")
    )
    return time.perf_counter() - began_at, told


async def measure(count: int, path: Path) -> dict[str, Any]:
    with EmbeddedServer() as server:
        database = Database(server.dsn(), connections=1)
        await migrate(database, NOON)
        await months.make_ahead(database, NOON)
        settings = CampaignSettings().to_json()
        await campaigns.create(database, CampaignRow(1, SCOPE, "Benchmark", settings, paused=False), NOON)
        imports = {}
        for name in ("into an empty campaign", "the same list again"):
            took_s, told = await imported(database, path)
            imports[name] = {"seconds": round(took_s, 2), "new": told.new, "known": told.known}
            sys.stdout.write(f"import, {name:35} {took_s:6.2f} s, {told.new} new, {told.known} known\n")
        async with database.patient(600.0) as patient:
            await patient.script(_FILL.format(now=NOON))
            await patient.script("VACUUM ANALYZE")
        assert told.list_id is not None
        rows = []
        for what, act in acts(database, count, told.list_id).items():
            rows.append({"what": what, **await timed(act)})
            p50, p99 = rows[-1]["p50_ms"], rows[-1]["p99_ms"]
            sys.stdout.write(f"{what:45} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms\n")
        await database.close()
        return {"imports": imports, "rows": rows}


def main(arguments: Sequence[str]) -> None:
    parser = ArgumentParser(prog="python -m benchmarks.contacts")
    parser.add_argument("--contacts", type=int, default=250_000)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        write_list(path, asked.contacts)
        found = asyncio.run(measure(asked.contacts, path))
    keep(KEPT, contacts=asked.contacts, **found)


if __name__ == "__main__":
    main(sys.argv[1:])
