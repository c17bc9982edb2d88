"""What the journal's events mean to other systems: each as a topic, a person and the data that is told."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from gateway.core.bank.events import OPTED_OUT, EventKind
from gateway.core.bank.webhooks import Topic
from gateway.core.rules.lifecycle import State


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it is about; `fields` are the campaign's custom fields by slug."""

    contact_id: int
    phone: str
    first_name: str
    last_name: str
    fields: Mapping[str, str | None]


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """A report: names of the tags that it gave and took away, and values by field."""

    tags: Sequence[str]
    removed_tags: Sequence[str]
    fields: Mapping[str, str | None]


class Happened(Protocol):
    """One item of an event of the journal."""

    @property
    def id(self) -> int | None: ...
    @property
    def contact_id(self) -> int | None: ...
    @property
    def action_id(self) -> int | None: ...
    @property
    def user_id(self) -> int | None: ...
    @property
    def kind(self) -> str | None: ...
    @property
    def script(self) -> str | None: ...
    @property
    def state(self) -> str | None: ...
    @property
    def code(self) -> int | None: ...


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a batch of events: people by contact; people's texts, reports and notices by id; limits by name."""

    people: Mapping[int, Person]
    texts: Mapping[int, str]
    reports: Mapping[int, Filed]
    notices: Mapping[int, Mapping[str, object]] = {}
    limits: Mapping[str, Mapping[str, object]] = {}


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell; `contact_id` None: it is about no contact."""

    topic: Topic
    contact_id: int | None
    at: float
    data: Mapping[str, object]


_LEVELS: Final = {1: "warned", 2: "reached"}
_WANTED: Final[Mapping[EventKind, frozenset[Topic]]] = {
    EventKind.MOVED: frozenset({"delivered"}),
    EventKind.HEARD: frozenset({"replied", "opted_out"}),
    EventKind.OPTED_OUT: frozenset({"opted_out"}),
    EventKind.REPORTED: frozenset({"reported", "tagged"}),
    EventKind.NOTICED: frozenset({"notice"}),
    EventKind.LIMIT: frozenset({"limit"}),
}


def is_wanted(kind: EventKind, state: str | None, topics: frozenset[str]) -> bool:
    """Whether an item of this kind and state may tell anything about one of the topics."""
    if kind is EventKind.MOVED and state != State.DELIVERED:
        return False
    return not topics.isdisjoint(_WANTED.get(kind, frozenset()))


def tellings(
    kind: EventKind, at: float, item: Happened, facts: Facts, topics: frozenset[str]
) -> Iterator[Telling]:
    """What an item of an event tells about these topics; nothing of somebody who is in no list any more."""
    if not is_wanted(kind, item.state, topics):
        return
    if kind is EventKind.NOTICED:
        if (notice := facts.notices.get(item.id or 0)) is not None:
            yield Telling(topic="notice", contact_id=None, at=at, data=notice)
        return
    if kind is EventKind.LIMIT:
        known = facts.limits.get(item.state or "", {})
        told = {"limit": item.state, "level": _LEVELS.get(item.code or 0), **known}
        yield Telling(topic="limit", contact_id=None, at=at, data=told)
        return
    person = facts.people.get(item.contact_id or 0)
    if person is None:
        return
    for topic, data in _told(kind, item, facts):
        if topic in topics:
            whole = {"contact": person, "action_id": item.action_id, **data}
            yield Telling(topic=topic, contact_id=person.contact_id, at=at, data=whole)


def _told(kind: EventKind, item: Happened, facts: Facts) -> Iterator[tuple[Topic, Mapping[str, object]]]:
    match kind:
        case EventKind.MOVED:
            yield (
                "delivered",
                {"message_id": item.id, "user_id": item.user_id, "kind": item.kind, "script": item.script},
            )
        case EventKind.HEARD:
            body = facts.texts.get(item.id or 0, "")
            yield "replied", {"text_id": item.id, "user_id": item.user_id, "body": body}
            if item.state == OPTED_OUT:
                yield "opted_out", {"how": "keyword", "text_id": item.id, "user_id": None}
        case EventKind.OPTED_OUT:
            yield "opted_out", {"how": "manual", "text_id": None, "user_id": item.user_id}
        case EventKind.REPORTED:
            yield from _reported(item, facts)
        case _:
            pass


def _reported(item: Happened, facts: Facts) -> Iterator[tuple[Topic, Mapping[str, object]]]:
    filed = facts.reports.get(item.id or 0, Filed(tags=(), removed_tags=(), fields={}))
    said: dict[str, object] = {"report_id": item.id, "user_id": item.user_id}
    tags = {"tags": filed.tags, "removed_tags": filed.removed_tags}
    yield "reported", said | tags | {"fields": filed.fields}
    if filed.tags or filed.removed_tags:
        yield "tagged", said | tags
