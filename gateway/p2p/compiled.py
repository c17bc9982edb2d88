"""An action's scripts ready to be rendered: compiled once for each state of the action and of the campaign's settings."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

import msgspec

from gateway.core.bank.actions import ActionSettings
from gateway.core.bank.links import Pressed, token_of
from gateway.core.bank.publishing import Wording
from gateway.core.bank.scripts import ScriptKind
from gateway.core.rules.errors import BadInput
from gateway.core.text.link_filter import LINK
from gateway.core.text.scripts import Field, Script, Values, compile_script
from gateway.pipeline.campaigns import Campaign
from gateway.store import campaign_actions, join_codes, labels, links, numbers, scripts
from gateway.store.campaign_actions import ActionRecord
from gateway.store.database import Database
from gateway.store.scripts import ScriptRow

REFERRAL: Final = "contact_referral_link"
_JOIN_CODE: Final = "campaign.join_code"
_CODE_GOOD_S: Final = 60.0


class OwnLinks(msgspec.Struct, frozen=True):
    """What makes the tracked links of a campaign's texts: its domain and secret, and its links' ids by slug."""

    campaign_id: int
    domain: str
    secret: bytes
    ids: Mapping[str, int]
    referral_url: str

    def of(self, script: Script, script_id: int, contact_id: int) -> dict[str, str]:
        """The addresses that a script's text carries for one person, as `Script.render` takes them."""
        own = {
            LINK + slug: f"{self.domain}/{self._token(script_id, self.ids[slug], contact_id)}"
            for slug in script.links
            if slug in self.ids and self.domain
        }
        if REFERRAL in script.variables and self.referral_url:
            glue = "&" if "?" in self.referral_url else "?"
            own[REFERRAL] = f"{self.referral_url}{glue}ref={self._token(0, 0, contact_id)}"
        return own

    def _token(self, script_id: int, link_id: int, contact_id: int) -> str:
        return token_of(self.secret, Pressed(self.campaign_id, script_id, link_id, contact_id))


class ReadyScript(msgspec.Struct, frozen=True, kw_only=True):
    """A script, compiled. Sending it tags the contact and sets these fields (F112 to F114).

    `revision` counts how often it was saved; `name` is what its uses are counted by (F118).
    """

    script_id: int
    name: str
    revision: int
    tag_ids: tuple[int, ...]
    fields: Mapping[str, str]
    media: tuple[str, ...]
    script: Script
    campaign: Values
    links: OwnLinks

    def render(self, contact: Values, *, sender: Values | None, contact_id: int | None = None) -> str:
        """The text for one person; without the id tracked links are blank. Without a sender it is a broadcast's."""
        if contact_id is not None and (self.script.links or REFERRAL in self.script.variables):
            contact = {**contact, **self.links.of(self.script, self.script_id, contact_id)}
        return self.script.render(contact, self.campaign, sender)


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What every script of a campaign may name: custom fields, the campaign's variables, its links."""

    fields: Mapping[str, Field]
    campaign: Values
    links: OwnLinks


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """An action with its scripts. `made_of`: of which state of the campaign's actions and settings.

    `good_until`: a join code may be another one later (Unix seconds); what names none is good for as long as its state.
    """

    action: ActionRecord
    settings: ActionSettings
    initials: list[ReadyScript]
    responses: list[ReadyScript]
    made_of: tuple[int, int]
    good_until: float = inf


def state_of(campaign: Campaign) -> tuple[int, int]:
    """What changes whenever the campaign's texts may: what was compiled of another state is compiled anew."""
    return campaign.actions_version, campaign.settings_version


async def surroundings(database: Database, campaign: Campaign, now: float) -> Surroundings:
    fields = {
        each.slug: Field(each.slug, each.default_value or "", tuple(each.options) or None)
        for each in await labels.fields(database, campaign.key)
        if each.archived_at is None
    }
    return Surroundings(
        fields=fields,
        campaign=await _campaign_values(database, campaign, now),
        links=await _links(database, campaign),
    )


