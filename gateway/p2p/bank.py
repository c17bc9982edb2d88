"""Published actions and the inbox as a volunteer meets it: answer, report, opt out (F111, F123)."""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from gateway.clock import Clock
from gateway.core.bank.actions import ActionSettings, State
from gateway.core.bank.scripts import ScriptKind
from gateway.core.rules.errors import BadInput
from gateway.core.rules.hours import CampaignHours, Kind, Open, Shut, verdict
from gateway.p2p.compiled import Compiled, compiled, load, state_of, surroundings
from gateway.p2p.publishing import publish_whole
from gateway.p2p.quiet_inboxes import Nothing, QuietInboxes
from gateway.pipeline.admission import Admission
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.pipeline.settling import Settling
from gateway.store import buckets, contacts, conversations, opt_outs
from gateway.store.buckets import Assigned, Fronts
from gateway.store.campaign_actions import ActionRecord
from gateway.store.conversations import Attention
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.scripts import ScriptRow

_ON_SCREENS = 20_000  # conversations that this worker remembers
_LOOKED_AT_S = 3600.0  # groups of recipients, at the latest, whether they may be texted


class Scripts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An action's texts: initials are an implicit A/B test (F087), responses are picked by name (F110).

    A blank fallback is the campaign's; the suffix is added if the action or the campaign wants it (`Wording`).
    """

    initials: tuple[str, ...]
    responses: tuple[str, ...] = ()
    opt_out_suffix: bool = False
    contact_fallback: str = ""
    sender_fallback: str = ""


class Prepared(msgspec.Struct, frozen=True):
    """A response as it reads to one person, under the name by which its uses are counted (F118).

    Sending it tags the contact and sets fields, by slug (F112, F113).
    """

    name: str
    text: str
    media: tuple[str, ...] = ()
    tag_ids: tuple[int, ...] = ()
    fields: Mapping[str, str] = {}

    @property
    def does_more(self) -> bool:
        """Whether sending it does something besides."""
        return bool(self.tag_ids or self.fields)


class _OpenGroups(NamedTuple):
    """Who of these groups may be texted, and between which instants (Unix seconds) that does not change."""

    hours: CampaignHours
    of: list[str]
    since: float
    until: float
    open: list[str]

    def is_good(self, now: float, hours: CampaignHours, of: list[str]) -> bool:
        return self.since <= now < self.until and self.of is of and self.hours is hours


class Action(msgspec.Struct):
    """A published action, its scripts compiled, and its audience's hours known."""

    campaign_id: int
    action_id: int
    texts: Compiled
    hours_groups: list[str]
    fronts: Fronts
    open_groups: dict[Kind, _OpenGroups] = {}


class OnScreen(msgspec.Struct, frozen=True, gc=False):
    """A conversation that a look has given to a volunteer."""

    volunteer_id: int
    action_id: int
    person: Assigned


