"""`textbank serve` put together: database, provider, gateway and door, from the start to a clean stop."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import entry_points, version
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from gateway.app import Gateway, chores_of, reconciliation_of
from gateway.clock import Clock
from gateway.commit import commit_of_this_code
from gateway.config import Settings, fingerprint, internal_port
from gateway.core.rules.errors import BadInput, Kind, consequence
from gateway.couriers import Couriers
from gateway.entropy import secret
from gateway.http.access_log import FORMS, AccessLog
from gateway.http.library_log import library_log
from gateway.http.parts import WebhookDoor
from gateway.http.readiness import Asked
from gateway.http.server import application, internal_application
from gateway.http.shedding import BACKLOG, SHEDDING, Connection, Site
from gateway.logs import unhandled
from gateway.own_database import which_database
from gateway.parts import ask_provider, door_parts
from gateway.pipeline.admission import Admission
from gateway.providers.base import History, NotSent, Provider, ProviderError, Refused
from gateway.providers.twilio import webhooks as twilio_webhooks
from gateway.store import months, restored
from gateway.store.database import Database
from gateway.store.hosts import Succession
from gateway.store.limits import PROBE, within
from gateway.store.migrate import MigrationFailed, migrate
from gateway.store.probe import DatabaseProbe
from gateway.store.troubles import DatabaseAway
from gateway.tracing.worker import traces
from gateway.upkeep.reconciliation import Differences

PROVIDERS: Final = "textbank.providers"
"""The entry-point group in which a provider registers the scheme of its URLs."""

_LAG_PROBE_S: Final = 0.2
_SESSION_CONNECTIONS: Final = 2  # one listens, one beats
_BROKEN_OFF_S: Final = 5.0
_DRAIN_S: Final = 60.0
_AGAIN_S: Final = 0.5
_GREETING_S: Final = 5.0
_DATABASE_KEPT_S: Final = 1.0  # with the limit of a question, /readyz tells of trouble within 5 s
_KEEP_ALIVE_S: Final = 150.0  # longer than a proxy keeps an idle connection: 120 s; ends a half-sent head too
_LINGER_S: Final = 2.0  # how long a body that was refused is still read, so that its sender sees the answer
_GC_THRESHOLDS: Final = (20_000, 20, 20)  # a request makes dozens of short-lived objects, in no circles
_log = structlog.get_logger("textbank.serve")


# ---------------------------------------------------------------- the parts


def tell_database(settings: Settings, source: str) -> None:
    """A line of the log: a worker, too, says which database it speaks to."""
    _log.info("database", database=which_database(settings), setting=source)


def provider_factory(url: str | None) -> Callable[..., Provider]:
    """Who makes the provider of a URL's scheme; raises BadInput when nobody does."""
    if url is None:
        raise BadInput("no provider is given", "provider.url", "write it as twilio://account:token@")
    scheme = urlsplit(url).scheme
    known = {entry.name: entry for entry in entry_points(group=PROVIDERS)}
    if scheme not in known:
        names = ", ".join(sorted(known)) or "none"
        raise BadInput(f"there is no provider '{scheme}'", "provider.url", f"known are: {names}")
    try:
        factory: Callable[..., Provider] = known[scheme].load()
    except ImportError as error:
        raise BadInput(
            f"the provider '{scheme}' can't be loaded ({error})", "provider.url", "reinstall what provides it"
        ) from error
    return factory


def provider_of(settings: Settings) -> Provider:
    """The provider that the settings name. Raises BadInput."""
    factory = provider_factory(settings.provider.url)
    return factory(
        settings.provider.url,
        public_url=settings.http.public_url,
        timeout_s=settings.dispatch.submit_timeout_s,
    )


def webhook_doors(provider: Provider, public_url: str | None) -> list[WebhookDoor]:
    """How this provider calls back; a provider that signs like Twilio has `signing_tokens`."""
    tokens: Sequence[str] | None = getattr(provider, "signing_tokens", None)
    if tokens is None or public_url is None:
        return []

    def is_signed(url: str, form: list[tuple[str, str]], given: str) -> bool:
        return twilio_webhooks.is_signed(url, form, given, tokens)

    return [
        WebhookDoor(
            name="twilio",
            public_url=public_url,
            signature_header="X-Twilio-Signature",
            is_signed=is_signed,
            status_report=twilio_webhooks.status_report,
            inbound_text=twilio_webhooks.inbound_text,
            inbound_answer='<?xml version="1.0" encoding="UTF-8"?><Response/>',
        )
    ]


# ---------------------------------------------------------------- the worker


