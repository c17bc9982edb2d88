"""Publishing an action: what is to be mended first, whom it has, and from when people see it (F140 to F149)."""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.bank.actions import MOVES, PUBLISHED, State
from gateway.core.bank.permissions import Actor, Role
from gateway.core.bank.publishing import Broadcast, Plan, Reason, reasons_against
from gateway.core.bank.script_check import SAMPLED
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadFields, BadInput, TextbankError
from gateway.p2p.actions import Action, ActionClash, Actions, NoAction
from gateway.p2p.compiled import surroundings, wording_of
from gateway.p2p.people_in_scripts import values_of
from gateway.p2p.script_rows import text_of
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import (
    admin_notices,
    audit_log,
    campaign_actions,
    publishing,
    scripts,
    statistics,
    user_notices,
)
from gateway.store.campaign_actions import ActionRecord
from gateway.store.database import Connection, Database
from gateway.store.ids import Ids
from gateway.store.rows import as_json
from gateway.store.scripts import ScriptRow
from gateway.store.user_notices import UserNotice

_DUE_AT_ONCE: Final = 20
_LONGEST_NOTICE: Final = 1_000
_log = structlog.get_logger("textbank.publishing")


class NotReady(TextbankError):
    """The action can't be published: every reason, at once."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("; ".join(each.detail for each in reasons))
        self.reasons = list(reasons)


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an action may be published (`reasons` is empty then), and how many contacts it would have; of a broadcast
    also how many of them have agreed to it."""

    reasons: list[Reason]
    people: int
    consented: int | None = None


class Publishing:
    """From draft to scheduled, private or public."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, actions: Actions) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._actions = actions
        self._ids = Ids(database)

    async def readiness(self, actor: Actor, campaign_id: int, action_id: int) -> Readiness:
        """Raises NoAction."""
        action = await self._actions.read(actor, campaign_id, action_id)
        return await self._readiness(self._campaigns[campaign_id], action)

    async def _readiness(self, campaign: Campaign, action: Action) -> Readiness:
        key, now = campaign.key, self._clock.now()
        lists, action_id = action.settings.audience.contact_list_ids, action.record.action_id
        await statistics.refresh(self._database)  # the lists may have been imported a moment ago
        reached = await publishing.reached(self._database, key, lists)
        sample = await publishing.sample(self._database, key, lists, seed=action_id, limit=SAMPLED)
        rows = await scripts.of_action(self._database, key, action_id)
        around = await surroundings(self._database, campaign, now)
        plan = Plan(
            state=action.state,
            archived=action.record.archived_at is not None,
            scripts=[text_of(each) for each in rows],
            wording=wording_of(campaign, action.settings, around),
            sample=[values_of(each) for each in sample],
            people=reached.people,
            registered=campaign.settings.registration.registered,
            hours=campaign.settings.hours,
            hours_groups=reached.hours_groups,
            broadcast=await self._broadcast(campaign, action),
        )
        consented = None if plan.broadcast is None else plan.broadcast.consented
        return Readiness(reasons=reasons_against(plan, now), people=reached.people, consented=consented)

    async def _broadcast(self, campaign: Campaign, action: Action) -> Broadcast | None:
        if action.settings.kind != "broadcast":
            return None
        lists = action.settings.audience.contact_list_ids
        consented = await publishing.consented(self._database, campaign.key, lists)
        return Broadcast(is_set_up=campaign.settings.broadcasts, consented=consented)

    async def publish(
        self,
        actor: Actor,
        campaign_id: int,
        action_id: int,
        state: State,
        at: float | None = None,
        version: int | None = None,
    ) -> Action:
        """Now, or at a time that can be changed until then (F141, F142); people see it once all its contacts are there.

        Raises NoAction, ActionClash for another version, NotReady with every reason, BadInput for a move that there
        isn't and for a time that has passed.
        """
        campaign = self._campaigns[campaign_id]
        action = await self._actions.read(actor, campaign_id, action_id)
        if version is not None and version != action.record.version:
            raise ActionClash(action)
        _require_move(action, State.SCHEDULED if at is not None else state)
        if action.state is State.PRIVATE:
            return await self._move(actor, campaign, action, state)
        readiness = await self._readiness(campaign, action)
        if readiness.reasons:
            raise NotReady(readiness.reasons)
        if at is not None:
            if at <= self._clock.now():
                raise BadFields([("at", "this time has passed: leave it out to publish now")])
            return await self._move(actor, campaign, action, State.SCHEDULED, at, state)
        return await self._publish_now(actor, campaign, action, state)

    async def unschedule(
        self, actor: Actor, campaign_id: int, action_id: int, version: int | None = None
    ) -> Action:
        """A draft again, while it is not live yet. Raises NoAction, ActionClash, BadInput for one that isn't scheduled."""
        campaign = self._campaigns[campaign_id]
        action = await self._actions.read(actor, campaign_id, action_id)
        if version is not None and version != action.record.version:
            raise ActionClash(action)
        if action.state is not State.SCHEDULED:
            raise BadInput("the action is not scheduled")
        return await self._move(actor, campaign, action, State.DRAFT)

    async def _move(
        self,
        actor: Actor,
        campaign: Campaign,
        action: Action,
        state: State,
        at: float | None = None,
        later: State | None = None,
    ) -> Action:
        """Another state, nobody assigned by it."""
        after = msgspec.structs.replace(action.record, state=state, publish_at=at, publishes_as=later)
        async with self._database.transaction() as transaction:
            await self._actions.locked(transaction, campaign, after.action_id, action.record.version)
            await campaign_actions.save(transaction, campaign.key, after)
            await self._tell(transaction, campaign, actor, action.record, after)
        await self._campaigns.take_up(campaign.campaign_id)
        return await self._actions.read(actor, campaign.campaign_id, after.action_id)

    async def _publish_now(self, actor: Actor, campaign: Campaign, action: Action, state: State) -> Action:
        key, action_id = campaign.key, action.record.action_id
        async with self._database.transaction() as transaction:
            await self._actions.locked(transaction, campaign, action_id, action.record.version)
            version = await campaign_actions.touch(transaction, key, action_id)
        await publishing.unassign(self._database, key, action_id, version)
        lists = action.settings.audience.contact_list_ids
        count = await publishing.assign(self._database, key, action_id, version, lists, action_id)
        after = msgspec.structs.replace(action.record, state=state)
        async with self._database.transaction() as transaction:
            now = self._clock.now()
            if not await publishing.publish(transaction, key, action_id, version, state, now):
                raise ActionClash(await self._actions.read(actor, campaign.campaign_id, action_id))
            await self._tell(transaction, campaign, actor, action.record, after, contacts=count)
        await statistics.refresh(self._database)
        await self._campaigns.take_up(campaign.campaign_id)
        return await self._actions.read(actor, campaign.campaign_id, action_id)

    async def _tell(
        self,
        transaction: Connection,
        campaign: Campaign,
        actor: Actor,
        before: ActionRecord,
        after: ActionRecord,
        **more: object,
    ) -> None:
        await campaign_actions.tell_workers(transaction, campaign.key)
        act = "action published" if after.state in PUBLISHED else f"action {after.state}"
        await audit_log.write(
            transaction,
            campaign.key,
            self._clock.now(),
            actor.name,
            act,
            before=as_json(_told(before)),
            after=as_json({**_told(after), **more}),
        )

    # ------------------------------------------------------------ at a time

    async def publish_due(self, _done_until: float | None) -> float:
        """Publishes what is due; one of all workers does so. What can't be any more is a draft again, and says why."""
        now = self._clock.now()
        for key, action_id in await campaign_actions.due(self._database, now, _DUE_AT_ONCE):
            if key.campaign_id not in self._campaigns:
                await self._campaigns.load()
            if key.campaign_id in self._campaigns:
                await self._publish_one(self._campaigns[key.campaign_id], action_id)
        return now

    async def _publish_one(self, campaign: Campaign, action_id: int) -> None:
        schedule = Actor(Role.KEY_ADMIN, key_id="schedule")
        try:
            action = await self._actions.read(schedule, campaign.campaign_id, action_id)
            state = State(action.record.publishes_as or State.PUBLIC)
            await self.publish(schedule, campaign.campaign_id, action_id, state, None, action.record.version)
        except (NoAction, ActionClash):
            return  # somebody has just changed it: the next turn looks again
        except NotReady as refused:
            _log.warning("a scheduled action could not be published", action=action_id, why=str(refused))
            await self._put_back(campaign, action_id, refused)

    async def _put_back(self, campaign: Campaign, action_id: int, refused: NotReady) -> None:
        key: CampaignKey = campaign.key
        notices = await self._notices(campaign, action_id, refused)
        async with self._database.transaction() as transaction:
            before = await campaign_actions.locked(transaction, key, action_id)
            if before is None or before.state != State.SCHEDULED:
                return
            after = msgspec.structs.replace(before, state=State.DRAFT, publish_at=None, publishes_as=None)
            await campaign_actions.save(transaction, key, after)
            told = as_json({**_told(after), "reasons": refused.reasons})
            await audit_log.write(
                transaction, key, self._clock.now(), "schedule", "action not published", after=told
            )
            await user_notices.tell(transaction, key, notices)

    async def _notices(self, campaign: Campaign, action_id: int, refused: NotReady) -> list[UserNotice]:
        """What every admin is told of it."""
        notice = UserNotice(
            notice_id=0,
            user_id=0,
            kind="not_published",
            title="A scheduled action was not published",
            body=f"It is a draft again. To be mended first: {refused}"[:_LONGEST_NOTICE],
            about={"action_id": action_id},
            at=self._clock.now(),
        )
        return await admin_notices.made(self._database, self._ids, campaign.key, notice)


