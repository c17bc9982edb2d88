"""Results over the API: an action's figures and what stands behind them, text these again, and what was used."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.bank.results import FigureName
from gateway.core.bank.wording import told
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id, Name
from gateway.p2p.cursors import Instant
from gateway.p2p.results import (
    ActionResults,
    LabelTotal,
    ListedRow,
    Narrowed,
    NoResults,
    VolunteerPage,
)
from gateway.p2p.text_again import ListNameTaken, TextedAgain
from gateway.p2p.usage import Billed

_ACTION: Final = "/v1/campaigns/{campaign_id}/actions/{action_id}"
_RESULTS: Final = f"{_ACTION}/results"
_Limit = Annotated[int, Meta(ge=1, le=500, description="At most so many.")]
MOST_CODES: Final = 100


class WhichVolunteers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of volunteers."""

    limit: _Limit = 100
    cursor: Cursor = None


class WhichRows(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the rows behind a figure."""

    result: Annotated[FigureName, Meta(description="The figure.")]
    code: Annotated[int | None, Meta(description="Of messages: only those with this code.")] = None
    script: Annotated[str | None, Meta(description="Of messages: only those by this script.")] = None
    user_id: Annotated[Id | None, Meta(description="Of messages: only this volunteer's.")] = None
    limit: _Limit = 100
    cursor: Cursor = None


class WhichUsage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A span of time."""

    since: Annotated[Instant, Meta(description="From this instant on (Unix seconds).")]
    until: Annotated[Instant, Meta(description="Before this instant (Unix seconds), 400 days later at most.")]
    action_id: Annotated[Id | None, Meta(description="Only texts of this action.")] = None


class ResultRow(Struct, frozen=True, kw_only=True):
    """A row behind a figure. `id`: of the message, the person's text, the report, the press, the contact or the volunteer.

    Of a message `words` and `cure` say what its state and code mean, `story` where its life is told.
    """

    id: int
    at: float | None
    contact_id: int | None
    name: str
    phone: str | None
    user_id: int | None
    user: str | None
    kind: str | None
    script: str | None
    text: str | None
    state: str | None
    code: int | None
    words: str | None
    cure: str | None
    story: str | None


class ResultRows(Struct, frozen=True):
    """Rows in the order of their ids. A page may be short, even empty, although others come: `next` is their cursor."""

    rows: list[ResultRow]
    next: str | None


class LabelTotals(Struct, frozen=True):
    """Tags (their name, `value` null) and fields (their slug) as the action's reports gave them, the most frequent first."""

    labels: list[LabelTotal]


class NewTextAgain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to text again: those stopped by these codes. `dry_run` counts them, and makes nothing."""

    codes: Annotated[list[Annotated[int, Meta(ge=1, le=99_999)]], Meta(min_length=1, max_length=MOST_CODES)]
    list_name: Name
    dry_run: bool = False


class Did(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody did about the action. `user_id`: who, where an API key says so; a person speaks for themselves."""

    did: Literal["seen", "started", "completed"]
    user_id: Id | None = None


class Performed(Struct, frozen=True):
    """How often the person has completed the action by now."""

    performs: int


_text_again = msgspec.json.Decoder(NewTextAgain)
_did = msgspec.json.Decoder(Did)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_RESULTS,
        handler="results.of",
        summary="An action's results, also while it runs: every figure with its definition, scripts, errors.",
        act=Act.EXPORT,
        tag="results",
        gives={HTTPStatus.OK: ActionResults},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path=f"{_RESULTS}/volunteers",
        handler="results.volunteers",
        summary="What each volunteer did in an action.",
        act=Act.EXPORT,
        tag="results",
        asks=WhichVolunteers,
        gives={HTTPStatus.OK: VolunteerPage},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="GET",
        path=f"{_RESULTS}/labels",
        handler="results.labels",
        summary="How often an action's reports gave each tag, and each field each value.",
        act=Act.EXPORT,
        tag="results",
        gives={HTTPStatus.OK: LabelTotals},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path=f"{_RESULTS}/rows",
        handler="results.rows",
        summary="What stands behind a figure, row by row.",
        act=Act.EXPORT,
        tag="results",
        asks=WhichRows,
        gives={HTTPStatus.OK: ResultRows},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{_RESULTS}/text-again",
        handler="results.text_again",
        summary="A contact list of those whom these codes stopped and who may be texted again, for an action of its own.",
        act=Act.IMPORT_CONTACTS,
        tag="results",
        takes=NewTextAgain,
        gives={HTTPStatus.OK: TextedAgain},
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{_ACTION}/progress",
        handler="results.progress",
        summary="Somebody has seen, started or completed an action.",
        act=Act.SEND,
        tag="results",
        takes=Did,
        gives={HTTPStatus.OK: Performed},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/usage",
        handler="results.usage",
        summary="What was handed to the provider between two instants and what it costs, SMS and MMS apart, by day.",
        act=Act.EXPORT,
        tag="results",
        asks=WhichUsage,
        gives={HTTPStatus.OK: Billed},
        refuses=(404, 422, 503),
    ),
)


