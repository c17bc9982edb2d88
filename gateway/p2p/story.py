"""A message's life in words: every check, wait, number choice, attempt, receipt and cent, in order.

Pure: facts of the store and the catalogue in, chapters out. An instant that nobody wrote down is not invented:
such a chapter stands where it belongs, with the time of the one it follows from.
"""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from gateway.core.bank.billing import HandedOver, bill
from gateway.core.rules.errors import Consequence, SubReason, consequence
from gateway.core.rules.lifecycle import TERMINAL, State
from gateway.core.rules.registration import Limits
from gateway.core.rules.safeguards import RULES, Kind
from gateway.core.text.localities import Nearness, nearness
from gateway.core.text.segments import Encoding, measure
from gateway.store.stories import Facts, MessageFacts, PastAttempt

_SUB_REASONS: Final = {each.value: each for each in SubReason}
_NEAR: Final = {
    Nearness.SAME_CODE: "the recipient's own area code",
    Nearness.SAME_REGION: "the recipient's region",
}
_STANDS: Final = {
    State.QUEUED: "It waits in the queue.",
    State.SENDING: "It is with the provider, who has not answered yet.",
    State.SENT: "The provider has it; the carrier's receipt has not come, and may never.",
    State.UNKNOWN: "The answer was lost: the provider will be asked, and it is not sent again meanwhile.",
}


class Message(Struct, frozen=True, kw_only=True):
    """A message as it stands; times are Unix seconds, null: not yet."""

    campaign_id: int
    message_id: int
    contact_id: int
    to: str | None
    sent_from: str | None
    kind: str
    action_id: int | None
    sender_id: int | None
    script: str | None
    body: str
    media_urls: list[str]
    segments: int
    encoding: Encoding
    state: str
    code: int | None
    reason: str | None
    explanation: str | None
    attempt: int
    provider_sid: str | None
    cost_usd: float
    requested_at: float
    not_after: float | None
    due_at: float | None
    slot_at: float | None
    accepted_at: float | None
    sent_at: float | None
    final_at: float | None


class Chapter(Struct, frozen=True):
    """One thing that happened to a message, and when (Unix seconds)."""

    at: float
    what: Literal[
        "requested", "check", "wait", "number", "attempt", "receipt", "inbound", "opt_out", "cost", "now"
    ]
    words: str


class Story(Struct, frozen=True, kw_only=True):
    """A message's whole life in words, in order."""

    campaign_id: int
    message_id: int
    state: str
    cost_usd: float
    story: list[Chapter]


def message_view(facts: MessageFacts, limits: Limits) -> Message:
    """The message as the API shows it; `limits` are its campaign's."""
    return Message(
        campaign_id=facts.campaign_id,
        message_id=facts.message_id,
        contact_id=facts.contact_id,
        to=facts.phone,
        sent_from=facts.number_phone,
        kind=facts.kind,
        action_id=facts.action_id,
        sender_id=facts.sender_id,
        script=facts.script,
        body=facts.body,
        media_urls=facts.media or [],
        segments=facts.segments,
        encoding=measure(facts.body).encoding,
        state=facts.state,
        code=facts.code,
        reason=facts.reason,
        explanation=None if facts.code is None else _means(facts.code, facts.reason).volunteer_reads,
        attempt=facts.attempt,
        provider_sid=facts.provider_sid,
        cost_usd=_cost(facts, limits, facts),
        requested_at=facts.requested_at,
        not_after=facts.not_after,
        due_at=facts.due_at,
        slot_at=facts.slot_at,
        accepted_at=facts.accepted_at,
        sent_at=facts.sent_at,
        final_at=facts.final_at,
    )


