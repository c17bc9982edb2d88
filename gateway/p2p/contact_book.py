"""Contacts as people find, read, change and erase them (F189, F192)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.contact_search import sought
from gateway.core.bank.contacts import hours_group_of
from gateway.core.bank.permissions import Act, Actor
from gateway.core.rules.errors import BadInput, NotNow, TextbankError
from gateway.p2p.contacts import clean_list_name
from gateway.p2p.cursors import AtPlace, IdPlace, before, cursor_of, page_of, place_of
from gateway.p2p.list_cells import clean, state_code, zip_code
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.pipeline.changed_hours import shorten_windows
from gateway.store import (
    audit_log,
    contact_lists,
    contact_records,
    contact_search,
    contacts,
    labels,
    opt_outs,
    users,
)
from gateway.store.contact_lists import ContactList, Import
from gateway.store.contact_records import Summary
from gateway.store.contact_search import Found, Wanted
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.ids import Ids

__all__ = ["ContactBook", "ContactChange", "ContactList", "Found", "Import", "Page", "Summary", "Wanted"]

ERASURE: Final = "erasure"
"""The source of an opt-out whose person was erased."""
MOST_FIELDS: Final = 100
_AT_ONCE: Final = 2_000
_LAST_IMPORTS: Final = 20


class NoContact(TextbankError):
    """There is no such contact, or it is not the actor's."""

    def __init__(self, contact_id: int) -> None:
        super().__init__(f"there is no contact {contact_id}")


class NoList(TextbankError):
    """There is no such list."""

    def __init__(self, list_id: int) -> None:
        super().__init__(f"there is no contact list {list_id}")


class ListNameTaken(TextbankError):
    """There is a list of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a contact list '{name}' already")


class ContactClash(TextbankError):
    """Somebody else has changed the contact meanwhile: `stored` is how it stands now."""

    def __init__(self, stored: Found) -> None:
        super().__init__(f"the contact was changed meanwhile: it is of version {stored.version} now")
        self.stored = stored


class TextOnItsWay(NotNow):
    """A text to the person is on its way; they are opted out already. Repeat the erasure in a minute."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__ or "")


class ContactChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be otherwise; `UNSET` stays. A custom field that is null is taken away."""

    first_name: str | msgspec.UnsetType = msgspec.UNSET
    last_name: str | msgspec.UnsetType = msgspec.UNSET
    email: str | msgspec.UnsetType = msgspec.UNSET
    zip: str | msgspec.UnsetType = msgspec.UNSET
    state: str | msgspec.UnsetType = msgspec.UNSET
    fields: Mapping[str, str | None] | msgspec.UnsetType = msgspec.UNSET
    assignee_id: int | msgspec.UnsetType | None = msgspec.UNSET


class Page(msgspec.Struct, frozen=True):
    """Contacts, and the cursor of those that come after them; None: there are none."""

    rows: list[Found]
    next: str | None


class ListPage(msgspec.Struct, frozen=True):
    """Lists, and the cursor of those made before them; None: there are none."""

    rows: list[ContactList]
    next: str | None


class ContactBook:
    """Contacts of a campaign. What an opt-out forbids is forbidden on every worker after `settle`."""

    def __init__(
        self, database: Database, campaigns: Campaigns, clock: Clock, settle: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._settle = settle
        self._ids = Ids(database)

    # ------------------------------------------------------------ found

    async def page(self, campaign_id: int, wanted: Wanted, cursor: str | None, limit: int) -> Page:
        """At most `limit` contacts; fewer, or none, where many were looked at in vain. Raises BadInput."""
        campaign = self._campaigns[campaign_id]
        after = 0 if cursor is None else place_of(cursor, IdPlace).id
        rows, last = await contact_search.page(
            self._database, campaign.key, campaign.opt_out_scope, wanted, after, limit
        )
        return Page(rows, None if last is None else cursor_of(IdPlace(last)))

    async def count(self, campaign_id: int, wanted: Wanted) -> tuple[int, bool]:
        """How many, up to 10,000, and whether these are all."""
        campaign = self._campaigns[campaign_id]
        return await contact_search.count(self._database, campaign.key, campaign.opt_out_scope, wanted)

    async def read(self, actor: Actor, campaign_id: int, contact_id: int) -> tuple[Found, Summary]:
        """A contact with a summary of its texts. Raises NoContact for one that is not the actor's."""
        campaign = self._campaigns[campaign_id]
        found = await self._one(campaign, contact_id)
        if not any(actor.may(Act.READ_CONTACTS, each) for each in (found.volunteer_id, found.assignee_id)):
            raise NoContact(contact_id)
        return found, await contact_records.summary(self._database, campaign.key, contact_id)

    async def _one(self, campaign: Campaign, contact_id: int) -> Found:
        found = await contact_records.one(self._database, campaign.key, campaign.opt_out_scope, contact_id)
        if found is None:
            raise NoContact(contact_id)
        return found

    # ------------------------------------------------------------ changed

    async def change(
        self, actor: Actor, campaign_id: int, contact_id: int, version: int, change: ContactChange
    ) -> Found:
        """The contact as it is then. Raises NoContact, ContactClash for another version, BadInput.

        The audit log tells which columns were changed, and nothing of what stands in them.
        """
        campaign, moved_to = self._campaigns[campaign_id], frozenset[str]()
        await self._check(campaign, change)
        async with self._database.transaction() as transaction:
            stands = await contact_records.locked(transaction, campaign.key, contact_id)
            if stands is None:
                raise NoContact(contact_id)
            is_clash = stands[0] != version
            after = stands[1] if is_clash else _changed(stands[1], change)
            if after != stands[1]:
                moved_to = await contacts.change(transaction, campaign.key, [after])
                names = [
                    each
                    for each in after.__struct_fields__
                    if getattr(after, each) != getattr(stands[1], each)
                ]
                told = {
                    "contact_id": contact_id,
                    "changed": [each for each in names if each != "hours_group"],
                }
                await self._tell(transaction, campaign, actor, "contact changed", told)
        if after.hours_group != stands[1].hours_group:
            await shorten_windows(self._database, campaign, self._clock.now(), moved_to)
            await self._campaigns.take_up(campaign_id)
        found = await self._one(campaign, contact_id)
        if is_clash:
            raise ContactClash(found)
        return found

    async def _check(self, campaign: Campaign, change: ContactChange) -> None:
        if change.zip and not zip_code(change.zip):
            raise BadInput("this is no US ZIP code", "zip", "write 08540 or 08540-1234")
        if change.state and not state_code(change.state):
            raise BadInput("this is no US state", "state", "write its two letters")
        if change.assignee_id:
            member = await users.member(self._database, campaign.key, change.assignee_id)
            if member is None or member.deactivated_at is not None:
                raise BadInput(
                    "nobody who is active in the campaign has this id", "assignee_id", "give another"
                )
        if change.fields:
            await self._check_fields(campaign, change.fields)

    async def _check_fields(self, campaign: Campaign, fields: Mapping[str, str | None]) -> None:
        """A choice takes its options alone; a field that only lists have brought takes any text."""
        known = {each.slug: each for each in await labels.fields(self._database, campaign.key)}
        for slug, value in fields.items():
            field = known.get(slug)
            if value is not None and field and field.kind == "choice" and value not in field.options:
                raise BadInput(
                    "this is none of the field's options",
                    f"fields.{slug}",
                    f"give {', '.join(field.options)}",
                )

    async def _tell(
        self, transaction: Database, campaign: Campaign, actor: Actor, act: str, told: Mapping[str, object]
    ) -> None:
        after = msgspec.json.encode(told).decode()
        await audit_log.write(transaction, campaign.key, self._clock.now(), actor.name, act, after=after)

    # ------------------------------------------------------------ erased

    async def erase(self, actor: Actor, campaign_id: int, contact_id: int) -> None:
        """Opts the person out, in force on every worker, then forgets all but the phone: no list brings them back.

        What waits is not sent. Raises NoContact, TextOnItsWay: then the opt-out stands, and a repeat does the rest.
        """
        campaign = self._campaigns[campaign_id]
        key, scope = campaign.key, campaign.opt_out_scope
        await self._one(campaign, contact_id)
        now = self._clock.now()
        await opt_outs.opt_out(self._database, key, scope, contact_id, ERASURE, now, actor.user_id)
        await self._settle()  # also where they had opted out already: perhaps a moment ago
        async with self._database.transaction() as transaction:
            await contact_records.alone(transaction, key)
            stands = await contact_records.locked(transaction, key, contact_id)
            if stands is None:
                raise NoContact(contact_id)
            if not await contact_records.stop_waiting(transaction, key, contact_id, now):
                raise TextOnItsWay
            await contact_records.forget(transaction, key, scope, contact_id, stands[1].phone, now)
            await self._tell(transaction, campaign, actor, "contact erased", {"contact_id": contact_id})

    # ------------------------------------------------------------ lists

    async def lists(self, campaign_id: int, cursor: str | None, limit: int) -> ListPage:
        """The campaign's lists, the newest first. Raises BadInput for a cursor of another list."""
        key = self._campaigns[campaign_id].key
        rows = await contact_lists.page(self._database, key, before(cursor), limit + 1)
        return ListPage(*page_of(rows, limit, lambda each: AtPlace(each.made_at, each.list_id)))

    async def one_list(self, campaign_id: int, list_id: int) -> tuple[ContactList, list[Import]]:
        """A list and its last imports. Raises NoList."""
        key = self._campaigns[campaign_id].key
        found = await contact_lists.by_id(self._database, key, list_id)
        if found is None:
            raise NoList(list_id)
        return found, await contact_lists.imports_of(self._database, key, list_id, _LAST_IMPORTS)

    async def make_list(self, actor: Actor, campaign_id: int, name: str, wanted: Wanted) -> ContactList:
        """A list of everybody whom the filters let through, however many pages they fill (F192).

        Raises BadInput, ListNameTaken.
        """
        campaign, name = self._campaigns[campaign_id], clean_list_name(name)
        list_id = (await self._ids.take(1))[0]
        after: int | None = 0
        async with self._database.transaction() as transaction:
            await contact_records.hold(transaction, campaign.key)
            if not await contact_lists.make(transaction, campaign.key, list_id, name, self._clock.now()):
                raise ListNameTaken(name)
            while after is not None:
                _, joined, after = await contact_search.fill(
                    transaction, campaign.key, campaign.opt_out_scope, wanted, list_id, after, _AT_ONCE
                )
                await contact_lists.grow(transaction, campaign.key, list_id, joined)
            await self._tell(
                transaction, campaign, actor, "contact list made", {"list_id": list_id, "name": name}
            )
        return (await self.one_list(campaign_id, list_id))[0]


