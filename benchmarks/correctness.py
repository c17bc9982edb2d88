"""Is it right? The figures on which sender services are found wanting, measured over HTTP against the carrier's ledger.

    python -m benchmarks.correctness

Gateway and carrier are processes of their own; everything is read from the carrier's ledger and the gateway's books.
The figures are kept in benchmarks/results/correctness.json.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gateway.core.sending.numbers import Number
from gateway.store.embedded import EmbeddedServer
from tests.end_to_end.judgement import Judgement, judged
from tests.end_to_end.town import CAMPAIGN, Town, open_town

KEPT = Path(__file__).parent / "results" / "correctness.json"
NOT_MEASURED = "not measured"
WINDOW_S = 10.0
HORIZON_S = 2.0  # how far ahead texts are given a number and a slot (dispatch.horizon_s)
SOURCES = {
    "Switchboard": "github.com/With-the-Ranks/switchboard, src/: measured once, when Textbank was designed",
    "Spoke": "github.com/MoveOnOrg/Spoke: no figures measured",
}
Row = tuple[str, object, str]  # what, ours, Switchboard's
Submissions = Any


def submissions_of(judgement: Judgement) -> Submissions:
    return judgement.ledger.submissions.columns()


def lost_and_doubled(town: Town, judgement: Judgement) -> tuple[int, int]:
    """Accepted requests that the carrier never saw, and people who had the same message twice."""
    submissions = submissions_of(judgement)
    arrived = submissions["message_id"][judgement.ledger.arrivals.columns()["n"]]
    _, times = np.unique(arrived, return_counts=True)
    accepted = {message_id for message_id, state in town.answers if state != "blocked"}
    lost = accepted - set(submissions["message_id"].tolist())
    return len(lost), int((times > 1).sum()) + judgement.audit.counts["accepted_once"]


# ---------------------------------------------------------------- the rows


async def sixty_contacts(dsn: str) -> list[Row]:
    """60 people at one text a second: one number carries them."""
    async with open_town(dsn, contacts=60, registration={"total_per_s": 1.0}) as town:
        await town.send(list(town.contact_ids))
        await town.until_submitted(58)
        await town.until_quiet()
        judgement = await judged(town)
        bought = int((judgement.ledger.purchases.columns()["code"] == 0).sum())
        return [
            ("numbers bought for 60 contacts at 1/s", bought, "32"),
            ("texts above a number's rate", above_rate(judgement, 1.0), "caps are not enforced"),
        ]


def above_rate(judgement: Judgement, rate_per_s: float) -> int:
    """Texts before which a number had had its 10 seconds' worth, and one more, in 10 seconds."""
    submissions = submissions_of(judgement)
    above = 0
    for number in np.unique(submissions["sender"]):
        at = np.sort(submissions["handed_at"][submissions["sender"] == number])
        before = np.arange(len(at)) - np.searchsorted(at, at - WINDOW_S, side="right")
        above += int((before > rate_per_s * WINDOW_S).sum())
    return above


async def a_bad_number(dsn: str) -> list[Row]:
    """One number is filtered and quarantined, another is refused and retired."""
    registration = {"total_per_s": 25.0, "small_carrier_number_per_s": 25.0, "max_numbers": 4}
    pool = {"preferred_area_codes": ["814"], "purchase_poll_s": 0.2, "settle_s": 0.0, "rotate_after": 50}
    free = {"lock_enabled": False}
    async with open_town(dsn, contacts=400, registration=registration, pool=pool, safeguards=free) as town:
        people = list(town.contact_ids)
        await new_conversations(town, people[:200])
        numbers = await pool_of(town)
        filtered, refused = numbers[0], numbers[1]
        await town.fault("number_ban", phone=filtered.phone, code=30007)
        await new_conversations(town, people[200:])
        await town.fault("number_ban", phone=refused.phone, code=21606)
        theirs = await people_of(town, refused)
        for words in ("One more thing, {}", "And another, {}"):
            await town.send(theirs[:20], words)
            await town.until_quiet()
        judgement = await judged(town)
        quarantined = next(each for each in await pool_of(town) if each.number_id == filtered.number_id)
        return [
            (
                "new conversations from a quarantined number",
                begun_after(judgement, quarantined),
                "until midnight",
            ),
            (
                "a contact's new numbers after its own is retired",
                moved_to(judgement, refused, theirs[:20]),
                NOT_MEASURED,
            ),
        ]


