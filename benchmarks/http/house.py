"""The house under load: a durable PostgreSQL, `textbank carrier` and `textbank serve`, a campaign and its people."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.http.at_noon import NOON_WAS_AT
from benchmarks.http.calls import Answer, Client
from benchmarks.http.processes import HOST, Child, family_cpu_s, free_port
from gateway.store.database import Database
from gateway.store.embedded import EmbeddedServer

ACCOUNT, TOKEN = "AC" + "0" * 32, "twin"
WORLD = Path(__file__).parents[1] / "wide.toml"
AT_NOON = ("-m", "benchmarks.http.at_noon")
# Fictitious lines of area codes where it is noon, one hour's difference at most; the numbers come from another.
AREA_CODES = (
    *(215, 267, 412, 484, 570, 610, 717, 724, 814, 248, 269, 313, 517, 586, 616, 734, 810, 989, 252, 336),
    *(704, 828, 910, 919, 980, 229, 404, 478, 678, 706, 770, 912),
)
OUR_AREA_CODE = "602"
_IN_USE = frozenset({1212, 4334})
WIDE_PER_S = 100_000.0
SETTINGS: dict[str, object] = {
    "hours": {"start_minute": 540, "end_minute": 1260, "zone": "America/New_York"},
    "registration": {
        "total_per_s": WIDE_PER_S,
        "number_per_s": WIDE_PER_S,
        "carrier_per_s": dict.fromkeys(("att", "tmobile", "verizon", "uscellular"), WIDE_PER_S),
        "small_carrier_number_per_s": WIDE_PER_S,
    },
    "pool": {"preferred_area_codes": [OUR_AREA_CODE], "settle_s": 0.0, "rotate_after": 10_000},
}
BODY = (
    "Hi {}, it's Sam with Vote Together. Polls are open today. Do you have a plan to vote? "
    "Reply STOP to opt out"
)
NAMES = ("Maria", "John", "Aisha", "Li", "Ann", "Jesus", "Olga", "Sam", "Priya", "Bob")


def phones(count: int) -> Iterator[str]:
    """As many people's phones, E.164."""
    lines = (line for line in range(10_000) if line not in _IN_USE)
    every = (f"+1{area_code}555{line:04d}" for line in lines for area_code in AREA_CODES)
    for _, phone in zip(range(count), every, strict=False):
        yield phone


class House:
    """Both processes, their addresses, and what they have used."""

    def __init__(self, folder: Path, server: EmbeddedServer) -> None:
        self.folder = folder
        self.server = server
        self.noon = {NOON_WAS_AT: str(time.time())}
        self.carrier: Child
        self.gateway: Child
        self.store: Database
        self.carrier_url = self.gateway_url = self.internal_url = ""
        self.key = ""
        self.client: Client

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far, by process; `load` is the process that makes the load."""
        return {
            "gateway": self.gateway.cpu_s(),
            "carrier": self.carrier.cpu_s(),
            "postgresql": family_cpu_s(self._postmaster()),
            "load": sum(os.times()[:2]),
        }

    def _postmaster(self) -> int:
        return int((self.folder / "cluster" / "postmaster.pid").read_text().split()[0])

    def request(self, method: str, path: str, body: object = None) -> bytes:
        headers = f"Authorization: Bearer {self.key}\r\nContent-Type: application/json\r\n"
        return self.client.request(
            method, path, headers, msgspec.json.encode(body) if body is not None else b""
        )

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON; RuntimeError for anything but 2xx."""
        return good(await self.client.call(self.request(method, path, body)))

    async def campaign(self, name: str) -> int:
        made = await self.call("POST", "/v1/campaigns", {"name": name, "settings": SETTINGS})
        campaign_id: int = made["campaign_id"]
        return campaign_id

    async def people(self, campaign_id: int, count: int) -> list[int]:
        """A list of so many people is uploaded; their contact ids."""
        rows = "".join(f"{NAMES[nth % len(NAMES)]},{phone}\n" for nth, phone in enumerate(phones(count)))
        headers = f"Authorization: Bearer {self.key}\r\nContent-Type: text/csv\r\n"
        path = f"/v1/campaigns/{campaign_id}/contacts"
        body = f"first_name,phone\n{rows}".encode()
        done = good(await self.client.call(self.client.request("POST", path, headers, body)))
        if done["new"] != count:
            raise RuntimeError(f"only {done['new']} of {count} people were taken: {done['rejected']}")
        found = await self.store.fetch(
            "SELECT contact_id FROM contacts WHERE campaign_id = $1 ORDER BY contact_id", campaign_id
        )
        return [row[0] for row in found]

    async def warm_up(self, campaign_id: int, contact_ids: list[int]) -> None:
        """First texts bring the first number, connections and statements."""
        texts = [message(campaign_id, contact_id, nth) for nth, contact_id in enumerate(contact_ids)]
        await asyncio.gather(*(self.call("POST", "/v1/messages", text) for text in texts))
        await self.settled(campaign_id, len(contact_ids))

    async def settled(self, campaign_id: int, count: int) -> None:
        """Waits until so many messages of a campaign have their final state."""
        async with asyncio.timeout(60):
            while await self.delivered(campaign_id) < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.2)

    async def delivered(self, campaign_id: int) -> int:
        found: int = await self.store.fetch_value(
            "SELECT count(*) FROM messages WHERE campaign_id = $1 AND state = 'delivered'", campaign_id
        )
        return found


