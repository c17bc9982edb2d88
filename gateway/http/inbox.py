"""The inbox over the API: lists of conversations, how many there are, and threads."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.inbox import Filter, Order
from gateway.core.bank.permissions import Act, Reach
from gateway.core.bank.wording import preview, told
from gateway.core.rules.hours import zones_of
from gateway.http.access import Grant
from gateway.http.bodies import asked, json_answer, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, CursorWord, Id
from gateway.p2p.bank import Prepared
from gateway.p2p.inbox import MOST_ROWS, Conversation, NoConversation, Row, Text, Thread, Which

PATH: Final = "/v1/campaigns/{campaign_id}/conversations"
PICTURE: Final = f"{PATH}/{{contact_id}}/texts/{{text_id}}/pictures/{{place}}"
Limit = Annotated[int, Meta(ge=1, le=MOST_ROWS, description=f"How many, {MOST_ROWS} at most.")]
_Volunteer = Annotated[Id | None, Meta(description="Those that this volunteer has; without it everybody's.")]
_Action = Annotated[Id | None, Meta(description="Those last texted in this action.")]


class WhoseConversations(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of whom, and in which action."""

    volunteer_id: _Volunteer = None
    action_id: _Action = None


class WhichConversations(WhoseConversations, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a list."""

    filter: Annotated[Filter, Meta(description="All but `archived` leave out what is archived.")] = Filter.ALL
    order: Annotated[
        Order, Meta(description="By the person's last text; `needs_attention` by how long they have waited.")
    ] = Order.NEWEST
    limit: Limit = 30
    cursor: Cursor = None


class WhichTexts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a thread."""

    limit: Limit = 30
    cursor: Annotated[CursorWord | None, Meta(description="The `earlier` of the page after.")] = None


class ConversationView(Struct, frozen=True, kw_only=True):
    """A conversation at a `revision`, which travels with whatever is done about it.

    `phone`: null to volunteers. `activity`: the action in which the person was last texted. `volunteer_id`: who has the
    conversation. `attention_at`: since when the person has waited for an answer (C9). `reported_at`: of the last
    report, null: nothing was reported yet (F133). `time_zones`: where they may be.
    """

    contact_id: int
    name: str
    phone: str | None
    revision: int
    action_id: int | None
    activity: str | None
    volunteer_id: int | None
    unread: int
    attention_at: float | None
    archived_at: float | None
    last_inbound_at: float | None
    reported_at: float | None
    opted_out: bool
    time_zones: list[str]


class LastText(Struct, frozen=True, kw_only=True):
    """A conversation's last text, its beginning on one line; what the person's last one may mean."""

    at: float | None
    direction: Literal["in", "out"]
    preview: str
    suggests_opt_out: bool
    wrong_number: bool


class ListedConversation(ConversationView, frozen=True, kw_only=True):
    """A conversation of a list."""

    last: LastText


class ConversationList(Struct, frozen=True):
    """Conversations in which the person has written. `next`: the cursor of the page after; null: this was the last."""

    conversations: list[ListedConversation]
    next: str | None


class ConversationCounts(Struct, frozen=True, kw_only=True):
    """How many conversations each filter has."""

    all: int
    unread: int
    needs_attention: int
    archived: int


class ReceivedPicture(Struct, frozen=True, kw_only=True):
    """Something that came with a person's text: its media type as the provider says ("": it does not), and the path at
    which it is fetched and shown; nothing of it is fetched before."""

    media_type: str
    path: str


class TextView(Struct, frozen=True, kw_only=True):
    """A text of a thread. Of ours: who sent it, with which script, its state, the same in words, and where a code says
    why, what it means and what to do. Of the person's: what it may mean, and the pictures that came with it."""

    direction: Literal["in", "out"]
    text_id: int
    at: float
    body: str
    media_urls: list[str]
    sender_id: int | None = None
    action_id: int | None = None
    kind: str | None = None
    script: str | None = None
    state: str | None = None
    words: str
    code: int | None = None
    explanation: str | None = None
    cure: str | None = None
    opts_out: bool = False
    suggests_opt_out: bool = False
    wrong_number: bool = False
    pictures: list[ReceivedPicture] = []


class ThreadView(Struct, frozen=True):
    """A conversation and its texts, oldest first. `earlier`: the cursor of those before; null: there are none."""

    conversation: ConversationView
    texts: list[TextView]
    earlier: str | None


class ResponseView(Struct, frozen=True):
    """A response of the action as it reads to this person, and the name by which it is sent.

    Sending it tags the person and sets these fields (F112, F113).
    """

    name: str
    text: str
    media_urls: tuple[str, ...]
    tag_ids: tuple[int, ...]
    fields: Mapping[str, str]


class ResponseList(Struct, frozen=True):
    """The action's responses, in their order."""

    responses: list[ResponseView]


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler="inbox.list",
        summary="The inbox: conversations in which the person has written, by filter.",
        act=Act.READ_CONVERSATIONS,
        tag="inbox",
        gives={HTTPStatus.OK: ConversationList},
        refuses=(404, 422, 503),
        asks=WhichConversations,
    ),
    Operation(
        method="GET",
        path=f"{PATH}:count",
        handler="inbox.count",
        summary="How many conversations each filter of the inbox has.",
        act=Act.READ_CONVERSATIONS,
        tag="inbox",
        gives={HTTPStatus.OK: ConversationCounts},
        refuses=(404, 422, 503),
        asks=WhoseConversations,
    ),
    Operation(
        method="GET",
        path=f"{PATH}/{{contact_id}}",
        handler="inbox.thread",
        summary="A thread: the texts of both sides by all volunteers, the last ones first.",
        act=Act.READ_CONVERSATIONS,
        tag="inbox",
        gives={HTTPStatus.OK: ThreadView},
        refuses=(404, 422, 503),
        asks=WhichTexts,
    ),
    Operation(
        method="GET",
        path=f"{PATH}/{{contact_id}}/responses",
        handler="inbox.responses",
        summary="The responses of the conversation's action as they would read to this person.",
        act=Act.ANSWER,
        tag="inbox",
        gives={HTTPStatus.OK: ResponseList},
        refuses=(404, 503),
    ),
)


