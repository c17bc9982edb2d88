"""Scripts over the API: written, checked, previewed, put in order, and how often each was sent."""

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.actions import ActionSettings, Ids
from gateway.core.bank.permissions import Act
from gateway.core.bank.script_check import Checked
from gateway.core.bank.scripts import MOST_SCRIPTS, ScriptKind, ScriptText, key_of
from gateway.core.text.scripts import ScriptFault
from gateway.http.access import Grant
from gateway.http.actions import (
    CHANGES,
    CLASHES,
    ONE,
    READS,
    Version,
    action_of,
    clashed,
    no_action,
)
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Id
from gateway.p2p.actions import ActionClash, NoAction
from gateway.p2p.script_checks import CheckedScript, Question, Rendered
from gateway.p2p.scripts import NoScript, ScriptRow
from gateway.turns import Floor

_SCRIPTS: Final = f"{ONE}/scripts"
_SCRIPT: Final = f"{_SCRIPTS}/{{script_id}}"
MOST_CHECKED: Final = 20
MOST_PREVIEWED: Final = 20


class NewScript(ScriptText, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A script as it is to be; in a change, all of it. `version`: of the action, from which the change was made."""

    version: Version = None


class ScriptView(Struct, frozen=True, kw_only=True):
    """A script. `key`: that picks the response, of the first ten; `revision` counts how often it was saved, and goes
    with its text wherever that is shown."""

    script_id: int
    kind: ScriptKind
    name: str
    source: str
    place: int
    key: str | None
    tag_ids: list[int]
    fields: dict[str, str]
    media: list[str]
    revision: int


class ScriptList(Struct, frozen=True):
    """The action's scripts in their order, initials first."""

    scripts: list[ScriptView]


class ScriptOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every script of the action, in the order in which they are to be offered."""

    script_ids: Annotated[tuple[Id, ...], Meta(max_length=MOST_SCRIPTS)]


class ScriptUses(Struct, frozen=True):
    """How often each script was sent, by name; what a safeguard blocked was not."""

    uses: dict[str, int]


class ScriptQuestion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scripts to be looked at, published or not. `settings`: of the action that would have them.

    For a sample of two hundred people of these lists (none: of the campaign), or with `everybody` for all of them, which
    takes seconds.
    """

    scripts: Annotated[tuple[ScriptText, ...], Meta(min_length=1, max_length=MOST_CHECKED)]
    settings: ActionSettings = ActionSettings()
    contact_list_ids: Ids = ()
    everybody: bool = False
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class FindingView(Struct, frozen=True, kw_only=True):
    """One thing to mend: an error keeps the action from being published, a warning doesn't. Line and column from 1."""

    severity: str
    rule: str
    message: str
    line: int
    column: int
    token: str | None


class TextPreview(Struct, frozen=True, kw_only=True):
    """A script's text for one person, and how it would be charged."""

    contact_id: int
    script: str
    text: str
    segments: int
    encoding: str


class ScriptReport(Struct, frozen=True, kw_only=True):
    """What was found; `checked` null: the script can't be read at all."""

    name: str
    findings: list[FindingView]
    checked: Checked | None
    texts: list[TextPreview]


class ScriptReports(Struct, frozen=True):
    """The scripts in the order in which they were given."""

    scripts: list[ScriptReport]


class Previews(Struct, frozen=True):
    """Every script for each of the people."""

    texts: list[TextPreview]


class WhichPreview(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom."""

    people: Annotated[int, Meta(ge=1, le=MOST_PREVIEWED, description="For so many people.")] = 5
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Other people for another number.")] = 0


_new = msgspec.json.Decoder(NewScript)
_order = msgspec.json.Decoder(ScriptOrder)
_question = msgspec.json.Decoder(ScriptQuestion)
_ONE_SCRIPT: Final[dict[int, Any]] = {HTTPStatus.OK: ScriptView, **CLASHES}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_SCRIPTS,
        handler="scripts.list",
        summary="An action's scripts.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        gives={HTTPStatus.OK: ScriptList},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=_SCRIPTS,
        handler="scripts.add",
        summary="Add a script, the last of its kind.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        takes=NewScript,
        gives={HTTPStatus.CREATED: ScriptView, **CLASHES},
        refuses=CHANGES,
    ),
    Operation(
        method="PUT",
        path=_SCRIPT,
        handler="scripts.change",
        summary="Change a script; once its action is published, what a response says and does.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        takes=NewScript,
        gives=_ONE_SCRIPT,
        refuses=CHANGES,
    ),
    Operation(
        method="DELETE",
        path=_SCRIPT,
        handler="scripts.remove",
        summary="Offer a script no longer.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{_SCRIPTS}:order",
        handler="scripts.put_in_order",
        summary="Put an action's scripts in order: the first ten responses have the keys 1 to 0.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        takes=ScriptOrder,
        gives={HTTPStatus.OK: ScriptList},
        refuses=CHANGES,
    ),
    Operation(
        method="GET",
        path=f"{_SCRIPTS}:count",
        handler="scripts.uses",
        summary="How often each script of an action was sent.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        gives={HTTPStatus.OK: ScriptUses},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path=f"{ONE}/preview",
        handler="scripts.preview",
        summary="An action's scripts as some of its people would read them.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        gives={HTTPStatus.OK: Previews},
        refuses=READS,
        asks=WhichPreview,
    ),
    Operation(
        method="POST",
        path="/v1/campaigns/{campaign_id}/scripts:check",
        handler="scripts.check",
        summary="What is wrong with scripts, how many segments they have, what makes them dear, and what they cost.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        takes=ScriptQuestion,
        gives={HTTPStatus.OK: ScriptReports},
        refuses=CHANGES,
    ),
)


class ScriptDesk:
    """What people are to read."""

    def __init__(self, parts: Parts, known: KnownCampaigns, floor: Floor) -> None:
        self._scripts = parts.scripts
        self._checks = parts.script_checks
        self._known_campaigns = known
        self._floor = floor

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        try:
            rows = await self._scripts.of(grant.actor, campaign.campaign_id, action_of(request))
        except NoAction as error:
            raise no_action(error) from error
        return json_answer(_list(rows))

    async def add(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        new, action_id = decoded(_new, await json_body(request)), action_of(request)
        try:
            row = await self._scripts.add(grant.actor, campaign.campaign_id, action_id, new, new.version)
        except NoAction as error:
            raise no_action(error) from error
        except ActionClash as clash:
            return clashed(clash, grant, None)
        where = f"/v1/campaigns/{campaign.campaign_id}/actions/{action_id}/scripts/{row.script_id}"
        return json_answer(_view(row, None), HTTPStatus.CREATED, Location=where)

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        new, action_id, script_id = (
            decoded(_new, await json_body(request)),
            action_of(request),
            _script_of(request),
        )
        try:
            row = await self._scripts.change(
                grant.actor, campaign.campaign_id, action_id, script_id, new, new.version
            )
        except NoAction as error:
            raise no_action(error) from error
        except NoScript as error:
            raise _no_script(error) from error
        except ActionClash as clash:
            return clashed(clash, grant, None)
        return json_answer(_view(row, None))

    async def remove(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        action_id, script_id = action_of(request), _script_of(request)
        try:
            await self._scripts.remove(grant.actor, campaign.campaign_id, action_id, script_id)
        except NoAction as error:
            raise no_action(error) from error
        except NoScript as error:
            raise _no_script(error) from error
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def put_in_order(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted, action_id = decoded(_order, await json_body(request)), action_of(request)
        try:
            rows = await self._scripts.put_in_order(
                grant.actor, campaign.campaign_id, action_id, wanted.script_ids
            )
        except NoAction as error:
            raise no_action(error) from error
        return json_answer(_list(rows))

    async def uses(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        try:
            counted = await self._scripts.uses(grant.actor, campaign.campaign_id, action_of(request))
        except NoAction as error:
            raise no_action(error) from error
        return json_answer(ScriptUses(counted))

    async def preview(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        which = asked(WhichPreview, request)
        try:
            texts = await self._checks.preview(
                grant.actor, campaign.campaign_id, action_of(request), seed=which.seed, limit=which.people
            )
        except NoAction as error:
            raise no_action(error) from error
        except ScriptFault as fault:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"a script can't be read: {fault}") from fault
        return json_answer(Previews([_preview(each) for each in texts]))

    async def check(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = decoded(_question, await json_body(request))
        question = Question(
            scripts=wanted.scripts,
            settings=wanted.settings,
            contact_list_ids=wanted.contact_list_ids,
            everybody=wanted.everybody,
            seed=wanted.seed,
        )
        found = await self._checks.check(campaign.campaign_id, question, self._floor)
        return json_answer(ScriptReports([_report(each) for each in found]))


def _script_of(request: web.Request) -> int:
    return path_id(request, "script_id", lambda given: _no_script(NoScript(given)))


def _no_script(error: NoScript) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(error))


def _list(rows: list[ScriptRow]) -> ScriptList:
    responses = [each.script_id for each in rows if each.kind == ScriptKind.RESPONSE]
    keys = {script_id: key_of(nth) for nth, script_id in enumerate(responses)}
    return ScriptList([_view(each, keys.get(each.script_id)) for each in rows])


def _view(row: ScriptRow, key: str | None) -> ScriptView:
    return ScriptView(
        script_id=row.script_id,
        kind=ScriptKind(row.kind),
        name=row.name,
        source=row.source,
        place=row.place,
        key=key,
        tag_ids=row.tag_ids,
        fields=msgspec.json.decode(row.fields, type=dict[str, str]),
        media=row.media,
        revision=row.revision,
    )


def _preview(rendered: Rendered) -> TextPreview:
    return TextPreview(
        contact_id=rendered.contact_id,
        script=rendered.script,
        text=rendered.text,
        segments=rendered.measured.segments,
        encoding=rendered.measured.encoding,
    )


def _report(checked: CheckedScript) -> ScriptReport:
    findings = [
        FindingView(
            severity=each.finding.severity,
            rule=each.finding.rule,
            message=each.finding.message,
            line=each.finding.line,
            column=each.finding.column,
            token=each.token,
        )
        for each in checked.findings
    ]
    return ScriptReport(
        name=checked.name,
        findings=findings,
        checked=checked.checked,
        texts=[_preview(each) for each in checked.texts],
    )
