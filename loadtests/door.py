"""JSON over HTTP for the process that leads a load test: one request after the other. Follows no redirect."""

import http.client
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from loadtests.targets import Target

_ANSWERS_WITHIN_S = 60.0
_KEPT_S = 10.0
"""A server closes a connection that nobody uses; the next request opens another."""


class Unanswered(Exception):
    """The other side is not there, or did not answer as it should: then `status` is what it answered."""

    textbank_exit_status = 2

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Door:
    """One connection; `key` is sent along when there is one."""

    def __init__(self, target: Target, key: str = "") -> None:
        parts = urlsplit(target.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=_ANSWERS_WITHIN_S)
        self._url = target.url
        self._used_at = 0.0
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; raises Unanswered for anything but 2xx."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        if time.monotonic() - self._used_at > _KEPT_S:
            self._connection.close()
        try:
            self._connection.request(
                method, path, None if body is None else msgspec.json.encode(body), headers
            )
            answer = self._connection.getresponse()
            content = answer.read()
            self._used_at = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unanswered(f"{self._url} does not answer: {str(error) or type(error).__name__}") from error
        if not 200 <= answer.status < 300:
            said = content[:300].decode(errors="replace")
            what = f"{method} {self._url}{path} was answered {answer.status}: {said}"
            raise Unanswered(what, answer.status)
        return msgspec.json.decode(content or b"null")
