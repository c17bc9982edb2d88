"""Exports over the API: a campaign's data as files to download, written while they are read."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Final

import structlog
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.exports import Form, Subject
from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import asked, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import ClientGone, Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Id
from gateway.p2p.cursors import Instant
from gateway.p2p.evidence import NoContact
from gateway.p2p.export_files import MEDIA_TYPES
from gateway.p2p.exports import Wanted
from gateway.turns import Floor

ZIP: Final = "application/zip"
SLOWEST_S: Final = 30.0
"""A client that takes nothing of its file for so long has left."""
_log = structlog.get_logger("textbank.http")

_Form = Annotated[
    Form, Meta(description="csv (UTF-8, for spreadsheets) or parquet (where pyarrow is installed).")
]
_Action = Annotated[Id | None, Meta(description="Only rows of this action.")]
_Since = Annotated[Instant | None, Meta(description="Only rows from this instant on (Unix seconds).")]
_Until = Annotated[
    Instant | None,
    Meta(description="Only rows of before this instant (Unix seconds). Without it: of before now."),
]
_Word = Annotated[str, Meta(max_length=20)]
_After = Annotated[
    _Word | None,
    Meta(
        description="Goes on with a file that broke off: the first cell of its last row. A CSV then has no header."
    ),
]


class WhichFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file."""

    format: _Form = Form.CSV
    after: _After = None


class WhichRows(WhichFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of what has a time."""

    since: _Since = None
    until: _Until = None


class WhichRowsOfAction(WhichRows, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of what has a time and belongs to an action."""

    action_id: _Action = None


class WhichContacts(WhichFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of contacts."""

    action_id: Annotated[Id | None, Meta(description="Only those whom this action is for.")] = None


_ASKS: Final[dict[Subject, Any]] = {
    Subject.CONTACTS: WhichContacts,
    Subject.OPT_OUTS: WhichRows,
}
_SUMMARIES: Final = {
    Subject.MESSAGES: "Every text of ours with its number, segments, status, code and what it means, as a file.",
    Subject.REPLIES: "Every text that people wrote, as a file.",
    Subject.CONTACTS: "Every contact with fields and tags, as a file.",
    Subject.REPORTS: "Every report that was filed, as a file.",
    Subject.OPT_OUTS: "Everybody who gets no texts, as a file.",
    Subject.CLICKS: "Every press of a tracked link, as a file.",
}


def _name(subject: Subject) -> str:
    return subject.value.replace("-", "_")


_FILES: Final = tuple(
    Operation(
        method="GET",
        path=f"/v1/campaigns/{{campaign_id}}/exports/{subject.value}",
        handler=f"exports.{_name(subject)}",
        summary=_SUMMARIES[subject],
        act=Act.EXPORT,
        tag="exports",
        asks=_ASKS.get(subject, WhichRowsOfAction),
        gives={HTTPStatus.OK: tuple(MEDIA_TYPES.values())},
        refuses=(404, 422, 503),
    )
    for subject in Subject
)
OPERATIONS: Final = (
    *_FILES,
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/contacts/{contact_id}/evidence",
        handler="exports.evidence",
        summary="Everything about one person as a ZIP: texts with local hours and stories, opt-out, reports, who did what.",
        act=Act.EXPORT,
        tag="exports",
        gives={HTTPStatus.OK: ZIP},
        refuses=(404, 503),
    ),
)


class ExportDesk:
    """Hands out files: one method a subject."""

    def __init__(self, parts: Parts, known: KnownCampaigns, floor: Floor) -> None:
        self._parts = parts
        self._known_campaigns = known
        self._floor = floor

    async def messages(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        return await self._file(request, grant, Subject.MESSAGES)

    async def replies(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        return await self._file(request, grant, Subject.REPLIES)

    async def contacts(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        return await self._file(request, grant, Subject.CONTACTS)

    async def reports(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        return await self._file(request, grant, Subject.REPORTS)

    async def opt_outs(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        return await self._file(request, grant, Subject.OPT_OUTS)

    async def clicks(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        return await self._file(request, grant, Subject.CLICKS)

    async def evidence(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        contact_id = path_id(request, "contact_id", lambda given: _no_contact(NoContact(given)))
        try:
            packed = await self._parts.evidence.pack(grant.actor.name, campaign, contact_id)
        except NoContact as error:
            raise _no_contact(error) from error
        name = f"campaign-{campaign.campaign_id}-contact-{contact_id}.zip"
        return web.Response(body=packed, headers=_headers(ZIP, name))

    async def _file(self, request: web.Request, grant: Grant, subject: Subject) -> web.StreamResponse:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        given = asked(_ASKS.get(subject, WhichRowsOfAction), request)
        now = self._parts.clock.now()
        wanted = Wanted(
            subject=subject,
            form=given.format,
            after=given.after,
            action_id=getattr(given, "action_id", None),
            since=getattr(given, "since", None),
            until=getattr(given, "until", None),
        ).until_or(now)
        response = _response(wanted, f"campaign-{campaign.campaign_id}-{subject.value}.{given.format.value}")
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        async with self._parts.exports.file(grant.actor.name, campaign, wanted, self._floor) as pieces:
            await self._send(request, response, pieces)
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes]
    ) -> None:
        """Piece by piece. A file that can't be finished ends without its end, so that nobody takes it for whole.

        Raises ClientGone for a client that has left, or takes nothing any more, and for a worker that stops.
        """
        first = await anext(pieces, b"")  # what is wrong with the database is still told as it should be
        await response.prepare(request)
        try:
            await self._write(response, first)
            async for piece in pieces:
                await self._write(response, piece)
        except BaseException as error:
            if request.transport is not None:
                request.transport.abort()
            if isinstance(error, ConnectionError | TimeoutError | _Stopping):
                raise ClientGone from error
            if isinstance(error, Exception):
                _log.warning("an export broke off", why=str(error) or type(error).__name__)
                raise ClientGone from error
            raise

    async def _write(self, response: web.StreamResponse, piece: bytes) -> None:
        if self._parts.closing:
            raise _Stopping
        async with asyncio.timeout(SLOWEST_S):
            await response.write(piece)


class _Stopping(Exception):
    """This worker stops: another one can go on with the file."""


def _response(wanted: Wanted, name: str) -> web.StreamResponse:
    kind = MEDIA_TYPES[wanted.form] + ("; charset=utf-8" if wanted.form is Form.CSV else "")
    return web.StreamResponse(headers=_headers(kind, name) | {"Textbank-Until": repr(wanted.until)})


def _headers(kind: str, name: str) -> dict[str, str]:
    return {
        "Content-Type": kind,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }


def _no_contact(error: NoContact) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(error))
