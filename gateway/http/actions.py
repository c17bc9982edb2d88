"""Actions over the API: drafts, lists of them, changes, who is invited."""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.actions import LONGEST_TITLE, ActionSettings, Audience, State
from gateway.core.bank.permissions import Act, Reach
from gateway.core.bank.scripts import MOST_SCRIPTS, ScriptText
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Problem, Refusal, problem_answer, title_of
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id
from gateway.p2p.actions import Action, ActionChange, ActionClash, NoAction, NoLink, Wanted

PATH: Final = "/v1/campaigns/{campaign_id}/actions"
ONE: Final = f"{PATH}/{{action_id}}"
MOST_ACTIONS: Final = 100
MOST_INVITED: Final = 1_000
Title = Annotated[str, Meta(min_length=1, max_length=LONGEST_TITLE)]
Version = Annotated[Id | None, Meta(description="That from which the change was made.")]
StateWord = Literal["draft", "scheduled", "private", "public"]
Folder = Annotated[str, Meta(min_length=1, max_length=100)]


class NewAction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft, with its scripts if they are there already."""

    title: Title
    settings: ActionSettings = ActionSettings()
    scripts: Annotated[tuple[ScriptText, ...], Meta(max_length=MOST_SCRIPTS)] = ()


class ChangeOfAction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays. `settings` take the place of all that were there.

    `version` is that from which the change was made: when somebody has saved meanwhile, nothing is changed and the
    answer is 409. `paused`: first texts wait, replies go on. `new_link`: the action's link opens nothing any more, and
    there is another one. Once published, whom it texts and its limits stay as they are (F149).
    """

    title: Title | None = None
    settings: ActionSettings | None = None
    archived: bool | None = None
    paused: bool | None = None
    new_link: Literal[True] | None = None
    version: Version = None


class ActionView(Struct, frozen=True, kw_only=True):
    """An action; times are Unix seconds. `version` counts its changes and those of its scripts, and goes with a change.

    `paused`: its first texts wait. `publish_at`, `publishes_as`: when a scheduled one is published, and as what. `link`:
    what its link carries, which lets people of the campaign see it while it is private; null to volunteers.
    """

    action_id: int
    title: str
    state: State
    settings: ActionSettings
    paused: bool
    version: int
    created_at: float
    created_by: int | None
    published_at: float | None
    publish_at: float | None
    publishes_as: str | None
    archived_at: float | None
    link: str | None


class ActionClashed(Problem, frozen=True, kw_only=True, omit_defaults=False):
    """Somebody else has changed the action meanwhile: `stored` is how it stands; `yours` was not saved."""

    stored: ActionView
    yours: ChangeOfAction | None


class ActionList(Struct, frozen=True):
    """Actions, the newest first. `next`: the cursor of those made before; null: there are none."""

    actions: list[ActionView]
    next: str | None


class WhichActions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a list. Volunteers see what is published and for them."""

    folder: Annotated[Folder | None, Meta(description="Those in this folder.")] = None
    state: Annotated[StateWord | None, Meta(description="Those in this state.")] = None
    archived: Annotated[bool, Meta(description="Those that are archived, instead of the others.")] = False
    limit: Annotated[int, Meta(ge=1, le=MOST_ACTIONS, description="At most so many.")] = 30
    cursor: Cursor = None


class NewInvitees(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to see the action while it is private."""

    user_ids: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=MOST_INVITED)]


class Invited(Struct, frozen=True):
    """Those of the people who are in the campaign, and see the action now."""

    user_ids: list[int]


class InviteeView(Struct, frozen=True, kw_only=True):
    """Somebody who was invited. `invited_by`: as in the audit log; `link`: came by the action's link."""

    user_id: int
    name: str
    invited_at: float
    invited_by: str


class InviteeList(Struct, frozen=True):
    """Who was invited, by id. `next`: the cursor of those after; null: there are none."""

    invitees: list[InviteeView]
    next: str | None


