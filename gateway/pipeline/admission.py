"""Admission: request -> safeguards -> queued | blocked, durable before the caller resumes.

The decision is pure and is taken on what is known of the person at some revision of the conversation;
the write stands only if the revision still holds, else the person is read again and decided anew.
So facts may be remembered from when a volunteer's bucket was handed out, and nothing is locked.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, cast

from gateway.clock import Clock
from gateway.core.rules.errors import TextbankError
from gateway.core.rules.idempotency import Key
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import Request
from gateway.core.sending.waiting import Lane
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.pipeline.decision import decide, row_of
from gateway.pipeline.idempotency import KeyReused, KeysUnderWay, Use, hash_of, use_of
from gateway.pipeline.pending import (
    Answer,
    ConversationChanged,
    Outcome,
    Pending,
    StraightOn,
    Try,
    is_broadcast,
    is_of,
    is_stale,
    keyed_row,
    one_a_person,
    open_of,
    outcome_of,
    size_of,
)
from gateway.store import idempotency, messages, recipients
from gateway.store.database import Database
from gateway.store.group_commit import Bound, CommitWindow, WindowOptions
from gateway.store.ids import IdsByMonth
from gateway.store.messages import Entered
from gateway.store.recipients import Recipient
from gateway.store.troubles import DatabaseGone
from gateway.store.windows import CampaignWindows

if TYPE_CHECKING:
    from gateway.pipeline.dispatch import Dispatch

__all__ = [
    "LANE_INITIAL",
    "LANE_REPLY",
    "LANE_RETRY",
    "Admission",
    "ConversationChanged",
    "Outcome",
    "StraightOn",
    "outcome_of",
]

LANE_REPLY, LANE_RETRY, LANE_INITIAL = (lane.value for lane in Lane)
_ROUNDS = 5  # so often a person may change under our hands before 9001 answers
_MOST_CONFLICTS = 4 * _ROUNDS  # of one request, whatever happens
_MOST_LOST = 4  # tries remembered; one that is older and was written after all goes on from the store
_REMEMBERED = 50_000
_MOST_WAITING = 20_000  # requests, of all campaigns
_MOST_BYTES = 32 * 2**20  # of their texts


class NotDecided(TextbankError):
    """A request was neither written nor refused in all its tries: a defect of ours."""


class Admission:
    """The station; `submit` is its door."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        road: "Dispatch",
        *,
        window_s: float,
        settled_s: float,
        max_rows: int = 2000,
        longest_wait_s: float = float("inf"),
    ) -> None:
        """`settled_s`: after so long the provider is asked about a text that went straight on."""
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._metrics = metrics
        self._road = road
        self._settled_s = settled_s
        self._ids = IdsByMonth(database, clock)
        self.bound = Bound(_MOST_WAITING, _MOST_BYTES)
        self.campaign_windows: CampaignWindows[int, Pending, Answer] = CampaignWindows(
            self._write,
            WindowOptions(
                window_s=window_s,
                max_items=max_rows,
                longest_wait_s=longest_wait_s,
                drops_given_up=True,
                bound=self.bound,
                size_of=size_of,
            ),
        )
        self.keys = KeysUnderWay()
        self._remembered: OrderedDict[tuple[int, int, int | None], Recipient] = OrderedDict()
        self.senders: dict[int, float] = {}  # volunteers, and when each last sent something

    def submit(
        self,
        request: Request,
        *,
        script: str | None = None,
        key: Key | None = None,
        always: bool = False,
        revision: int | None = None,
        asked: object = None,
        assignee_only: bool = False,
    ) -> "asyncio.Future[Outcome]":
        """Decides and writes a request; the future is done when its outcome is durable.

        With the `revision` at which whoever asks has seen the conversation it is written only while that holds: the
        future raises ConversationChanged otherwise, and nothing was done. `assignee_only`: a contact whom nobody has is
        not the sender's either (F059).

        A key makes a repeat harmless (C23): it has the first one's outcome. Raises BadInput for a campaign that
        does not exist, TooMuchWaits when more waits than can be written soon (what must not be refused says
        `always`), KeyUnderWay for a key whose first request has no outcome yet, KeyReused (at once or by the future)
        for one that was used with other parameters. Whoever cancels the future of a request without a key before it
        is being written has asked for nothing.
        """
        campaign_id = request.campaign_id
        _ = self._campaigns[campaign_id]
        pending = Pending(request, script, None, only_at=revision, assignee_only=assignee_only)
        if key is None:
            written = self.campaign_windows.put(campaign_id, pending, always=always)
            if revision is None:
                return cast("asyncio.Future[Outcome]", written)
            return self._told(written, campaign_id, None)
        pending.use = use_of(key, request, script) if asked is None else Use(key, hash_of(asked))
        self.keys.begin(campaign_id, pending.use)
        try:
            written = self.campaign_windows.put(campaign_id, pending, always=always)
        except BaseException:
            self.keys.end(campaign_id, key)
            raise
        return self._told(written, campaign_id, key)

    async def first_outcome(self, campaign_id: int, key: Key, asked: object) -> Outcome | None:
        """What became of the first request with this key; None: there is none. Raises KeyUnderWay and KeyReused."""
        self.keys.require_none(campaign_id, [key])
        found = await idempotency.find(self._database, self._campaigns[campaign_id].key, [key])
        if not found or found[0].message_id is None:
            return None
        if found[0].request_hash != hash_of(asked):
            raise KeyReused
        return outcome_of(found[0])

    def require_room(self, campaign_id: int, requests: int) -> None:
        """Raises TooMuchWaits when so many requests can't be taken now: all of them are refused, or none."""
        self.campaign_windows.require_room(campaign_id, requests)

    @contextlib.asynccontextmanager
    async def batch(self, campaign_id: int, key: Key | None, rows: object) -> AsyncIterator[None]:
        """A batch under a key of its own, which stands for all its `rows`. Raises KeyUnderWay and KeyReused."""
        if key is None:
            yield
            return
        use = Use(key, hash_of(rows))
        self.keys.begin(campaign_id, use)
        try:
            if not await idempotency.take(
                self._database, self._campaigns[campaign_id].key, key, use.request_hash, self._clock.now()
            ):
                raise KeyReused
            yield
        finally:
            self.keys.end(campaign_id, key)

    def _told(
        self, written: "asyncio.Future[Answer]", campaign_id: int, key: Key | None
    ) -> "asyncio.Future[Outcome]":
        """What the caller of a request with a key or a revision waits for. Who hangs up cancels nothing: the key is
        used."""
        told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def tell(written: "asyncio.Future[Answer]") -> None:
            if key is not None:
                self.keys.end(campaign_id, key)
            if written.cancelled():
                told.cancel()
                return
            outcome = written.exception() or written.result()
            if told.done():
                return
            if isinstance(outcome, Outcome):
                told.set_result(outcome)
            else:
                told.set_exception(outcome)

        written.add_done_callback(tell)
        return told

    def remember(self, campaign_id: int, action_id: int | None, known: Iterable[Recipient]) -> None:
        """Facts that a coming request can be decided on; the revision guards against stale ones."""
        self._remembered.update({(campaign_id, each.contact_id, action_id): each for each in known})
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def forget(self, campaign_id: int, contact_id: int, action_id: int | None) -> None:
        """What is remembered of a contact who is somebody else's, or nobody's, by now."""
        self._remembered.pop((campaign_id, contact_id, action_id), None)

    @property
    def windows(self) -> "list[CommitWindow[Pending, Answer]]":
        return list(self.campaign_windows)

    async def drain(self) -> None:
        await self.campaign_windows.drain()

    def close(self) -> None:
        """Stops at once; what is not durable yet was not acknowledged either."""
        self.campaign_windows.close()

    async def _write(self, campaign_id: int, items: list[Pending]) -> list[Answer]:
        """Rounds of one request a person, until each has its outcome.

        May be called again with the same items after the database was away: what was written stands.
        """
        await self._name(items)
        await self._look_back(campaign_id, open_of(items))
        while todo := open_of(items):
            await self._round(self._campaigns[campaign_id], one_a_person(todo))
        return [item.outcome for item in items if item.outcome is not None]

    async def _name(self, items: Sequence[Pending]) -> None:
        nameless = [item for item in items if not item.message_id]
        for item, message_id in zip(nameless, await self._ids.take(len(nameless)), strict=True):
            item.message_id = message_id

    async def _look_back(self, campaign_id: int, items: Sequence[Pending]) -> None:
        """Which of them were written after all? A statement may outlive its connection, for any time."""
        doubtful = {item.message_id: item for item in items if item.lost}
        if not doubtful:
            return
        key = self._campaigns[campaign_id].key
        for entered in await messages.by_id(self._database, key, list(doubtful)):
            item = doubtful[entered.message_id]
            item.outcome = self._found(campaign_id, item, entered)

    async def _round(self, campaign: Campaign, items: Sequence[Pending]) -> None:
        """Decides and writes; an item whose person had changed meanwhile is left without outcome."""
        known = await self._recipients(campaign, items)
        if any(map(is_stale, items, known)):
            await self._refuse(
                campaign.campaign_id, [i for i, k in zip(items, known, strict=True) if is_stale(i, k)]
            )
            fresh = [(i, k) for i, k in zip(items, known, strict=True) if not is_stale(i, k)]
            items, known = [i for i, _ in fresh], [k for _, k in fresh]
        now = self._clock.now()
        tries = [
            self._try(campaign, item, recipient, now) for item, recipient in zip(items, known, strict=True)
        ]
        written = await self._admit(campaign, items, tries, now)
        for item, each in zip(items, tries, strict=True):
            if item.message_id in written:
                self._settle(campaign.campaign_id, item, each)
            else:
                item.conflicts += 1
                self._forget(campaign.campaign_id, each)
        if left := open_of(items):
            await self._find_out(campaign, left)

    async def _refuse(self, campaign_id: int, stale: Sequence[Pending]) -> None:
        """Their conversations have changed, perhaps by themselves: an earlier try, or their key's first request."""
        await self._answer_repeats(campaign_id, stale)
        await self._look_back(campaign_id, open_of(stale))
        for item in open_of(stale):
            item.outcome = ConversationChanged()
            self._drop_lost(campaign_id, item)

    async def _find_out(self, campaign: Campaign, items: Sequence[Pending]) -> None:
        """Why these were not written: they were before, their key was used, or something has changed.

        Raises NotDecided rather than try for ever.
        """
        await self._look_back(campaign.campaign_id, items)
        await self._answer_repeats(campaign.campaign_id, open_of(items))
        if any(item.conflicts > _MOST_CONFLICTS for item in open_of(items)):
            raise NotDecided("a request found no end")
        await self._campaigns.load()  # an admin may have paused the campaign

    async def _admit(
        self, campaign: Campaign, items: Sequence[Pending], tries: Sequence[Try], now: float
    ) -> set[int]:
        keyed = [keyed_row(item.use, each.row) for item, each in zip(items, tries, strict=True) if item.use]
        try:
            return await messages.admit(
                self._database,
                campaign.key,
                campaign.opt_out_scope,
                [each.row for each in tries],
                now + self._settled_s,
                keyed,
                [
                    each.row.contact_id
                    for item, each in zip(items, tries, strict=True)
                    if each.row.seen_revision != item.asked_at_revision
                ],
                needs_report=campaign.settings.require_report,
                token=next((each.straight.token for each in tries if each.straight is not None), None),
            )
        except DatabaseGone:
            for item, each in zip(items, tries, strict=True):
                self._remember_lost(campaign.campaign_id, item, each)
            raise
        except Exception:  # refused: nothing of it was written
            for each in tries:
                self._forget(campaign.campaign_id, each)
            raise

    def _remember_lost(self, campaign_id: int, item: Pending, each: Try) -> None:
        lost = (*item.lost, each)
        item.lost = lost[-_MOST_LOST:]
        for oldest in lost[:-_MOST_LOST]:
            self._forget(campaign_id, oldest)

    async def _recipients(self, campaign: Campaign, items: Sequence[Pending]) -> list[Recipient]:
        """What is remembered, and for the rest one read."""
        take, requests = self._remembered.pop, [item.request for item in items]
        known = [take((campaign.campaign_id, r.contact_id, r.action_id), None) for r in requests]
        known = [
            None if each and is_stale(item, each) else each for item, each in zip(items, known, strict=True)
        ]
        missing = [request for request, recipient in zip(requests, known, strict=True) if recipient is None]
        pairs, broadcasts = [(r.contact_id, r.action_id) for r in missing], any(map(is_broadcast, missing))
        fresh = iter(await self.read(campaign.campaign_id, pairs, for_broadcast=broadcasts) if pairs else [])
        return [next(fresh) if recipient is None else recipient for recipient in known]

    async def read(
        self, campaign_id: int, pairs: Sequence[tuple[int, int | None]], *, for_broadcast: bool = False
    ) -> list[Recipient]:
        """What the store knows of each (contact, action) now."""
        campaign = self._campaigns[campaign_id]
        return await recipients.load(
            self._database,
            campaign.key,
            campaign.opt_out_scope,
            [contact for contact, _ in pairs],
            [action for _, action in pairs],
            texts_since=self.texts_since(campaign_id),
            for_broadcast=for_broadcast,
        )

    def texts_since(self, campaign_id: int) -> float:
        """Texts before that are no repeats any more (1001a)."""
        return self._clock.now() - self._campaigns[campaign_id].settings.safeguards.same_text_s

    def _try(self, campaign: Campaign, item: Pending, recipient: Recipient, now: float) -> Try:
        if item.asked_at_revision is None:
            item.asked_at_revision = recipient.revision
        decision = decide(
            campaign,
            item.request,
            recipient,
            item.message_id,
            now,
            locked=item.conflicts >= _ROUNDS,
            assignee_only=item.assignee_only,
            script=item.script,
        )
        straight = None
        if decision.blocked is None and not item.conflicts:  # the road itself may be another worker's by now
            straight = self._road.straight_on(campaign.campaign_id, decision.queued)
        if straight is None:
            return Try(decision, row_of(decision))
        return Try(decision, row_of(decision, straight.number_id, straight.slot_at), straight)

    async def _answer_repeats(self, campaign_id: int, items: Sequence[Pending]) -> None:
        """A request whose key was used before gets the first one's outcome."""
        by_key = {item.use.key: (item, item.use) for item in items if item.use is not None}
        if not by_key:
            return
        found = await idempotency.find(self._database, self._campaigns[campaign_id].key, list(by_key))
        for first in found:
            item, use = by_key[first.key]
            if first.request_hash != use.request_hash:
                item.outcome = KeyReused()
            elif first.message_id is not None and first.message_id != item.message_id:
                item.outcome = outcome_of(first)
            else:  # our own, written after all: the next round finds it by its id
                continue
            self._drop_lost(campaign_id, item)

    def _settle(self, campaign_id: int, item: Pending, written: Try) -> None:
        """The try was written, and so no other."""
        item.outcome = self._entered(campaign_id, written)
        if item.lost:
            self._drop_lost(campaign_id, item, but=written)

    def _found(self, campaign_id: int, item: Pending, entered: Entered) -> Outcome:
        """A lost try was written after all. What has moved on since needs us no more."""
        written = next((each for each in item.lost if is_of(entered, each.row)), None)
        self._drop_lost(campaign_id, item, but=written)
        if written is None:
            return Outcome(entered.message_id, State(entered.state), entered.code, entered.reason)
        is_where_it_was = (entered.state, entered.attempt) == (
            written.row.state,
            written.straight is not None,
        )
        return self._entered(campaign_id, written, goes_on=is_where_it_was)

    def _drop_lost(self, campaign_id: int, item: Pending, but: Try | None = None) -> None:
        """Gives back the places of tries that were not written."""
        lost, item.lost = item.lost, ()
        for each in lost:
            if each is not but:
                self._forget(campaign_id, each)

    def _forget(self, campaign_id: int, each: Try) -> None:
        if each.straight is not None:
            self._road.forget(campaign_id, each.decision.queued, each.straight)

    def _entered(self, campaign_id: int, written: Try, *, goes_on: bool = True) -> Outcome:
        """Counts a written request and sends it on its way."""
        row, queued = written.row, written.decision.queued
        if row.code is not None:
            self._metrics.blocked(row.code)
            return Outcome(row.message_id, State.BLOCKED, row.code, row.reason)
        self._metrics.accepted(row.kind, channel="mms" if row.media else "sms")
        if row.sender_id is not None and row.sender_id >= 0:  # the gateway itself is no volunteer
            self.senders[row.sender_id] = row.requested_at
        if written.decision.waited_s is not None:
            waited_s = written.decision.waited_s
            self._metrics.first_reply(waited_s, campaign_id, row.message_id, row.requested_at)
        if not goes_on:
            self._forget(campaign_id, written)
        elif written.straight is not None:
            queued.attempt = 1
            self._road.go(campaign_id, queued, written.straight)
        else:
            self._road.waits(campaign_id, queued)
        return Outcome(row.message_id, State(row.state))