async def _campaign_values(database: Database, campaign: Campaign, now: float) -> dict[str, str]:
    """F096, F106, F108: the campaign's variables; what its settings don't say is not among them."""
    services, code = campaign.settings.links, await join_codes.show(database, campaign.key, now)
    ours = await numbers.phones(database, campaign.key)
    values = {
        "name": campaign.name,
        "description": services.description,
        "join_code": "" if code is None else code.code,
        "broadcast_phone_number": ours[0] if ours else "",
    }
    configured = {
        "impactive_check_registration_link": services.registration_url,
        "opt_in_form.title": services.opt_in_title,
        "opt_in_form.subtitle": services.opt_in_subtitle,
        REFERRAL: services.referral_url,
    }
    return values | {name: value for name, value in configured.items() if value}


async def _links(database: Database, campaign: Campaign) -> OwnLinks:
    services = campaign.settings.links
    secret = await links.secret(database, campaign.key)
    known = [] if secret is None else await links.every(database, campaign.key)
    return OwnLinks(
        campaign.campaign_id,
        services.domain.rstrip("/"),
        secret or b"",
        {each.slug: each.link_id for each in known if each.archived_at is None},
        services.referral_url if secret is not None else "",
    )


def wording_of(campaign: Campaign, settings: ActionSettings, around: Surroundings) -> Wording:
    """The action's words where it has its own, else the campaign's (F012, F100)."""
    ours = campaign.settings.wording

    def own(word: str | None, otherwise: str) -> str:
        return otherwise if word is None else word

    return Wording(
        fields=around.fields,
        campaign=around.campaign,
        opt_out_suffix=ours.opt_out_suffix if settings.opt_out_suffix is None else settings.opt_out_suffix,
        contact_fallback=own(settings.contact_fallback, ours.contact_fallback),
        sender_fallback=own(settings.sender_fallback, ours.sender_fallback),
        links=frozenset(around.links.ids if around.links.domain else ()),
    )


def ready(row: ScriptRow, wording: Wording, around: Surroundings) -> ReadyScript:
    """Compiles a script; raises ScriptFault."""
    script = compile_script(
        row.source,
        fields=wording.fields,
        opt_out_suffix=wording.opt_out_suffix and row.kind == ScriptKind.INITIAL,
        contact_fallback=wording.contact_fallback,
        sender_fallback=wording.sender_fallback,
    )
    return ReadyScript(
        script_id=row.script_id,
        name=row.name,
        revision=row.revision,
        tag_ids=tuple(row.tag_ids),
        fields=msgspec.json.decode(row.fields, type=dict[str, str]),
        media=tuple(row.media),
        script=script,
        campaign=around.campaign,
        links=around.links,
    )


def settings_of(action: ActionRecord) -> ActionSettings:
    """Raises BadInput for what this release can't read."""
    try:
        return msgspec.json.decode(action.settings, type=StoredSettings)
    except msgspec.MsgspecError as error:
        where = f"settings of action {action.action_id}"
        raise BadInput(str(error), where, "correct the setting, or upgrade textbank") from error


class StoredSettings(ActionSettings, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Stored, perhaps by a newer release: settings that this one does not know are left out."""


async def load(database: Database, campaign: Campaign, action_id: int, now: float) -> Compiled:
    """A published action, compiled. Raises BadInput when there is none, ScriptFault for a script that can't be read."""
    action = await campaign_actions.find(database, campaign.key, action_id)
    if action is None or action.published_at is None:
        where = f"campaign {campaign.campaign_id}, action {action_id}"
        raise BadInput("there is no such action", where, "check the ids")
    rows = await scripts.of_action(database, campaign.key, action_id)
    made = compiled(campaign, action, rows, await surroundings(database, campaign, now))
    names_code = any(_JOIN_CODE in each.script.variables for each in (*made.initials, *made.responses))
    return msgspec.structs.replace(made, good_until=now + _CODE_GOOD_S) if names_code else made


def compiled(
    campaign: Campaign, action: ActionRecord, rows: Sequence[ScriptRow], around: Surroundings
) -> Compiled:
    """Raises ScriptFault."""
    settings = settings_of(action)
    wording = wording_of(campaign, settings, around)
    made = [(row.kind, ready(row, wording, around)) for row in rows]
    return Compiled(
        action=action,
        settings=settings,
        initials=[each for kind, each in made if kind == ScriptKind.INITIAL],
        responses=[each for kind, each in made if kind == ScriptKind.RESPONSE],
        made_of=state_of(campaign),
    )
