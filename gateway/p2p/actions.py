"""Actions as a campaign's people have them: drafts made and changed, lists of them, who is let in (F075 to F084, F140 to F150)."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.actions import (
    ActionSettings,
    State,
    Viewer,
    frozen_after_publishing,
    may_see,
)
from gateway.core.bank.permissions import Act, Actor, Reach
from gateway.core.bank.scripts import ScriptText
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadFields, BadInput, TextbankError
from gateway.p2p.compiled import settings_of
from gateway.p2p.cursors import AtPlace, IdPlace, before, cursor_of, page_of, place_of
from gateway.p2p.script_rows import rows_of
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import audit_log, campaign_actions, publishing, scripts
from gateway.store.campaign_actions import ActionRecord, Invitee, Wanted
from gateway.store.database import Connection, Database
from gateway.store.ids import Ids
from gateway.store.rows import as_json

__all__ = [
    "Action",
    "ActionChange",
    "ActionClash",
    "ActionPage",
    "Actions",
    "Invitee",
    "Invitees",
    "NoAction",
    "NoLink",
    "Wanted",
]
Random = Callable[[int], bytes]
LINK_BYTES: Final = 16
MOST_LOOKED_AT: Final = 500  # actions, for one page of those that a volunteer may see
_PIECE: Final = 100


class NoAction(TextbankError):
    """There is no such action, or it is not for whoever asks."""

    def __init__(self, action_id: int) -> None:
        super().__init__(f"there is no action {action_id}")


class NoLink(TextbankError):
    """No action has this link."""

    def __init__(self) -> None:
        super().__init__("this link leads to no action: ask for a new one")


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """An action and its settings; `paused`: its first texts wait, replies go on."""

    record: ActionRecord
    settings: ActionSettings
    paused: bool

    @property
    def state(self) -> State:
        return State(self.record.state)


class ActionClash(TextbankError):
    """Somebody else has changed the action meanwhile: `stored` is how it stands."""

    def __init__(self, stored: Action) -> None:
        super().__init__(
            f"the action was changed by somebody else meanwhile: it is of version {stored.record.version} now"
        )
        self.stored = stored


class ActionPage(msgspec.Struct, frozen=True):
    """Actions, the newest first, and the cursor of those made before them."""

    rows: list[Action]
    next: str | None


class Invitees(msgspec.Struct, frozen=True):
    """Who was invited, and the cursor of those after."""

    rows: list[Invitee]
    next: str | None


class ActionChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; None stays as it is."""

    title: str | None = None
    settings: ActionSettings | None = None
    archived: bool | None = None
    paused: bool | None = None
    new_link: bool = False


