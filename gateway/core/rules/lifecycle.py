"""The states of a message and the table of legal moves.

`sent` means that the provider has it: its answer said so, or a callback that could not come otherwise. When
the carrier took it is a time stamp, not a state. Callbacks come late, twice and out of order: a move that is
not in the table changes nothing and is counted.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a message is in its life."""

    DRAFT = "draft"
    BLOCKED = "blocked"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    UNKNOWN = "unknown"


_NOTHING: Final[frozenset[State]] = frozenset()
_RECEIPTS: Final = frozenset({State.DELIVERED, State.UNDELIVERED, State.FAILED})

# sending -> a receipt: a callback may overtake the answer to the request that caused it.
# sent -> queued: that attempt ended in a failure after which another one is allowed.
MOVES: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.DRAFT: frozenset({State.BLOCKED, State.QUEUED}),
        State.QUEUED: frozenset({State.SENDING, State.BLOCKED}),
        State.SENDING: _RECEIPTS | {State.SENT, State.QUEUED, State.UNKNOWN},
        State.SENT: _RECEIPTS | {State.QUEUED},
        State.UNKNOWN: _RECEIPTS | {State.SENT, State.QUEUED},
        State.BLOCKED: _NOTHING,
        State.DELIVERED: _NOTHING,
        State.UNDELIVERED: _NOTHING,
        State.FAILED: _NOTHING,
    }
)

TERMINAL: Final[frozenset[State]] = frozenset(state for state in State if not MOVES[state])

# Twilio's message statuses. All before the receipt prove the same thing: Twilio has the message.
_WORDS: Final[Mapping[str, State]] = MappingProxyType(
    {
        "accepted": State.SENT,
        "scheduled": State.SENT,
        "queued": State.SENT,
        "sending": State.SENT,
        "sent": State.SENT,
        "delivered": State.DELIVERED,
        "undelivered": State.UNDELIVERED,
        "failed": State.FAILED,
        "canceled": State.FAILED,
    }
)


def move(current: State, target: State) -> bool:
    """Whether a message may go from one state straight to another."""
    return target in MOVES[current]


def fold(current: State, words: Iterable[State]) -> tuple[State, int]:
    """The state after all words in their order, and how many of them changed nothing."""
    ignored = 0
    for word in words:
        if word in MOVES[current]:
            current = word
        else:
            ignored += 1
    return current, ignored


def provider_word(status: str) -> State | None:
    """What a provider's status says about our message; None for a status we do not know."""
    return _WORDS.get(status)
