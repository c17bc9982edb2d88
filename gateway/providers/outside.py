"""Requests to addresses that a campaign's admins gave us: other systems, and nothing of the house.

A name is resolved once and connected to at the very address that was looked at, so that no other answer of its name
server leads into a private network a moment later. Redirects are not followed. A call has a limit in all, its answer
is read up to a few kilobytes, and only so many calls go on at once.
"""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.core.bank.webhooks import Network, is_allowed, may_go_to, url_fault

_CONNECT_S: Final = 5.0
_MOST_READ: Final = 64 * 1024
_KEPT_OPEN_S: Final = 15.0
_LONGEST_WHY: Final = 200
_PRIVATE: Final = "it leads to a private network, which is not allowed"
USER_AGENT: Final = "textbank-webhooks/1"


class Reached(msgspec.Struct, frozen=True):
    """An answer came: its status, the beginning of its body, and for how long it asks not to be called (Retry-After)."""

    status: int
    body: bytes
    wait_s: float = 0.0

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300


class NotReached(Exception):
    """No answer came; the words say why, and name no address within a network."""


class PublicOnly(AbstractResolver):
    """Names lead to public addresses, or to networks that were allowed, and else nowhere.

    What isn't encrypted goes to allowed networks alone.
    """

    def __init__(self, allowed: Sequence[Network], scheme: str) -> None:
        self._allowed = allowed
        self._may_go_to = is_allowed if scheme == "http" else may_go_to

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        addresses = [(kind, address[0]) for kind, _, _, _, address in found if isinstance(address[0], str)]
        good = [each for each in addresses if self._may_go_to(each[1], self._allowed)]
        if not good:
            raise OSError(None, _PRIVATE)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
            for kind, address in good
        ]

    async def close(self) -> None:
        """Nothing is held open."""


class Outside:
    """One session for all such calls of a worker."""

    def __init__(
        self, *, allowed: Sequence[Network] = (), timeout_s: float = 10.0, at_once: int = 32
    ) -> None:
        self._allowed = allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=_CONNECT_S)
        self._turns = asyncio.Semaphore(at_once)
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reached:
        """One request, and what came back. Raises NotReached."""
        address = self._address(url)
        async with self._turns:
            try:
                async with self._session(address.scheme).request(
                    method, address, data=body, headers=headers, allow_redirects=False, timeout=self._timeout
                ) as response:
                    body = await response.content.read(_MOST_READ)
                    return Reached(response.status, body, _wait_s(response.headers.get("Retry-After", "")))
            except TimeoutError as error:
                raise NotReached("no answer in time") from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise NotReached(_words(error)) from error

    def _address(self, url: str) -> URL:
        """The address, looked at if it is an IP address: no resolver is asked about one. Raises NotReached."""
        fault = url_fault(url, is_plain_allowed=bool(self._allowed))
        if fault is not None:
            raise NotReached(fault)
        address = URL(url)
        host = address.host or ""
        may = is_allowed if address.scheme == "http" else may_go_to
        if _is_address(host) and not may(host, self._allowed):
            raise NotReached(_PRIVATE)
        return address

    def _session(self, scheme: str) -> aiohttp.ClientSession:
        if scheme not in self._sessions:
            connector = aiohttp.TCPConnector(
                resolver=PublicOnly(self._allowed, scheme),
                use_dns_cache=False,
                keepalive_timeout=_KEPT_OPEN_S,
            )
            self._sessions[scheme] = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": USER_AGENT},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # nobody's small answer becomes a large one
            )
        return self._sessions[scheme]

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


def _is_address(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except OSError:
        return False
    return True


def _wait_s(header: str) -> float:
    """Seconds; a date is not worth reading."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 7 else 0.0


def _words(error: Exception) -> str:
    """What went wrong, short; of a connection that failed, the system's words, which name no address."""
    inner = getattr(error, "os_error", error)
    number = getattr(inner, "errno", None)
    if number is not None:
        return os.strerror(number)
    return str(getattr(inner, "strerror", None) or type(error).__name__)[:_LONGEST_WHY]