class Worker:
    """One gateway behind one door. `start`, then `stop`: no message is left `sending`."""

    def __init__(
        self, settings: Settings, dsn: str, provider: Provider, clock: Clock, doors: Sequence[WebhookDoor]
    ) -> None:
        self.settings = settings
        self.provider = provider
        self.clock = clock
        limits = within(settings.database.answer_s)
        succession = Succession()
        self.database = Database(
            dsn, connections=settings.database.connections, limits=limits, succession=succession
        )
        self.probe = DatabaseProbe(dsn, self.database, succession)
        self._session = None  # the only worker of its database talks to nobody
        if settings.workers.beat_s:
            self._session = Database(
                dsn, _SESSION_CONNECTIONS, limits=PROBE, succession=succession, name="session"
            )
        self._release = version("textbank")
        self._traces = traces(settings.tracing, self._release, clock.now, secret)
        admission = Admission if self._traces is None else self._traces.admission
        self.gateway = Gateway(settings, self.database, provider, clock, self._session, admission)
        self._couriers = Couriers(settings, clock.now)
        self._parts = door_parts(
            self.gateway,
            settings,
            provider,
            {
                "database": Asked(self.probe.ask, kept_s=_DATABASE_KEPT_S),
                "clock": Asked(self.gateway.clock_watch.check, kept_s=0.0),
            },
        )
        self._access_log = AccessLog(clock.now, FORMS[settings.log.format]) if settings.log.access else None
        app = application(self._parts, doors, self._release, self._access_log)
        if self._traces is not None:
            self._traces.attach(self.gateway, self._parts)
            app.middlewares.insert(0, self._traces.around_requests())
        self._public = _runner(app)
        self._internal = _runner(internal_application(self._parts))
        self._tending: list[asyncio.Task[None]] = []
        self.url = ""
        self.internal_url = ""

    async def start(self) -> None:
        """Schema, gateway, door, in this order: what is asked at the door can be done. Raises BadInput."""
        await self.database.open()
        try:
            if self._session is not None:
                await self._session.open()
            applied = await migrate(self.database, self.clock.now())
            if applied:
                _log.info("migrated", applied=applied)
            await months.make_ahead(self.database, self.clock.now())
            if mended := await restored.mend(self.database):
                _log.info("the database was restored: its journal is readable again", campaigns=mended)
            await self.gateway.start()
            await self._listen()
        except MigrationFailed as error:
            await self._break_off()
            raise BadInput(str(error), "database.dsn", "give a database that is ours alone") from error
        except DatabaseAway as error:
            await self._break_off()
            raise BadInput(f"the database went away ({error})", "database.dsn", "start again") from error
        except BaseException:
            await self._break_off()
            raise
        self.gateway.metrics.running(self._release, commit_of_this_code(), fingerprint(self.settings))
        self._tend()
        _log.info(
            "serving",
            url=self.url,
            url_internal=self.internal_url,
            campaigns=len(self.gateway.campaigns.ids()),
        )

    async def _break_off(self) -> None:
        """A start that failed leaves its campaigns to others, if it can, and no task behind."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BROKEN_OFF_S):
                await self._drained()
        self.gateway.crash()
        await self._close()

    def _tend(self) -> None:
        """What runs beside the road and the door, as long as they do."""
        loop = asyncio.get_running_loop()
        tending = {"loop lag": self._probe_lag(), **self.gateway.tending(self._couriers.hand_over)}
        self._tending = [loop.create_task(work, name=name) for name, work in tending.items()]
        for chore in chores_of(self.settings, self.gateway):
            self._tending.append(loop.create_task(chore.run(), name=chore.name))

    async def _listen(self) -> None:
        http = self.settings.http
        self.internal_url = await _listening(
            self._internal,
            http.internal_host,
            internal_port(http),
            "http.internal_host or http.internal_port",
        )
        self.url = await _listening(self._public, http.host, http.port, "http.host or http.port")

    async def stop(self) -> None:
        """Refuses new work, finishes what is under way with the webhooks still open, then closes; once."""
        if self._parts.closing:
            return
        _log.info("stopping")
        self._parts.closing = True
        await self._parts.live.close()
        for task in self._tending:
            task.cancel()
        await self._drain()
        await self._public.cleanup()
        await self._drain()  # what came in meanwhile
        await self._close()
        _log.info("stopped")

    async def _drain(self) -> None:
        """Tries until the database lets it; when that takes too long, recovery settles the rest at the next start."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while not await self._drained():  # noqa: ASYNC110 - nobody tells when a database is back
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            _log.error("stopped without a whole drain: the database is away")

    async def _drained(self) -> bool:
        try:
            await self.gateway.drain()
        except DatabaseAway:
            return False
        except Exception:  # noqa: BLE001 - a defect must not keep the worker from stopping
            _log.exception("draining met a defect")
        return True

    async def _close(self) -> None:
        await self._public.cleanup()
        await self._internal.cleanup()
        if self._access_log is not None:
            self._access_log.flush()
        await self.provider.close()
        await self._couriers.close()
        if self._traces is not None:
            await self._traces.close()
        with contextlib.suppress(OSError):  # its connections may be broken
            await self.probe.close()
        for database in (self.database, *([] if self._session is None else [self._session])):
            with contextlib.suppress(OSError):
                await database.close()

    async def _probe_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_PROBE_S
            await asyncio.sleep(_LAG_PROBE_S)
            self.gateway.metrics.event_loop_lag(max(0.0, loop.time() - due))