async def new_conversations(town: Town, people: Sequence[str]) -> None:
    """Two scripts in turn, so that filtering of one number is not the script's fault."""
    before = (await town.twin("GET", "ledger"))["counts"]["submitted"]
    for nth in (0, 1):
        await town.send(people[nth::2], script=f"script {nth}")
    await town.until_submitted(before + len(people) - 10)
    await town.until_quiet()


async def pool_of(town: Town) -> list[Number]:
    rows = await town.store.fetch(
        "SELECT details FROM numbers WHERE campaign_id = $1 ORDER BY number_id", CAMPAIGN
    )
    return [msgspec.json.decode(row[0], type=Number) for row in rows]


async def people_of(town: Town, number: Number) -> list[str]:
    rows = await town.store.fetch(
        "SELECT c.phone FROM conversations v JOIN contacts c USING (campaign_id, contact_id)"
        " WHERE v.campaign_id = $1 AND v.number_id = $2 ORDER BY c.contact_id",
        CAMPAIGN,
        number.number_id,
    )
    return [row[0] for row in rows]


def begun_after(judgement: Judgement, number: Number) -> object:
    """People first texted from it later than the horizon after its quarantine: what was on its way has gone."""
    if number.quarantined_at is None:
        return "it was not quarantined"
    submissions = submissions_of(judgement)
    _, first = np.unique(submissions["to"], return_index=True)
    begun = submissions[first]
    since = number.quarantined_at - judgement.world.start_at + HORIZON_S
    return int(((begun["sender"] == int(number.phone[1:])) & (begun["handed_at"] > since)).sum())


def moved_to(judgement: Judgement, number: Number, people: Sequence[str]) -> object:
    """How many numbers the retired one's people were texted from since, most of all."""
    new: dict[int, set[int]] = defaultdict(set)
    wanted = {int(each[1:]) for each in people}
    for row in submissions_of(judgement):
        if int(row["to"]) in wanted and int(row["sender"]) != int(number.phone[1:]):
            new[int(row["to"])].add(int(row["sender"]))
    return (
        max(map(len, new.values())) if set(new) == wanted else f"only {len(new)} of {len(wanted)} were texted"
    )


async def through(dsn: str, trouble: Callable[[Town], Awaitable[None]], what: str, theirs: str) -> list[Row]:
    """300 people at 60/s, and trouble after the first 80."""
    registration = {"total_per_s": 60.0, "small_carrier_number_per_s": 20.0}
    async with open_town(dsn, contacts=300, registration=registration) as town:
        await town.send(list(town.contact_ids))
        await town.until_submitted(80)
        await trouble(town)
        await town.until_quiet()
        lost, doubled = lost_and_doubled(town, await judged(town))
        return [(f"duplicates after {what}", doubled, theirs), (f"losses after {what}", lost, theirs)]


async def kill_gateway(town: Town) -> None:
    assert town.gateway is not None
    await town.gateway.kill()
    await town.open_gateway()


async def outage(town: Town) -> None:
    """Two minutes of the market's time, in which connections are taken and break."""
    await town.fault("outage", for_real_s=120 / town.speed)
    await asyncio.sleep(120 / town.speed)


# ---------------------------------------------------------------- the table


@asynccontextmanager
async def databases(server: EmbeddedServer, names: Sequence[str]) -> Any:
    import asyncpg

    connection = await asyncpg.connect(server.dsn())
    for name in names:
        await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    yield [server.dsn(name) for name in names]


async def measured() -> list[Row]:
    """The slow first row beside the others, which follow each other."""
    with EmbeddedServer() as server:
        async with databases(server, ("sixty", "bad", "killed", "outage")) as (sixty, bad, killed, away):
            slow = asyncio.create_task(sixty_contacts(sixty))
            rows = await a_bad_number(bad)
            rows += await through(
                killed, kill_gateway, "kill -9 of the gateway in mid-bank", "sends before it writes"
            )
            rows += await through(away, outage, "two minutes of carrier outage", NOT_MEASURED)
            return [*await slow, *rows]


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def table(rows: Sequence[Row]) -> str:
    lines = [("", "Textbank (measured now)", "Switchboard", "Spoke")]
    lines += [(what, str(ours), theirs, NOT_MEASURED) for what, ours, theirs in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([*shown, "", *(f"{name}: {source}" for name, source in SOURCES.items())])


def main() -> int:
    rows = asyncio.run(measured())
    report = {
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
        },
        "commit": commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": SOURCES,
        "rows": [
            {"what": what, "textbank": ours, "switchboard": theirs, "spoke": None}
            for what, ours, theirs in rows
        ],
    }
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(table(rows) + "\n")
    wanted = [1, 0, 0, 1, 0, 0, 0, 0]
    return 0 if [ours for _, ours, _ in rows] == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