def story_of(facts: Facts, limits: Limits, now: float, held_because: str = "") -> Story:
    """The whole life, in order of time; chapters of one instant stay in the order in which they happened.

    `limits` are its campaign's. `held_because`: why this worker sends nothing at all just now.
    """
    message = facts.message
    chapters = [*_request(message), *_checks(message)]
    ready_at = message.requested_at
    for past in facts.attempts:
        chapters += _past(facts, past, ready_at)
        ready_at = past.ended_at
    chapters += [*_present(facts, ready_at), *_ending(message), *_person(facts)]
    chapters.sort(key=lambda chapter: chapter.at)
    # one that an earlier attempt's late receipt has ended tells that attempt's end a second time
    attempts: list[MessageFacts | PastAttempt] = [*facts.attempts]
    if message.attempt > len(facts.attempts):
        attempts.append(message)
    total_usd = sum(_cost(message, limits, each) for each in attempts)
    last_at = max(now, chapters[-1].at)
    chapters += [
        *_now(message, last_at, held_because),
        Chapter(last_at, "cost", _money(message, len(attempts), total_usd)),
    ]
    return Story(
        campaign_id=message.campaign_id,
        message_id=message.message_id,
        state=message.state,
        cost_usd=round(total_usd, 6),
        story=chapters,
    )


# ---------------------------------------------------------------- before the wire


def _request(message: MessageFacts) -> Iterator[Chapter]:
    size = measure(message.body)
    who = "" if message.sender_id is None else f" by sender {message.sender_id}"
    script = "" if message.script is None else f", script {message.script}"
    words = (
        f"Requested{who} as {message.kind} to contact {message.contact_id}{script}: "
        f"{_size(message, size.encoding.value)}."
    )
    yield Chapter(message.requested_at, "requested", words)


def _checks(message: MessageFacts) -> Iterator[Chapter]:
    """Each safeguard in its order; the first that objects ends the story."""
    refused = _refused_at_once(message)
    for rule in RULES:
        if Kind(message.kind) not in rule.applies_to:
            continue
        name = f"{rule.name.replace('_', ' ')} ({rule.code})"
        if refused and rule.code == message.code and _is_the_one(rule.sub_reason, message.reason):
            means = _means(rule.code, message.reason)
            words = f"Stopped by {name}: {means.volunteer_reads} {means.what_to_do}".strip()
            yield Chapter(message.requested_at, "check", words)
            return
        yield Chapter(message.requested_at, "check", f"Passed {name}.")


def _refused_at_once(message: MessageFacts) -> bool:
    return message.state == State.BLOCKED and message.final_at == message.requested_at


def _is_the_one(of_rule: SubReason | None, reason: str | None) -> bool:
    """1001 is two rules with a sub-reason each."""
    return of_rule is None or of_rule.value == reason


def _wait(ready_at: float, slot_at: float | None) -> Iterator[Chapter]:
    if slot_at is not None and slot_at - ready_at >= 0.001:
        yield Chapter(
            slot_at, "wait", f"Waited {_span(slot_at - ready_at)} for its turn at the allowed rates."
        )


def _choice(facts: Facts, number_id: int | None, at: float) -> Iterator[Chapter]:
    number = facts.numbers.get(number_id) if number_id is not None else None
    if number is None:
        return
    near = _NEAR.get(nearness((facts.message.phone or "")[2:5], number.phone[2:5]))
    if number.known_before:
        why = "the number this person already has texts from"
    else:
        why = f"a new conversation, in rotation{f', from {near}' if near else ''}"
    words = f"Number {number.phone} was chosen: {why}; it was bought for {number.bought_because.replace('_', ' ')}."
    yield Chapter(at, "number", words)


# ---------------------------------------------------------------- on the wire


def _past(facts: Facts, past: PastAttempt, ready_at: float) -> Iterator[Chapter]:
    yield from _wait(ready_at, past.slot_at)
    at = past.ended_at if past.slot_at is None else min(past.slot_at, past.ended_at)
    yield from _choice(facts, past.number_id, at)
    yield Chapter(at, "attempt", f"Attempt {past.attempt} was handed to the provider.")
    sid = f" as {past.provider_sid}" if past.provider_sid else ""
    ended = (
        f"Attempt {past.attempt}{sid} ended: {past.state}{_because(past.code, None)}; another one may follow."
    )
    yield Chapter(past.ended_at, "receipt", ended)


