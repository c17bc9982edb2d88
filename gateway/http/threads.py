"""What is done about a conversation over the API: answer, read, archive, report, opt out, hand over."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.labels import MOST_FIELDS, MOST_TAGS, Marks
from gateway.core.bank.permissions import Act
from gateway.core.rules.idempotency import Key
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.inbox import (
    PATH,
    ConversationView,
    ThreadView,
    contact_of,
    conversation_view,
    not_found,
    thread_view,
)
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.labels import Slug, Value
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Problem, problem_answer, title_of
from gateway.http.reading import campaign_of
from gateway.http.records import LONGEST_BODY, Id, Result
from gateway.http.sending import KEY_HEADER, PATIENCE_S, header_key, outcome_is_open, require_open, result_of
from gateway.p2p.inbox import Answer, Conversation, Inbox, NoConversation
from gateway.pipeline.admission import ConversationChanged, Outcome

_SCREEN: Final = 30  # texts of the thread that a refusal brings along
_CONTACT: Final = f"{PATH}/{{contact_id}}"
Revision = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ResponseName = Annotated[str, Meta(min_length=1, max_length=100)]


class MarkedTags(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is learnt of a person: tags given and taken away, and field values by slug (null takes one away).

    What it does not name stays as it is.
    """

    tags: Annotated[tuple[Id, ...], Meta(max_length=MOST_TAGS)] = ()
    removed_tags: Annotated[tuple[Id, ...], Meta(max_length=MOST_TAGS)] = ()
    fields: Annotated[dict[Slug, Value | None], Meta(max_length=MOST_FIELDS)] = {}