def searched(wanted: Wanted, text: str | None) -> Wanted:
    """The filters with what somebody typed. Raises BadInput."""
    if text is None:
        return wanted
    found = sought(text)
    return msgspec.structs.replace(wanted, phone=found.phone, last_digits=found.last_digits, name=found.name)


def _changed(stands: ContactRow, change: ContactChange) -> ContactRow:
    """The row as it would be. Raises BadInput for too many custom fields."""
    given = {
        name: value
        for name in ("first_name", "last_name", "email", "zip", "state", "assignee_id")
        if (value := getattr(change, name)) is not msgspec.UNSET
    }
    for name, clean_cell in (
        ("first_name", clean),
        ("last_name", clean),
        ("email", clean),
        ("zip", zip_code),
    ):
        if name in given:
            given[name] = clean_cell(given[name])
    if "state" in given:
        given["state"] = state_code(given["state"])
    after = msgspec.structs.replace(stands, **given)
    if not isinstance(change.fields, msgspec.UnsetType):
        after = msgspec.structs.replace(after, fields=_with(stands.fields, change.fields))
    group = hours_group_of(after.phone, after.zip, after.state)
    where = {"zip", "state"} & given.keys()
    return msgspec.structs.replace(after, hours_group=group) if where else after


def _with(stored: str | None, fields: Mapping[str, str | None]) -> str | None:
    before: dict[str, object] = msgspec.json.decode(stored) if stored else {}
    both = {slug: value for slug, value in (before | dict(fields)).items() if value is not None}
    if len(both) > MOST_FIELDS:
        raise BadInput("a contact has too many custom fields", "fields", f"keep it to {MOST_FIELDS}")
    if both == before:
        return stored
    return msgspec.json.encode(both).decode() if both else None