class TextBank:
    """Actions and the inbox, over admission and the store."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        admission: Admission,
        clock: Clock,
        *,
        opted_out: Callable[[], None],
        settling: Settling,
        quiet: QuietInboxes,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._admission = admission
        self._clock = clock
        self._opted_out = opted_out
        self._settling = settling
        self._quiet = quiet
        self._ids = Ids(database)
        self._actions: dict[tuple[int, int], Action] = {}
        self._on_screen: OrderedDict[tuple[int, int], OnScreen] = OrderedDict()

    async def publish(
        self, campaign_id: int, action_id: int, title: str, scripts: Scripts, *, seed: int
    ) -> int:
        """Puts the action before the volunteers, all contacts unassigned; returns how many there are.

        Raises ScriptFault for a script that does not compile.
        """
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        around = await surroundings(self._database, campaign, now)
        action = _record(action_id, title, scripts, now)
        rows = await self._rows(action_id, scripts)
        texts = compiled(campaign, action, rows, around)
        count = await publish_whole(self._database, campaign.key, action, rows, seed, now)
        self._actions[campaign_id, action_id] = await self._opened(campaign_id, action_id, texts)
        return count

    async def _rows(self, action_id: int, scripts: Scripts) -> list[ScriptRow]:
        kinds = (ScriptKind.INITIAL, scripts.initials), (ScriptKind.RESPONSE, scripts.responses)
        texts = [(kind, n + 1, source) for kind, sources in kinds for n, source in enumerate(sources)]
        ids = await self._ids.take(len(texts))
        return [
            ScriptRow(
                script_id=script_id,
                action_id=action_id,
                kind=kind,
                name=f"{kind}-{place}",
                source=source,
                place=place,
            )
            for script_id, (kind, place, source) in zip(ids, texts, strict=True)
        ]

    async def open(self, campaign_id: int, action_id: int) -> None:
        """Reads an action that was published before."""
        texts = await load(self._database, self._campaigns[campaign_id], action_id, self._clock.now())
        self._actions[campaign_id, action_id] = await self._opened(campaign_id, action_id, texts)

    async def _opened(self, campaign_id: int, action_id: int, texts: Compiled) -> Action:
        return Action(
            campaign_id,
            action_id,
            texts,
            await contacts.hours_groups(self._database, self._campaigns[campaign_id].key),
            fronts=Fronts(),
        )

    async def action(self, campaign_id: int, action_id: int) -> Action:
        """A published action with its texts as they are now. Raises BadInput when there is none."""
        action = self._actions.get((campaign_id, action_id))
        if action is None:
            await self.open(campaign_id, action_id)
            return self._actions[campaign_id, action_id]
        campaign = self._campaigns[campaign_id]
        now = self._clock.now()
        is_old = action.texts.made_of != state_of(campaign)
        if is_old or now > action.texts.good_until:
            texts = await load(self._database, campaign, action_id, now)
            if is_old:
                action.hours_groups = await contacts.hours_groups(self._database, campaign.key)
            action.texts = texts
        return action

    def freed(self, campaign_id: int, action_id: int) -> None:
        """Contacts are free again: whoever looks for some begins at the front."""
        action = self._actions.get((campaign_id, action_id))
        if action is not None:
            action.fronts.clear()

    def is_current(self, campaign_id: int, action_id: int, texts: Compiled) -> bool:
        """Whether these are the action's texts of today, as far as this worker knows."""
        action = self._actions.get((campaign_id, action_id))
        return (
            action is not None
            and action.texts is texts
            and texts.made_of == state_of(self._campaigns[campaign_id])
        )

    def open_groups(self, campaign_id: int, action_id: int, now: float, kind: Kind) -> list[str]:
        """The groups of recipients who may be texted now."""
        hours = self._campaigns[campaign_id].settings.hours
        action = self._actions[campaign_id, action_id]
        groups, known = action.hours_groups, action.open_groups.get(kind)
        if known is None or not known.is_good(now, hours, groups):
            known = action.open_groups[kind] = _looked_up(now, hours, groups, kind)
        return known.open

    async def inbox(
        self,
        campaign_id: int,
        action_id: int,
        volunteer_id: int,
        *,
        take_over_s: float | None = None,
        limit: int = 50,
    ) -> list[Attention]:
        """Conversations that wait for this volunteer; those unanswered for `take_over_s` change hands (C22).

        None: what the campaign says, and where assignments are kept none changes hands (F184).
        """
        now = self._clock.now()
        campaign = self._campaigns[campaign_id]
        if take_over_s is None:
            take_over_s = await self._take_over_s(campaign, action_id)
        open_groups = self.open_groups(campaign_id, action_id, now, "reply")
        who, since = (campaign_id, action_id, volunteer_id), now - take_over_s
        texted_at = self._admission.senders.get(volunteer_id, -math.inf)
        is_quiet = self._quiet.is_quiet(
            *who, open_groups=open_groups, waited_since=since, texted_at=texted_at
        )
        if is_quiet or not open_groups:
            return []
        looked_at, changes = self._clock.steady(), self._quiet.changes(campaign_id)
        inbox = await conversations.attention(
            self._database,
            campaign.key,
            action_id,
            volunteer_id,
            opt_out_scope=campaign.opt_out_scope,
            texts_since=self._admission.texts_since(campaign_id),
            open_groups=open_groups,
            take_over_before=since,
            limit=limit,
            now=now,
        )
        nothing = None if inbox.found else Nothing(changes, now, looked_at, open_groups, inbox.oldest_at)
        self._quiet.found(*who, nothing, nobody=inbox.nobody_waits)
        self._admission.remember(campaign_id, action_id, [each.known for each in inbox.found])
        for each in inbox.found:
            self._put_on_screen(campaign_id, OnScreen(volunteer_id, action_id, each.person))
        return inbox.found

    def _put_on_screen(self, campaign_id: int, shown: OnScreen) -> None:
        place = campaign_id, shown.person.known.contact_id
        self._on_screen[place] = shown
        self._on_screen.move_to_end(place)
        if len(self._on_screen) > _ON_SCREENS:
            self._on_screen.popitem(last=False)

    def on_screen(
        self, campaign_id: int, contact_id: int, volunteer_id: int | None, revision: int
    ) -> OnScreen | None:
        """What this worker has put before the volunteer, when it is of that revision: it need not be read again."""
        shown = self._on_screen.get((campaign_id, contact_id))
        if shown is None or shown.volunteer_id != volunteer_id or shown.person.known.revision != revision:
            return None
        return shown

    async def _take_over_s(self, campaign: Campaign, action_id: int) -> float:
        action = await self.action(campaign.campaign_id, action_id)
        if action.texts.settings.kind == "broadcast":  # its people were nobody's before they answered
            return campaign.settings.unanswered_s
        keeps = campaign.settings.keep_assignments or action.texts.settings.keep_assignments
        return math.inf if keeps else campaign.settings.unanswered_s

    def changed_hands(self, campaign_id: int) -> None:
        """A conversation may be somebody else's, or in the inbox again: the next look of each volunteer is a new one."""
        self._quiet.unsure(campaign_id)

    async def prepared(
        self,
        campaign_id: int,
        action_id: int,
        contact_id: int,
        *,
        only: str | None = None,
        person: Assigned | None = None,
    ) -> list[Prepared]:
        """The action's responses for a contact, in the admin's order, or `only` that of a name; none when there is no such
        action. `person`: the contact, where it was read a moment ago."""
        try:
            action = await self.action(campaign_id, action_id)
        except BadInput:
            return []
        variables = variables_of(person or await self._person(campaign_id, action_id, contact_id))
        return [
            Prepared(
                script.name,
                script.render(variables, sender={}, contact_id=contact_id),
                script.media,
                script.tag_ids,
                script.fields,
            )
            for script in action.texts.responses
            if only is None or script.name == only
        ]

    async def _person(self, campaign_id: int, action_id: int, contact_id: int) -> Assigned:
        campaign = self._campaigns[campaign_id]
        [person] = await buckets.about(
            self._database,
            campaign.key,
            action_id,
            [contact_id],
            opt_out_scope=campaign.opt_out_scope,
            texts_since=self._admission.texts_since(campaign_id),
        )
        return person

    async def opt_out(self, campaign_id: int, contact_id: int, volunteer_id: int | None = None) -> bool:
        """The volunteer's opt-out of a person who asked in other words (F123); in force at its answer."""
        campaign = self._campaigns[campaign_id]
        who = campaign.key, campaign.opt_out_scope, contact_id, "manual", self._clock.now(), volunteer_id
        return await self._in_force(await opt_outs.opt_out(self._database, *who))

    async def opt_out_own(self, campaign_id: int, contact_id: int, volunteer_id: int) -> bool | None:
        """The same of a person whose conversation is the volunteer's; None: it is not."""
        campaign = self._campaigns[campaign_id]
        who = campaign.key, campaign.opt_out_scope, contact_id, "manual", self._clock.now(), volunteer_id
        done = await opt_outs.opt_out_own(self._database, *who)
        return await self._in_force(done.phone) if done.is_theirs else None

    async def _in_force(self, phone: str | None) -> bool:
        """Whether somebody has opted out now; no call for them begins from here on, also where they had a moment ago."""
        if phone is not None:
            self._opted_out()
        await self._settling.settle()
        return phone is not None


