"""Retention: messages, people's texts and the journal go when they are older than they are kept; by default for ever.
Idempotency keys are always kept for three days, the rows that an import did not use for thirty.

A month's rows go together when the last of them is too old: their partitions are dropped. What lies in no month's
partition, and what is left of a month of which somebody still needs a row, goes in small pieces with rests between
them: whoever sends meanwhile does not notice. Opt-outs, contacts, conversations and what was texted in an action stay.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.months import ids_of, ids_outside, is_past
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.inbound import NOBODYS
from gateway.store import contact_lists, idempotency, months, retention
from gateway.store.database import Database
from gateway.store.retention import Piece

_log = structlog.get_logger("textbank.retention")
DAY_S: Final = 86_400.0
KEYS_KEPT_S: Final = 3 * DAY_S  # what the API promises
REJECTS_KEPT_S: Final = 30 * DAY_S
"""For how long the rows that an import did not use can be fetched: they are about people."""
_PIECE: Final = 1000
_REST: Final = 4  # a piece rests for so many times as long as it took
_LEAST_REST_S: Final = 0.05
_LONGEST_RUN_S: Final = 3000.0  # shorter than a chore's turn; what is left comes next time
# Ids rise with time but for blocks that a worker took long before it used them: so many young rows at a stretch
# are not one worker's.
_YOUNG_PIECES: Final = 5

Delete = Callable[[Database, CampaignKey, range, float, int], Awaitable[Piece]]
Forget = Callable[[Database, CampaignKey, float, int], Awaitable[int]]
Ready = Callable[[Database, CampaignKey, range, int], Awaitable[tuple[int | None, int]]]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that are kept for a time: `before` says of each campaign from when on they are (Unix seconds).

    `ready` makes a month's rows ready to go, and counts those that somebody needs.
    """

    tables: Sequence[str]
    delete: Delete
    ready: Ready
    before: dict[CampaignKey, float]


class Retention:
    """`messages_days`, `inbound_days`, `events_days`: for how long they are kept; None is for ever."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        *,
        messages_days: int | None,
        inbound_days: int | None,
        events_days: int | None = None,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._messages_days = messages_days
        self._inbound_days = inbound_days
        self._events_days = events_days

    async def run(self, _done_until: float | None = None) -> float:
        """Everything that is too old, or as much as a run may take; returns when it began. Raises DatabaseAway."""
        now = self._clock.now()
        end = asyncio.get_running_loop().time() + _LONGEST_RUN_S
        for kept in self._kept(now):
            await self._let_go(kept, end)
        for campaign_id in self._campaigns.ids():
            key = self._campaigns[campaign_id].key
            await self._forget(idempotency.forget_keys, key, now - KEYS_KEPT_S, end)
            await self._forget(contact_lists.forget_rejects, key, now - REJECTS_KEPT_S, end)
        return now

    def _kept(self, now: float) -> Iterator[_Kept]:
        campaigns = [self._campaigns[campaign_id] for campaign_id in self._campaigns.ids()]
        if self._messages_days is not None:
            kept_s = self._messages_days * DAY_S
            yield _Kept(
                tables=months.MESSAGES,
                delete=retention.delete_messages,
                ready=retention.ready_messages,
                before={
                    each.key: now - max(kept_s, each.settings.safeguards.same_text_s) for each in campaigns
                },
            )
        keys = (NOBODYS, *(each.key for each in campaigns))
        if self._inbound_days is not None:
            yield _Kept(
                tables=months.INBOUND,
                delete=retention.delete_inbound,
                ready=retention.ready_inbound,
                before=dict.fromkeys(keys, now - self._inbound_days * DAY_S),
            )
        if self._events_days is not None:
            yield _Kept(
                tables=months.EVENTS,
                delete=retention.delete_events,
                ready=retention.ready_events,
                before=dict.fromkeys(keys, now - self._events_days * DAY_S),
            )

    async def _let_go(self, kept: _Kept, end: float) -> None:
        there = await months.there(self._database, kept.tables)
        past = [each for each in there if is_past(each, min(kept.before.values(), default=0.0))]
        for month in past:
            if await self._drop(kept, month, end):
                _log.info("a month is too old", what=kept.tables[0], month=month)
        elsewhere = ids_outside([each for each in there if each not in past])
        for key, before in kept.before.items():
            gone = sum([await self._delete(kept.delete, key, ids, before, end) for ids in elsewhere])
            if gone:
                _log.info("too old", what=kept.tables[0], campaign_id=key.campaign_id, rows=gone)

    async def _drop(self, kept: _Kept, month: int, end: float) -> bool:
        """Whether the month is gone; it stays while somebody needs a row of it, or that can't be said of a campaign."""
        if self._campaigns.unreadable:
            return False
        for key in kept.before:
            if not await self._make_ready(kept.ready, key, ids_of(month), end):
                return False
        return await months.drop(self._database, month, kept.tables)

    async def _make_ready(self, ready: Ready, key: CampaignKey, ids: range, end: float) -> bool:
        time = asyncio.get_running_loop().time
        needed = 0
        while (began_at := time()) < end:
            last_id, more = await ready(self._database, key, ids, _PIECE)
            if last_id is None:
                return not needed
            ids, needed = range(last_id + 1, ids.stop), needed + more
            await asyncio.sleep(max(_LEAST_REST_S, _REST * (time() - began_at)))
        return False

    async def _delete(self, delete: Delete, key: CampaignKey, ids: range, before: float, end: float) -> int:
        time = asyncio.get_running_loop().time
        gone = young = 0
        while young < _YOUNG_PIECES and (began_at := time()) < end:
            piece = await delete(self._database, key, ids, before, _PIECE)
            if piece.last_id is None:
                break
            ids, gone = range(piece.last_id + 1, ids.stop), gone + piece.gone
            young = 0 if piece.old else young + 1
            if piece.old:
                await asyncio.sleep(max(_LEAST_REST_S, _REST * (time() - began_at)))
        return gone

    async def _forget(self, forget: Forget, key: CampaignKey, before: float, end: float) -> None:
        time = asyncio.get_running_loop().time
        while (began_at := time()) < end:
            if await forget(self._database, key, before, _PIECE) < _PIECE:
                return
            await asyncio.sleep(max(_LEAST_REST_S, _REST * (time() - began_at)))
