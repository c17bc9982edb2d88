"""The idempotency keys of a request and of its rows: they belong to the API key that came with it."""

import asyncio
from typing import TypeAlias

from gateway.core.rules.idempotency import Key
from gateway.http.access import Grant
from gateway.http.records import NewMessage, Result
from gateway.pipeline.admission import Outcome
from gateway.pipeline.idempotency import KeyReused

Entered: TypeAlias = asyncio.Future[Outcome] | Result
"""A row on its way, or refused already."""


class Keys:
    """The keys of one request. A row that has another's key and words gets its outcome; with other words it is
    refused."""

    def __init__(self, grant: Grant, header: str | None) -> None:
        self._owner = grant.actor.name
        self._header = header
        self._entered: dict[Key, tuple[NewMessage, Entered]] = {}

    def of(self, row: NewMessage, place: int) -> Key | None:
        """The row's own key, or what the header gives it at its place."""
        word = row.idempotency_key or self._from_header(place)
        return None if word is None else Key(self._owner, word)

    def entered(self, row: NewMessage, key: Key | None) -> Entered | None:
        """What became of an earlier row of this request with the same key; None: there is none."""
        if key is None or key not in self._entered:
            return None
        first, entered = self._entered[key]
        return entered if first == row else Result(error=str(KeyReused()))

    def enter(self, row: NewMessage, key: Key | None, entered: Entered) -> None:
        if key is not None:
            self._entered[key] = row, entered

    def _from_header(self, place: int) -> str | None:
        return self._header


class BatchKeys(Keys):
    """Those of a batch: the header's stands for all its rows, and gives each the key `header:place`."""

    @property
    def whole(self) -> Key | None:
        """The key of the batch itself."""
        return None if self._header is None else Key(self._owner, self._header)

    def _from_header(self, place: int) -> str | None:
        return None if self._header is None else f"{self._header}:{place}"
