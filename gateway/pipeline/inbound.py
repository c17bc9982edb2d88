"""Inbound: a person's text -> consent, conversation, needs attention; durable before it is acknowledged.

A STOP is in force once its window is committed: it is in our list, what was remembered of the person is
stale by its revision, and what is claimed for them but not on the wire is taken back. Texts from strangers
are kept, and their STOP counts as well (C6).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.text.consent import Intent, Reading, read
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.providers.base import InboundText
from gateway.store import conversations, numbers
from gateway.store.conversations import Heard, Left
from gateway.store.database import Database
from gateway.store.group_commit import CommitWindow
from gateway.store.ids import Ids

NOBODYS = CampaignKey(0, 0)  # under which texts to numbers we don't know are kept


class _Arrived(msgspec.Struct, gc=False):
    text: InboundText
    reading: Reading
    received_at: float  # of the running loop's clock
    inbound_id: int = 0


class Inbound:
    """The station; `receive` is its door."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        metrics: Metrics,
        *,
        window_s: float,
        max_rows: int = 2000,
        stopped: Callable[[Sequence[str]], None],
        confirm: Callable[[int, Sequence[Left]], None] | None = None,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._metrics = metrics
        self._stopped = stopped
        self._confirm = confirm
        self._ids = Ids(database)
        self._campaign_of: dict[str, CampaignKey] = {}
        self.window: CommitWindow[_Arrived, None] = CommitWindow(
            self._write, window_s=window_s, max_items=max_rows
        )

    def receive(self, text: InboundText) -> "asyncio.Future[None]":
        """A person's text; the future is done when it is durable and an opt-out in it is in force."""
        return self.window.put(_Arrived(text, read(text.body), asyncio.get_running_loop().time()))

    def close(self) -> list[InboundText]:
        """Stops at once; returns the texts that were not acknowledged."""
        return [item.text for item in self.window.close()]

    async def _write(self, items: list[_Arrived]) -> list[None]:
        nameless = [item for item in items if not item.inbound_id]
        for item, inbound_id in zip(nameless, await self._ids.take(len(nameless)), strict=True):
            item.inbound_id = inbound_id
        await self._learn_numbers(items)
        by_campaign: dict[CampaignKey, list[_Arrived]] = {}
        for item in items:
            by_campaign.setdefault(self._campaign_of.get(item.text.number_phone, NOBODYS), []).append(item)
        for key, arrived in by_campaign.items():
            await self._write_campaign(key, arrived)
        return [None] * len(items)

    async def _learn_numbers(self, items: Sequence[_Arrived]) -> None:
        unknown = sorted({item.text.number_phone for item in items} - self._campaign_of.keys())
        if unknown:
            self._campaign_of.update(await numbers.campaigns_of(self._database, unknown))

    async def _write_campaign(self, key: CampaignKey, arrived: Sequence[_Arrived]) -> None:
        campaign_id = key.campaign_id
        if key != NOBODYS and campaign_id not in self._campaigns:  # made at another worker just now
            await self._campaigns.load()
        scope = self._campaigns[campaign_id].opt_out_scope if campaign_id in self._campaigns else campaign_id
        new = await conversations.hear(self._database, key, scope, [_heard(item) for item in arrived])
        self._stopped([item.text.phone for item in arrived if item.reading.intent is Intent.STOP])
        self._count(arrived, {stored.inbound_id: stored.opted_out_at is not None for stored in new})
        if self._confirm is not None:
            left = {each.contact_id: each.opted_out_at for each in new if each.opted_out_at is not None}
            self._confirm(
                campaign_id, [Left(contact, at) for contact, at in left.items() if contact is not None]
            )

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
