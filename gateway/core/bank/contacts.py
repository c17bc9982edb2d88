"""A person on a campaign's lists: what becomes of their row when a list brings them again, and where they may be."""

from typing import Final, Protocol, TypeVar

import msgspec

from gateway.core.rules.hours import group_key
from gateway.core.text.phone import place

FILLED: Final = ("first_name", "last_name", "email", "zip", "state", "line_type", "carrier")
"""What a list fills in where nothing stands yet; what stands there stays."""


class Facts(Protocol):
    """What a list, or the store, knows of a person. `fields` is a JSON object of custom fields, or None."""

    @property
    def phone(self) -> str: ...
    @property
    def zip(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def fields(self) -> str | None: ...
    @property
    def assignee_id(self) -> int | None: ...


Person = TypeVar("Person", bound=Facts)


def merged(stored: Person, arriving: Facts) -> Person:
    """The stored person with what a list says of the same phone; the very record when that changes nothing.

    Empty cells are filled, custom fields and the assignee are the list's where it has them. Nothing is taken away.
    """
    changes: dict[str, object] = {
        name: getattr(arriving, name)
        for name in FILLED
        if not getattr(stored, name) and getattr(arriving, name)
    }
    if arriving.assignee_id is not None and arriving.assignee_id != stored.assignee_id:
        changes["assignee_id"] = arriving.assignee_id
    fields = with_fields(stored.fields, arriving.fields)
    if fields != stored.fields:
        changes["fields"] = fields
    if not changes:
        return stored
    after: Person = msgspec.structs.replace(stored, **changes)  # type: ignore[type-var]
    if changes.keys() & {"zip", "state"}:
        group = hours_group_of(after.phone, after.zip, after.state)
        after = msgspec.structs.replace(after, hours_group=group)  # type: ignore[type-var]
    return after


def with_fields(stored: str | None, arriving: str | None) -> str | None:
    """One JSON object of custom fields over another; the stored text itself when nothing differs."""
    if not arriving:
        return stored
    before: dict[str, object] = msgspec.json.decode(stored) if stored else {}
    after = before | msgspec.json.decode(arriving)
    return stored if after == before else msgspec.json.encode(after).decode()


def hours_group_of(phone: str, zip_code: str, state: str) -> str:
    """The recipients who share lawful hours with a phone (E.164), narrowed by a ZIP or an address state (C1)."""
    where = place(phone)
    return group_key(where.state, where.zones, zip_code=zip_code, address_state=state)
