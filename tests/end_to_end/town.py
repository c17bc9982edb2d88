"""A whole town: the carrier and the gateway as processes, a line between them, and one who calls at both doors."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from gateway.p2p.keys import RANDOM_BYTES, ApiKeys
from gateway.store.database import Database
from gateway.store.migrate import migrate
from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from tests.end_to_end.line import Line
from tests.end_to_end.processes import PATIENCE_S, Running, address_in, free_port, start

CAMPAIGN = 1
QUICK_TOWN = Path(__file__).with_name("quick-town.toml")
# A Wednesday in March, 11:00 in Pennsylvania: every process of a town believes it is about this time.
STARTS_AT = datetime(2026, 3, 11, 15, 0, tzinfo=UTC).timestamp()
SHIFT_S = STARTS_AT - time.time()
SPEED = 30.0
ON_THE_WAY = ("queued", "sending", "unknown")

# Impatient, so that what takes minutes in production takes seconds here.
RETRY = {"first_delay_s": 1.0, "max_delay_s": 4.0, "throttled_delay_s": 0.5, "max_attempts": 6}
SETTINGS: dict[str, Any] = {
    "hours": {"start_minute": 9 * 60, "end_minute": 21 * 60},
    "pool": {"preferred_area_codes": ["814"], "purchase_poll_s": 0.2, "settle_s": 0.0},
    "retry": RETRY,
}


def phone(nth: int) -> str:
    """The nth contact's: fictitious lines of Pennsylvania and Ohio."""
    area_code, line = ("717", 1300 + nth) if nth < 2900 else ("614", nth - 1600)
    return f"+1{area_code}555{line:04d}"


