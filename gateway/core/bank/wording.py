"""What people read about a text of ours: always the same few words for its state, and the catalogue's cure."""

from typing import Final

import msgspec

from gateway.core.rules.errors import SubReason, consequence
from gateway.core.rules.lifecycle import State

STATE_WORDS: Final = {
    State.DRAFT: "accepted",
    State.QUEUED: "queued",
    State.SENDING: "queued",
    State.SENT: "sent",
    State.DELIVERED: "delivered",
    State.UNDELIVERED: "not delivered",
    State.FAILED: "not delivered",
    State.BLOCKED: "blocked",
    State.UNKNOWN: "unknown",
}
_SUB_REASONS: Final = {each.value: each for each in SubReason}


class Told(msgspec.Struct, frozen=True):
    """A state in words; where a code says why, what that means and what is to be done."""

    words: str
    explanation: str | None = None
    cure: str | None = None


def told(state: str, code: int | None, reason: str | None) -> Told:
    """What a message's state, code and reason mean to whoever reads the thread."""
    words = STATE_WORDS[State(state)]
    if code is None:
        return Told(words)
    means = consequence(code, _SUB_REASONS.get(reason or ""))
    return Told(words, means.volunteer_reads, means.what_to_do)


LONGEST_PREVIEW: Final = 120


def preview(text: str) -> str:
    """The beginning of a text on one line, with an ellipsis where it goes on."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_PREVIEW else line[: LONGEST_PREVIEW - 1].rstrip() + "…"
