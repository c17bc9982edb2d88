"""Adoption: a campaign that became this worker's gets its road; one task a campaign, each failing for itself.

Some at a time, in the order in which they were taken: the most urgent first. A campaign that can't be taken up
(a newer release made its settings, a row is broken, a sum takes too long) waits alone: it is given back with the
reason and tried again, later and later, while any worker that can take it up may.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec
import structlog

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.dispatch import Dispatch
from gateway.store.ownership import FencingToken

_log = structlog.get_logger("gateway.adoption")
_AT_ONCE = 4  # the pool's other connections are for the texts of those that are taken up already
_SETTLING_AT_ONCE = 1
_WITHIN_S = 20.0
_AGAIN_FIRST_S, _AGAIN_MOST_S = 1.0, 60.0

GiveUp = Callable[[int, FencingToken, str], Awaitable[None]]
Settle = Callable[[int], Awaitable[object]]


class Waiting(msgspec.Struct, frozen=True):
    """A campaign that could not be taken up. `again_at` by `Clock.steady`."""

    why: str
    tries: int
    again_at: float


class Adoptions:
    """`settle` does what an earlier owner may have left undone; nobody's text waits for it."""

    def __init__(
        self,
        campaigns: Campaigns,
        dispatch: Dispatch,
        clock: Clock,
        metrics: Metrics,
        *,
        give_up: GiveUp,
        settle: Settle,
    ) -> None:
        self._campaigns = campaigns
        self._dispatch = dispatch
        self._clock = clock
        self._metrics = metrics
        self._give_up = give_up
        self._settle = settle
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._settling = asyncio.Semaphore(_SETTLING_AT_ONCE)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._opening: dict[int, asyncio.Future[None]] = {}
        self._waiting: dict[int, Waiting] = {}

    @property
    def waiting(self) -> Mapping[int, Waiting]:
        return self._waiting

    def may_try(self, campaign_id: int) -> bool:
        """Whether it is neither being taken up nor waiting for its next try."""
        if campaign_id in self._opening:
            return False
        waiting = self._waiting.get(campaign_id)
        return waiting is None or waiting.again_at <= self._clock.steady()

    def is_opening(self, campaign_id: int) -> bool:
        return campaign_id in self._opening

    def next_try_at(self, campaign_ids: Iterable[int]) -> float:
        """By `Clock.steady`: when the first of these may be tried again; infinite when none of them waits."""
        waiting = (self._waiting.get(each) for each in campaign_ids)
        return min((each.again_at for each in waiting if each is not None), default=math.inf)

    def take_up(self, campaign_id: int, token: FencingToken) -> None:
        """Begins; one that is under way with an older token ends first."""
        loop = asyncio.get_running_loop()
        opened = self._opening[campaign_id] = loop.create_future()
        before = self._tasks.get(campaign_id)
        task = loop.create_task(self._adopt(campaign_id, token, opened, before), name=f"adopt {campaign_id}")
        self._tasks[campaign_id] = task
        task.add_done_callback(lambda done: self._ended(campaign_id, opened, done))

    def _ended(self, campaign_id: int, opened: "asyncio.Future[None]", task: "asyncio.Task[None]") -> None:
        self._has_opened(campaign_id, opened)
        if self._tasks.get(campaign_id) is task:
            del self._tasks[campaign_id]

    def _has_opened(self, campaign_id: int, opened: "asyncio.Future[None]") -> None:
        if self._opening.get(campaign_id) is opened:
            del self._opening[campaign_id]
        if not opened.done():
            opened.set_result(None)

    async def opened(self, campaign_id: int) -> None:
        """Until the adoption under way has its road, or has failed."""
        if campaign_id in self._opening:
            await asyncio.shield(self._opening[campaign_id])

    async def done(self) -> None:
        """Until nothing is under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def stop(self) -> None:
        """What is under way breaks off; a road that it opened stays."""
        for task in self._tasks.values():
            task.cancel()
        await self.done()

    def close(self) -> None:
        """Stops at once, as a crash would."""
        for task in self._tasks.values():
            task.cancel()

    # ------------------------------------------------------------ one campaign

    async def _adopt(
        self,
        campaign_id: int,
        token: FencingToken,
        opened: "asyncio.Future[None]",
        before: "asyncio.Task[None] | None",
    ) -> None:
        if before is not None:
            before.cancel()
            await asyncio.wait([before])
        try:
            async with self._places, asyncio.timeout(_WITHIN_S):
                await self._dispatch.open(self._campaigns[campaign_id], token)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this campaign's alone
            await self._postpone(campaign_id, token, error)
            return
        self._metrics.adoption("ok")
        self._waiting.pop(campaign_id, None)
        self._has_opened(campaign_id, opened)
        await self._settle_left(campaign_id, token)

    async def _postpone(self, campaign_id: int, token: FencingToken, error: Exception) -> None:
        self._metrics.adoption("error")
        before = self._waiting.get(campaign_id)
        tries = 1 if before is None else before.tries + 1
        again_s = min(_AGAIN_MOST_S, _AGAIN_FIRST_S * 2 ** (tries - 1))
        why = _why(error)
        self._waiting[campaign_id] = Waiting(why, tries, self._clock.steady() + again_s)
        if before is None or before.why != why:
            _log.error("campaign can't be taken up", campaign_id=campaign_id, why=why, again_s=again_s)
        await self._give_up(campaign_id, token, why)

    async def _settle_left(self, campaign_id: int, token: FencingToken) -> None:
        """Tries until it is done, or the campaign is another worker's."""
        again_s = _AGAIN_FIRST_S
        while self._dispatch.token_of(campaign_id) == token:
            try:
                async with self._settling:
                    await self._settle(campaign_id)
            except Exception as error:  # noqa: BLE001 - the road does not depend on it
                _log.warning("what was left can't be settled yet", campaign_id=campaign_id, why=_why(error))
            else:
                return
            await asyncio.sleep(again_s)
            again_s = min(_AGAIN_MOST_S, 2 * again_s)


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it took longer than {_WITHIN_S:.0f} s"
    return str(error) or type(error).__name__