class ResultDesk:
    """What actions came to."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._results = parts.results
        self._again = parts.text_again
        self._usage = parts.usage
        self._progress = parts.progress
        self._known_campaigns = known

    async def of(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        try:
            return json_answer(await self._results.of(campaign, _action(request)))
        except NoResults as error:
            raise _not_found(error) from error

    async def volunteers(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhichVolunteers, request)
        try:
            page = await self._results.volunteers(campaign, _action(request), wanted.cursor, wanted.limit)
        except NoResults as error:
            raise _not_found(error) from error
        return json_answer(page)

    async def labels(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        try:
            return json_answer(LabelTotals(await self._results.labels(campaign, _action(request))))
        except NoResults as error:
            raise _not_found(error) from error

    async def rows(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhichRows, request)
        narrowed = Narrowed(code=wanted.code, script=wanted.script, user_id=wanted.user_id)
        try:
            page = await self._results.rows(
                campaign, _action(request), wanted.result, narrowed, wanted.cursor, wanted.limit
            )
        except NoResults as error:
            raise _not_found(error) from error
        return json_answer(ResultRows([_row(each, campaign.campaign_id) for each in page.rows], page.next))

    async def text_again(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = decoded(_text_again, await json_body(request))
        try:
            made = await self._again.make_list(
                grant.actor.name,
                campaign,
                _action(request),
                wanted.codes,
                wanted.list_name,
                dry_run=wanted.dry_run,
            )
        except NoResults as error:
            raise _not_found(error) from error
        except ListNameTaken as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return json_answer(made)

    async def progress(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        said = decoded(_did, await json_body(request))
        try:
            performs = await self._progress.note(
                grant.actor, campaign, _action(request), said.did, said.user_id
            )
        except NoResults as error:
            raise _not_found(error) from error
        return json_answer(Performed(performs))

    async def usage(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhichUsage, request)
        return json_answer(await self._usage.between(campaign, wanted.since, wanted.until, wanted.action_id))


def _action(request: web.Request) -> int:
    return path_id(request, "action_id", lambda given: _not_found(NoResults(given)))


def _not_found(error: NoResults) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(error))


def _row(row: ListedRow, campaign_id: int) -> ResultRow:
    means = None if row.state is None else told(row.state, row.code, row.reason)
    return ResultRow(
        id=row.id,
        at=row.at,
        contact_id=row.contact_id,
        name=f"{row.first_name or ''} {row.last_name or ''}".strip(),
        phone=row.phone,
        user_id=row.user_id,
        user=row.user,
        kind=row.kind,
        script=row.script,
        text=row.text,
        state=row.state,
        code=row.code,
        words=None if means is None else means.explanation or means.words,
        cure=None if means is None else means.cure,
        story=None if row.state is None else f"/v1/messages/{campaign_id}/{row.id}/story",
    )
