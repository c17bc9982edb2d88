"""Admission: request -> safeguards -> queued | blocked, durable before the caller resumes.

The decision is pure and is taken on what is known of the person at some revision of the conversation;
the write stands only if the revision still holds, else the person is read again and decided anew.
So facts may be remembered from when a volunteer's bucket was handed out, and nothing is locked.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from gateway.clock import Clock
from gateway.core.rules import safeguards
from gateway.core.rules.errors import SubReason
from gateway.core.rules.hours import Open, Why, verdict
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import Blocked, Facts, Kind, Request, counted_as
from gateway.core.text.segments import measure
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import messages, recipients
from gateway.store.database import Database
from gateway.store.group_commit import Bound, CommitWindow, WindowOptions
from gateway.store.ids import Ids
from gateway.store.messages import Admission as Row
from gateway.store.messages import Queued
from gateway.store.recipients import Recipient
from gateway.store.windows import CampaignWindows

LANE_REPLY, LANE_RETRY, LANE_INITIAL = 0, 1, 2
_ROUNDS = 5  # so often a person may change under our hands before 9001 answers
_REMEMBERED = 50_000
_MOST_WAITING = 20_000  # requests, of all campaigns
_MOST_BYTES = 32 * 2**20  # of their texts
_ANSWERS = frozenset({Kind.REPLY, Kind.CONFIRMATION})  # what a person's own text has asked for
_CONFIRMED_WITHIN_S = (
    300.0  # a later confirmation of an opt-out would be one text too many (47 CFR 64.1200(a)(12))
)
_SHUT = {
    Why.CAMPAIGN_HOURS: SubReason.CAMPAIGN_HOURS,
    Why.RECIPIENT_HOURS: SubReason.RECIPIENT_HOURS,
}


class _Pending(msgspec.Struct, gc=False):
    """A request on its way into the books. `tried`: the decision whose write may have been carried out;
    `conflicts`: how often the person had changed under our hands."""

    request: Request
    script: str | None
    idempotency_key: str | None
    message_id: int = 0
    tried: "_Decided | None" = None
    conflicts: int = 0
    outcome: "Outcome | None" = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a request: state `queued` (or already `sending`), or `blocked` with its code."""

    message_id: int
    state: State
    code: int | None = None
    reason: str | None = None

    @property
    def admitted(self) -> bool:
        return self.state is not State.BLOCKED


class StraightOn(msgspec.Struct, frozen=True, gc=False):
    """A message that need not wait: its number and slot are taken already."""

    number_id: int
    slot_at: float
    decided_at: float  # seconds of Clock.steady: its lease and its look begin then


class Road(Protocol):
    """The station after admission."""

    def straight_on(self, campaign_id: int, message: Queued) -> StraightOn | None:
        """Takes a number and a slot at once if nobody waits; None: the message must queue."""
        ...

    def go(self, campaign_id: int, message: Queued, straight: StraightOn) -> None:
        """The message's intent is durable: hand it over at its slot."""
        ...

    def forget(self, campaign_id: int, message: Queued, straight: StraightOn) -> None:
        """The message was not written after all."""
        ...

    def waits(self, campaign_id: int, message: Queued) -> None:
        """The message is durable in the queue."""
        ...


class _Decided(msgspec.Struct, gc=False):
    pending: _Pending
    row: Row
    queued: Queued
    straight: StraightOn | None = None
    waited_s: float | None = None  # a first reply: how long the person had waited for it


