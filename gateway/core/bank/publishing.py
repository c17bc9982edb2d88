"""Whether an action may be published, and if not, everything that is to be mended first (F083, F093, C10)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Final

import msgspec

from gateway.core.bank.actions import PUBLISHED, State
from gateway.core.bank.scripts import ScriptKind, ScriptText
from gateway.core.rules.hours import CampaignHours, Open, verdict
from gateway.core.text.lint import Severity, lint
from gateway.core.text.scripts import Field, ScriptFault, Values, compile_script
from gateway.core.text.segments import measure, normalise

_TOKEN: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\S+", re.DOTALL)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps an action from being published. `code` is a stable name, `detail` says what to do.

    Of a script: its name, the line and column from 1, and what stands there.
    """

    code: str
    detail: str
    script: str | None = None
    line: int | None = None
    column: int | None = None
    token: str | None = None


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same in all of an action's texts: custom fields by slug, the campaign's variables, what stands in
    for a missing name, and whether the opt-out words are added to first texts."""

    fields: Mapping[str, Field]
    campaign: Values
    opt_out_suffix: bool
    contact_fallback: str
    sender_fallback: str
    links: frozenset[str] = frozenset()


class Broadcast(msgspec.Struct, frozen=True, kw_only=True):
    """What a broadcast needs besides: that the campaign has set them up, and people who have agreed (F052, F057)."""

    is_set_up: bool
    consented: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An action that somebody wants to publish. `people`: how many contacts it would have; `hours_groups`: of them.
    `broadcast` None: volunteers press its first texts."""

    state: State
    archived: bool
    scripts: Sequence[ScriptText]
    wording: Wording
    sample: Sequence[Values]
    people: int
    registered: bool
    hours: CampaignHours
    hours_groups: Sequence[str]
    broadcast: Broadcast | None = None


def reasons_against(plan: Plan, now: float) -> list[Reason]:
    """Everything that is to be mended; none: it may be published. `now` is Unix seconds."""
    return [*_standing(plan), *_scripts(plan), *_surroundings(plan, now), *_broadcast(plan)]


def _standing(plan: Plan) -> Iterator[Reason]:
    if plan.archived:
        yield Reason(code="archived", detail="the action is archived: bring it back first")
    if plan.state in PUBLISHED:
        yield Reason(code="published", detail="the action is published already")


def _scripts(plan: Plan) -> Iterator[Reason]:
    if not any(each.kind is ScriptKind.INITIAL for each in plan.scripts):
        yield Reason(code="no-initial", detail="write at least one initial script")
    for script in plan.scripts:
        yield from script_faults(script, plan.wording, plan.sample)


def script_faults(script: ScriptText, wording: Wording, sample: Sequence[Values] = ()) -> list[Reason]:
    """What the lint calls an error in a script, with what stands at its place."""
    initial = script.kind is ScriptKind.INITIAL
    findings = lint(
        script.source,
        fields=wording.fields,
        contacts_sample=sample,
        opt_out_suffix=initial and wording.opt_out_suffix,
        measure=lambda text: measure(normalise(text)).segments,
        initial=initial,
        contact_fallback=wording.contact_fallback,
        sender_fallback=wording.sender_fallback,
        campaign=wording.campaign,
        links=wording.links,
    )
    return [
        Reason(
            code=found.rule,
            detail=found.message,
            script=script.name,
            line=found.line,
            column=found.column,
            token=token_at(script.source, found.line, found.column),
        )
        for found in findings
        if found.severity is Severity.ERROR
    ]


def token_at(source: str, line: int, column: int) -> str | None:
    """The variable, tag or word that stands at a place, cut to 80 characters; None: nothing does."""
    lines = normalise(source).split("\n")
    if not 1 <= line <= len(lines):
        return None
    found = _TOKEN.match("\n".join(lines[line - 1 :])[column - 1 :])
    return None if found is None else found[0][:80]


def _surroundings(plan: Plan, now: float) -> Iterator[Reason]:
    if not plan.people:
        yield Reason(
            code="no-contacts", detail="its contact lists have nobody: choose others, or import contacts"
        )
    if not plan.registered:
        yield Reason(
            code="unregistered",
            detail="the campaign's sender is not registered yet: carriers refuse its texts",
        )
    if plan.hours_groups and not any(_opens(plan.hours, group, now) for group in plan.hours_groups):
        yield Reason(
            code="empty-window",
            detail="nobody may ever be texted: the campaign's hours never meet lawful ones",
        )


def _broadcast(plan: Plan) -> Iterator[Reason]:
    if plan.broadcast is None:
        return
    if not plan.broadcast.is_set_up:
        yield Reason(
            code="broadcasts-off", detail="broadcasts are not set up: turn them on in the campaign's settings"
        )
    if plan.people and not plan.broadcast.consented:
        yield Reason(
            code="no-consent", detail="nobody of its lists has agreed to broadcasts: note their consent first"
        )
    for script in plan.scripts:
        if script.kind is ScriptKind.INITIAL and _names_sender(script.source):
            yield Reason(
                code="names-sender",
                detail="a broadcast has no sender: leave the user's variables out",
                script=script.name,
            )


def _names_sender(source: str) -> bool:
    try:
        return compile_script(source).needs_sender
    except ScriptFault:
        return False  # the lint says what is wrong with it


def _opens(hours: CampaignHours, group: str, now: float) -> bool:
    told = verdict(now, hours, group, "initial")
    return isinstance(told, Open) or told.opens_at < inf
