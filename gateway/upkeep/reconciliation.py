"""Reconciliation: the provider's list of our texts against the books.

A receipt that a webhook lost takes the same way as one that came. What only one side has is named and counted,
never guessed: a text that we do not know may be another system's, and a message that the provider does not know
is for a person to look at.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.rules.lifecycle import TERMINAL, State, move, provider_word
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.providers.base import History, Listed, Sink, StatusReport
from gateway.store import numbers, reconciliation
from gateway.store.database import Database
from gateway.store.reconciliation import Booked, Wanted

_log = structlog.get_logger("textbank.reconciliation")
RECEIPTS_TAKE_S = 3 * 86_400.0  # carriers' receipts come for three days
_QUEUED_AT_MOST_S = 12 * 3600.0  # a text the provider still queues has no date in its list; validity is 10 h
_SLICE = 500
_MOST_ASKED = 500  # messages asked for one by one, a campaign and run
_MOST_NAMED = 20  # log lines of one sort, a campaign and run


class Differences(msgspec.Struct):
    """What one run found. `told`: late words taken in; `unknown`: at the provider alone; `missing`: in the books
    alone; `disagrees`: both are final and say different things."""

    listed: int = 0
    told: int = 0
    unknown: int = 0
    missing: int = 0
    disagrees: int = 0


class Reconciliation:
    """One comparison of all campaigns."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        history: History,
        sink: Sink,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._metrics = metrics
        self._history = history
        self._sink = sink

    async def catch_up(self, done_until: float | None) -> float:
        """The daily chore: everything whose receipt may still have come since the last run."""
        now = self._clock.now()
        await self.run(min(now, done_until or now) - RECEIPTS_TAKE_S)
        return now

    async def run(self, since: float) -> Differences:
        """Compares what was sent since an instant (Unix seconds). Raises ProviderError and DatabaseAway."""
        found = Differences()
        for campaign_id in self._campaigns.ids():
            await _Comparison(self, campaign_id, found, self._clock.now()).run(since)
        for what in ("unknown", "missing", "disagrees"):
            self._metrics.difference(what, getattr(found, what))
        self._metrics.recovered("receipt", found.told)
        return found

    # what a comparison works with

    async def batches(self, campaign_id: int, since: float) -> AsyncIterator[list[Listed]]:
        """The provider's list of the campaign's texts, in slices."""
        for phone in await numbers.phones(self._database, self._campaigns[campaign_id].key):
            batch: list[Listed] = []
            async for text in self._history.outbound_since(phone, since):
                batch.append(text)
                if len(batch) == _SLICE:
                    yield batch
                    batch = []
            yield batch

    async def booked(self, campaign_id: int, texts: Sequence[Listed]) -> dict[str, Booked]:
        wanted = [Wanted(text.provider_sid, text.phone) for text in texts]
        return await reconciliation.booked(self._database, self._campaigns[campaign_id].key, wanted)

    async def without_receipt(
        self, campaign_id: int, since: float, until: float
    ) -> AsyncIterator[list[Booked]]:
        after_id = 0
        while rows := await reconciliation.without_receipt(
            self._database, self._campaigns[campaign_id].key, since, until, after_id, _SLICE
        ):
            yield rows
            after_id = rows[-1].message_id

    async def fetch(self, provider_sid: str) -> Listed | None:
        found = await self._history.fetch(provider_sid)
        if found is None:
            return None
        return Listed(provider_sid, "", found.status, found.code, self._clock.now())

    async def tell(self, reports: Sequence[StatusReport]) -> None:
        """The way of a status webhook; returns when all are durable."""
        told = await asyncio.gather(
            *(self._sink.status(report) for report in reports), return_exceptions=True
        )
        for report, failure in zip(reports, told, strict=True):
            if failure is not None:  # it harms this message only
                _log.error(
                    "a receipt was not kept",
                    campaign_id=report.campaign_id,
                    message_id=report.message_id,
                    error=str(failure),
                )


class _Comparison:
    """One campaign of one run."""

    def __init__(self, sides: Reconciliation, campaign_id: int, found: Differences, now: float) -> None:
        self._sides = sides
        self._campaign_id = campaign_id
        self._found = found
        self._now = now
        self._listed: set[int] = set()
        self._named: dict[str, int] = {}

    async def run(self, since: float) -> None:
        async for texts in self._sides.batches(self._campaign_id, since):
            self._found.listed += len(texts)
            booked = await self._sides.booked(self._campaign_id, texts)
            reports = [
                report
                for text in texts
                if (report := self._compare(text, booked.get(text.provider_sid))) is not None
            ]
            await self._tell(reports)
        await self._look_for_missing(since, self._now - _QUEUED_AT_MOST_S)

    def _compare(self, text: Listed, booked: Booked | None) -> StatusReport | None:
        """The word to be told, if the books lack it."""
        word = provider_word(text.status)
        if booked is None:
            self._name("unknown", text.provider_sid, f"the provider says {text.status}")
            self._found.unknown += 1
            return None
        state = State(booked.state)
        if state is State.SENT:
            self._listed.add(booked.message_id)
        if word is None or word is state or booked.provider_sid is None:  # recovery settles what is open
            return None
        if move(state, word) or (booked.is_past and word is State.DELIVERED):
            return self._report(text, booked)
        if word in TERMINAL and not booked.is_past:
            self._disagree(booked, word)
        return None

    def _report(self, text: Listed, booked: Booked) -> StatusReport:
        return StatusReport(
            self._campaign_id,
            booked.message_id,
            booked.attempt,
            text.status,
            text.code,
            text.at or self._now,
            text.provider_sid,
        )

    async def _tell(self, reports: Sequence[StatusReport]) -> None:
        await self._sides.tell(reports)
        self._found.told += len(reports)

    async def _look_for_missing(self, since: float, until: float) -> None:
        """What has no receipt and was not in the list is asked for one by one."""
        asked = 0
        async for rows in self._sides.without_receipt(self._campaign_id, since, until):
            for row in rows:
                if row.message_id in self._listed:
                    continue
                if asked == _MOST_ASKED:
                    _log.warning("more are missing; the next run looks on", campaign_id=self._campaign_id)
                    return
                asked += 1
                await self._ask(row)

    async def _ask(self, row: Booked) -> None:
        assert row.provider_sid is not None
        text = await self._sides.fetch(row.provider_sid)
        if text is None:
            self._name("missing", row.message_id, f"the provider has no {row.provider_sid}")
            self._found.missing += 1
        elif (report := self._compare(text, row)) is not None:
            await self._tell([report])

    def _disagree(self, booked: Booked, word: State) -> None:
        self._name("disagrees", booked.message_id, f"{booked.state} in the books, {word} at the provider")
        self._found.disagrees += 1

    def _name(self, difference: str, which: int | str, words: str) -> None:
        self._named[difference] = named = self._named.get(difference, 0) + 1
        if named <= _MOST_NAMED:
            _log.warning(
                "the books and the provider differ",
                campaign_id=self._campaign_id,
                difference=difference,
                which=which,
                why=words,
            )
