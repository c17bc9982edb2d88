"""An action's script sent to an administrator's own phone, before anybody else reads it (F039, F146, C12)."""

import asyncio

from gateway.clock import Clock
from gateway.core.bank.permissions import Actor
from gateway.core.rules.errors import BadFields
from gateway.core.rules.idempotency import Key
from gateway.core.rules.safeguards import Kind, Request
from gateway.core.text.phone import PhoneFault, parse
from gateway.core.text.scripts import ScriptFault
from gateway.p2p.actions import Actions
from gateway.p2p.compiled import ReadyScript, ready, surroundings, wording_of
from gateway.p2p.people_in_scripts import values_of
from gateway.p2p.volunteers import words_of
from gateway.pipeline.admission import Admission, Outcome
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import directory, publishing, scripts, users
from gateway.store.database import Database


class OwnTexts:
    """They belong to no action: nobody is texted less for them, and no result counts them."""

    def __init__(
        self, database: Database, campaigns: Campaigns, clock: Clock, actions: Actions, admission: Admission
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._actions = actions
        self._admission = admission

    async def send(
        self,
        actor: Actor,
        campaign_id: int,
        action_id: int,
        script: str,
        phone: str,
        key: Key | None = None,
    ) -> "asyncio.Future[Outcome]":
        """Sends a script of the action, draft or not; the future is done when the outcome is durable.

        Every safeguard looks at it but the lock between texts of one's own (1001b). Raises NoAction, BadFields: no such
        script, or a phone that is none of the campaign's `admin_phones` or none of its contacts.
        """
        campaign = self._campaigns[campaign_id]
        action = await self._actions.read(actor, campaign_id, action_id)
        contact_id = await self._own(campaign, phone)
        around = await surroundings(self._database, campaign, self._clock.now())
        wording = wording_of(campaign, action.settings, around)
        for row in await scripts.of_action(self._database, campaign.key, action_id):
            if row.name == script:
                try:
                    text = ready(row, wording, around)
                    request = await self._request(actor, campaign, text, contact_id)
                except ScriptFault as fault:
                    raise BadFields([("script", f"it can't be read: {fault}")]) from fault
                return self._admission.submit(request, key=key)
        raise BadFields([("script", "the action has none of this name")])

    async def _own(self, campaign: Campaign, given: str) -> int:
        phone = parse(given)
        if isinstance(phone, PhoneFault):
            raise BadFields([("to", phone.reason)])
        if phone.e164 not in campaign.settings.admin_phones:
            raise BadFields(
                [("to", "this is none of the campaign's admin_phones: add it to its settings first")]
            )
        known = await directory.contact_ids(self._database, campaign.key, [phone.e164])
        if phone.e164 not in known:
            raise BadFields([("to", "this is no contact of the campaign: upload it first")])
        return known[phone.e164]

    async def _request(
        self, actor: Actor, campaign: Campaign, script: ReadyScript, contact_id: int
    ) -> Request:
        [person] = await publishing.by_id(self._database, campaign.key, [contact_id])
        sender = None
        if actor.user_id is not None:
            sender = await users.by_id(self._database, campaign.organisation_id, actor.user_id)
        words = {} if sender is None else words_of(sender.name)
        return Request(
            campaign_id=campaign.campaign_id,
            contact_id=contact_id,
            kind=Kind.INITIAL,
            body=script.render(values_of(person), sender=words, contact_id=contact_id),
            sender_id=actor.user_id,
            media=script.media,
        )
