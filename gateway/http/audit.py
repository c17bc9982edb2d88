"""The audit log over the API: who changed what of a campaign."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import asked, json_answer
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor
from gateway.p2p.audit import Changed


class WhichChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of the log."""

    limit: Annotated[int, Meta(ge=1, le=200, description="At most so many lines.")] = 50
    cursor: Cursor = None


class AuditLine(Struct, frozen=True, kw_only=True):
    """A change: `who` made it (`key:` and an API key's id, `user:` and a person's, or `command`), at which Unix second.

    `before` and `after` are what was changed; null: there was nothing, or is nothing any more.
    """

    at: float
    who: str
    act: str
    before: msgspec.Raw
    after: msgspec.Raw


class AuditLines(Struct, frozen=True, kw_only=True):
    """Changes of a campaign, the newest first. `next`: the cursor of those before; null: there are none."""

    lines: list[AuditLine]
    next: str | None


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/audit",
        handler="audit.page",
        summary="Who changed what of the campaign and of its keys, the newest change first.",
        act=Act.CHANGE_CAMPAIGN,  # who may change it sees who did
        tag="campaigns",
        asks=WhichChanges,
        gives={HTTPStatus.OK: AuditLines},
        refuses=(404, 422, 503),
    ),
)


class AuditDesk:
    """Shows the log."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._audit_log = parts.audit_log
        self._known_campaigns = known

    async def page(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhichChanges, request)
        found = await self._audit_log.page(campaign, wanted.cursor, wanted.limit)
        return json_answer(AuditLines(lines=[_line(row) for row in found.rows], next=found.next))


def _line(row: Changed) -> AuditLine:
    return AuditLine(at=row.at, who=row.who, act=row.act, before=_json(row.before), after=_json(row.after))


def _json(text: str | None) -> msgspec.Raw:
    return msgspec.Raw((text or "null").encode())