def _present(facts: Facts, ready_at: float) -> Iterator[Chapter]:
    """The attempt that the message itself tells of; none while it waits, or when it was stopped before."""
    message = facts.message
    is_over = message.state in (State.QUEUED, State.BLOCKED)
    if message.slot_at is None or is_over or message.attempt <= len(facts.attempts):
        return
    at = message.slot_at
    yield from _wait(ready_at, at)
    yield Chapter(
        at, "check", "Looked at again before hand-over: no opt-out, no failure, no pause, window open."
    )
    yield from _choice(facts, message.number_id, at)
    yield Chapter(at, "attempt", f"Attempt {message.attempt} was handed to the provider.")
    if message.accepted_at is not None:
        at = max(at, message.accepted_at)
        yield Chapter(at, "receipt", f"The provider took it as {message.provider_sid}.")
    if message.sent_at is not None:
        yield Chapter(max(at, message.sent_at), "receipt", "The provider handed it to the carrier.")


def _ending(message: MessageFacts) -> Iterator[Chapter]:
    if message.final_at is None or _refused_at_once(message):
        return
    if message.state == State.BLOCKED:
        words = f"Stopped while it waited{_because(message.code, message.reason)}."
        yield Chapter(message.final_at, "check", words)
    else:
        words = f"Final: {message.state}{_because(message.code, message.reason)}."
        yield Chapter(message.final_at, "receipt", words)


# ---------------------------------------------------------------- after


def _person(facts: Facts) -> Iterator[Chapter]:
    for text in facts.texts:
        yield Chapter(text.received_at, "inbound", f"The person wrote, read as {text.intent}: {text.body}")
    left = facts.opt_out
    if left is not None and left.opted_out_at >= facts.message.requested_at:
        yield Chapter(left.opted_out_at, "opt_out", f"The person's opt-out took effect ({left.source}).")


def _now(message: MessageFacts, at: float, held_because: str) -> Iterator[Chapter]:
    state = State(message.state)
    if state in TERMINAL:
        return
    words = _STANDS.get(state, f"It is {state}.")
    if state is State.QUEUED and message.due_at is not None and message.due_at > at:
        what = "its next attempt" if message.attempt else "the next window of its person"
        words = f"It waits for {what}, due in {_span(message.due_at - at)}."
    elif state is State.QUEUED and held_because:
        words = f"It waits until what people texted is fetched: {held_because}."
    yield Chapter(at, "now", words)


def _money(message: MessageFacts, attempts: int, total_usd: float) -> str:
    if total_usd == 0:
        return "Cost: nothing; nothing was billed."
    carrier = f"to {message.carrier}" if message.carrier else "carrier not known"
    over = f" over {attempts} attempts" if attempts > 1 else ""
    return f"Cost: ${total_usd:.5f} for {_size(message)} {carrier}{over}."


def _cost(message: MessageFacts, limits: Limits, attempt: MessageFacts | PastAttempt) -> float:
    """What one attempt costs."""
    handed_over = HandedOver(attempt.state, attempt.code, attempt.provider_sid is not None)
    return bill(
        [handed_over],
        message.segments,
        message.carrier,
        is_mms=bool(message.media),
        pays_no_fee=limits.pays_no_fee(message.carrier),
    ).usd


def _means(code: int, reason: str | None) -> Consequence:
    return consequence(code, _SUB_REASONS.get(reason or ""))


def _because(code: int | None, reason: str | None) -> str:
    if code is None:
        return f", {reason}" if reason else ""
    means = _means(code, reason)
    said = f" ({reason})" if reason and reason not in _SUB_REASONS else ""
    return f", {code} {means.title}{said}"


def _size(message: MessageFacts, encoding: str = "") -> str:
    """An MMS is one unit whatever its text (C3)."""
    if message.media:
        return f"one MMS with {_count(len(message.media), 'picture')}"
    return _count(message.segments, "segment") + (f" in {encoding}" if encoding else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
