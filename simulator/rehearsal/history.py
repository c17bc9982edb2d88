"""A simulated provider that can be asked what went over its wires, as Twilio can: lists of texts, both ways."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from gateway.providers.base import (
    Accepted,
    Found,
    InboundText,
    Listed,
    NotSent,
    OurPhones,
    OutboundText,
    TooLate,
)
from simulator.model.ledger import STATUSES, sid_of
from simulator.rehearsal.provider import SimulatedProvider

_ANSWERS_S = 0.2  # seconds until a page of a list is there [A]


class RememberingProvider(SimulatedProvider):
    """The same with a history: what webhooks lost can be fetched, and its list compared with the books."""

    skew_s: float | None = 0.0
    away_since: float | None = None

    async def send(self, text: OutboundText) -> Accepted:
        try:
            accepted = await super().send(text)
        except TooLate:
            raise
        except NotSent:
            if self.away_since is None:
                self.away_since = self._env.now
            raise
        self.away_since = None
        return accepted

    async def inbound_since(
        self, since: float, until: float | None, our_phones: OurPhones
    ) -> AsyncIterator[InboundText]:
        """People's texts, newest first."""
        del our_phones  # nobody else texts the account's numbers
        await self._asked()
        last = float("inf") if until is None else until
        for event in reversed(self._market.inbound_since(since - self._start_at)):
            at = self._start_at + event.at
            if at <= last:
                yield self._text_of(event)

    async def outbound_since(self, number_phone: str, since: float) -> AsyncIterator[Listed]:
        """What became of a number's texts, newest first."""
        await self._asked()
        ledger = self._market.ledger
        sent = ledger.submissions.columns()
        ours = (sent["sender"] == int(number_phone[1:])) & (sent["arrived_at"] >= since - self._start_at)
        changed_at = sent["arrived_at"].copy()
        for table in (ledger.accepts.columns(), ledger.finals.columns()):
            changed_at[table["n"]] = table["at"]
        for n in np.flatnonzero(ours)[::-1].tolist():
            status, code = ledger.state(n)
            at = self._start_at + float(changed_at[n])
            yield Listed(sid_of(n), f"+{sent['to'][n]}", STATUSES[status], code or None, at)

    async def fetch(self, provider_sid: str) -> Found | None:
        """One of our texts."""
        await self._asked()
        found = self._market.fetch(provider_sid)
        return Found(found.sid, found.status, found.code or None) if found else None

    async def _asked(self) -> None:
        """The way there and back. Raises NotSent while the provider refuses connections."""
        await asyncio.sleep(_ANSWERS_S)
        if self._faults.refuses(self._env.now):
            if self.away_since is None:
                self.away_since = self._env.now
            raise NotSent(text="connection refused")
        self.away_since = None
