"""Publishing an action: what is to be mended first, whom it has, and from when people see it (F140 to F149)."""

from collections.abc import Sequence

from gateway.core.bank.actions import State
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadInput
from gateway.store import campaign_actions, publishing, scripts
from gateway.store.campaign_actions import ActionRecord
from gateway.store.database import Database
from gateway.store.scripts import ScriptRow


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
    await publishing.analyze(database)
    return count
