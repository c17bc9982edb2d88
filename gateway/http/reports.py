"""Reports over the API: the form as it opens, and what was reported before. Filing one is an act of `threads.py`."""

from http import HTTPStatus
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.labels import FieldKind
from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import asked, json_answer
from gateway.http.inbox import PATH, contact_of, not_found
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor
from gateway.p2p.reports import FilledForm, ReportRow, Reports
from gateway.p2p.whose import NoConversation

_CONTACT: Final = f"{PATH}/{{contact_id}}"


class WhichReports(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of what was reported."""

    limit: Annotated[int, Meta(ge=1, le=100, description="How many, 100 at most.")] = 30
    cursor: Cursor = None


class FormTag(Struct, frozen=True):
    """A tag that the report offers, and whether the person has it."""

    tag_id: int
    label: str
    is_on: bool


class FormField(Struct, frozen=True):
    """A field that the report offers, and its value; null: none yet."""

    field_id: int
    slug: str
    label: str
    kind: FieldKind
    options: tuple[str, ...]
    value: str | None


class ReportForm(Struct, frozen=True, kw_only=True):
    """What a report on this person offers, in the admin's order, and what is known already.

    `messaged_at`: of our last text to them, kept by itself (F139). `reported_at`: of the last report; null: nobody has
    reported yet. `archives`: whether filing it archives the conversation unless it says otherwise.
    """

    revision: int
    tags: list[FormTag]
    fields: list[FormField]
    messaged_at: float | None
    reported_at: float | None
    archives: bool


class FiledReport(Struct, frozen=True, kw_only=True):
    """A report as it was filed; `user_id` null: by an API key."""

    report_id: int
    at: float
    user_id: int | None
    action_id: int | None
    tags: tuple[int, ...]
    removed_tags: tuple[int, ...]
    fields: dict[str, str | None]


class ReportList(Struct, frozen=True):
    """Reports, the newest first. `next`: the cursor of those before; null: there are none."""

    reports: list[FiledReport]
    next: str | None


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{_CONTACT}/report-form",
        handler="reports.form",
        summary="What a report on this person offers, and what is known already.",
        act=Act.REPORT,
        tag="inbox",
        gives={HTTPStatus.OK: ReportForm},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path=f"{_CONTACT}/reports",
        handler="reports.history",
        summary="What was reported of this person, by whom and when, the newest first.",
        act=Act.READ_CONVERSATIONS,
        tag="inbox",
        asks=WhichReports,
        gives={HTTPStatus.OK: ReportList},
        refuses=(404, 422, 503),
    ),
)


class ReportDesk:
    """What there is to report, and what was."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._reports: Reports = parts.reports
        self._known = known

    async def form(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        try:
            filled = await self._reports.form(grant.actor, campaign.campaign_id, contact_of(request))
        except NoConversation as error:
            raise not_found(error) from error
        return json_answer(_form(filled))

    async def history(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = asked(WhichReports, request)
        try:
            page = await self._reports.history(
                grant.actor, campaign.campaign_id, contact_of(request), wanted.cursor, wanted.limit
            )
        except NoConversation as error:
            raise not_found(error) from error
        return json_answer(ReportList([_filed(each) for each in page.rows], page.next))


def _form(filled: FilledForm) -> ReportForm:
    has, values = set(filled.standing.tag_ids), filled.standing.fields
    return ReportForm(
        revision=filled.revision,
        tags=[FormTag(each.tag_id, each.label, each.tag_id in has) for each in filled.form.tags],
        fields=[
            FormField(each.field_id, each.slug, each.label, each.kind, each.options, values.get(each.slug))
            for each in filled.form.fields
        ],
        messaged_at=filled.standing.messaged_at,
        reported_at=filled.reported_at,
        archives=filled.archives,
    )


def _filed(row: ReportRow) -> FiledReport:
    return FiledReport(
        report_id=row.report_id,
        at=row.at,
        user_id=row.user_id,
        action_id=row.action_id,
        tags=row.marks.tags,
        removed_tags=row.marks.removed_tags,
        fields=dict(row.marks.fields),
    )