@dataclass
class Town:
    """Both processes and what was asked of the gateway: `answers` are its answers to accepted rows."""

    dsn: str
    carrier: Running
    carrier_url: str
    line: Line
    port: int
    session: aiohttp.ClientSession
    store: Database
    key: str = ""
    speed: float = SPEED
    options: tuple[str, ...] = ()
    calls_at_once: int = 400
    gateway: Running | None = None
    contact_ids: dict[str, int] = field(default_factory=dict)
    answers: list[tuple[int, str]] = field(default_factory=list)  # message id, state
    gateways: list[Running] = field(default_factory=list)
    internal_urls: dict[int, str] = field(default_factory=dict)  # by the public port

    # ------------------------------------------------------------ the gateway

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open_gateway(self, *more: str, port: int = 0, shift_s: float = SHIFT_S) -> Running:
        """Starts a gateway, again perhaps, and waits until it serves; on the town's port if no other is given."""
        provider = f"twilio://{DEFAULT_SID}:{DEFAULT_TOKEN}@127.0.0.1:{self.line.port}?scheme=http&concurrency={self.calls_at_once}"
        settings = {
            **({"database.dsn": self.dsn} if self.dsn else {}),
            "provider.url": provider,
            "http.public_url": self.url,
            "http.port": str(port or self.port),
            "http.internal_port": "0",
            "dispatch.submit_timeout_s": "1",
            "dispatch.concurrency": "400",
            "log.format": "json",
            "time.tolerance_s": "0",  # the town believes in another day than its database
        }
        words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        given = [word for each in (*self.options, *more) for word in ("--set", each)]
        gateway = self.gateway = await start("serve", *words, *given, shift_s=shift_s)
        self.gateways.append(gateway)
        serving = await gateway.says(lambda line: '"event": "serving"' in line)
        self.internal_urls[port or self.port] = msgspec.json.decode(serving)["url_internal"]
        return gateway

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        return await self._called(method, self.url + path, body, headers)

    async def inside(self, path: str) -> tuple[int, Any]:
        """What the gateway tells the house only."""
        return await self._called("GET", self.internal_urls[self.port] + path, None, {})

    async def _called(self, method: str, url: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            content = await answer.read()
            is_json = answer.content_type.endswith("json")
            return answer.status, msgspec.json.decode(content) if is_json else content.decode()

    async def make_campaign(self, **settings: Any) -> None:
        wanted = {"name": "Town", "campaign_id": CAMPAIGN, "settings": {**SETTINGS, **settings}}
        status, body = await self.call("POST", "/v1/campaigns", wanted)
        assert status == 201, body

    async def bring_contacts(self, count: int, first: int = 0) -> None:
        """Uploads them, each looked up at the provider."""
        phones = [phone(nth) for nth in range(first, first + count)]
        rows = [{"phone": each, "first_name": "Ann", "zip": "17101"} for each in phones]
        status, body = await self.call(
            "POST", f"/v1/campaigns/{CAMPAIGN}/contacts?look_up=true", {"contacts": rows}
        )
        assert (status, body["rejected"]) == (200, {}), body
        self.contact_ids.update(zip(phones, body["contact_ids"], strict=True))

    async def send(
        self, phones: Iterable[str], body: str = "Hello {}. Reply STOP to opt out", **more: Any
    ) -> list[dict[str, Any]]:
        """One batch through the API; the results, in order."""
        rows = [{"contact_id": self.contact_ids[to], "body": body.format(to[-4:]), **more} for to in phones]
        status, answer = await self.call(
            "POST", "/v1/messages:batch", {"campaign_id": CAMPAIGN, "messages": rows}
        )
        assert status == 202, answer
        results: list[dict[str, Any]] = answer["results"]
        self.answers += [(row["message_id"], row["state"]) for row in results]
        return results

    async def metric(self, series: str) -> float:
        """The sum of the series that begin like this."""
        _, text = await self.inside("/metrics")
        values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(series)]
        return sum(map(float, values))

    # ------------------------------------------------------------ the carrier

    async def twin(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, f"{self.carrier_url}/twin/{path}", json=body) as answer:
            content = msgspec.json.decode(await answer.read() or b"null")
            assert answer.status < 300, content
            return content

    async def fault(self, kind: str, for_real_s: float = 0.0, **order: Any) -> None:
        """Starts a fault that lasts so many real seconds."""
        lasts = {"for_s": for_real_s * self.speed} if for_real_s else {}
        await self.twin("POST", "faults", {"kind": kind, **lasts, **order})

    async def tables(self, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """Tables of the ledger as of one instant: they only grow, and each is read up to its length then."""
        lengths = (await self.twin("GET", "ledger"))["rows"]
        return {name: await self.table(name, upto=lengths[name]) for name in names}

    async def table(self, name: str, *, upto: int | None = None) -> list[dict[str, Any]]:
        end = "" if upto is None else f"&upto={upto}"
        rows: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = await self.twin("GET", f"ledger/{name}?after={after}&limit=100000{end}")
            rows += page["rows"]
            after = page["next"]
        return rows

    async def person_texts(self, sender: str, to: str, body: str) -> None:
        await self.twin("POST", "texts", {"from": sender, "to": to, "body": body})

    # ------------------------------------------------------------ waiting

    async def until_submitted(self, count: int) -> None:
        """Waits until the carrier has taken so many texts."""

        async def has() -> bool:
            return bool((await self.twin("GET", "ledger"))["counts"]["submitted"] >= count)

        await until(has)

    async def until_quiet(self) -> None:
        """Waits until every message is where it will stay, and every webhook has been told."""
        before: object = None

        async def is_quiet() -> bool:
            nonlocal before
            now = await self._standing()
            if now is None or now != before:
                before = now
                await asyncio.sleep(0.3)
                return False
            return True

        await until(is_quiet)

    async def _standing(self) -> object:
        """What the two know, when nothing is on its way; None while something is."""
        ledger = await self.twin("GET", "ledger")
        counts = ledger["counts"]
        if ledger["webhooks"]["outstanding"] or sum(counts["in_queue"].values()):
            return None
        states = await self.states()
        if any(state in ON_THE_WAY for state in states):
            return None
        ended = (states.get("delivered", 0), states.get("undelivered", 0), states.get("failed", 0))
        return ledger["rows"], states, ended

    async def states(self) -> dict[str, int]:
        rows = await self.store.fetch(
            "SELECT state, count(*)::int FROM messages GROUP BY state ORDER BY state"
        )
        return {row[0]: row[1] for row in rows}

    def no_traceback(self) -> None:
        """Nothing that happened was a surprise to the gateway."""
        said = [line for gateway in self.gateways for line in gateway.lines]
        assert [line for line in said if "exc_type" in line or "Traceback" in line] == []


async def until(is_it: Any) -> None:
    """Asks again and again, for at most PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not await is_it():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)


async def make_key(store: Database) -> str:
    return await ApiKeys(store, lambda: STARTS_AT).create(bytes(range(RANDOM_BYTES)), "a test", "admin")


async def open_carrier(
    scenario: Path | str = QUICK_TOWN, *, speed: float = SPEED, more: Sequence[str] = ()
) -> Running:
    options = (
        "--port",
        0,
        "--speed",
        speed,
        "--contacts",
        10,
        "--concurrency",
        2000,
        "--instant-answers",
        *more,
    )
    return await start("carrier", scenario, *options, shift_s=SHIFT_S)


@asynccontextmanager
async def open_town(
    dsn: str,
    *,
    contacts: int = 0,
    speed: float = SPEED,
    options: tuple[str, ...] = (),
    carrier: Sequence[str] = (),
    gateway: bool = True,
    scenario: Path | str = QUICK_TOWN,
    **settings: Any,
) -> AsyncIterator[Town]:
    """Carrier, line and gateway with a campaign and its contacts; all ended at the end of the block."""
    async with aiohttp.ClientSession() as session:
        opened = await open_carrier(scenario, speed=speed, more=carrier)
        store = Database(dsn, connections=1)
        town: Town | None = None
        line: Line | None = None
        try:
            url = address_in(await opened.says(lambda text: "http://" in text))
            line = Line(urlsplit(url).port or 0)
            await line.open()
            town = Town(dsn, opened, url, line, free_port(), session, store, speed=speed, options=options)
            await migrate(store, STARTS_AT)
            town.key = await make_key(store)
            if gateway:
                await town.open_gateway()
                await town.make_campaign(**settings)
                if contacts:
                    await town.bring_contacts(contacts)
            yield town
        finally:
            opened.thaw() if opened.process.returncode is None else None
            for each in [*(town.gateways if town else ()), opened]:
                if each.process.returncode is None:
                    await each.kill()
            if line is not None:
                await line.close()
            await store.close()
