"""One HTTP request of an open arrival, and how long it waited for a connection. Redirects are answers, never followed."""

import time
from collections.abc import Mapping
from typing import Any, Final

import gevent
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError

from loadtests.pacer import Failed
from loadtests.targets import Target

BROKEN: Final = (OSError, ValueError, RuntimeError, HTTPParseError)
"""No connection, no HTTP, or it broke off."""
_ANSWERS_WITHIN_S: Final = 60.0


class Asker:
    """Connections to one target, as many as may be under way."""

    def __init__(self, target: Target, *, most_in_flight: int = 2000) -> None:
        self._client = HTTPClient.from_url(
            target.url,
            concurrency=most_in_flight,
            connection_timeout=_ANSWERS_WITHIN_S,
            network_timeout=_ANSWERS_WITHIN_S,
        )
        pool: Any = self._client._connection_pool
        self._get_socket = pool.get_socket
        pool.get_socket = self._timed

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, float]:
        """(status, body, seconds blocked); raises Failed when no answer comes."""
        asker = gevent.getcurrent()
        asker.blocked_s = 0.0
        try:
            answer = self._client.request(method, path, body, dict(headers or {}))
            return int(answer.status_code), bytes(answer.read()), float(asker.blocked_s)
        except BROKEN as error:
            raise Failed(str(error) or type(error).__name__) from error

    def _timed(self) -> Any:
        began = time.perf_counter()
        try:
            return self._get_socket()
        finally:
            gevent.getcurrent().blocked_s += time.perf_counter() - began

    def good(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> float:
        """Seconds blocked; raises Failed for anything but 2xx."""
        status, _, blocked_s = self.ask(method, path, body, headers)
        if not 200 <= status < 300:
            raise Failed(f"{method} {path}: {status}")
        return blocked_s
