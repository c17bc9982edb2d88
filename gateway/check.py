"""`textbank serve --check`: what would keep a worker from serving. Nothing is started or changed."""

import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from gateway.config import Settings, internal_port
from gateway.core.rules.errors import BadInput
from gateway.own_database import check_dsn, data_folder, which_database
from gateway.parts import ask_provider
from gateway.providers.base import ProviderError
from gateway.serve import (
    cannot_listen,
    provider_of,
    provider_says_no,
)
from gateway.store.database import Database
from gateway.store.migrate import would_apply
from gateway.store.troubles import DatabaseAway
from gateway.tracing.worker import require_extra


class Findings(NamedTuple):
    """What would keep a worker from serving, and what it would do at its start, one line each."""

    faults: list[str]
    notes: list[str]


async def findings(settings: Settings) -> Findings:
    """Nothing is started or changed."""
    checks: tuple[Callable[[Settings], Awaitable[str | None]], ...] = (
        _check_provider,
        _check_public_url,
        _check_traces,
        _check_port,
        _check_database,
    )
    found = Findings([], [])
    for check in checks:
        try:
            note = await check(settings)
        except BadInput as error:
            found.faults.append(str(error))
        else:
            found.notes.extend([note] if note else [])
    return found


async def _check_provider(settings: Settings) -> None:
    provider = provider_of(settings)
    try:
        await ask_provider(provider)
    except ProviderError as error:
        raise provider_says_no(error) from error
    finally:
        await provider.close()


async def _check_public_url(settings: Settings) -> None:
    if settings.http.public_url is None:
        do = "give the address under which the provider reaches us: https://texts.example.org"
        raise BadInput("callbacks can't come: no public address", "http.public_url", do)


async def _check_traces(settings: Settings) -> None:
    if settings.tracing.url is not None:
        require_extra()


async def _check_port(settings: Settings) -> None:
    http = settings.http
    _check_free(http.host, http.port, "http.host or http.port")
    _check_free(http.internal_host, internal_port(http), "http.internal_host or http.internal_port")


def _check_free(host: str, port: int, names: str) -> None:
    try:
        where: Any = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(where[0], where[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where[4])
    except OSError as error:
        raise cannot_listen(host, port, names, error) from error


async def _check_database(settings: Settings) -> str | None:
    """A PostgreSQL of our own is not started for a check: only its folder is looked at."""
    check_dsn(settings)
    if settings.database.dsn is None:
        folder = data_folder(settings)
        nearest = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(nearest, os.W_OK):
            raise BadInput("can't write here", str(folder), "give database.data_dir or database.dsn")
        return f"no database.dsn is given: the start will use {which_database(settings)}"
    database = Database(settings.database.dsn, connections=1)
    await database.open()
    try:
        missing = await would_apply(database)
    except DatabaseAway as error:
        raise BadInput("the database went away", "database.dsn", "try again") from error
    finally:
        await database.close()
    return f"the start will bring the tables up to date: {', '.join(missing)}" if missing else None