class Admission:
    """The station; `submit` is its door."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        road: Road,
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
        self._ids = Ids(database)
        self._windows: CampaignWindows[int, _Pending, Outcome] = CampaignWindows(
            self._write,
            WindowOptions(
                window_s=window_s,
                max_items=max_rows,
                longest_wait_s=longest_wait_s,
                drops_given_up=True,
                bound=Bound(_MOST_WAITING, _MOST_BYTES),
                size_of=_size,
            ),
        )
        self._remembered: OrderedDict[tuple[int, int, int | None], Recipient] = OrderedDict()
        self.senders: dict[int, float] = {}  # volunteers, and when each last sent something

    def submit(
        self,
        request: Request,
        *,
        script: str | None = None,
        idempotency_key: str | None = None,
        always: bool = False,
    ) -> "asyncio.Future[Outcome]":
        """Decides and writes a request; the future is done when its outcome is durable.

        The client's idempotency key makes a repeat harmless (C23). Raises BadInput for a campaign that
        does not exist, TooMuchWaits when more waits than can be written soon; what must not be refused says so.
        Whoever cancels the future before it is being written has asked for nothing.
        """
        _ = self._campaigns[request.campaign_id]
        pending = _Pending(request, script, idempotency_key)
        return self._windows.put(request.campaign_id, pending, always=always)

    def require_room(self, campaign_id: int, requests: int) -> None:
        """Raises TooMuchWaits when so many requests can't be taken now: all of them are refused, or none."""
        self._windows.require_room(campaign_id, requests)

    def remember(self, campaign_id: int, action_id: int | None, known: Iterable[Recipient]) -> None:
        """Facts that a coming request can be decided on; the revision guards against stale ones."""
        for recipient in known:
            self._remembered[campaign_id, recipient.contact_id, action_id] = recipient
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    @property
    def windows(self) -> "list[CommitWindow[_Pending, Outcome]]":
        return list(self._windows)

    async def drain(self) -> None:
        await self._windows.drain()

    def close(self) -> None:
        """Stops at once; what is not durable yet was not acknowledged either."""
        self._windows.close()

    async def _write(self, campaign_id: int, items: list[_Pending]) -> list[Outcome]:
        """Rounds of one request a person, until each has its outcome.

        May be called again with the same items after the database was away: what was written stands.
        """
        campaign = self._campaigns[campaign_id]
        await self._name(items)
        await self._look_back(
            campaign, [item for item in items if item.tried is not None and item.outcome is None]
        )
        while todo := [item for item in items if item.outcome is None]:
            await self._round(self._campaigns[campaign_id], _one_a_person(todo))
        return [item.outcome for item in items if item.outcome is not None]

    async def _name(self, items: Sequence[_Pending]) -> None:
        nameless = [item for item in items if not item.message_id]
        for item, message_id in zip(nameless, await self._ids.take(len(nameless)), strict=True):
            item.message_id = message_id

    async def _look_back(self, campaign: Campaign, items: Sequence[_Pending]) -> None:
        """After a lost connection: which of them were written after all?"""
        if not items:
            return
        found = await messages.by_id(self._database, campaign.key, [item.message_id for item in items])
        for item in items:
            if item.message_id in found and item.tried is not None:
                item.outcome = self._entered(campaign.campaign_id, item.tried)
                item.tried = None

    async def _round(self, campaign: Campaign, items: Sequence[_Pending]) -> None:
        """Decides and writes; an item whose person had changed meanwhile is left without outcome."""
        known = await self._recipients(campaign, [item.request for item in items])
        now = self._clock.now()
        decided = [
            self._decide(campaign, item, recipient, now) for item, recipient in zip(items, known, strict=True)
        ]
        for each in decided:
            each.pending.tried = each
        written = await messages.admit(
            self._database,
            campaign.key,
            campaign.opt_out_scope,
            [each.row for each in decided],
            now + self._settled_s,
        )
        for each in decided:
            if each.row.message_id in written:
                each.pending.outcome = self._entered(campaign.campaign_id, each)
                each.pending.tried = None  # the two hold each other, and nobody collects such circles
                continue
            each.pending.conflicts += 1
            each.pending.tried = None
            if each.straight is not None:
                self._road.forget(campaign.campaign_id, each.queued, each.straight)
        if len(written) < len(decided):
            await self._answer_repeats(campaign, [item for item in items if item.outcome is None])
            await self._campaigns.load()  # an admin may have paused the campaign

    async def _recipients(self, campaign: Campaign, requests: Sequence[Request]) -> list[Recipient]:
        """What is remembered, and for the rest one read."""
        take = self._remembered.pop
        known = [take((campaign.campaign_id, r.contact_id, r.action_id), None) for r in requests]
        missing = [request for request, recipient in zip(requests, known, strict=True) if recipient is None]
        fresh = iter(await self.read(campaign.campaign_id, [(r.contact_id, r.action_id) for r in missing]))
        return [next(fresh) if recipient is None else recipient for recipient in known]

    async def read(self, campaign_id: int, pairs: Sequence[tuple[int, int | None]]) -> list[Recipient]:
        """What the store knows of each (contact, action) now."""
        if not pairs:
            return []
        campaign = self._campaigns[campaign_id]
        return await recipients.load(
            self._database,
            campaign.key,
            campaign.opt_out_scope,
            [contact for contact, _ in pairs],
            [action for _, action in pairs],
            texts_since=self.texts_since(campaign_id),
        )

    def texts_since(self, campaign_id: int) -> float:
        """Texts before that are no repeats any more (1001a)."""
        return self._clock.now() - self._campaigns[campaign_id].settings.safeguards.same_text_s

    def _decide(self, campaign: Campaign, item: _Pending, recipient: Recipient, now: float) -> _Decided:
        request = _counted(item.request, recipient)
        until, shut = self._hours(campaign, request, recipient, now)
        text_hash = _text_hash("\n".join((request.body, *request.media)) if request.media else request.body)
        facts = _facts(campaign, recipient, text_hash, now, shut=shut, locked=item.conflicts >= _ROUNDS)
        answer = safeguards.check(request, facts, campaign.settings.safeguards, now)
        queued = Queued(
            message_id=item.message_id,
            contact_id=request.contact_id,
            lane=LANE_REPLY if request.kind in _ANSWERS else LANE_INITIAL,
            due_at=now,
            segments=1 if request.media else measure(request.body).segments,  # C3: an MMS is one unit
            not_after=until,
            phone=recipient.phone or "",
            carrier=recipient.carrier,
            hours_group=recipient.hours_group,
            number_id=recipient.number_id,
            body=request.body,
            kind=request.kind,
            media=request.media or None,
        )
        blocked = answer if isinstance(answer, Blocked) else None
        straight = None if blocked else self._road.straight_on(campaign.campaign_id, queued)
        row = _row(item, request, recipient, queued, blocked, straight, text_hash)
        waited_s = None if request.kind is Kind.INITIAL else _waited_s(recipient, now)
        return _Decided(item, row, queued, straight, waited_s)

    def _hours(
        self, campaign: Campaign, request: Request, recipient: Recipient, now: float
    ) -> tuple[float, SubReason | None]:
        """Until when the person may be texted, or why not now."""
        if recipient.phone is None:
            return now, None
        in_conversation = request.kind in _ANSWERS and recipient.last_inbound_at is not None
        kind: Literal["initial", "reply"] = "reply" if in_conversation else "initial"
        hours = verdict(now, campaign.settings.hours, recipient.hours_group, kind)
        if not isinstance(hours, Open):
            return now, _SHUT[hours.why]
        if request.kind is Kind.CONFIRMATION:
            return min(hours.until, now + _CONFIRMED_WITHIN_S), None
        return hours.until, None

    async def _answer_repeats(self, campaign: Campaign, items: Sequence[_Pending]) -> None:
        """A request whose key was used before gets the first one's outcome."""
        by_key = {item.idempotency_key: item for item in items if item.idempotency_key is not None}
        if not by_key:
            return
        found = await messages.by_idempotency_key(self._database, campaign.key, list(by_key))
        for key, first in found.items():
            by_key[key].outcome = Outcome(first.message_id, State(first.state), first.code)

    def _entered(self, campaign_id: int, decided: _Decided) -> Outcome:
        """Counts a written request and sends it on its way."""
        row = decided.row
        if row.code is not None:
            self._metrics.blocked(row.code)
            return Outcome(row.message_id, State.BLOCKED, row.code, row.reason)
        self._metrics.accepted(row.kind, channel="mms" if row.media else "sms")
        if row.sender_id is not None:
            self.senders[row.sender_id] = row.requested_at
        if decided.waited_s is not None:
            self._metrics.first_reply(decided.waited_s)
        if decided.straight is not None:
            decided.queued.attempt = 1
            self._road.go(campaign_id, decided.queued, decided.straight)
        else:
            self._road.waits(campaign_id, decided.queued)
        return Outcome(row.message_id, State(row.state))