class InboxDesk:
    """What there is to read."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._inbox = parts.inbox
        self._known_campaigns = known

    async def list(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhichConversations, request)
        which = Which(
            filter=wanted.filter,
            order=wanted.order,
            volunteer_id=wanted.volunteer_id,
            action_id=wanted.action_id,
        )
        page = await self._inbox.page(grant.actor, campaign.campaign_id, which, wanted.cursor, wanted.limit)
        return json_answer(ConversationList([_listed(row, grant) for row in page.rows], page.next))

    async def count(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhoseConversations, request)
        counts = await self._inbox.counts(
            grant.actor,
            campaign.campaign_id,
            volunteer_id=wanted.volunteer_id,
            action_id=wanted.action_id,
        )
        return json_answer(ConversationCounts(**{each.value: count for each, count in counts.items()}))

    async def thread(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhichTexts, request)
        try:
            thread = await self._inbox.thread(
                grant.actor, campaign.campaign_id, contact_of(request), wanted.cursor, wanted.limit
            )
        except NoConversation as error:
            raise not_found(error) from error
        return json_answer(thread_view(thread, grant))

    async def responses(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        try:
            found = await self._inbox.responses(grant.actor, campaign.campaign_id, contact_of(request))
        except NoConversation as error:
            raise not_found(error) from error
        return json_answer(ResponseList([_response(each) for each in found]))


def contact_of(request: web.Request) -> int:
    """The contact in the path; raises Refusal 404 for an id that can't be one."""
    return path_id(request, "contact_id", lambda given: not_found(NoConversation(given)))


def not_found(error: NoConversation) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, str(error))


def conversation_view(about: Conversation, grant: Grant) -> ConversationView:
    """A conversation as whoever asks may see it."""
    return ConversationView(**_fields(about, grant))


def thread_view(thread: Thread, grant: Grant) -> ThreadView:
    """A thread as whoever asks may see it."""
    campaign_id, contact_id = thread.campaign_id, thread.conversation.contact_id
    texts = [_text(each, campaign_id, contact_id) for each in thread.texts]
    return ThreadView(conversation_view(thread.conversation, grant), texts, thread.earlier)


def _fields(about: Conversation, grant: Grant) -> dict[str, Any]:
    sees_phones = grant.actor.reach(Act.READ_CONTACTS) is Reach.CAMPAIGN
    return {
        "contact_id": about.contact_id,
        "name": f"{about.first_name} {about.last_name}".strip(),
        "phone": about.phone if sees_phones else None,
        "revision": about.revision,
        "action_id": about.action_id,
        "activity": about.action_title,
        "volunteer_id": about.volunteer_id,
        "unread": about.unread,
        "attention_at": about.attention_at,
        "archived_at": about.archived_at,
        "last_inbound_at": about.last_inbound_at,
        "reported_at": about.reported_at,
        "opted_out": about.opted_out,
        "time_zones": zones_of(about.hours_group),
    }


def _listed(row: Row, grant: Grant) -> ListedConversation:
    last = LastText(
        at=row.last_at,
        direction="out" if row.last_is_ours else "in",
        preview=preview(row.last_text),
        suggests_opt_out=row.suggests_opt_out,
        wrong_number=row.wrong_number,
    )
    return ListedConversation(**_fields(row.conversation, grant), last=last)


def _text(text: Text, campaign_id: int, contact_id: int) -> TextView:
    if not text.is_ours:
        return TextView(
            direction="in",
            text_id=text.text_id,
            at=text.at,
            body=text.body,
            media_urls=[],
            words="received",
            opts_out=text.opts_out,
            suggests_opt_out=text.suggests_opt_out,
            wrong_number=text.wrong_number,
            pictures=[
                ReceivedPicture(
                    media_type=media_type,
                    path=PICTURE.format(
                        campaign_id=campaign_id, contact_id=contact_id, text_id=text.text_id, place=place
                    ),
                )
                for place, media_type in enumerate(text.received)
            ],
        )
    means = told(text.state, text.code, text.reason)
    return TextView(
        direction="out",
        text_id=text.text_id,
        at=text.at,
        body=text.body,
        media_urls=text.media,
        sender_id=text.sender_id,
        action_id=text.action_id,
        kind=text.kind,
        script=text.script,
        state=text.state,
        words=means.words,
        code=text.code,
        explanation=means.explanation,
        cure=means.cure,
    )


def _response(prepared: Prepared) -> ResponseView:
    return ResponseView(prepared.name, prepared.text, prepared.media, prepared.tag_ids, prepared.fields)
