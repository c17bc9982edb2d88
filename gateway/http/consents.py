"""Consent to broadcasts over the API: noted, withdrawn, listed. A phone is in no address."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.http.access import Grant
from gateway.http.bodies import MOST_BYTES, asked, decoded, json_answer, json_body
from gateway.http.inbox import Limit
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.reading import campaign_of
from gateway.http.records import MOST_ROWS, Cursor
from gateway.p2p.consents import GivenConsent, Noted, Whom, Withdrawn

_PATH: Final = "/v1/campaigns/{campaign_id}/consents"


class GivenConsents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Consents in writing, each with where and when it was given."""

    consents: Annotated[list[GivenConsent], Meta(min_length=1, max_length=MOST_ROWS)]


class WhoWithdraws(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Contacts who want no broadcasts; volunteers may text them still. Whoever wants no texts at all has opted out."""

    contacts: Annotated[list[Whom], Meta(min_length=1, max_length=MOST_ROWS)]


class ConsentView(Struct, frozen=True, kw_only=True):
    """What a contact agreed to; times in Unix seconds. `noted_by`, `withdrawn_by`: as in the audit log. `withdrawn_at`
    null: it is in force."""

    contact_id: int
    given_at: float
    source: str
    words: str
    noted_at: float
    noted_by: str
    withdrawn_at: float | None
    withdrawn_by: str | None


class ConsentList(Struct, frozen=True):
    """Consents, by contact. `next`: the cursor of those after; null: there are none."""

    consents: list[ConsentView]
    next: str | None


class WhichConsents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of them."""

    limit: Limit = 100
    cursor: Cursor = None


_given = msgspec.json.Decoder(GivenConsents)
_whom = msgspec.json.Decoder(WhoWithdraws)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_PATH,
        handler="consents.list",
        summary="Who has agreed to broadcasts, and who has withdrawn that.",
        act=Act.CHANGE_CONTACTS,
        tag="broadcasts",
        gives={HTTPStatus.OK: ConsentList},
        refuses=(404, 422, 503),
        asks=WhichConsents,
    ),
    Operation(
        method="POST",
        path=_PATH,
        handler="consents.note",
        summary="Note that contacts have agreed to broadcasts in writing: where, when, in which words.",
        act=Act.IMPORT_CONTACTS,
        tag="broadcasts",
        takes=GivenConsents,
        gives={HTTPStatus.OK: Noted},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{_PATH}:withdraw",
        handler="consents.withdraw",
        summary="Contacts want no broadcasts any more: nothing more is claimed for them from the answer on.",
        act=Act.CHANGE_CONTACTS,
        tag="broadcasts",
        takes=WhoWithdraws,
        gives={HTTPStatus.OK: Withdrawn},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
)


class ConsentDesk:
    """Who may be sent a broadcast."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._consents = parts.consents
        self._known_campaigns = known

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhichConsents, request)
        page = await self._consents.page(campaign, wanted.cursor, wanted.limit)
        rows = [ConsentView(**msgspec.structs.asdict(each)) for each in page.rows]
        return json_answer(ConsentList(rows, page.next))

    async def note(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        given = decoded(_given, await json_body(request, MOST_BYTES))
        return json_answer(await self._consents.note(campaign, given.consents, grant.actor.name))

    async def withdraw(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        whom = decoded(_whom, await json_body(request, MOST_BYTES))
        return json_answer(await self._consents.withdraw(campaign, whom.contacts, grant.actor.name))