class NewAnswer(MarkedTags, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer in words of one's own (`body`), or a response of the action by its name (`response`).

    `revision`: of the conversation as whoever answers has seen it. `sender_id`: whose answer it is, from an API key.
    With tags or fields the answer is a report as well, once it is in the books.
    """

    revision: Revision
    body: Annotated[str, Meta(min_length=1, max_length=LONGEST_BODY)] | None = None
    response: ResponseName | None = None
    sender_id: Id | None = None


class Seen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The revision of the conversation as whoever acts has seen it."""

    revision: Revision


class NewReport(MarkedTags, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report, whole or in part, any number of times. `archive`: the conversation leaves the inbox as well; without
    it, whether it does is what whoever reports has chosen."""

    revision: Revision
    archive: bool | None = None


class NewOptOut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An opt-out that a person asked for in other words. `noted_by`: the volunteer, from an API key."""

    noted_by: Id | None = None


class HandOver(Seen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose the conversation is to be."""

    volunteer_id: Id


class Changed(Problem, frozen=True, kw_only=True, omit_defaults=True):
    """The conversation has changed since it was seen, and nothing was done: this is how it stands."""

    thread: ThreadView


_answer = msgspec.json.Decoder(NewAnswer)
_seen = msgspec.json.Decoder(Seen)
_report = msgspec.json.Decoder(NewReport)
_opt_out = msgspec.json.Decoder(NewOptOut)
_hand_over = msgspec.json.Decoder(HandOver)
_REFUSES: Final[tuple[int, ...]] = (400, 404, 413, 415, 422, 503)
_GIVES: Final[dict[int, Any]] = {HTTPStatus.OK: ConversationView}
_CHANGED: Final[dict[int, Any]] = {HTTPStatus.CONFLICT: Changed}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{_CONTACT}/answers",
        handler="threads.answer",
        summary="Answer a person. Sent only while the conversation is as it was seen; 409 brings along how it stands.",
        act=Act.ANSWER,
        tag="inbox",
        takes=NewAnswer,
        gives={HTTPStatus.ACCEPTED: Result, **_CHANGED},
        refuses=_REFUSES,
        headers=KEY_HEADER,
    ),
    Operation(
        method="POST",
        path=f"{_CONTACT}/read",
        handler="threads.read",
        summary="The conversation was read up to a revision: what has come since stays unread.",
        act=Act.ANSWER,
        tag="inbox",
        takes=Seen,
        gives=_GIVES,
        refuses=_REFUSES,
    ),
    Operation(
        method="POST",
        path=f"{_CONTACT}/archive",
        handler="threads.archive",
        summary="The conversation leaves the inbox, until the person writes again.",
        act=Act.ANSWER,
        tag="inbox",
        takes=Seen,
        gives={**_GIVES, **_CHANGED},
        refuses=_REFUSES,
    ),
    Operation(
        method="POST",
        path=f"{_CONTACT}/unarchive",
        handler="threads.unarchive",
        summary="The conversation is in the inbox again.",
        act=Act.ANSWER,
        tag="inbox",
        gives=_GIVES,
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=f"{_CONTACT}/reports",
        handler="threads.report",
        summary="Report on a person by tags and fields, whole or in part: nothing is left to answer.",
        act=Act.REPORT,
        tag="inbox",
        takes=NewReport,
        gives={**_GIVES, **_CHANGED},
        refuses=_REFUSES,
    ),
    Operation(
        method="POST",
        path=f"{_CONTACT}/opt-out",
        handler="threads.opt_out",
        summary="Opt a person out who asked for it in other words than STOP. Only their own START undoes it.",
        act=Act.REPORT,
        tag="inbox",
        takes=NewOptOut,
        gives=_GIVES,
        refuses=_REFUSES,
    ),
    Operation(
        method="POST",
        path=f"{_CONTACT}/hand-back",
        handler="threads.hand_back",
        summary="Give a conversation, and its contact, back to whoever made its action.",
        act=Act.ANSWER,
        tag="inbox",
        takes=Seen,
        gives={**_GIVES, **_CHANGED},
        refuses=_REFUSES,
    ),
    Operation(
        method="POST",
        path=f"{_CONTACT}/hand-over",
        handler="threads.hand_over",
        summary="Give a conversation, and its contact, to another volunteer.",
        act=Act.ANSWER,
        tag="inbox",
        takes=HandOver,
        gives={**_GIVES, **_CHANGED},
        refuses=_REFUSES,
    ),
)


class ThreadDesk:
    """What is done about one conversation."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._parts = parts
        self._inbox: Inbox = parts.inbox
        self._known_campaigns = known

    async def answer(self, request: web.Request, grant: Grant) -> web.Response:
        """202 once the answer is in the books, admitted or blocked."""
        campaign_id, contact_id = await self._where(request, grant)
        require_open(self._parts)
        asked = decoded(_answer, await json_body(request))
        word = header_key(request)
        answer = Answer(
            revision=asked.revision,
            body=asked.body,
            response=asked.response,
            sender_id=asked.sender_id,
            marks=_marks(asked),
        )
        key = None if word is None else Key(grant.actor.name, word)
        try:
            entered = await self._inbox.answer(grant.actor, campaign_id, contact_id, answer, key)
            outcome = await _within_patience(entered)
        except NoConversation as error:
            raise not_found(error) from error
        except ConversationChanged as error:
            return await self._changed(grant, campaign_id, contact_id, error)
        where = f"/v1/messages/{campaign_id}/{outcome.message_id}"
        return json_answer(result_of(outcome), HTTPStatus.ACCEPTED, Location=where)

    async def read(self, request: web.Request, grant: Grant) -> web.Response:
        campaign_id, contact_id = await self._where(request, grant)
        asked = decoded(_seen, await json_body(request))
        done = self._inbox.mark_read(grant.actor, campaign_id, contact_id, asked.revision)
        return await self._done(grant, campaign_id, contact_id, done)

    async def archive(self, request: web.Request, grant: Grant) -> web.Response:
        campaign_id, contact_id = await self._where(request, grant)
        asked = decoded(_seen, await json_body(request))
        done = self._inbox.archive(grant.actor, campaign_id, contact_id, asked.revision)
        return await self._done(grant, campaign_id, contact_id, done)

    async def unarchive(self, request: web.Request, grant: Grant) -> web.Response:
        campaign_id, contact_id = await self._where(request, grant)
        done = self._inbox.unarchive(grant.actor, campaign_id, contact_id)
        return await self._done(grant, campaign_id, contact_id, done)

    async def report(self, request: web.Request, grant: Grant) -> web.Response:
        campaign_id, contact_id = await self._where(request, grant)
        asked = decoded(_report, await json_body(request))
        done = self._parts.reports.file(
            grant.actor,
            campaign_id,
            contact_id,
            _marks(asked),
            revision=asked.revision,
            archive=asked.archive,
        )
        return await self._done(grant, campaign_id, contact_id, done)

    async def opt_out(self, request: web.Request, grant: Grant) -> web.Response:
        campaign_id, contact_id = await self._where(request, grant)
        asked = decoded(_opt_out, await json_body(request))

        async def opted_out() -> Conversation:
            await self._inbox.opt_out(grant.actor, campaign_id, contact_id, asked.noted_by)
            return await self._inbox.now(campaign_id, contact_id)

        return await self._done(grant, campaign_id, contact_id, opted_out())

    async def hand_back(self, request: web.Request, grant: Grant) -> web.Response:
        campaign_id, contact_id = await self._where(request, grant)
        asked = decoded(_seen, await json_body(request))
        done = self._parts.reassignments.hand_back_one(grant.actor, campaign_id, contact_id, asked.revision)
        return await self._done(grant, campaign_id, contact_id, done)

    async def hand_over(self, request: web.Request, grant: Grant) -> web.Response:
        campaign_id, contact_id = await self._where(request, grant)
        asked = decoded(_hand_over, await json_body(request))
        done = self._inbox.hand_over(grant.actor, campaign_id, contact_id, asked.revision, asked.volunteer_id)
        return await self._done(grant, campaign_id, contact_id, done)

    async def _where(self, request: web.Request, grant: Grant) -> tuple[int, int]:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        return campaign.campaign_id, contact_of(request)

    async def _done(
        self, grant: Grant, campaign_id: int, contact_id: int, doing: Awaitable[Conversation]
    ) -> web.Response:
        """The conversation as it stands after an act; 404 or 409 when it was not done."""
        try:
            return json_answer(conversation_view(await doing, grant))
        except NoConversation as error:
            raise not_found(error) from error
        except ConversationChanged as error:
            return await self._changed(grant, campaign_id, contact_id, error)

    async def _changed(
        self, grant: Grant, campaign_id: int, contact_id: int, error: ConversationChanged
    ) -> web.Response:
        """409 with the thread as it stands, the new texts in it; 404 when it is somebody else's by now."""
        try:
            thread = await self._inbox.thread(grant.actor, campaign_id, contact_id, None, _SCREEN)
        except NoConversation as gone:
            raise not_found(gone) from gone
        status = HTTPStatus.CONFLICT
        return problem_answer(
            Changed(
                title=title_of(status), status=status, detail=str(error), thread=thread_view(thread, grant)
            )
        )


def _marks(said: MarkedTags) -> Marks:
    return Marks(tags=said.tags, removed_tags=said.removed_tags, fields=said.fields)


async def _within_patience(entered: "asyncio.Future[Outcome]") -> Outcome:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await entered
    except TimeoutError as error:
        raise outcome_is_open() from error
