"""A gateway in virtual time over a real PostgreSQL, a scripted provider, and a campaign with a few people."""

import asyncio
import contextlib
import itertools
from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgspec
import simpy

from gateway.app import Gateway
from gateway.clock import Clock
from gateway.config import Dispatch, Settings, Windows, Workers
from gateway.core.rules.campaign import CampaignKey, CampaignSettings
from gateway.core.rules.hours import group_key
from gateway.core.rules.idempotency import Key
from gateway.core.rules.safeguards import Kind, Request
from gateway.core.sending.numbers import Number
from gateway.pipeline.admission import Outcome
from gateway.providers.base import InboundText
from gateway.store import campaigns, contacts, numbers
from gateway.store.campaigns import CampaignRow
from gateway.store.contacts import ContactRow
from gateway.store.database import Connection, Database, Record
from gateway.store.limits import NO_TIMERS
from gateway.store.numbers import NumberRow
from simulator.rehearsal.loop import Outside, VirtualLoop, run
from tests.patience import no_longer_than
from tests.pipeline.scripted_provider import Handed, ScriptedProvider, reference

CAMPAIGN, SCOPE, ACTION, VOLUNTEER = 1, 11, 5, 7
KEY = CampaignKey(1, CAMPAIGN)
START_AT = 1_773_154_800.0  # Tuesday 10 March 2026, 11:00 in New York
NINE, FIVE = START_AT - 2 * 3600, START_AT + 6 * 3600  # the campaign's hours that day
GROUP = group_key("PA", ["America/New_York"])
SETTINGS = Settings(
    windows=Windows(admission_s=0.05, delivery_s=0.05, inbound_s=0.05),
    dispatch=Dispatch(
        horizon_s=2.0, poll_s=1.0, idle_poll_s=10.0, submit_timeout_s=15.0, closing_margin_s=60.0
    ),
    workers=Workers(beat_s=0),
)
ON_THE_WIRE_S = 30.0  # recovery asks no earlier
LIMITS = msgspec.structs.replace(
    NO_TIMERS, lock_s=0.1, idle_in_transaction_s=60.0
)  # real seconds, at the server
HANG_S = 120.0  # real seconds: only a story that would never end meets it
SETTLED_S = 120.0  # by then recovery has asked and what follows is done

Hook = Callable[[], Awaitable[None]]
Story = Callable[["World"], Awaitable[Any]]


def phone(contact_id: int) -> str:
    return f"+1215555{100 + contact_id:04d}"


def number_phone(number_id: int) -> str:
    return f"+1267555{100 + number_id:04d}"


class WatchedDatabase(Database):
    """A Database whose statements can be met: before they are carried out, and after, before the caller knows.

    `count` numbers the statements from 1.
    """

    def __init__(self, dsn: str, connections: int = 1) -> None:
        super().__init__(dsn, connections, limits=LIMITS)
        self.count = 0
        self.answer_s = 0.0  # of virtual time: how long a single statement takes
        self.inside: list[Connection] = []  # connections in somebody's hands
        self.before: list[tuple[Callable[[str, int], bool], Hook]] = []
        self.after: list[tuple[Callable[[str, int], bool], Hook]] = []

    async def fetch(self, sql: str, *arguments: object) -> list[Record]:
        if not self.answer_s:
            return await super().fetch(sql, *arguments)
        await asyncio.sleep(self.answer_s / 2)
        rows = await super().fetch(sql, *arguments)
        await asyncio.sleep(self.answer_s / 2)
        return rows

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with super().connection() as real:
            self.inside.append(real)
            try:
                yield _Watched(self, real)
            finally:
                self.inside.remove(real)

    def hang_up_inside(self) -> None:
        """The connections in use break on our side; the server goes on with what they asked, and commits it."""
        for real in list(self.inside):
            real.terminate()

    def once(self, hooks: list[Any], fragment: str, hook: Hook) -> "Future[None]":
        """Runs `hook` at the next statement that holds `fragment`; the future says that it came."""
        met: Future[None] = asyncio.get_running_loop().create_future()

        async def only_once() -> None:
            hooks.remove(entry)
            met.set_result(None)
            await hook()

        entry = (lambda sql, _count: fragment in sql, only_once)
        hooks.append(entry)
        return met


