"""What people say that they did about an action: seen, started, completed (F152 to F155)."""

from collections.abc import Callable

from gateway.core.bank.permissions import Act, Actor, Reach
from gateway.core.rules.errors import BadInput
from gateway.p2p.results import NoResults
from gateway.pipeline.campaigns import Campaign
from gateway.store import action_users, results
from gateway.store.action_users import Did
from gateway.store.database import Database

__all__ = ["Did", "Progress"]


class Progress:
    """Writes it down, once for each time. `now` tells Unix seconds."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    async def note(
        self, actor: Actor, campaign: Campaign, action_id: int, did: Did, user_id: int | None
    ) -> int:
        """How often the person has completed the action by now. A person speaks for themselves, a key names whom it is.

        Raises NoResults for an action that is not theirs, BadInput for a key that names nobody.
        """
        whom = actor.user_id or user_id
        if whom is None:
            if await results.beside(self._database, campaign.key, action_id) is None:
                raise NoResults(action_id)
            raise BadInput("user_id", "an API key is nobody", "name the person who did it")
        performs = await action_users.note(
            self._database,
            campaign.key,
            action_id,
            whom,
            did,
            self._now(),
            sees_all=actor.reach(Act.SEND) is Reach.CAMPAIGN,
        )
        if performs is None:
            raise NoResults(action_id)
        return performs
