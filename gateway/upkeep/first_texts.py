"""Whoever pauses, resumes or holds first texts may be gone before the queue is in order: an owner sees to it.

Once more when a campaign is taken up, and some times after something changed about what waits in it: a text may come into the
queue a while after the change, decided before it.
"""

from collections.abc import Callable, Iterable
from typing import Final

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import first_texts
from gateway.store.database import Database
from gateway.upkeep.periodic import every

_Stand = tuple[int, frozenset[int], frozenset[str]]
EVERY_S: Final = 30.0
_LATE_S: Final = 120.0  # so long after a change a text may come that was decided before it


class FirstTextsInOrder:
    """`owned`: the campaigns that this worker owns; `remind`: what waits for one of them has become due."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        owned: Callable[[], Iterable[CampaignKey]],
        remind: Callable[[int], None],
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._owned = owned
        self._remind = remind
        self._stood: dict[int, _Stand] = {}
        self._in_doubt: dict[int, float] = {}  # until when, by Clock.steady

    async def run(self) -> None:
        """For ever."""
        await every(EVERY_S, self.run_once, "first texts in order")

    async def run_once(self) -> None:
        """Those owned campaigns in which something has changed of late; the others cost nothing. Raises DatabaseAway."""
        now = self._clock.steady()
        owned = {key.campaign_id for key in self._owned() if key.campaign_id in self._campaigns}
        stand = {each: _stand(self._campaigns[each]) for each in owned}
        changed = {each for each in owned if self._stood.get(each, stand[each]) != stand[each]}
        self._stood = stand
        self._in_doubt |= dict.fromkeys(changed, now + _LATE_S)
        self._in_doubt = {each: until for each, until in self._in_doubt.items() if each in owned}
        for campaign_id, until in list(self._in_doubt.items()):
            await self.settle(campaign_id)
            if until <= now:  # whatever may come late is seen; a look that failed has seen nothing
                del self._in_doubt[campaign_id]

    async def settle(self, campaign_id: int) -> None:
        """The campaign's queue is put in order, if it may not be. Raises DatabaseAway."""
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        holds = campaign.paused_actions or campaign.held_pairs
        if (holds or await first_texts.any_put_off(self._database, campaign.key, now)) and (
            await first_texts.line_up(self._database, campaign.key, now)
        ):
            self._remind(campaign_id)


def _stand(campaign: Campaign) -> _Stand:
    """What first texts wait for, and the version of it: what was changed and changed back has changed."""
    return campaign.actions_version, campaign.paused_actions, campaign.held_pairs