class _Watched:
    """A connection that tells its database of each statement."""

    def __init__(self, database: WatchedDatabase, real: Connection) -> None:
        self._database = database
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def fetch(self, sql: str, *arguments: object) -> list[Record]:
        return await self._met(sql, self._real.fetch(sql, *arguments))

    async def execute(self, sql: str, *arguments: object) -> str:
        return await self._met(sql, self._real.execute(sql, *arguments))

    async def _met(self, sql: str, work: Any) -> Any:
        self._database.count += 1
        count = self._database.count
        try:
            for applies, hook in list(self._database.before):
                if applies(sql, count):
                    await hook()
        except BaseException:
            work.close()
            raise
        result = await work
        for applies, hook in list(self._database.after):
            if applies(sql, count):
                await hook()
        return result


class Databases(Outside):
    """The clock stands still while somebody is inside one of them."""

    def __init__(self, databases: list[Database]) -> None:
        self._databases = databases

    def stops_the_clock(self) -> bool:
        return any(each.in_flight > 0 for each in self._databases)


class World:
    """One campaign, its gateway and its provider. `store` is the story's own connection."""

    def __init__(
        self,
        loop: VirtualLoop,
        dsn: str,
        settings: Settings,
        connections: int,
        provider: type[ScriptedProvider] = ScriptedProvider,
    ) -> None:
        self.loop = loop
        self._connections = connections
        self.clock = Clock(loop, START_AT)
        self.provider = provider(loop, self.clock)
        self.settings = settings
        self.dsn = dsn
        self.store = Database(dsn, connections=1, limits=LIMITS)
        self._databases: list[Database] = [self.store]
        self._keys = itertools.count(1)
        self._inbound = itertools.count(1)
        loop.wait_for(Databases(self._databases))
        self.database: WatchedDatabase
        self.gateway: Gateway

    # ------------------------------------------------------------ life

    async def set_up(self, settings: CampaignSettings, people: int, own_numbers: int) -> None:
        row = CampaignRow(CAMPAIGN, SCOPE, "Bank", settings.to_json(), paused=False)
        await campaigns.create(self.store, row, START_AT)
        rows = [ContactRow(each, phone(each), GROUP, first_name="Ann") for each in range(1, people + 1)]
        await contacts.add(self.store, KEY, rows)
        for number_id in range(1, own_numbers + 1):
            number = Number(number_id=number_id, phone=number_phone(number_id), area_code="267")
            details = msgspec.json.encode(number).decode()
            number_row = NumberRow(number_id, number.phone, f"PN{number_id}", "active", "capacity", details)
            await numbers.add(self.store, KEY, number_row, START_AT)

    def new_database(self) -> Database:
        """A door of the story's own, with one connection."""
        database = Database(self.dsn, connections=1, limits=LIMITS)
        self._databases.append(database)
        return database

    def new_gateway(self) -> tuple[Gateway, WatchedDatabase]:
        """A worker with connections of its own, not started yet."""
        database = WatchedDatabase(self.dsn, self._connections)
        self._databases.append(database)
        return Gateway(self.settings, database, self.provider, self.clock), database

    async def start(self, watch: Callable[[WatchedDatabase], None] = lambda _: None) -> None:
        """`watch` may meet the worker's first statement."""
        self.gateway, self.database = self.new_gateway()
        watch(self.database)
        await self.gateway.start()
        await self.gateway.adopted()

    def crash(self) -> None:
        """kill -9: the provider's words meet nobody until the next start."""
        self.provider.hang_up()
        self.gateway.crash()

    async def restart(self, after_s: float = 0.0) -> None:
        """A supervisor starts the gateway anew, on a new connection."""
        await self.bury()
        await asyncio.sleep(after_s)
        await self.start()

    async def bury(self) -> None:
        """The operating system closes what the dead still held, and frees their locks."""
        await self.database.close()
        await self.cut_connections()

    async def crash_and_restart(self, after_s: float = 0.0) -> None:
        self.crash()
        await self.restart(after_s)

    async def cut_connections(self) -> None:
        """The gateway's connections break, as in a failover; what they carried out stands."""
        await self.store.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'textbank'"
        )

    async def lose_the_answer(self) -> None:
        """A hook for `after`: carried out, and then the connection breaks before the caller knows."""
        await self.cut_connections()
        raise ConnectionResetError("the connection broke")

    async def hang_up(self) -> None:
        for database in self._databases:
            with contextlib.suppress(OSError):  # a broken connection
                await database.close()

    # ------------------------------------------------------------ what people do

    def submit(
        self,
        contact_id: int = 1,
        body: str = "Hello",
        *,
        kind: Kind = Kind.INITIAL,
        action_id: int | None = None,
        sender_id: int = VOLUNTEER,
        key: str | None = None,
        owner: str = "key:a",
        gateway: Gateway | None = None,
        revision: int | None = None,
    ) -> "Future[Outcome]":
        request = Request(
            campaign_id=CAMPAIGN,
            contact_id=contact_id,
            kind=kind,
            body=body,
            action_id=action_id,
            sender_id=sender_id,
        )
        used = Key(owner, key) if key else None
        return (gateway or self.gateway).admission.submit(request, key=used, revision=revision)

    async def send_all(self, contact_ids: Iterator[int] | range) -> list[Outcome]:
        return list(await asyncio.gather(*(self.submit(each) for each in contact_ids)))

    async def pause(self, gateway: Gateway | None = None, *, paused: bool = True) -> None:
        """The campaign is paused, or goes on, through this gateway or another one."""
        gateway = gateway or self.gateway
        await campaigns.pause(gateway.database, KEY, paused)
        await gateway.campaigns.take_up(CAMPAIGN, pauses=paused)

    async def write(self, contact_id: int, body: str, *, sid: str | None = None, number_id: int = 1) -> None:
        """A person texts us; returns when it is durable."""
        text = InboundText(
            sid or f"IN{next(self._inbound)}",
            phone(contact_id),
            number_phone(number_id),
            body,
            self.clock.now(),
        )
        await self.provider.write(text)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    # ------------------------------------------------------------ what is seen

    @property
    def handed(self) -> list[Handed]:
        return self.provider.calls

    def texts_to(self, contact_id: int) -> list[Handed]:
        return [each for each in self.provider.calls if each.text.phone == phone(contact_id)]

    async def message(self, message_id: int) -> Record:
        row = await self.store.fetch_row("SELECT * FROM messages WHERE message_id = $1", message_id)
        assert row is not None
        return row

    async def state(self, message_id: int) -> str:
        return str((await self.message(message_id))["state"])

    async def states(self) -> dict[int, str]:
        rows = await self.store.fetch("SELECT message_id, state FROM messages ORDER BY message_id")
        return {row[0]: row[1] for row in rows}

    async def queued(self) -> list[int]:
        return [row[0] for row in await self.store.fetch("SELECT message_id FROM queue ORDER BY message_id")]

    async def conversation(self, contact_id: int) -> Record:
        row = await self.store.fetch_row("SELECT * FROM conversations WHERE contact_id = $1", contact_id)
        assert row is not None
        return row

    def nobody_got_a_text_twice(self) -> None:
        """Invariant 3, as the outside witness saw it."""
        messages = [reference(each.text)[:2] for each in self.provider.taken]
        assert len(messages) == len(set(messages)), messages


def play(
    dsn: str,
    story: Story,
    *,
    people: int = 20,
    own_numbers: int = 1,
    settings: Settings = SETTINGS,
    campaign: CampaignSettings | None = None,
    connections: int = 1,
    provider: type[ScriptedProvider] = ScriptedProvider,
) -> Any:
    """Runs the story in virtual time, in a world that has just begun its day."""

    async def begin(loop: VirtualLoop) -> Any:
        world = World(loop, dsn, settings, connections, provider)
        try:
            await world.set_up(campaign or CampaignSettings(), people, own_numbers)
            await world.start()
            try:
                return await story(world)
            finally:
                world.gateway.crash()
        finally:
            await world.hang_up()

    # virtual time stands still while a story hangs in the database
    with no_longer_than(HANG_S, "the story hangs: somebody waits inside the database for ever"):
        return run(simpy.Environment(), begin)
