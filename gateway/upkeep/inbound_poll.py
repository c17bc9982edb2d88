"""The inbound poll: people's texts that a webhook lost are fetched and take the same way in.

By default Twilio tries a webhook once again at most. A STOP lost there must not stay lost, so the provider is
asked for what came to the account: once a minute for all, and at once when this worker has an inbound gap (it
starts, takes a campaign over, was frozen, could not keep a text). Windows overlap, and what is in the books already
is left alone.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Sequence

import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.metrics import Metrics
from gateway.pipeline.inbound_gap import InboundGap
from gateway.providers.base import History, InboundText, ProviderError
from gateway.store import chores, numbers, reconciliation
from gateway.store.database import Database
from gateway.store.troubles import DatabaseAway

NAME = "inbound_poll"
_CATCH_UP = "inbound_catch_up"

_log = structlog.get_logger("textbank.inbound_poll")
_OVERLAP_S = 60.0  # the provider's list may lag behind what it knows
_FIRST_S = 86_400.0  # how far back the first poll of a deployment looks
_WEBHOOK_COMES_S = 20.0  # all tries of one webhook end within 15 s: a younger text may still come by itself
_STRETCH_S = 3600.0  # how much of the list is asked for at once, so that a long outage is fetched in parts
_SLICE = 500
_AGAIN_S = 2.0  # after a catch-up that did not get through
_REST_S = 0.5  # between two catch-ups, however often one is wanted
_NAMED_EVERY = 30  # failures in a row: the first is named, and each of so many


class InboundPoll:
    """One look at what came to the account, by one of all workers (`poll`) or for this worker's gap (`run`)."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        history: History,
        take_in: Callable[[InboundText], "asyncio.Future[None]"],
        gap: InboundGap,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._history = history
        self._take = take_in
        self._gap = gap

    async def poll(self, done_until: float | None) -> float:
        """The chore: what came since the last poll; returns until when all is fetched. Raises ProviderError."""
        now = self._clock.now()
        await self._fetch(done_until, now, now - _WEBHOOK_COMES_S)
        return now

    async def catch_up(self) -> None:
        """What came since the last poll, the youngest included. Raises ProviderError and DatabaseAway."""
        now = self._clock.now()
        await self._fetch(await chores.done_until(self._database, NAME), now, None)
        await chores.reached(self._database, NAME, now)

    async def run(self) -> None:
        """Closes this worker's gap whenever it has one, for ever."""
        watching = asyncio.get_running_loop().create_task(self._watch(), name="inbound gap")
        try:
            await self.close_gaps()
        finally:
            watching.cancel()

    async def close_gaps(self) -> None:
        """The same, for who cannot stand still: virtual time does not."""
        failures = 0
        while True:
            request = await self._gap.wait()
            failures = 0 if await self._caught_up(failures) else failures + 1
            if failures == 0:
                self._gap.close(request)
            await asyncio.sleep(_AGAIN_S if failures else _REST_S)

    async def _watch(self) -> None:
        while True:
            self._gap.look()
            await asyncio.sleep(1.0)

    async def _caught_up(self, failures: int) -> bool:
        try:
            await self.catch_up()
        except (ProviderError, DatabaseAway) as error:
            if failures % _NAMED_EVERY == 0:
                _log.warning(
                    "lost texts can't be fetched yet", why=str(error), sending_waits=self._gap.is_open
                )
        except Exception:  # noqa: BLE001 - a defect must not end it for good
            _log.exception("fetching lost texts met a defect")
        else:
            self._metrics.chore(_CATCH_UP, "ok")
            return True
        self._metrics.chore(_CATCH_UP, "error")
        return False

    # ------------------------------------------------------------ one look

    async def _fetch(self, done_until: float | None, now: float, until: float | None) -> None:
        """`until`: younger texts are left alone, None: none is."""
        if not await numbers.has_any(self._database):
            return
        since = (now - _FIRST_S if done_until is None else min(done_until, now)) - _OVERLAP_S
        async for stretch, to in self._stretches(since, now):
            texts = [each for each in stretch if each.phone and (until is None or each.at <= until)]
            for key, theirs in (await self._by_campaign(texts)).items():
                await self._take_in(key, theirs)
            if to is not None:
                await chores.reached(self._database, NAME, to)

    async def _stretches(
        self, since: float, now: float
    ) -> AsyncIterator[tuple[list[InboundText], float | None]]:
        """The account's inbound texts, a stretch of time after the other, and its end; the last one has none."""
        while since + _STRETCH_S < now:
            to = since + _STRETCH_S
            yield await self._inbound(since, to), to
            since = to
        yield await self._inbound(since, None), None

    async def _inbound(self, since: float, until: float | None) -> list[InboundText]:
        our_phones = functools.partial(numbers.of_everybody, self._database)
        return [text async for text in self._history.inbound_since(since, until, our_phones)]

    async def _by_campaign(self, texts: Sequence[InboundText]) -> dict[CampaignKey, list[InboundText]]:
        """Texts to our numbers; the account may have others."""
        campaign_of = await numbers.campaigns_of(
            self._database, sorted({each.number_phone for each in texts})
        )
        found: dict[CampaignKey, list[InboundText]] = {}
        for text in texts:
            if text.number_phone in campaign_of:
                found.setdefault(campaign_of[text.number_phone], []).append(text)
        return found

    async def _take_in(self, key: CampaignKey, texts: list[InboundText]) -> None:
        """Oldest first: the list is newest first, and a person's last word on opting out decides."""
        texts.reverse()
        texts.sort(key=lambda text: text.at)
        for start in range(0, len(texts), _SLICE):
            some = texts[start : start + _SLICE]
            unheard = await reconciliation.unheard(self._database, key, [text.provider_sid for text in some])
            lost = [text for text in some if text.provider_sid in unheard]
            if lost:
                await self._keep(lost)
                _log.warning("webhooks lost texts, fetched now", campaign_id=key.campaign_id, texts=len(lost))
                self._metrics.recovered("inbound", len(lost))

    async def _keep(self, lost: Sequence[InboundText]) -> None:
        """Returns when all are in the books, but for one that is a defect. Raises DatabaseAway."""
        kept = await asyncio.gather(*(self._take(text) for text in lost), return_exceptions=True)
        for text, failure in zip(lost, kept, strict=True):
            if isinstance(failure, DatabaseAway | asyncio.CancelledError):
                raise failure
            if failure is not None:  # it harms this text only
                _log.error("a text was not kept", provider_sid=text.provider_sid, why=str(failure))
