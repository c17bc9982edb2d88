"""Lists of people and teams, as campaigns keep them (F144, F194)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.labels import clean_label
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadFields, BadInput, TextbankError
from gateway.p2p.cursors import IdPlace, cursor_of, page_of, place_of
from gateway.pipeline.campaigns import Campaigns
from gateway.store import audit_log, user_lists
from gateway.store.database import Database, Statements
from gateway.store.ids import Ids
from gateway.store.user_lists import ListNameTaken, UserListRow

__all__ = ["ListNameTaken", "ListPage", "MemberIds", "NoUserList", "UserListRow", "UserLists"]

MOST_LISTS: Final = 1_000
MOST_MEMBERS: Final = 10_000
"""Of one list: so many people one act reaches, or is split over."""


class NoUserList(TextbankError):
    """The campaign has no such list."""

    def __init__(self, user_list_id: int) -> None:
        super().__init__(f"the campaign has no user list {user_list_id}")


class ListPage(msgspec.Struct, frozen=True):
    """Some lists, and the cursor of those after them; None: there are none."""

    rows: list[UserListRow]
    next: str | None


class MemberIds(msgspec.Struct, frozen=True):
    """Some of a list's active members, and the cursor of those after them."""

    user_ids: list[int]
    next: str | None


class UserLists:
    """People under a name."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._ids = Ids(database)

    async def page(self, campaign_id: int, cursor: str | None, limit: int) -> ListPage:
        """At most `limit` lists. Raises BadInput for a cursor of another list."""
        after = 0 if cursor is None else place_of(cursor, IdPlace).id
        rows = await user_lists.page(self._database, self._key(campaign_id), after, limit + 1)
        return ListPage(*page_of(rows, limit, lambda each: IdPlace(each.user_list_id)))

    async def members(self, campaign_id: int, user_list_id: int, cursor: str | None, limit: int) -> MemberIds:
        """At most `limit` of the list's active members. Raises NoUserList, and BadInput for a cursor of another list."""
        key = self._key(campaign_id)
        await self.show(campaign_id, user_list_id)
        after = 0 if cursor is None else place_of(cursor, IdPlace).id
        found = await user_lists.members(self._database, key, user_list_id, after, limit + 1)
        shown = found[:limit]
        return MemberIds(shown, cursor_of(IdPlace(shown[-1])) if len(found) > limit else None)

    async def show(self, campaign_id: int, user_list_id: int) -> UserListRow:
        """Raises NoUserList."""
        found = await user_lists.show(self._database, self._key(campaign_id), user_list_id)
        if found is None:
            raise NoUserList(user_list_id)
        return found

    async def make(self, campaign_id: int, name: str, user_ids: Sequence[int], who: str) -> UserListRow:
        """Raises BadInput, BadFields for who is not active in the campaign, ListNameTaken."""
        key, name = self._key(campaign_id), clean_label(name, "name")
        await self._require_active(key, "user_ids", user_ids)
        [user_list_id] = await self._ids.take(1)
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            if len(await user_lists.page(transaction, key, 0, MOST_LISTS)) == MOST_LISTS:
                raise BadInput(f"a campaign has at most {MOST_LISTS} lists", "user_lists", "delete one")
            await user_lists.put(transaction, key, user_list_id, name, now)
            await user_lists.change_members(transaction, key, user_list_id, user_ids, ())
            after = {"user_list_id": user_list_id, "name": name, "user_ids": user_ids}
            await self._tell(transaction, key, who, "user list made", None, after)
        return await self.show(campaign_id, user_list_id)

    async def change(
        self,
        campaign_id: int,
        user_list_id: int,
        who: str,
        *,
        name: str | None = None,
        add: Sequence[int] = (),
        remove: Sequence[int] = (),
    ) -> UserListRow:
        """Another name, or other members. Raises NoUserList, BadInput, BadFields, ListNameTaken."""
        key = self._key(campaign_id)
        await self._require_active(key, "add", add)
        async with self._database.transaction() as transaction:
            before = await self._locked(transaction, key, user_list_id)
            after_name = before.name if name is None else clean_label(name, "name")
            if after_name != before.name:
                await user_lists.put(transaction, key, user_list_id, after_name, before.made_at)
            await user_lists.change_members(transaction, key, user_list_id, add, remove)
            if (
                len(await user_lists.members(transaction, key, user_list_id, 0, MOST_MEMBERS + 1))
                > MOST_MEMBERS
            ):
                raise BadInput(f"a list has at most {MOST_MEMBERS} people", "add", "make another list")
            after = {"name": after_name, "added": add, "removed": remove}
            await self._tell(transaction, key, who, "user list changed", before, after)
        return await self.show(campaign_id, user_list_id)

    async def drop(self, campaign_id: int, user_list_id: int, who: str) -> None:
        """Raises NoUserList."""
        key = self._key(campaign_id)
        async with self._database.transaction() as transaction:
            before = await self._locked(transaction, key, user_list_id)
            await user_lists.drop(transaction, key, user_list_id)
            await self._tell(transaction, key, who, "user list deleted", before, None)

    async def _locked(self, transaction: Statements, key: CampaignKey, user_list_id: int) -> UserListRow:
        await user_lists.lock(transaction, key, user_list_id)
        found = await user_lists.show(transaction, key, user_list_id)
        if found is None:
            raise NoUserList(user_list_id)
        return found

    async def _require_active(self, key: CampaignKey, where: str, user_ids: Sequence[int]) -> None:
        active = await user_lists.active(self._database, key, user_ids) if user_ids else set()
        faults = [
            (f"{where}[{nth}]", "nobody who is active in the campaign has this id")
            for nth, user_id in enumerate(user_ids)
            if user_id not in active
        ]
        if faults:
            raise BadFields(faults[:50])

    async def _tell(
        self, transaction: Statements, key: CampaignKey, who: str, act: str, before: object, after: object
    ) -> None:
        told = {"before": before, "after": after}
        lines = {name: msgspec.json.encode(each).decode() for name, each in told.items() if each is not None}
        await audit_log.write(transaction, key, self._clock.now(), who, act, **lines)

    def _key(self, campaign_id: int) -> CampaignKey:
        return self._campaigns[campaign_id].key
