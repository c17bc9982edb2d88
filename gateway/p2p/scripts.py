"""Scripts of an action: written, put in order, changed while people use them, and how often each was sent (F085 to F094,
F110 to F118)."""

from collections.abc import Sequence

import msgspec

from gateway.clock import Clock
from gateway.core.bank.permissions import Actor
from gateway.core.bank.publishing import script_faults
from gateway.core.bank.scripts import ScriptKind, ScriptText, frozen_fields
from gateway.core.rules.errors import BadFields, BadInput, TextbankError
from gateway.p2p.actions import Action, Actions
from gateway.p2p.compiled import surroundings, wording_of
from gateway.p2p.labels import Labels
from gateway.p2p.script_rows import label_faults, row_of, rows_of, text_of
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import audit_log, campaign_actions, scripts
from gateway.store.database import Connection, Database
from gateway.store.ids import Ids
from gateway.store.rows import as_json
from gateway.store.scripts import ScriptRow

__all__ = ["NoScript", "ScriptBook", "ScriptRow"]


class NoScript(TextbankError):
    """The action has no such script."""

    def __init__(self, script_id: int) -> None:
        super().__init__(f"the action has no script {script_id}")


class ScriptBook:
    """The scripts of every campaign's actions."""

    def __init__(
        self, database: Database, campaigns: Campaigns, clock: Clock, actions: Actions, labels: Labels
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._actions = actions
        self._labels = labels
        self._ids = Ids(database)

    async def of(self, actor: Actor, campaign_id: int, action_id: int) -> list[ScriptRow]:
        """In their order, initials first; archived ones are left out. Raises NoAction."""
        await self._actions.read(actor, campaign_id, action_id)
        return await scripts.of_action(self._database, self._campaigns[campaign_id].key, action_id)

    async def uses(self, actor: Actor, campaign_id: int, action_id: int) -> dict[str, int]:
        """How often each was sent, by name (F118). Raises NoAction."""
        await self._actions.read(actor, campaign_id, action_id)
        return await scripts.uses(self._database, self._campaigns[campaign_id].key, action_id)

    async def add(
        self, actor: Actor, campaign_id: int, action_id: int, text: ScriptText, version: int | None = None
    ) -> ScriptRow:
        """A new script, the last of its kind. Raises NoAction, ActionClash and BadFields, which of a published action
        also tells what the lint calls an error."""
        campaign = self._campaigns[campaign_id]
        [script_id] = await self._ids.take(1)
        await self._check_labels(campaign, text)
        async with self._database.transaction() as transaction:
            action = await self._actions.locked(transaction, campaign, action_id, version)
            there = await scripts.of_action(transaction, campaign.key, action_id, archived=True)
            [row] = rows_of(action_id, [text], there, [script_id])
            await self._check_live(campaign, action, row)
            await scripts.add(transaction, campaign.key, [row])
            await self._tell(transaction, campaign, actor, "script added", None, row)
        await self._campaigns.take_up(campaign_id)
        return row

    async def change(
        self,
        actor: Actor,
        campaign_id: int,
        action_id: int,
        script_id: int,
        text: ScriptText,
        version: int | None = None,
    ) -> ScriptRow:
        """Another text, of a new revision: who still has the earlier one under the thumb is told so.

        Once the action is published only what a response says and does may change. Raises NoAction, ActionClash,
        NoScript and BadFields.
        """
        campaign = self._campaigns[campaign_id]
        await self._check_labels(campaign, text)
        async with self._database.transaction() as transaction:
            action = await self._actions.locked(transaction, campaign, action_id, version)
            there = await scripts.of_action(transaction, campaign.key, action_id, archived=True)
            before = _one(there, script_id)
            text = msgspec.structs.replace(text, name=text.name.strip() or before.name)
            if text.name != before.name and any(each.name == text.name for each in there):
                raise BadFields([("name", f"another script is called '{text.name}'")])
            frozen = frozen_fields(text_of(before), text) if action.record.published_at is not None else []
            if frozen:
                words = "this can't change any more: the action is published"
                raise BadFields([(name, words) for name in frozen])
            after = msgspec.structs.replace(
                row_of(script_id, action_id, text, before.place), revision=before.revision + 1
            )
            await self._check_live(campaign, action, after)
            await scripts.save(transaction, campaign.key, after)
            await self._tell(transaction, campaign, actor, "script changed", before, after)
        await self._campaigns.take_up(campaign_id)
        return after

    async def remove(
        self, actor: Actor, campaign_id: int, action_id: int, script_id: int, version: int | None = None
    ) -> None:
        """Of a draft for good; of a published action it is no longer offered, and its uses stay counted.

        Raises NoAction, ActionClash, NoScript, and BadInput for the last initial of a published action.
        """
        campaign = self._campaigns[campaign_id]
        async with self._database.transaction() as transaction:
            action = await self._actions.locked(transaction, campaign, action_id, version)
            there = await scripts.of_action(transaction, campaign.key, action_id)
            row = _one(there, script_id)
            if action.record.published_at is None:
                await scripts.remove(transaction, campaign.key, script_id)
            else:
                _require_others(row, there)
                archived = msgspec.structs.replace(row, archived_at=self._clock.now())
                await scripts.save(transaction, campaign.key, archived)
            await self._tell(transaction, campaign, actor, "script removed", row, None)
        await self._campaigns.take_up(campaign_id)

    async def put_in_order(
        self, actor: Actor, campaign_id: int, action_id: int, script_ids: Sequence[int]
    ) -> list[ScriptRow]:
        """All scripts of the action in this order, within their kinds. Raises NoAction and BadFields for other ids."""
        campaign = self._campaigns[campaign_id]
        async with self._database.transaction() as transaction:
            await self._actions.locked(transaction, campaign, action_id, None)
            there = await scripts.of_action(transaction, campaign.key, action_id)
            if sorted(script_ids) != sorted(each.script_id for each in there):
                raise BadFields([("script_ids", "give every script of the action, each once")])
            await scripts.put_in_order(transaction, campaign.key, action_id, script_ids)
            after = await scripts.of_action(transaction, campaign.key, action_id)
            await campaign_actions.touch(transaction, campaign.key, action_id)
            await campaign_actions.tell_workers(transaction, campaign.key)
            await audit_log.write(
                transaction,
                campaign.key,
                self._clock.now(),
                actor.name,
                "scripts put in order",
                before=as_json([each.name for each in there]),
                after=as_json([each.name for each in after]),
            )
        await self._campaigns.take_up(campaign_id)
        return after

    async def _check_labels(self, campaign: Campaign, text: ScriptText) -> None:
        """Raises BadFields for a tag or field that the campaign doesn't have, or no longer."""
        tags = {
            each.tag_id for each in await self._labels.tags(campaign.campaign_id) if each.archived_at is None
        }
        fields = {
            each.slug for each in await self._labels.fields(campaign.campaign_id) if each.archived_at is None
        }
        faults = label_faults(text)
        faults += [
            ("tag_ids", f"the campaign has no tag {each}") for each in text.tag_ids if each not in tags
        ]
        faults += [
            (f"fields.{each}", "the campaign has no such field") for each in text.fields if each not in fields
        ]
        if faults:
            raise BadFields(faults)

    async def _check_live(self, campaign: Campaign, action: Action, row: ScriptRow) -> None:
        """Raises BadFields for a script that people would use at once, and that the lint calls wrong."""
        if action.record.published_at is None:
            return
        around = await surroundings(self._database, campaign, self._clock.now())
        faults = script_faults(text_of(row), wording_of(campaign, action.settings, around))
        if faults:
            raise BadFields([("source", f"line {each.line}: {each.detail}") for each in faults])

    async def _tell(
        self,
        transaction: Connection,
        campaign: Campaign,
        actor: Actor,
        act: str,
        before: ScriptRow | None,
        after: ScriptRow | None,
    ) -> None:
        row = after or before
        assert row is not None
        await campaign_actions.touch(transaction, campaign.key, row.action_id)
        await campaign_actions.tell_workers(transaction, campaign.key)
        await audit_log.write(
            transaction,
            campaign.key,
            self._clock.now(),
            actor.name,
            act,
            before=None if before is None else as_json(before),
            after=None if after is None else as_json(after),
        )


def _one(there: Sequence[ScriptRow], script_id: int) -> ScriptRow:
    for row in there:
        if row.script_id == script_id and row.archived_at is None:
            return row
    raise NoScript(script_id)


def _require_others(row: ScriptRow, there: Sequence[ScriptRow]) -> None:
    is_last = sum(each.kind == ScriptKind.INITIAL for each in there) == 1
    if row.kind == ScriptKind.INITIAL and is_last:
        raise BadInput("a published action needs an initial script", "", "add another one first")
