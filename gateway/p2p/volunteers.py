"""Who texts: a person as themselves, an API key for the volunteers of its owner."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from gateway.clock import Clock
from gateway.core.bank.permissions import Actor
from gateway.core.rules.errors import BadInput
from gateway.p2p.buckets import Volunteer
from gateway.pipeline.campaigns import Campaign
from gateway.store import users
from gateway.store.database import Database

_KNOWN_FOR_S: Final = 60.0  # whoever changes their name, texts under the old one for a minute
_MOST: Final = 10_000


class Volunteers:
    """Names of people, as scripts say them, remembered for a minute."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: OrderedDict[tuple[int, int], tuple[float, Mapping[str, str]]] = OrderedDict()

    async def acting(self, actor: Actor, campaign: Campaign, volunteer_id: int | None) -> Volunteer:
        """For whom an actor claims and sends. Raises BadInput: a person does so as themselves, a key names somebody,
        who may be one of whom only its owner knows, and then has no name."""
        if actor.user_id is not None:
            if volunteer_id not in (None, actor.user_id):
                raise BadInput("you text as yourself", "volunteer_id", "leave it out")
            volunteer_id = actor.user_id
        elif volunteer_id is None:
            raise BadInput("a key texts for a volunteer", "volunteer_id", "say whose bucket it is")
        return Volunteer(volunteer_id, await self._words(campaign, volunteer_id))

    async def _words(self, campaign: Campaign, user_id: int) -> Mapping[str, str]:
        """Of a person of the campaign; nobody else's name is in its texts."""
        now, who = self._clock.steady(), (campaign.campaign_id, user_id)
        known = self._known.get(who)
        if known is not None and now - known[0] < _KNOWN_FOR_S:
            return known[1]
        row = await users.member(self._database, campaign.key, user_id)
        words = {} if row is None else words_of(row.name)
        self._known[who] = now, words
        self._known.move_to_end(who)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return words


def words_of(name: str) -> dict[str, str]:
    """What scripts say of somebody with this name (F097): all but the last word are first names."""
    first, _, last = name.rpartition(" ")
    return {"first_name": first or last, "last_name": last if first else "", "full_name": name}
