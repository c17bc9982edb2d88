"""Scripts before anybody is texted: what is wrong with them, how they travel and what they cost, for real people (F006 to
F008, F092, F104)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.actions import ActionSettings
from gateway.core.bank.permissions import Actor
from gateway.core.bank.publishing import Wording, token_at
from gateway.core.bank.script_check import SAMPLED, Checked, Tally
from gateway.core.bank.scripts import ScriptKind, ScriptText
from gateway.core.text.lint import EXAMPLE_SENDER, Finding, lint
from gateway.core.text.scripts import ScriptFault
from gateway.core.text.segments import Measure, measure, normalise
from gateway.p2p.actions import Actions
from gateway.p2p.compiled import ReadyScript, Surroundings, ready, surroundings, wording_of
from gateway.p2p.people_in_scripts import values_of
from gateway.p2p.script_rows import row_of
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import publishing, scripts
from gateway.store.database import Database
from gateway.store.publishing import Person
from gateway.turns import Floor, Turns

_AT_ONCE: Final = 2_000
_SHOWN: Final = 5


class Mend(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend, and what stands at its place."""

    finding: Finding
    token: str | None


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A script's text for one person, as it would be charged."""

    contact_id: int
    script: str
    text: str
    measured: Measure


class CheckedScript(msgspec.Struct, frozen=True, kw_only=True):
    """A script as it was found; `checked` None: it can't be read at all."""

    name: str
    findings: list[Mend]
    checked: Checked | None
    texts: list[Rendered]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Scripts, for the people of these lists (none: of the campaign): for a sample, or for everybody of them."""

    scripts: Sequence[ScriptText]
    settings: ActionSettings
    contact_list_ids: Sequence[int] = ()
    everybody: bool = False
    seed: int = 0


class ScriptChecks:
    """One look at everybody at a time: it takes seconds, in turns."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, actions: Actions) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._actions = actions
        self._everybody = asyncio.Lock()

    async def check(self, campaign_id: int, question: Question, floor: Floor) -> list[CheckedScript]:
        """Each of the scripts, in the order given."""
        campaign = self._campaigns[campaign_id]
        lists = question.contact_list_ids
        sample = await publishing.sample(
            self._database, campaign.key, lists, seed=question.seed, limit=SAMPLED
        )
        reached = await publishing.reached(self._database, campaign.key, lists)
        around = await surroundings(self._database, campaign, self._clock.now())
        wording = wording_of(campaign, question.settings, around)
        known = [_compiled(nth, each, wording, around) for nth, each in enumerate(question.scripts)]
        tallies = [Tally(each.source, mms=bool(each.media)) for each in question.scripts]
        people = self._of_all(campaign, lists) if question.everybody else _these(sample)
        await _count(known, tallies, people, floor)
        return [
            CheckedScript(
                name=text.name,
                findings=_findings(text, wording, sample),
                checked=None if script is None else tally.told(reached.people),
                texts=[] if script is None else [_rendered(script, each) for each in sample[:_SHOWN]],
            )
            for text, script, tally in zip(question.scripts, known, tallies, strict=True)
        ]

    async def _of_all(self, campaign: Campaign, lists: Sequence[int]) -> AsyncIterator[list[Person]]:
        async with self._everybody:
            async for some in publishing.people(self._database, campaign.key, lists, at_once=_AT_ONCE):
                yield some

    async def preview(
        self, actor: Actor, campaign_id: int, action_id: int, *, seed: int, limit: int
    ) -> list[Rendered]:
        """An action's scripts as so many of its people would read them, the same ones for the same seed (F008).

        Raises NoAction, and ScriptFault for a script that can't be read.
        """
        campaign = self._campaigns[campaign_id]
        action = await self._actions.read(actor, campaign_id, action_id)
        lists = action.settings.audience.contact_list_ids
        people = await publishing.sample(self._database, campaign.key, lists, seed=seed, limit=limit)
        around = await surroundings(self._database, campaign, self._clock.now())
        wording = wording_of(campaign, action.settings, around)
        rows = await scripts.of_action(self._database, campaign.key, action_id)
        known = [ready(row, wording, around) for row in rows]
        return [_rendered(script, person) for person in people for script in known]


def _compiled(nth: int, text: ScriptText, wording: Wording, around: Surroundings) -> ReadyScript | None:
    try:
        return ready(row_of(nth + 1, 0, text, 0), wording, around)
    except ScriptFault:
        return None


async def _these(people: list[Person]) -> AsyncIterator[list[Person]]:
    yield people


async def _count(
    known: Sequence[ReadyScript | None],
    tallies: Sequence[Tally],
    people: AsyncIterator[list[Person]],
    floor: Floor,
) -> None:
    async for some in people:
        async with Turns(floor) as turns:
            for person in some:
                for script, tally in zip(known, tallies, strict=True):
                    if script is not None:
                        tally.add(_text(script, person), person.carrier)
                if turns.over:
                    await turns.rest()


def _text(script: ReadyScript, person: Person) -> str:
    try:
        return script.render(values_of(person), sender=EXAMPLE_SENDER, contact_id=person.contact_id)
    except ScriptFault:  # Liquid's own trouble with this person's values: the lint says so of the sample
        return ""


def _rendered(script: ReadyScript, person: Person) -> Rendered:
    text = _text(script, person)
    return Rendered(
        contact_id=person.contact_id, script=script.name, text=text, measured=measure(normalise(text))
    )


def _findings(text: ScriptText, wording: Wording, sample: Sequence[Person]) -> list[Mend]:
    initial = text.kind is ScriptKind.INITIAL
    found = lint(
        text.source,
        fields=wording.fields,
        contacts_sample=[values_of(each) for each in sample],
        opt_out_suffix=initial and wording.opt_out_suffix,
        measure=lambda one: measure(normalise(one)).segments,
        initial=initial,
        contact_fallback=wording.contact_fallback,
        sender_fallback=wording.sender_fallback,
        campaign=wording.campaign,
        links=wording.links,
    )
    return [Mend(finding=each, token=token_at(text.source, each.line, each.column)) for each in found]
