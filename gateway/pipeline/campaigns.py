"""The campaigns a worker knows, with their settings read once."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignKey, CampaignSettings
from gateway.core.rules.errors import BadInput
from gateway.core.rules.registration import Limits, limits
from gateway.core.sending.breakers import Pair
from gateway.pipeline.settling import Settling
from gateway.store import campaigns as rows
from gateway.store import first_texts
from gateway.store.database import Database


class Campaign(msgspec.Struct, frozen=True):
    """A campaign as the road needs it: settings parsed, the registration's limits worked out."""

    campaign_id: int
    opt_out_scope: int
    name: str
    settings: CampaignSettings
    limits: Limits
    paused: bool
    organisation_id: int = DEFAULT_ORGANISATION
    waits_because: str | None = None  # why no worker could take it up
    settings_version: int = 1
    actions_version: int = 1  # of whatever its texts are made of, and of what they wait for
    paused_actions: frozenset[int] = frozenset()  # whose first texts wait
    area_codes: Mapping[
        int, tuple[str, ...]
    ] = {}  # that an action's first texts prefer, if it has its own (F026)
    broadcasts: frozenset[int] = frozenset()  # its published actions that the gateway sends by itself
    held_pairs: frozenset[str] = frozenset()  # scripts and carriers whose breaker is open

    @property
    def key(self) -> CampaignKey:
        return CampaignKey(self.organisation_id, self.campaign_id)

    @property
    def brand(self) -> str:
        """Whose day at T-Mobile it uses: the organisation's brand of that name, or the campaign alone."""
        return self.settings.registration.brand or f"campaign {self.campaign_id}"

    def holds(self, action_id: int | None, carrier: str | None, script: str | None) -> bool:
        """Whether a breaker is open before first texts of this script to this carrier (None: nobody knows it)."""
        if not self.held_pairs or action_id is None or script is None:
            return False
        return Pair(action_id, carrier or "", script).word in self.held_pairs


def _nobody(_campaign: object) -> None:
    """Nothing."""


class Campaigns:
    """Campaigns by id; `load` reads them from the store again.

    One whose settings can't be read (a newer release made them, or they are broken) harms no other: it is
    missing here, and `unreadable` says why.
    """

    def __init__(self, database: Database, settling: Settling | None = None) -> None:
        self._database = database
        self._settling = settling
        self._known: dict[int, Campaign] = {}
        self._read: dict[int, rows.CampaignRow] = {}
        self._loads = self._loaded = 0
        self.unreadable: dict[int, str] = {}
        self.tell: Callable[[int], None] = (
            _nobody  # other workers, of a campaign that was made or changed here
        )
        self.changed: Callable[[Campaign], None] = _nobody  # is called with each that is read anew

    async def load(self) -> None:
        """Reads them all. Of two loads that overlap, the one that began later has the last word."""
        self._loads += 1
        load = self._loads
        found = await rows.load(self._database)
        if load > self._loaded:
            self._loaded = load
            self._take(found)

    def _take(self, found: Sequence[rows.CampaignRow]) -> None:
        known: dict[int, Campaign] = {}
        changed: list[Campaign] = []
        self.unreadable = {}
        for row in found:
            if self._read.get(row.campaign_id) == row and row.campaign_id in self._known:
                known[row.campaign_id] = self._known[row.campaign_id]
                continue
            try:
                known[row.campaign_id] = _campaign(row)
                changed.append(known[row.campaign_id])
            except (BadInput, ValueError, ArithmeticError) as error:
                self.unreadable[row.campaign_id] = str(error)
        self._known, self._read = known, {row.campaign_id: row for row in found}
        for campaign in changed:
            self.changed(campaign)

    async def take_up(self, campaign_id: int, *, pauses: bool = False) -> None:
        """What was changed of a campaign is in force here at its answer, and at its owner within two seconds.

        `pauses`: it was paused, and every look at a claimed text that began before has expired at the answer.
        """
        self.tell(campaign_id)
        if pauses and self._settling is not None:
            await self._settling.settle()
        await self.load()

    async def take_up_first_texts(self, key: CampaignKey, now: float, *, pauses: bool) -> None:
        """`take_up` of what makes first texts wait (`pauses`), or lets them go on: the queue is in order at the answer.

        What goes on is due before the road hears of it; what waits is put off when no look of before is good any more.
        """
        if not pauses:
            await first_texts.line_up(self._database, key, now)
        await self.take_up(key.campaign_id, pauses=pauses)
        if pauses:
            await first_texts.line_up(self._database, key, now)

    def __getitem__(self, campaign_id: int) -> Campaign:
        """Raises BadInput, which says why."""
        if campaign_id in self._known:
            return self._known[campaign_id]
        if campaign_id in self.unreadable:
            raise BadInput(
                f"the campaign's settings can't be read: {self.unreadable[campaign_id]}",
                str(campaign_id),
                "correct them, or upgrade textbank",
            )
        raise BadInput("there is no such campaign", str(campaign_id), "check the campaign id")

    def __contains__(self, campaign_id: int) -> bool:
        return campaign_id in self._known

    def opt_out_scope(self, campaign_id: int) -> int | None:
        """Whose opt-outs count, also of a campaign whose settings can't be read; None: there is no such campaign."""
        row = self._read.get(campaign_id)
        return None if row is None else row.opt_out_scope

    def has(self, campaign_id: int) -> bool:
        """Whether there is such a campaign, readable or not."""
        return campaign_id in self._known or campaign_id in self.unreadable

    def ids(self) -> list[int]:
        return sorted(self._known)


def _campaign(row: rows.CampaignRow) -> Campaign:
    settings = CampaignSettings.from_store(row.settings, f"settings of campaign {row.campaign_id}")
    return Campaign(
        row.campaign_id,
        row.opt_out_scope,
        row.name,
        settings,
        limits(settings.registration),
        row.paused,
        row.organisation_id,
        row.waits_because,
        row.settings_version,
        row.actions_version,
        frozenset(row.paused_actions),
        _area_codes(row, settings.pool.preferred_area_codes),
        frozenset(row.broadcasts),
        frozenset(row.held_pairs),
    )


def _area_codes(row: rows.CampaignRow, ours: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """By action; what the campaign has given up since, none of its actions prefers any more."""
    wished = msgspec.json.decode(row.area_codes, type=dict[int, tuple[str, ...]])
    kept = {
        action_id: tuple(code for code in codes if not ours or code in ours)
        for action_id, codes in wished.items()
    }
    return {action_id: codes for action_id, codes in kept.items() if codes}