class Actions:
    """Of every campaign. `random` draws what an action link carries."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, random: Random) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._random = random
        self._ids = Ids(database)

    # ------------------------------------------------------------ what there is

    async def read(self, actor: Actor, campaign_id: int, action_id: int) -> Action:
        """Raises NoAction for one that is not there, or not for the actor."""
        campaign = self._campaigns[campaign_id]
        record = await campaign_actions.find(self._database, campaign.key, action_id)
        if record is None:
            raise NoAction(action_id)
        action = _action(campaign, record)
        if not await self._seen(actor, campaign, [action]):
            raise NoAction(action_id)
        return action

    async def page(
        self, actor: Actor, campaign_id: int, wanted: Wanted, cursor: str | None, limit: int
    ) -> ActionPage:
        """At most `limit` of those that the actor may see. Raises BadInput for a cursor of another list."""
        campaign = self._campaigns[campaign_id]
        last = before(cursor)
        wanted = (
            wanted if _is_staff(actor) else msgspec.structs.replace(wanted, archived=False, published=True)
        )
        found: list[Action] = []
        looked_at, more = 0, True
        while more and len(found) <= limit and looked_at < MOST_LOOKED_AT:
            piece = await campaign_actions.page(self._database, campaign.key, wanted, last, _PIECE)
            looked_at, more = looked_at + len(piece), len(piece) == _PIECE
            found += await self._seen(actor, campaign, [_action(campaign, each) for each in piece])
            last = _place(piece[-1]) if piece else last
        shown = found[:limit]
        last = _place(shown[-1].record) if len(found) > limit else last
        is_over = len(found) <= limit and not more
        return ActionPage(shown, None if is_over else cursor_of(AtPlace(*last)))

    async def _seen(self, actor: Actor, campaign: Campaign, actions: Sequence[Action]) -> list[Action]:
        """Those that the actor may see."""
        if _is_staff(actor) or not actions:
            return list(actions)
        if actor.user_id is None:
            return []
        looker = await campaign_actions.looker(self._database, campaign.key, actor.user_id)
        if looker is None:
            return []
        ids = [each.record.action_id for each in actions]
        invited = await campaign_actions.invited_to(self._database, campaign.key, actor.user_id, ids)

        def viewer(action: Action) -> Viewer:
            return Viewer(
                is_staff=False,
                language="es" if looker.language == "es" else "en",
                zip=looker.zip,
                user_list_ids=frozenset(looker.user_list_ids),
                invited=action.record.action_id in invited,
            )

        return [
            each
            for each in actions
            if each.record.published_at is not None
            and may_see(
                each.state,
                each.settings.audience,
                viewer(each),
                archived=each.record.archived_at is not None,
            )
        ]

    # ------------------------------------------------------------ made and changed

    async def create(
        self,
        actor: Actor,
        campaign_id: int,
        title: str,
        settings: ActionSettings,
        texts: Sequence[ScriptText] = (),
        *,
        who: str | None = None,
    ) -> Action:
        """A draft. Raises BadFields for settings that can't be, and for scripts of one name."""
        campaign = self._campaigns[campaign_id]
        await self._check(campaign, settings)
        [action_id] = await self._ids.take(1)
        record = ActionRecord(
            action_id=action_id,
            title=title,
            state=State.DRAFT,
            settings=as_json(settings),
            created_by=actor.user_id,
            created_at=self._clock.now(),
            link=self._random(LINK_BYTES).hex(),
        )
        rows = rows_of(action_id, texts, [], await self._ids.take(len(texts)))
        async with self._database.transaction() as transaction:
            await campaign_actions.create(transaction, campaign.key, record)
            await scripts.add(transaction, campaign.key, rows)
            await self._tell(transaction, campaign.key, who or actor.name, "action made", None, record)
        return _action(campaign, record)

    async def change(
        self, actor: Actor, campaign_id: int, action_id: int, change: ActionChange, version: int | None = None
    ) -> Action:
        """In force at the answer, and on every worker within two seconds.

        `version` is that from which the change was made; None: whichever. Raises NoAction, ActionClash, BadFields for
        settings that can't be or may not change any more (F149), BadInput for no change at all.
        """
        campaign = self._campaigns[campaign_id]
        if change.settings is not None:
            await self._check(campaign, change.settings)
        async with self._database.transaction() as transaction:
            before = await self.locked(transaction, campaign, action_id, version)
            if change == ActionChange():
                raise BadInput("give something to change")
            after = self._changed(before, change)
            await campaign_actions.save(transaction, campaign.key, after)
            if change.paused is not None:
                await campaign_actions.pause(transaction, campaign.key, action_id, change.paused)
            await campaign_actions.tell_workers(transaction, campaign.key)
            told = {} if change.paused is None else {"paused": change.paused}
            await self._tell(
                transaction, campaign.key, actor.name, "action changed", before.record, after, told
            )
        if change.paused is None:
            await self._campaigns.take_up(campaign_id)
        else:
            await self._campaigns.take_up_first_texts(campaign.key, self._clock.now(), pauses=change.paused)
        return await self.read(actor, campaign_id, action_id)

    async def locked(
        self, transaction: Connection, campaign: Campaign, action_id: int, version: int | None
    ) -> Action:
        """As it stands, until the transaction ends. Raises NoAction, and ActionClash for another version."""
        record = await campaign_actions.locked(transaction, campaign.key, action_id)
        if record is None:
            raise NoAction(action_id)
        action = _action(campaign, record)
        if version is not None and version != record.version:
            raise ActionClash(action)
        return action

    def _changed(self, before: Action, change: ActionChange) -> ActionRecord:
        record, settings = before.record, change.settings
        is_live = record.published_at is not None
        frozen = frozen_after_publishing(before.settings, settings) if settings and is_live else []
        if frozen:
            words = "this can't change any more: it is published"
            raise BadFields([(f"settings.{name}", words) for name in frozen])
        archived_at = record.archived_at
        if change.archived is not None and change.archived is not (archived_at is not None):
            archived_at = self._clock.now() if change.archived else None
        return msgspec.structs.replace(
            record,
            title=record.title if change.title is None else change.title,
            settings=record.settings if settings is None else as_json(settings),
            archived_at=archived_at,
            link=self._random(LINK_BYTES).hex() if change.new_link else record.link,
        )

    async def _check(self, campaign: Campaign, settings: ActionSettings) -> None:
        """Raises BadFields: other area codes than the campaign's (F026), lists that it doesn't have."""
        ours = campaign.settings.pool.preferred_area_codes
        faults = [
            (f"settings.area_codes[{nth}]", f"{code} is none of the campaign's area codes")
            for nth, code in enumerate(settings.area_codes)
            if ours and code not in ours
        ]
        audience = settings.audience
        for name, ids, missing in (
            ("contact_list_ids", audience.contact_list_ids, publishing.missing_lists),
            ("user_list_ids", audience.user_list_ids, campaign_actions.missing_user_lists),
        ):
            gone = await missing(self._database, campaign.key, ids) if ids else []
            faults += [
                (f"settings.audience.{name}", f"the campaign has no list {list_id}") for list_id in gone
            ]
        if faults:
            raise BadFields(faults)

    # ------------------------------------------------------------ who is let in

    async def invite(
        self, actor: Actor, campaign_id: int, action_id: int, user_ids: Sequence[int]
    ) -> list[int]:
        """Hand-picked people see the action while it is private, too (F145); returns those who are in the campaign."""
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        async with self._database.transaction() as transaction:
            await self.locked(transaction, campaign, action_id, None)
            invited = await campaign_actions.invite(
                transaction, campaign.key, action_id, user_ids, actor.name, now
            )
            after = as_json({"action_id": action_id, "user_ids": invited})
            await audit_log.write(transaction, campaign.key, now, actor.name, "people invited", after=after)
        return invited

    async def uninvite(self, actor: Actor, campaign_id: int, action_id: int, user_id: int) -> None:
        """Whoever has contacts of it keeps them. Raises NoAction for who was not invited."""
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        async with self._database.transaction() as transaction:
            await self.locked(transaction, campaign, action_id, None)
            if not await campaign_actions.uninvite(transaction, campaign.key, action_id, user_id):
                raise NoAction(action_id)
            before = as_json({"action_id": action_id, "user_ids": [user_id]})
            await audit_log.write(
                transaction, campaign.key, now, actor.name, "people uninvited", before=before
            )

    async def invitees(
        self, actor: Actor, campaign_id: int, action_id: int, cursor: str | None, limit: int
    ) -> Invitees:
        await self.read(actor, campaign_id, action_id)
        key = self._campaigns[campaign_id].key
        after_id = 0 if cursor is None else place_of(cursor, IdPlace).id
        rows = await campaign_actions.invitees(self._database, key, action_id, after_id, limit + 1)
        return Invitees(*page_of(rows, limit, lambda each: IdPlace(each.user_id)))

    async def enter(self, actor: Actor, campaign_id: int, link: str) -> Action:
        """A member of the campaign who has an action's link sees it from now on (F150). Raises NoLink, and NoAction
        while it is not published."""
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        record = await campaign_actions.by_link(self._database, campaign.key, link)
        if record is None:
            raise NoLink
        if actor.user_id is not None and record.published_at is not None and record.archived_at is None:
            async with self._database.transaction() as transaction:
                who = [actor.user_id]
                await campaign_actions.invite(transaction, campaign.key, record.action_id, who, "link", now)
        return await self.read(actor, campaign_id, record.action_id)

    async def _tell(
        self,
        transaction: Connection,
        key: CampaignKey,
        who: str,
        act: str,
        before: ActionRecord | None,
        after: ActionRecord,
        more: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        told = None if before is None else as_json(_told(before))
        await audit_log.write(
            transaction,
            key,
            self._clock.now(),
            who,
            act,
            before=told,
            after=as_json({**_told(after), **more}),
        )


def _is_staff(actor: Actor) -> bool:
    return actor.reach(Act.READ_ACTIONS) is Reach.CAMPAIGN


def _action(campaign: Campaign, record: ActionRecord) -> Action:
    return Action(
        record=record, settings=settings_of(record), paused=record.action_id in campaign.paused_actions
    )


def _place(record: ActionRecord) -> tuple[float, int]:
    return record.created_at, record.action_id


def _told(record: ActionRecord) -> dict[str, object]:
    """What the audit log tells of an action; never its link."""
    return {
        "action_id": record.action_id,
        "title": record.title,
        "state": record.state,
        "settings": msgspec.Raw(record.settings.encode()),
        "archived": record.archived_at is not None,
    }