def _looked_up(now: float, hours: CampaignHours, groups: list[str], kind: Kind) -> _OpenGroups:
    until, found = now + _LOOKED_AT_S, []
    for group in groups:
        match verdict(now, hours, group, kind):
            case Open(ends_at):
                found.append(group)
                until = min(until, ends_at)
            case Shut(opens_at=opens_at):
                until = min(until, opens_at)
    return _OpenGroups(hours, groups, now, until, found)


def _record(action_id: int, title: str, scripts: Scripts, now: float) -> ActionRecord:
    settings = ActionSettings(
        overflow="end",
        opt_out_suffix=scripts.opt_out_suffix or None,
        contact_fallback=scripts.contact_fallback or None,
        sender_fallback=scripts.sender_fallback or None,
    )
    return ActionRecord(
        action_id=action_id,
        title=title,
        state=State.DRAFT,
        settings=msgspec.json.encode(settings).decode(),
        created_at=now,
    )


def variables_of(person: Assigned) -> dict[str, str]:
    """What a script may say of a person."""
    variables = {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "full_name": f"{person.first_name} {person.last_name}".strip(),
        "email": person.email,
        "phone": person.known.phone or "",
        "state_abbrev": person.state,
    }
    if person.fields:
        variables.update(msgspec.json.decode(person.fields, type=dict[str, str]))
    return variables
