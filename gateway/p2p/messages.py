"""Messages to be read: one as it stands, and its whole life in words."""

from collections.abc import Callable

from gateway.p2p.story import Message, Story, message_view, story_of
from gateway.pipeline.campaigns import Campaign
from gateway.store import stories
from gateway.store.database import Database


class Messages:
    """A campaign's messages. `now` tells Unix seconds; `held_because` why this worker sends nothing at all, or ""."""

    def __init__(
        self, database: Database, now: Callable[[], float], held_because: Callable[[], str] = lambda: ""
    ) -> None:
        self._database = database
        self._now = now
        self._held_because = held_because

    async def find(self, campaign: Campaign, message_id: int) -> Message | None:
        """The message as it stands; None when the campaign has no such message."""
        found = await stories.message(self._database, campaign.key, message_id)
        return None if found is None else message_view(found, campaign.limits)

    async def story(self, campaign: Campaign, message_id: int) -> Story | None:
        """Its whole life, up to now; None when the campaign has no such message."""
        found = await stories.facts(self._database, campaign.key, campaign.opt_out_scope, message_id)
        if found is None:
            return None
        return story_of(found, campaign.limits, self._now(), self._held_because())
