"""Inbound: a person's text -> consent, conversation, needs attention; durable before it is acknowledged.

Each campaign has a commit window of its own. Whose text it is, its number says; one that we don't know yet is
looked up first.

A STOP is acknowledged when it is durable and every look at a claimed text that began before has expired, on whatever
worker: from then on no call for that person begins. Texts from strangers are kept, and their STOP counts as
well (C6).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.safeguards import GATEWAY
from gateway.core.text.consent import Intent, Reading, read
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.settling import Settling
from gateway.providers.base import InboundText
from gateway.store import conversations, inbound_media, numbers
from gateway.store.conversations import Heard, Left, Stored
from gateway.store.database import Database
from gateway.store.group_commit import Bound, CommitWindow, WindowOptions
from gateway.store.ids import IdsByMonth
from gateway.store.inbound_media import MediaRow
from gateway.store.troubles import DatabaseGone
from gateway.store.windows import CampaignWindows

NOBODYS = CampaignKey(0, 0)  # under which texts to numbers we don't know are kept
_MOST_WAITING: Final = 20_000
_MOST_BYTES: Final = 32 * 2**20
_NUMBERS_REMEMBERED = 50_000  # and whose they are


class _Arrived(msgspec.Struct, gc=False):
    text: InboundText
    reading: Reading
    received_at: float  # of the running loop's clock
    inbound_id: int = 0
    durable: "asyncio.Future[None] | None" = None  # of a text that had to be looked up first
    is_lost: bool = False  # it may have been written, and nobody heard of it


class Watch(Protocol):
    """Who wants to know when there may be something new for volunteers."""

    def wrote(self, campaign_id: int, volunteers: Iterable[int], oldest_at: float) -> None:
        """Texts of people of these volunteers are in the books, the oldest from `oldest_at` (Unix seconds)."""
        ...

    def unsure(self, campaign_id: int) -> None:
        """Something may have changed for anybody."""
        ...


class Inbound:
    """The station; `receive` is its door."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        *,
        window_s: float,
        max_rows: int = 2000,
        settling: Settling,
        watch: Watch,
        confirm: Callable[[int, Sequence[Left]], None] | None = None,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._metrics = metrics
        self._settling = settling
        self._watch = watch
        self._confirm = confirm
        self._ids = IdsByMonth(database, clock)
        self._campaign_of: dict[str, CampaignKey] = {}
        bound = Bound(_MOST_WAITING, _MOST_BYTES)
        self.windows: CampaignWindows[CampaignKey, _Arrived, None] = CampaignWindows(
            self._write,
            WindowOptions(window_s=window_s, max_items=max_rows, bound=bound, size_of=_size),
        )
        self._sorting: CommitWindow[_Arrived, None] = CommitWindow(
            self._sort, WindowOptions(window_s=0, max_items=max_rows, bound=bound, size_of=_size)
        )
        self._in_sorting: Counter[str] = Counter()  # numbers whose later texts must not overtake the first

    def receive(self, text: InboundText) -> "asyncio.Future[None]":
        """A person's text; the future is done when it is durable and an opt-out in it is in force.

        Raises TooMuchWaits: the provider has to bring it again.
        """
        arrived = _Arrived(text, read(text.body), asyncio.get_running_loop().time())
        key = self._campaign_of.get(text.number_phone)
        if key is None or text.number_phone in self._in_sorting:
            durable = self._look_up(arrived)
        else:
            durable = self.windows.put(key, arrived)
        return durable if arrived.reading.intent is not Intent.STOP else self._settling.in_force(durable)

    @property
    def every_window(self) -> "list[CommitWindow[_Arrived, None]]":
        return [self._sorting, *self.windows]

    async def drain(self) -> None:
        """Writes what is left and waits until nothing is."""
        await self._sorting.drain()
        await self.windows.drain()

    def __len__(self) -> int:
        """How many texts wait to be written."""
        return len(self._sorting) + len(self.windows)

    def close(self) -> list[InboundText]:
        """Stops at once; returns the texts that were not acknowledged."""
        self._settling.close()
        return [item.text for item in (*self._sorting.close(), *self.windows.close())]

    # ---------------------------------------------------------------- whose text it is

    def _look_up(self, arrived: _Arrived) -> "asyncio.Future[None]":
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        looked_up = self._sorting.put(arrived)
        arrived.durable = durable
        self._in_sorting[arrived.text.number_phone] += 1
        looked_up.add_done_callback(lambda done: _hand_on(done, durable) if _went_wrong(done) else None)
        return durable

    async def _sort(self, items: list[_Arrived]) -> list[None]:
        """Into their campaigns' windows, in the order in which they came."""
        if len(self._campaign_of) > _NUMBERS_REMEMBERED:
            self._campaign_of.clear()  # they are asked for again, each once
        unknown = sorted({item.text.number_phone for item in items} - self._campaign_of.keys())
        if unknown:
            self._campaign_of.update(await numbers.campaigns_of(self._database, unknown))
        for item in items:
            self._sort_one(item)
        return [None] * len(items)

    def _sort_one(self, item: _Arrived) -> None:
        number, durable = item.text.number_phone, item.durable
        self._in_sorting[number] -= 1
        if not self._in_sorting[number]:
            del self._in_sorting[number]
        written = self.windows.put(self._campaign_of.get(number, NOBODYS), item, always=True)
        if durable is not None:
            written.add_done_callback(lambda done: _hand_on(done, durable))

    # ---------------------------------------------------------------- writing

    async def _write(self, key: CampaignKey, items: list[_Arrived]) -> list[None]:
        nameless = [item for item in items if not item.inbound_id]
        for item, inbound_id in zip(nameless, await self._ids.take(len(nameless)), strict=True):
            item.inbound_id = inbound_id
        await self._write_campaign(key, items)
        return [None] * len(items)

    async def _write_campaign(self, key: CampaignKey, arrived: Sequence[_Arrived]) -> None:
        campaign_id = key.campaign_id
        scope = self._campaigns.opt_out_scope(campaign_id)
        if key != NOBODYS and scope is None:  # made at another worker just now
            await self._campaigns.load()
            scope = self._campaigns.opt_out_scope(campaign_id)
        scope = campaign_id if scope is None else scope
        heard = [_heard(item) for item in arrived]
        if key == NOBODYS and (stops := [each for each in heard if each.intent == Intent.STOP]):
            await conversations.leave_everybody(self._database, NOBODYS, stops)
        try:
            new = await self._hear(key, scope, heard, arrived)
        except DatabaseGone:
            self._watch.unsure(campaign_id)
            for item in arrived:
                item.is_lost = True
            raise
        self._tell(campaign_id, arrived, new)
        self._count(arrived, {stored.inbound_id: stored.opted_out_at is not None for stored in new})
        if self._confirm is not None:
            self._confirm(campaign_id, await self._left(key, scope, arrived, new))

    async def _hear(
        self, key: CampaignKey, scope: int, heard: Sequence[Heard], arrived: Sequence[_Arrived]
    ) -> list[Stored]:
        """With where their pictures are, if they have any."""
        media = {item.inbound_id: item.text.media for item in arrived if item.text.media}
        if not media and not conversations.may_lift(heard):
            return await conversations.hear(self._database, key, scope, heard)
        async with self._database.transaction() as transaction:
            new = await conversations.hear(transaction, key, scope, heard)
            rows = [
                MediaRow(
                    inbound_id=stored.inbound_id,
                    place=place,
                    contact_id=stored.contact_id,
                    url=each.url,
                    media_type=each.media_type,
                )
                for stored in new
                for place, each in enumerate(media.get(stored.inbound_id, ()))
            ]
            await inbound_media.keep(transaction, key, rows)
        return new

    def _tell(self, campaign_id: int, arrived: Sequence[_Arrived], new: Sequence[Stored]) -> None:
        if any(item.is_lost for item in arrived):  # written by then, and not told of again
            self._watch.unsure(campaign_id)
            return
        volunteers = {each.volunteer_id for each in new if each.volunteer_id is not None}
        if GATEWAY in volunteers:  # an answer to a broadcast is whoever's that looks first
            self._watch.unsure(campaign_id)
        self._watch.wrote(campaign_id, volunteers, min(item.text.at for item in arrived))

    async def _left(
        self, key: CampaignKey, scope: int, arrived: Sequence[_Arrived], new: Sequence[Stored]
    ) -> list[Left]:
        """Who has opted out now; what was written without our knowing is read, and who confirms it knows what he has."""
        lost = [item.text.at for item in arrived if item.is_lost and item.reading.intent is Intent.STOP]
        if lost and key != NOBODYS:
            return await conversations.left_since(self._database, key, scope, min(lost))
        left = {each.contact_id: each.opted_out_at for each in new if each.opted_out_at is not None}
        return [Left(contact, at) for contact, at in left.items() if contact is not None]

    def _count(self, arrived: Sequence[_Arrived], new: Mapping[int, bool]) -> None:
        """`new`: the texts that were not known yet, and whether each brought an opt-out into force."""
        now = asyncio.get_running_loop().time()
        left = set()
        for item in arrived:
            if item.inbound_id not in new:
                self._metrics.webhooks("inbound", "duplicate")
                continue
            self._metrics.inbound(item.reading.intent)
            if item.reading.intent is Intent.STOP:
                self._metrics.opt_out_applied(now - item.received_at)
                if new[item.inbound_id]:
                    left.add(item.text.phone)
        self._metrics.opt_outs("keyword", len(left))


def _size(item: _Arrived) -> int:
    return len(item.text.body) + sum(len(each.url) for each in item.text.media)


def _went_wrong(done: "asyncio.Future[None]") -> bool:
    return done.cancelled() or done.exception() is not None


def _hand_on(done: "asyncio.Future[None]", durable: "asyncio.Future[None]") -> None:
    """What came of one future comes of the other, whose caller may have given up."""
    if durable.done():
        return
    if done.cancelled():
        durable.cancel()
    elif (error := done.exception()) is not None:
        durable.set_exception(error)
    else:
        durable.set_result(None)


def _heard(item: _Arrived) -> Heard:
    text, reading = item.text, item.reading
    return Heard(
        inbound_id=item.inbound_id,
        provider_sid=text.provider_sid,
        phone=text.phone,
        number_phone=text.number_phone,
        body=text.body,
        intent=reading.intent,
        suggests_opt_out=reading.suggest_opt_out,
        wrong_number=reading.wrong_number,
        received_at=text.at,
    )
