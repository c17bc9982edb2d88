"""What can be watched while it changes, and what has changed of it between two looks."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from gateway.core.bank.results import Counted
from gateway.core.rules.errors import BadInput

MOST_TOPICS: Final = 20
"""Of one stream."""
Numbers: TypeAlias = Mapping[str, int]


class ActionTopic(msgspec.Struct, frozen=True):
    """The counts of an action."""

    action_id: int

    def __str__(self) -> str:
        return f"action:{self.action_id}"


class InboxTopic(msgspec.Struct, frozen=True):
    """How many conversations there are in the inbox by filter: a volunteer's, or (None) everybody's."""

    volunteer_id: int | None

    def __str__(self) -> str:
        return "inbox:all" if self.volunteer_id is None else "inbox"


Topic: TypeAlias = ActionTopic | InboxTopic
_NOBODY: Final = 0  # ids of people begin at 1


def topics_of(text: str, user_id: int | None) -> list[Topic]:
    """What `inbox`, `inbox:all` and `action:<id>`, with commas between them, name to a person. Raises BadInput."""
    words = list(dict.fromkeys(text.split(",")))
    if len(words) > MOST_TOPICS:
        raise BadInput(f"more than {MOST_TOPICS} topics", "topics", "open a second stream")
    return [_topic(word, user_id) for word in words]


def _topic(word: str, user_id: int | None) -> Topic:
    kind, _, name = word.strip().partition(":")
    if kind == "action" and name.isascii() and name.isdecimal() and int(name) < 2**63:
        return ActionTopic(int(name))
    if kind == "inbox" and name == "all":
        return InboxTopic(None)
    if kind == "inbox" and not name:
        return InboxTopic(_NOBODY if user_id is None else user_id)
    raise BadInput("there is no such topic", "topics", "give inbox, inbox:all or action:<id>")


def numbers_of(lines: Iterable[Counted]) -> dict[str, int]:
    """Counts by name: `initial.delivered`, `reply.failed.30003`, `response.reply`; and the segments of what went out."""
    numbers = {"segments": 0}
    for line in lines:
        parts = (line.what, line.state, str(line.code) if line.code else "")
        numbers[".".join(part for part in parts if part)] = line.number
        if line.state != "blocked":
            numbers["segments"] += line.segments
    return numbers


def changed(before: Numbers, after: Numbers) -> dict[str, int]:
    """The numbers that are others now; what is there no more is 0."""
    gone = dict.fromkeys((name for name in before if name not in after), 0)
    return {name: number for name, number in after.items() if before.get(name) != number} | gone
