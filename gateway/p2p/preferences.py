"""What people choose for themselves in a campaign: whether a report archives, whether mails reach them (F174, F206)."""

from gateway.clock import Clock
from gateway.core.bank.permissions import Actor
from gateway.core.rules.errors import TextbankError
from gateway.pipeline.campaigns import Campaigns
from gateway.store import preferences
from gateway.store.database import Database
from gateway.store.preferences import Preferences

__all__ = ["NoPerson", "OwnPreferences", "Preferences"]


class NoPerson(TextbankError):
    """An API key is nobody: it has nothing of its own."""

    def __init__(self) -> None:
        super().__init__("this is for people who have signed in")


class OwnPreferences:
    """Each person's own."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock

    async def show(self, actor: Actor, campaign_id: int) -> Preferences:
        """Raises NoPerson."""
        key, user_id = self._campaigns[campaign_id].key, person(actor)
        return _somebodys(await preferences.show(self._database, key, user_id))

    async def choose(
        self, actor: Actor, campaign_id: int, *, archive_on_report: bool | None, mails: bool | None
    ) -> Preferences:
        """What is None stays. Raises NoPerson."""
        chosen = await preferences.choose(
            self._database,
            self._campaigns[campaign_id].key,
            person(actor),
            self._clock.now(),
            archive_on_report=archive_on_report,
            mails=mails,
        )
        return _somebodys(chosen)


def person(actor: Actor) -> int:
    """Whose things are meant. Raises NoPerson."""
    if actor.user_id is None:
        raise NoPerson
    return actor.user_id


def _somebodys(found: Preferences | None) -> Preferences:
    if found is None:
        raise NoPerson
    return found