def _connection_options() -> dict[str, Any]:
    return {
        "access_log": None,
        "logger": library_log(),
        "auto_decompress": False,  # gateway/http/intake.py unpacks, within bounds
        "keepalive_timeout": _KEEP_ALIVE_S,
        "lingering_time": _LINGER_S,
    }


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(app, handle_signals=False, **_connection_options())


def _site(runner: web.AppRunner, host: str, port: int) -> web.BaseSite:
    """The public door sheds what is too much before it is parsed."""
    shedding, server, options = runner.app.get(SHEDDING), runner.server, _connection_options()
    if shedding is None or server is None:
        return web.TCPSite(runner, host, port, backlog=BACKLOG)
    return Site(runner, host, port, lambda: Connection(server, shedding, **options))


async def _listening(runner: web.AppRunner, host: str, port: int, settings: str) -> str:
    """Listens; the address to call. Raises BadInput."""
    await runner.setup()
    site = _site(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        raise cannot_listen(host, port, settings, error) from error
    port = runner.addresses[0][1]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def cannot_listen(host: str, port: int, settings: str, error: OSError) -> BadInput:
    """Why, and which of the settings to change."""
    number = error.errno or 0  # below 0 for an unknown host, which has words of its own
    why = os.strerror(number) if number > 0 else error.strerror or str(error)
    do = f"stop what listens there, or give another {settings}"
    return BadInput(f"can't listen ({why})", f"{host}:{port}", do)


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    dsn: str,
    provider: Provider,
    doors: Sequence[WebhookDoor] = (),
    clock: Clock | None = None,
) -> AsyncIterator[Worker]:
    """A worker for the block, drained at its end."""
    clock = clock or Clock.of_the_system(asyncio.get_running_loop())
    worker = Worker(settings, dsn, provider, clock, doors)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def serve(settings: Settings, dsn: str) -> None:
    """Serves until SIGTERM, SIGINT or SIGHUP, then drains. Raises BadInput for what keeps it from starting."""
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unhandled)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup; a background job's Ctrl-C
            loop.add_signal_handler(number, asked_to_stop.set)
    provider = provider_of(settings)
    try:
        await _greet(provider)
        async with running(settings, dsn, provider, webhook_doors(provider, settings.http.public_url)):
            gc.collect()
            gc.freeze()  # what lives as long as the worker is not looked through again
            gc.set_threshold(*_GC_THRESHOLDS)
            await asked_to_stop.wait()
    finally:
        await provider.close()


async def _greet(provider: Provider) -> None:
    """Wrong credentials are told at once, not by every text of a bank; an outage keeps no worker from starting."""
    try:
        async with asyncio.timeout(_GREETING_S):
            await ask_provider(provider)
    except (ProviderError, TimeoutError) as error:
        code = error.code if isinstance(error, Refused) else None
        if code is not None and consequence(code).kind is Kind.AUTH:
            raise provider_says_no(error) from error
        _log.warning("the provider does not answer as it should", why=str(error) or "no answer in time")


def provider_says_no(error: Exception) -> BadInput:
    """What the provider has against us, and what to do."""
    do = (
        "start the provider or correct its address"
        if isinstance(error, NotSent)
        else "correct its credentials"
    )
    return BadInput(f"the provider says no ({error})", "provider.url", do)


async def reconcile(settings: Settings, database: Database, provider: Provider, since: float) -> Differences:
    """Compares the provider's list since an instant (Unix seconds) with the books, and takes in late receipts.

    Workers may run meanwhile. Raises BadInput.
    """
    if not isinstance(provider, History):
        raise BadInput("this provider keeps no list of texts", "provider.url", "there is nothing to compare")
    clock = Clock.of_the_system(asyncio.get_running_loop())
    gateway = Gateway(settings, database, provider, clock)
    await gateway.campaigns.load()
    try:
        return await reconciliation_of(gateway, provider).run(since)
    except ProviderError as error:
        raise BadInput(f"the provider did not tell it all ({error})", "provider.url", "try again") from error