def _size(item: _Pending) -> int:
    return len(item.request.body)


def _one_a_person(items: Sequence[_Pending]) -> list[_Pending]:
    """The first request to each person; a second one is decided after the first is written."""
    return list({item.request.contact_id: item for item in reversed(items)}.values())[::-1]


def _waited_s(recipient: Recipient, now: float) -> float | None:
    """How long a person has waited for us since they last wrote; None when nobody waits."""
    heard_at, said_at = recipient.last_inbound_at, recipient.last_outbound_at
    if heard_at is None or (said_at is not None and said_at >= heard_at):
        return None
    return max(0.0, now - heard_at)


def _counted(request: Request, recipient: Recipient) -> Request:
    """The request as what it counts as: a reply without an open thread is an initial in everything that follows."""
    kind = counted_as(request.kind, recipient.last_inbound_at)
    return request if kind is request.kind else msgspec.structs.replace(request, kind=kind)


def _row(
    item: _Pending,
    request: Request,
    recipient: Recipient,
    queued: Queued,
    blocked: Blocked | None,
    straight: StraightOn | None,
    text_hash: int,
) -> Row:
    return Row(
        message_id=queued.message_id,
        contact_id=request.contact_id,
        phone=queued.phone,
        action_id=request.action_id,
        kind=request.kind,
        sender_id=request.sender_id,
        body=request.body,
        segments=queued.segments,
        text_hash=text_hash,
        idempotency_key=item.idempotency_key,
        state=State.BLOCKED if blocked else State.SENDING if straight else State.QUEUED,
        code=blocked.code if blocked else None,
        reason=blocked.sub_reason if blocked else None,
        requested_at=queued.due_at,
        not_after=queued.not_after,
        lane=queued.lane,
        seen_revision=recipient.revision,
        number_id=straight.number_id if straight else None,
        slot_at=straight.slot_at if straight else None,
        script=item.script,
        media=queued.media,
    )


def _facts(
    campaign: Campaign,
    recipient: Recipient,
    text_hash: int,
    now: float,
    *,
    shut: SubReason | None,
    locked: bool,
) -> Facts:
    settings = campaign.settings
    return Facts(
        phone=recipient.phone,
        line_type=recipient.line_type,
        is_admin_phone=recipient.phone in settings.admin_phones,
        opted_out=recipient.opted_out,
        assignee_id=recipient.assignee_id,
        keep_assignments=settings.keep_assignments,
        last_initial_at=recipient.last_initial_at,
        last_outbound_at=recipient.last_outbound_at,
        same_text_at=now if text_hash in recipient.recent_texts else None,
        failure_until=recipient.failure_until,
        already_sent_action=recipient.already_sent,
        locked=locked,
        hours_shut=shut,
        paused=campaign.paused,
    )


def _text_hash(body: str) -> int:
    """A signed 64-bit hash of the trimmed text (C2: compare rendered text, after trimming)."""
    digest = hashlib.blake2b(body.strip().encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
