"""A decision about one request: what the safeguards say, and the row that enters the books.

It is taken on what is known of the person at one revision of their conversation, and holds for that one only.
"""

import hashlib
from typing import Literal

import msgspec

from gateway.core.rules import safeguards
from gateway.core.rules.errors import SubReason
from gateway.core.rules.hours import Open, Why, verdict
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import (
    FIRST_TEXTS,
    Blocked,
    Consent,
    Facts,
    Kind,
    Request,
    counted_as,
    in_books,
)
from gateway.core.sending.waiting import Lane
from gateway.core.text.segments import measure
from gateway.pipeline.campaigns import Campaign
from gateway.store.messages import Admission as Row
from gateway.store.messages import Queued
from gateway.store.recipients import Recipient

_REPLY, _INITIAL = Lane.REPLY.value, Lane.INITIAL.value
_ANSWERS = frozenset({Kind.REPLY, Kind.CONFIRMATION})  # what a person's own text has asked for
_CONFIRMED_WITHIN_S = (
    300.0  # a later confirmation of an opt-out would be one text too many (47 CFR 64.1200(a)(12))
)
_SHUT = {
    Why.CAMPAIGN_HOURS: SubReason.CAMPAIGN_HOURS,
    Why.RECIPIENT_HOURS: SubReason.RECIPIENT_HOURS,
}


class Decision(msgspec.Struct, gc=False):
    """A request as what it counts as, decided; `blocked` None: it may go."""

    request: Request
    queued: Queued
    blocked: Blocked | None
    text_hash: int
    seen_revision: int
    waited_s: float | None  # a first reply: how long the person had waited for it


def decide(
    campaign: Campaign,
    asked: Request,
    recipient: Recipient,
    message_id: int,
    now: float,
    *,
    locked: bool,
    assignee_only: bool = False,
    script: str | None = None,
) -> Decision:
    """`locked`: the person has changed under our hands too often. `assignee_only`: whom nobody has nobody may text."""
    request = _counted(campaign, asked, recipient)
    until, shut = _hours(campaign, request, recipient, now)
    text_hash = _text_hash("\n".join((request.body, *request.media)) if request.media else request.body)
    facts = _facts(campaign, recipient, text_hash, now, shut=shut, locked=locked, assignee_only=assignee_only)
    answer = safeguards.check(request, facts, campaign.settings.safeguards, now)
    queued = Queued(
        message_id=message_id,
        contact_id=request.contact_id,
        lane=_REPLY if request.kind in _ANSWERS else _INITIAL,
        due_at=now,
        segments=1 if request.media else measure(request.body).segments,  # C3: an MMS is one unit
        not_after=until,
        phone=recipient.phone or "",
        carrier=recipient.carrier,
        hours_group=recipient.hours_group,
        number_id=recipient.number_id,
        body=request.body,
        kind=in_books(request.kind),
        media=request.media or None,
        action_id=request.action_id,
        script=script,
    )
    return Decision(
        request,
        queued,
        answer if isinstance(answer, Blocked) else None,
        text_hash,
        recipient.revision,
        None if request.kind in FIRST_TEXTS else _waited_s(recipient, now),
    )


def row_of(decision: Decision, number_id: int | None = None, slot_at: float | None = None) -> Row:
    """The row of a decision; with a number and a slot it goes straight on."""
    request, queued, blocked = decision.request, decision.queued, decision.blocked
    return Row(
        message_id=queued.message_id,
        contact_id=request.contact_id,
        phone=queued.phone,
        action_id=request.action_id,
        kind=queued.kind,
        sender_id=request.sender_id,
        body=request.body,
        segments=queued.segments,
        text_hash=decision.text_hash,
        state=State.BLOCKED if blocked else State.QUEUED if slot_at is None else State.SENDING,
        code=blocked.code if blocked else None,
        reason=blocked.sub_reason if blocked else None,
        requested_at=queued.due_at,
        not_after=queued.not_after,
        lane=queued.lane,
        seen_revision=decision.seen_revision,
        number_id=number_id,
        slot_at=slot_at,
        script=queued.script,
        media=queued.media,
    )


def _counted(campaign: Campaign, request: Request, recipient: Recipient) -> Request:
    """The request as what it counts as: a reply without an open thread is an initial in everything that follows, and a
    first text of a broadcast is one of its texts, whoever asks for it."""
    kind = counted_as(request.kind, recipient.last_inbound_at)
    if kind is Kind.INITIAL and request.action_id in campaign.broadcasts:
        kind = Kind.BROADCAST
    return request if kind is request.kind else msgspec.structs.replace(request, kind=kind)


def _hours(
    campaign: Campaign, request: Request, recipient: Recipient, now: float
) -> tuple[float, SubReason | None]:
    """Until when the person may be texted, or why not now."""
    if recipient.phone is None:
        return now, None
    if request.kind in FIRST_TEXTS and request.action_id in campaign.paused_actions:
        return now, SubReason.PAUSED
    in_conversation = request.kind in _ANSWERS and recipient.last_inbound_at is not None
    kind: Literal["initial", "reply"] = "reply" if in_conversation else "initial"
    hours = verdict(now, campaign.settings.hours, recipient.hours_group, kind)
    if not isinstance(hours, Open):
        return now, _SHUT[hours.why]
    if request.kind is Kind.CONFIRMATION:
        return min(hours.until, now + _CONFIRMED_WITHIN_S), None
    return hours.until, None


def _facts(
    campaign: Campaign,
    recipient: Recipient,
    text_hash: int,
    now: float,
    *,
    shut: SubReason | None,
    locked: bool,
    assignee_only: bool,
) -> Facts:
    settings = campaign.settings
    return Facts(
        phone=recipient.phone,
        line_type=recipient.line_type,
        is_admin_phone=recipient.phone in settings.admin_phones,
        opted_out=recipient.opted_out,
        assignee_id=recipient.assignee_id,
        keep_assignments=settings.keep_assignments or assignee_only,
        last_initial_at=recipient.last_initial_at,
        last_outbound_at=recipient.last_outbound_at,
        same_text_at=now if text_hash in recipient.recent_texts else None,
        failure_until=recipient.failure_until,
        already_sent_action=recipient.already_sent,
        locked=locked,
        hours_shut=shut,
        paused=campaign.paused,
        broadcasts=settings.broadcasts,
        is_users_own=recipient.is_users_own,
        consent=Consent(recipient.consent),
    )


def _waited_s(recipient: Recipient, now: float) -> float | None:
    """How long a person has waited for us since they last wrote; None when nobody waits."""
    heard_at, said_at = recipient.last_inbound_at, recipient.last_outbound_at
    if heard_at is None or (said_at is not None and said_at >= heard_at):
        return None
    return max(0.0, now - heard_at)


def _text_hash(body: str) -> int:
    """A signed 64-bit hash of the trimmed text (C2: compare rendered text, after trimming)."""
    digest = hashlib.blake2b(body.strip().encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
