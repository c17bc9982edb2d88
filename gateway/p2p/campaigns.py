"""Campaigns as their admins have them: made, given other settings, paused."""

from collections.abc import Awaitable, Callable

import msgspec

from gateway.core.bank.links import SECRET_BYTES
from gateway.core.bank.settings import faults
from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.errors import BadFields, BadInput, TextbankError
from gateway.core.rules.registration import limits
from gateway.core.sending.numbers import NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import audit_log, campaigns, links, organisations
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database, Statements
from gateway.store.ids import Ids
from gateway.store.rows import as_json


class IdTaken(TextbankError):
    """There is a campaign of this id already."""


class SettingsClash(TextbankError):
    """Somebody else has saved settings meanwhile: `stored` are theirs, of `version`."""

    def __init__(self, stored: CampaignSettings, version: int) -> None:
        super().__init__(
            f"the settings were saved by somebody else meanwhile: they are of version {version} now"
        )
        self.stored = stored
        self.version = version


class CampaignAdmin:
    """What is decided about campaigns. `adopt` gives a new one its dispatcher; `now` tells Unix seconds; `random` draws
    what seals the links of its contacts."""

    def __init__(
        self,
        database: Database,
        known: Campaigns,
        now: Callable[[], float],
        adopt: Callable[[int], Awaitable[None]],
        random: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._known = known
        self._now = now
        self._adopt = adopt
        self._random = random
        self._ids = Ids(database)

    async def create(
        self,
        name: str,
        *,
        organisation_id: int,
        campaign_id: int | None,
        opt_out_scope: int | None,
        settings: CampaignSettings,
        paused: bool,
        who: str,
    ) -> Campaign:
        """Stored at its answer; its dispatcher starts at once. Without an id it gets one, without a scope its own.

        Raises BadInput for what can't work or an organisation that is not there, IdTaken for an id that is.
        """
        require_workable(settings)
        if not await organisations.exists(self._database, organisation_id):
            raise BadInput(f"there is no organisation {organisation_id}", "organisation_id", "make it first")
        await self._known.load()
        if campaign_id is not None and self._known.has(campaign_id):
            raise IdTaken(f"there is a campaign {campaign_id} already")
        campaign_id = campaign_id or await self._free_id()
        row = CampaignRow(
            campaign_id,
            campaign_id if opt_out_scope is None else opt_out_scope,
            name,
            settings.to_json(),
            paused,
            organisation_id,
        )
        now = self._now()
        async with self._database.transaction() as transaction:
            await campaigns.create(transaction, row, now)
            await links.keep_secret(transaction, row.key, self._random(SECRET_BYTES))
            await audit_log.write(transaction, row.key, now, who, "campaign made", after=_told(row))
        await self._known.load()
        await self._adopt(campaign_id)
        return self._known[campaign_id]

    async def _free_id(self) -> int:
        while True:
            campaign_id = (await self._ids.take(1))[0]
            if not self._known.has(campaign_id):
                return campaign_id

    async def change(
        self,
        campaign: Campaign,
        *,
        settings: CampaignSettings | None,
        paused: bool | None,
        version: int | None,
        who: str,
    ) -> Campaign:
        """Other settings, a pause or its end, or both at once, in force at the answer.

        `version` is that of the settings from which the change was made; None: whatever they are. Raises BadInput for
        no change at all and for settings that can't work, SettingsClash when they are of another version.
        """
        if settings is None and paused is None:
            raise BadInput("give paused or settings, or both")
        if settings is not None:
            require_workable(settings)
        async with self._database.transaction() as transaction:
            stands = await campaigns.locked(transaction, campaign.key)
            if version is not None and version != stands.settings_version:
                where = f"settings of campaign {campaign.campaign_id}"
                raise SettingsClash(
                    CampaignSettings.from_store(stands.settings, where), stands.settings_version
                )
            if settings is not None:
                await self._save(transaction, stands, settings, who)
            if paused is not None and paused != stands.paused:
                await self._pause(transaction, stands, paused, who)
        await self._known.take_up(campaign.campaign_id, pauses=paused is True)
        return self._known[campaign.campaign_id]

    async def _save(
        self, transaction: Statements, stands: CampaignRow, settings: CampaignSettings, who: str
    ) -> None:
        text = settings.to_json()
        await campaigns.save_settings(transaction, stands.key, text)
        if (
            settings.links.referral_url
        ):  # each contact's is sealed (F109), also of a campaign older than links are
            await links.keep_secret(transaction, stands.key, self._random(SECRET_BYTES))
        await audit_log.write(
            transaction, stands.key, self._now(), who, "settings changed", before=stands.settings, after=text
        )

    async def _pause(self, transaction: Statements, stands: CampaignRow, paused: bool, who: str) -> None:
        await campaigns.pause(transaction, stands.key, paused)
        act = "paused" if paused else "resumed"
        before, after = as_json({"paused": stands.paused}), as_json({"paused": paused})
        await audit_log.write(transaction, stands.key, self._now(), who, act, before=before, after=after)


def _told(row: CampaignRow) -> str:
    """What the audit log tells of a new campaign."""
    settings = msgspec.Raw(row.settings.encode())
    told = {"name": row.name, "opt_out_scope": row.opt_out_scope, "paused": row.paused, "settings": settings}
    return as_json(told)


def require_workable(settings: CampaignSettings) -> None:
    """Raises BadFields for settings that no pacer or pool can work with: stored, they would harm every start."""
    found = [(f"settings.{field}", detail) for field, detail in faults(settings)]
    if found:
        raise BadFields(found)
    try:
        granted = limits(settings.registration)
        NumberPool(settings.pool, granted, [], Pacer(granted))
    except (ValueError, ArithmeticError) as error:
        raise BadFields([("settings", str(error))]) from error
