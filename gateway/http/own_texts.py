"""Test texts over the API: a script of an action, sent to an administrator's own phone."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.bank.scripts import LONGEST_NAME
from gateway.core.rules.idempotency import Key
from gateway.http.access import Grant
from gateway.http.actions import CHANGES, ONE, action_of, no_action
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.reading import campaign_of
from gateway.http.records import Result
from gateway.http.sending import KEY_HEADER, PATIENCE_S, header_key, outcome_is_open, require_open, result_of
from gateway.p2p.actions import NoAction


class OwnText(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A script of the action by its name, and one of the campaign's `admin_phones`, which is a contact of it."""

    script: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
    to: Annotated[str, Meta(min_length=1, max_length=40)]


_text = msgspec.json.Decoder(OwnText)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{ONE}/test-texts",
        handler="own_texts.send",
        summary="Send a script to an administrator's own phone: as it would read, and counted in no result.",
        act=Act.MANAGE_ACTIONS,
        tag="scripts",
        takes=OwnText,
        gives={HTTPStatus.ACCEPTED: Result},
        refuses=(*CHANGES, 409),
        headers=KEY_HEADER,
    ),
)


class OwnTextDesk:
    """What an administrator reads first."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._parts = parts
        self._known_campaigns = known

    async def send(self, request: web.Request, grant: Grant) -> web.Response:
        """202 once the text is in the books, admitted or blocked."""
        campaign = await campaign_of(self._known_campaigns, request, grant)
        require_open(self._parts)
        wanted, action_id = decoded(_text, await json_body(request)), action_of(request)
        word = header_key(request)
        key = None if word is None else Key(grant.actor.name, word)
        try:
            entered = await self._parts.own_texts.send(
                grant.actor, campaign.campaign_id, action_id, wanted.script, wanted.to, key
            )
            async with asyncio.timeout(PATIENCE_S):
                outcome = await entered
        except NoAction as error:
            raise no_action(error) from error
        except TimeoutError as error:
            raise outcome_is_open() from error
        where = f"/v1/messages/{campaign.campaign_id}/{outcome.message_id}"
        return json_answer(result_of(outcome), HTTPStatus.ACCEPTED, Location=where)
