"""GET, POST: the breakers before a campaign's scripts and carriers, their figures, and a person's word on one."""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.core.bank.permissions import Act
from gateway.core.bank.rates import Rate
from gateway.core.sending.breakers import Pair
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.pipeline.breakers import ByHand, NoPair, Seen

PATH: Final = "/v1/campaigns/{campaign_id}/breakers"


class BreakerView(Struct, frozen=True, kw_only=True):
    """A script of an action at one carrier; "": at the carriers that nobody knows.

    `state`: `closed` and `warned`, texts go; `open`, first texts wait and replies go on; `off`, texts go whatever the
    figures say. `reason`: `filtered`, `opt_outs`, `silent` (delivered, and hardly anybody answers, unlike elsewhere) or
    `by_hand`; "" for none. `since` in Unix seconds, null: ever; `who`: `gateway`, `user:<id>` or `key:<id>`. Figures are
    of first texts since it was last resumed: `filtered` of those that have ended, `opted_out` and `replied` of those
    delivered. `too_few`: nothing is said yet of so few.
    """

    action_id: int
    script: str
    carrier: str
    state: str
    reason: str
    since: float | None
    who: str
    filtered: Rate
    opted_out: Rate
    replied: Rate
    replied_elsewhere: Rate
    too_few: bool


class BreakerList(Struct, frozen=True):
    """Every script and carrier to which a first text was meant, by action, carrier and script."""

    breakers: list[BreakerView]


class BreakerChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's word on one breaker. `open`: first texts wait. `resume`: texts go, and figures begin anew. `switch_off`:
    texts go on, whatever the figures will say, until somebody resumes it."""

    action_id: int
    script: str
    carrier: str
    act: ByHand


_change = msgspec.json.Decoder(BreakerChange)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler="breakers.show",
        summary="Which scripts a carrier filters, with figures, and whose first texts wait for that.",
        act=Act.READ_NUMBERS,
        tag="campaigns",
        gives={HTTPStatus.OK: BreakerList},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=PATH,
        handler="breakers.change",
        summary="Hold a script's first texts to a carrier, let them go, or switch their breaker off.",
        act=Act.CHANGE_CAMPAIGN,
        tag="campaigns",
        takes=BreakerChange,
        gives={HTTPStatus.OK: BreakerView},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
)


class BreakerDesk:
    """Shows breakers, and takes people's word."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._breakers = parts.breakers
        self._known = known

    async def show(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        least = campaign.settings.breakers.least_texts
        return json_answer(
            BreakerList([_view(each, least) for each in await self._breakers.show(campaign.key)])
        )

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = decoded(_change, await json_body(request))
        pair = Pair(wanted.action_id, wanted.carrier, wanted.script)
        try:
            seen = await self._breakers.put(campaign, pair, wanted.act, grant.actor.name)
        except NoPair as error:
            raise Refusal(HTTPStatus.NOT_FOUND, str(error)) from error
        return json_answer(_view(seen, campaign.settings.breakers.least_texts))


def _view(seen: Seen, least: int) -> BreakerView:
    breaker = seen.breaker
    return BreakerView(
        action_id=breaker.pair.action_id,
        script=breaker.pair.script,
        carrier=breaker.pair.carrier,
        state=breaker.state,
        reason=breaker.reason,
        since=breaker.since,
        who=breaker.who,
        filtered=seen.own.filtered_share,
        opted_out=seen.own.opt_out_share,
        replied=seen.own.reply_share,
        replied_elsewhere=seen.elsewhere.reply_share,
        too_few=seen.own.finals < least,
    )