class WhichInvitees(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of them."""

    limit: Annotated[int, Meta(ge=1, le=200, description="At most so many.")] = 50
    cursor: Cursor = None


class ActionLink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an action link carries."""

    link: Annotated[str, Meta(min_length=1, max_length=64)]


_new = msgspec.json.Decoder(NewAction)
_change = msgspec.json.Decoder(ChangeOfAction)
_invitees = msgspec.json.Decoder(NewInvitees)
_link = msgspec.json.Decoder(ActionLink)
READS: Final = (404, 422, 503)
CHANGES: Final = (400, 404, 413, 415, 422, 503)
CLASHES: Final[dict[int, Any]] = {HTTPStatus.CONFLICT: ActionClashed}
_GIVES: Final[dict[int, Any]] = {HTTPStatus.OK: ActionView}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler="actions.list",
        summary="The campaign's actions; a volunteer's are those that are published and for them.",
        act=Act.READ_ACTIONS,
        tag="actions",
        gives={HTTPStatus.OK: ActionList},
        refuses=READS,
        asks=WhichActions,
    ),
    Operation(
        method="POST",
        path=PATH,
        handler="actions.create",
        summary="Make a draft of an action.",
        act=Act.MANAGE_ACTIONS,
        tag="actions",
        takes=NewAction,
        gives={HTTPStatus.CREATED: ActionView},
        refuses=CHANGES,
    ),
    Operation(
        method="POST",
        path=f"{PATH}:enter",
        handler="actions.enter",
        summary="Open an action's link: whoever is in the campaign sees the action from now on.",
        act=Act.READ_ACTIONS,
        tag="actions",
        takes=ActionLink,
        gives=_GIVES,
        refuses=CHANGES,
    ),
    Operation(
        method="GET",
        path=ONE,
        handler="actions.show",
        summary="An action.",
        act=Act.READ_ACTIONS,
        tag="actions",
        gives=_GIVES,
        refuses=(404, 503),
    ),
    Operation(
        method="PATCH",
        path=ONE,
        handler="actions.change",
        summary="Change an action, pause its first texts, archive it, or give it another link.",
        act=Act.MANAGE_ACTIONS,
        tag="actions",
        takes=ChangeOfAction,
        gives={**_GIVES, **CLASHES},
        refuses=CHANGES,
    ),
    Operation(
        method="GET",
        path=f"{ONE}/invitees",
        handler="actions.invitees",
        summary="Who was invited to an action.",
        act=Act.MANAGE_ACTIONS,
        tag="actions",
        gives={HTTPStatus.OK: InviteeList},
        refuses=READS,
        asks=WhichInvitees,
    ),
    Operation(
        method="POST",
        path=f"{ONE}/invitees",
        handler="actions.invite",
        summary="Let hand-picked people see an action while it is private.",
        act=Act.MANAGE_ACTIONS,
        tag="actions",
        takes=NewInvitees,
        gives={HTTPStatus.OK: Invited},
        refuses=CHANGES,
    ),
    Operation(
        method="DELETE",
        path=f"{ONE}/invitees/{{user_id}}",
        handler="actions.uninvite",
        summary="Somebody who was invited no longer sees the action while it is private.",
        act=Act.MANAGE_ACTIONS,
        tag="actions",
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(404, 503),
    ),
)