def message(campaign_id: int, contact_id: int, nth: int) -> dict[str, object]:
    return {"campaign_id": campaign_id, **row(contact_id, nth)}


def row(contact_id: int, nth: int) -> dict[str, object]:
    return {"contact_id": contact_id, "body": BODY.format(NAMES[nth % len(NAMES)])}


def good(answer: Answer) -> Any:
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"{answer.status}: {answer.body[:500]!r}")
    return msgspec.json.decode(answer.body)


def _folder() -> Path:
    """Open to others: for root the server is run by another account, which must get in."""
    folder = Path(tempfile.mkdtemp(prefix="textbank-bench-"))
    folder.chmod(0o755)
    return folder


@asynccontextmanager
async def house(*, speed: float = 1.0) -> AsyncIterator[House]:
    """A new house with an empty database, gone at the end."""
    folder = _folder()
    try:
        with EmbeddedServer(folder) as server:
            built = House(folder, server)
            async with _store(built):
                with _carrier(built, speed), _gateway(built):
                    await _both_listen(built)
                    yield built
                    built.client.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _store(built: House) -> AsyncIterator[None]:
    built.store = Database(built.server.dsn(), connections=1)
    await built.store.open()
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        if await built.store.fetch_value(f"SHOW {setting}") != "on":
            raise RuntimeError(f"PostgreSQL's {setting} is not on: nothing measured here would be durable")
    try:
        yield
    finally:
        await built.store.close()


def _carrier(built: House, speed: float) -> Child:
    port = free_port()
    built.carrier_url = f"http://{HOST}:{port}"
    arguments = ("carrier", str(WORLD), "--port", str(port), "--contacts", "0", "--instant-answers")
    options = ("--concurrency", "1000", "--speed", f"{speed:g}")
    built.carrier = Child("carrier", (*AT_NOON, *arguments, *options), built.folder, built.noon)
    return built.carrier


def _gateway(built: House) -> Child:
    built.gateway_url = f"http://{HOST}:{free_port()}"
    built.key = ""
    return restarted(built)


def restarted(built: House) -> Child:
    """The gateway, where it was before."""
    port = built.gateway_url.rpartition(":")[2]
    internal_port = free_port()
    built.internal_url = f"http://{HOST}:{internal_port}"
    environment = {
        **built.noon,
        "TEXTBANK_DATABASE_DSN": built.server.dsn(),
        "TEXTBANK_HTTP_PORT": port,
        "TEXTBANK_HTTP_INTERNAL_PORT": str(internal_port),
        "TEXTBANK_HTTP_PUBLIC_URL": built.gateway_url,
        "TEXTBANK_PROVIDER_URL": built.carrier_url.replace("http://", f"twilio://{ACCOUNT}:{TOKEN}@")
        + "?scheme=http",
    }
    built.key = built.key or _key(environment)
    built.gateway = Child("gateway", (*AT_NOON, "serve"), built.folder, environment)
    return built.gateway


def _key(environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *AT_NOON, "keys", "create", "benchmark", "--role", "admin"],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


async def _both_listen(built: House) -> None:
    await built.carrier.listens(int(built.carrier_url.rpartition(":")[2]))
    await built.gateway.listens(int(built.gateway_url.rpartition(":")[2]))
    built.client = Client(built.gateway_url, 8)
    await built.client.open()