def _require_move(action: Action, state: State) -> None:
    """Raises NotReady for what is published already, BadInput for another move that there isn't."""
    if action.state in PUBLISHED and state not in MOVES[action.state]:
        raise NotReady([Reason(code="published", detail="the action is published already")])
    if state not in MOVES[action.state]:
        raise BadInput(f"an action that is {action.state} can't become {state}")


def _told(record: ActionRecord) -> dict[str, object]:
    told: dict[str, object] = {"action_id": record.action_id, "title": record.title, "state": record.state}
    return told if record.publish_at is None else {**told, "publish_at": record.publish_at}


async def publish_whole(
    database: Database,
    key: CampaignKey,
    action: ActionRecord,
    rows: Sequence[ScriptRow],
    seed: int,
    now: float,
) -> int:
    """An action of the whole campaign from nothing to public; returns how many contacts it has.

    When it was broken off the same call goes on. Raises BadInput for one that is published already.
    """
    async with database.transaction() as transaction:
        stands = await campaign_actions.locked(transaction, key, action.action_id)
        if stands is None:
            await campaign_actions.create(transaction, key, action)
            await scripts.add(transaction, key, rows)
        elif stands.published_at is not None:
            where = f"campaign {key.campaign_id}, action {action.action_id}"
            raise BadInput("the action is published already", where, "give another id")
        version = await campaign_actions.touch(transaction, key, action.action_id)
    count = await publishing.assign(database, key, action.action_id, version, (), seed)
    await publishing.publish(database, key, action.action_id, version, State.PUBLIC, now)
    await statistics.refresh(database)
    return count