class ActionDesk:
    """What is done in the campaign, and who sees it."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._actions = parts.actions
        self._known_campaigns = known

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        which = asked(WhichActions, request)
        wanted = Wanted(folder=which.folder, state=which.state, archived=which.archived)
        page = await self._actions.page(grant.actor, campaign.campaign_id, wanted, which.cursor, which.limit)
        return json_answer(ActionList([action_view(each, grant) for each in page.rows], page.next))

    async def create(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        new = decoded(_new, await json_body(request))
        made = await self._actions.create(
            grant.actor, campaign.campaign_id, new.title, new.settings, new.scripts
        )
        where = f"/v1/campaigns/{campaign.campaign_id}/actions/{made.record.action_id}"
        return json_answer(action_view(made, grant), HTTPStatus.CREATED, Location=where)

    async def enter(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        given = decoded(_link, await json_body(request))
        try:
            action = await self._actions.enter(grant.actor, campaign.campaign_id, given.link)
        except (NoAction, NoLink) as error:
            raise Refusal(HTTPStatus.NOT_FOUND, str(NoLink())) from error
        return json_answer(action_view(action, grant))

    async def show(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        try:
            action = await self._actions.read(grant.actor, campaign.campaign_id, action_of(request))
        except NoAction as error:
            raise no_action(error) from error
        return json_answer(action_view(action, grant))

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = decoded(_change, await json_body(request))
        change = ActionChange(
            title=wanted.title,
            settings=wanted.settings,
            archived=wanted.archived,
            paused=wanted.paused,
            new_link=wanted.new_link is True,
        )
        action_id = action_of(request)
        try:
            action = await self._actions.change(
                grant.actor, campaign.campaign_id, action_id, change, wanted.version
            )
        except NoAction as error:
            raise no_action(error) from error
        except ActionClash as clash:
            return clashed(clash, grant, wanted)
        return json_answer(action_view(action, grant))

    async def invitees(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        which = asked(WhichInvitees, request)
        try:
            page = await self._actions.invitees(
                grant.actor, campaign.campaign_id, action_of(request), which.cursor, which.limit
            )
        except NoAction as error:
            raise no_action(error) from error
        rows = [InviteeView(**msgspec.structs.asdict(each)) for each in page.rows]
        return json_answer(InviteeList(rows, page.next))

    async def invite(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = decoded(_invitees, await json_body(request))
        try:
            invited = await self._actions.invite(
                grant.actor, campaign.campaign_id, action_of(request), wanted.user_ids
            )
        except NoAction as error:
            raise no_action(error) from error
        return json_answer(Invited(invited))

    async def uninvite(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        action_id = action_of(request)
        user_id = path_id(request, "user_id", lambda _: no_action(NoAction(action_id)))
        try:
            await self._actions.uninvite(grant.actor, campaign.campaign_id, action_id, user_id)
        except NoAction as error:
            raise no_action(error) from error
        return web.Response(status=HTTPStatus.NO_CONTENT)


def action_of(request: web.Request) -> int:
    """The action in the path; raises Refusal 404 for an id that can't be one."""
    return path_id(request, "action_id", lambda given: no_action(NoAction(given)))


def no_action(error: NoAction) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(error))


def action_view(action: Action, grant: Grant) -> ActionView:
    """An action as whoever asks may see it: a volunteer reads neither its link nor whom else it is for."""
    record, settings = action.record, action.settings
    is_staff = grant.actor.reach(Act.READ_ACTIONS) is Reach.CAMPAIGN
    if not is_staff:
        settings = msgspec.structs.replace(settings, audience=Audience())
    return ActionView(
        action_id=record.action_id,
        title=record.title,
        state=action.state,
        settings=settings,
        paused=action.paused,
        version=record.version,
        created_at=record.created_at,
        created_by=record.created_by,
        published_at=record.published_at,
        publish_at=record.publish_at,
        publishes_as=record.publishes_as,
        archived_at=record.archived_at,
        link=record.link if grant.actor.may(Act.MANAGE_ACTIONS) else None,
    )


def clashed(clash: ActionClash, grant: Grant, yours: ChangeOfAction | None) -> web.Response:
    """409, with how the action stands and what was not saved."""
    status = HTTPStatus.CONFLICT
    return problem_answer(
        ActionClashed(
            title=title_of(status),
            status=status.value,
            detail=str(clash),
            stored=action_view(clash.stored, grant),
            yours=yours,
        )
    )
