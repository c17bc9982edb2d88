"""Requests on their way into the books: what is asked, what has been tried, and what became of it."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.errors import TextbankError
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import Kind, Request
from gateway.pipeline.decision import Decision
from gateway.pipeline.idempotency import KeyReused, Use
from gateway.store.idempotency import Answered
from gateway.store.messages import Admission as Row
from gateway.store.messages import Entered, Keyed
from gateway.store.ownership import FencingToken
from gateway.store.recipients import Recipient

_SAME_INSTANT_S = 1e-5  # the store keeps microseconds; two tries lie further apart


class ConversationChanged(TextbankError):
    """The conversation has changed since it was seen: read it again, and decide anew what to answer."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a request: state `queued` (or already `sending`), or `blocked` with its code."""

    message_id: int
    state: State
    code: int | None = None
    reason: str | None = None

    @property
    def admitted(self) -> bool:
        return self.state is not State.BLOCKED


Answer = Outcome | KeyReused | ConversationChanged


class StraightOn(msgspec.Struct, frozen=True, gc=False):
    """A message that need not wait: its number and slot are taken already."""

    number_id: int
    slot_at: float
    decided_at: float  # seconds of Clock.steady: its lease and its look begin then
    seen_until: float  # of the same: how long that look is good
    token: FencingToken  # of the road it goes on


class Try(msgspec.Struct, gc=False):
    """A decision with its row, and the place on the road that it has taken."""

    decision: Decision
    row: Row
    straight: StraightOn | None = None


class Pending(msgspec.Struct, gc=False):
    """A request on its way into the books. `lost`: tries of which nobody knows whether they were written;
    `conflicts`: how often the person had changed under our hands; `asked_at_revision`: of the person's conversation,
    as whoever asked had seen it; `only_at`: the revision at which it was asked for, and at no other; `assignee_only`: a contact whom nobody has is not
    the sender's either."""

    request: Request
    script: str | None
    use: Use | None
    message_id: int = 0
    lost: tuple[Try, ...] = ()
    conflicts: int = 0
    asked_at_revision: int | None = None
    only_at: int | None = None
    assignee_only: bool = False
    outcome: Answer | None = None


def outcome_of(first: Answered) -> Outcome:
    """The outcome of a key's first request."""
    assert first.message_id is not None
    return Outcome(first.message_id, State(first.state), first.code, first.reason)


def is_broadcast(request: Request) -> bool:
    return request.kind is Kind.BROADCAST


def is_stale(item: Pending, known: Recipient) -> bool:
    return item.only_at is not None and item.only_at != known.revision


def size_of(item: Pending) -> int:
    return len(item.request.body)


def open_of(items: Sequence[Pending]) -> list[Pending]:
    """Those without an outcome."""
    return [item for item in items if item.outcome is None]


def one_a_person(items: Sequence[Pending]) -> list[Pending]:
    """The first request to each person; a second one is decided after the first is written."""
    return list({item.request.contact_id: item for item in reversed(items)}.values())[::-1]


def is_of(entered: Entered, row: Row) -> bool:
    return abs(row.requested_at - entered.requested_at) < _SAME_INSTANT_S


def keyed_row(use: Use, row: Row) -> Keyed:
    return Keyed(
        message_id=row.message_id,
        owner=use.key.owner,
        word=use.key.word,
        request_hash=use.request_hash,
        state=row.state,
        code=row.code,
        reason=row.reason,
        at=row.requested_at,
    )
