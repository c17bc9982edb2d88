"""The inbox: who wrote to us, their threads, and what a volunteer does about it (F187, F188, F199 to F207, C9).

A volunteer has what is theirs; whoever may act on the whole campaign has everybody's. What isn't the actor's is as if
it were not there.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Annotated, Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.inbox import Filter, Order
from gateway.core.bank.labels import Marks
from gateway.core.bank.permissions import Act, Actor, Reach
from gateway.core.rules.errors import BadInput
from gateway.core.rules.idempotency import Key
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import Kind, Request
from gateway.p2p import whose
from gateway.p2p.bank import Prepared, TextBank
from gateway.p2p.cursors import Instant, bad_cursor, cursor_of, place_of
from gateway.p2p.reports import Reports
from gateway.p2p.shared_looks import SharedLooks
from gateway.p2p.whose import NoConversation
from gateway.pipeline.admission import Admission, ConversationChanged, Outcome
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import abuse, inbox, threads, users
from gateway.store.buckets import Assigned
from gateway.store.database import Database
from gateway.store.inbox import Conversation, Place, Row, Text, TextPlace, Which

__all__ = [
    "Answer",
    "Conversation",
    "Inbox",
    "NoConversation",
    "Page",
    "Row",
    "Text",
    "Thread",
    "Which",
]

MOST_ROWS: Final = 100
_NOBODY: Final = 0  # ids of volunteers begin at 1


class Page(msgspec.Struct, frozen=True):
    """Conversations, and the cursor of those that come after them."""

    rows: list[Row]
    next: str | None


class Thread(msgspec.Struct, frozen=True):
    """A conversation, its texts in order, and the cursor of those before them."""

    campaign_id: int
    conversation: Conversation
    texts: list[Text]
    earlier: str | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A volunteer's answer: own words (`body`), or the name of one of the action's responses.

    `revision`: of the conversation as the volunteer had seen it. `sender_id`: whose answer it is; a person's is their
    own. `marks`: what is reported of the person in the same act, once the answer is in the books.
    """

    revision: int
    body: str | None = None
    response: str | None = None
    sender_id: int | None = None
    marks: Marks = Marks()


_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _ListPlace(msgspec.Struct, frozen=True, array_like=True):
    filter: Filter
    order: Order
    at: Instant
    id: _Id


class _TextPlace(msgspec.Struct, frozen=True, array_like=True):
    contact_id: _Id
    at: Instant
    is_ours: bool
    text_id: _Id


class Inbox:
    """Lists, threads and acts, for whoever acts."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        admission: Admission,
        clock: Clock,
        bank: TextBank,
        reports: Reports,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._admission = admission
        self._clock = clock
        self._bank = bank
        self._looks = SharedLooks[dict[Filter, int]]()
        self._reports = reports

    # ------------------------------------------------------------ what there is

    async def page(self, actor: Actor, campaign_id: int, which: Which, after: str | None, limit: int) -> Page:
        """A list, `limit` conversations at a time. Raises BadInput for a cursor of another list."""
        campaign = self._campaigns[campaign_id]
        which = msgspec.structs.replace(which, volunteer_id=_whose(actor, which.volunteer_id))
        rows = await inbox.page(
            self._database, campaign.key, campaign.opt_out_scope, which, _place(which, after), limit + 1
        )
        if len(rows) <= limit:
            return Page(rows, None)
        last = rows[limit - 1].place
        return Page(rows[:limit], cursor_of(_ListPlace(which.filter, which.order, last.at, last.id)))

    async def counts(
        self, actor: Actor, campaign_id: int, *, volunteer_id: int | None, action_id: int | None
    ) -> dict[Filter, int]:
        """How many conversations each filter has."""
        key, whose = self._campaigns[campaign_id].key, _whose(actor, volunteer_id)

        def read() -> Awaitable[dict[Filter, int]]:
            return inbox.counts(self._database, key, volunteer_id=whose, action_id=action_id)

        # One pass over everybody's: whoever asks meanwhile shares the next.
        return await (read() if whose is not None else self._looks.look((key, action_id), read))

    async def thread(
        self, actor: Actor, campaign_id: int, contact_id: int, before: str | None, limit: int
    ) -> Thread:
        """A thread, all volunteers' texts included (F187), the last `limit` before a cursor."""
        place = None if before is None else place_of(before, _TextPlace)
        if place is not None and place.contact_id != contact_id:
            raise bad_cursor()
        begin = None if place is None else TextPlace(place.at, place.is_ours, place.text_id)
        campaign = self._campaigns[campaign_id]
        conversation, texts = await whose.read(
            self._database, campaign, actor, Act.READ_CONVERSATIONS, contact_id, begin, limit + 1
        )
        if len(texts) <= limit:
            return Thread(campaign_id, conversation, list(texts), None)
        first = texts[-limit]
        earlier = cursor_of(_TextPlace(contact_id, first.at, first.is_ours, first.text_id))
        return Thread(campaign_id, conversation, list(texts[-limit:]), earlier)

    async def responses(self, actor: Actor, campaign_id: int, contact_id: int) -> list[Prepared]:
        """The responses of the conversation's action as they would read to this person (F110)."""
        conversation = await whose.own(
            self._database, self._campaigns[campaign_id], actor, Act.ANSWER, contact_id
        )
        if conversation.action_id is None:
            return []
        return await self._bank.prepared(campaign_id, conversation.action_id, contact_id)

    # ------------------------------------------------------------ what is done

    async def answer(
        self, actor: Actor, campaign_id: int, contact_id: int, answer: Answer, key: Key | None = None
    ) -> "asyncio.Future[Outcome]":
        """Sends an answer; the future is done when it is durable, or raises ConversationChanged: nothing was sent.

        Raises BadInput for words of one's own where the campaign allows none (F119), and what `Admission.submit` does. With
        a key a repeat has the first one's outcome, whatever has changed meanwhile.
        """
        try:
            return await self._answered(actor, campaign_id, contact_id, answer, key)
        except (NoConversation, BadInput):
            asked = _parameters(actor, contact_id, answer)
            first = None if key is None else await self._admission.first_outcome(campaign_id, key, asked)
            if first is None:
                raise
            done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            done.set_result(first)
            return done

    async def _answered(
        self, actor: Actor, campaign_id: int, contact_id: int, answer: Answer, key: Key | None
    ) -> "asyncio.Future[Outcome]":
        campaign = self._campaigns[campaign_id]
        shown = self._bank.on_screen(campaign_id, contact_id, actor.user_id, answer.revision)
        if shown is not None and answer.marks.is_empty:
            said = await self._said(campaign, shown.action_id, contact_id, answer, shown.person)
            if not said.does_more:
                return self._submit(actor, campaign, shown.action_id, contact_id, answer, said, key)
        conversation = await whose.own(self._database, campaign, actor, Act.ANSWER, contact_id)
        said = await self._said(campaign, conversation.action_id, contact_id, answer)
        await self._reports.check(actor, campaign, conversation, answer.marks)
        entered = self._submit(actor, campaign, conversation.action_id, contact_id, answer, said, key)
        marks = _with(answer.marks, said)
        if marks.is_empty:
            return entered
        return asyncio.ensure_future(self._with_report(actor, campaign, conversation, marks, entered))

    def _submit(
        self,
        actor: Actor,
        campaign: Campaign,
        action_id: int | None,
        contact_id: int,
        answer: Answer,
        said: Prepared,
        key: Key | None,
    ) -> "asyncio.Future[Outcome]":
        request = Request(
            campaign_id=campaign.campaign_id,
            contact_id=contact_id,
            kind=Kind.REPLY,
            body=said.text,
            action_id=action_id,
            sender_id=_sender(actor, answer),
            media=said.media,
        )
        asked = None if key is None else _parameters(actor, contact_id, answer)
        return self._admission.submit(
            request, script=answer.response, key=key, revision=answer.revision, asked=asked
        )

    async def _with_report(
        self,
        actor: Actor,
        campaign: Campaign,
        conversation: Conversation,
        marks: Marks,
        entered: "asyncio.Future[Outcome]",
    ) -> Outcome:
        """An answer that a safeguard blocked says nothing of the person; one that is repeated by its key says it again."""
        outcome = await entered
        if outcome.state is not State.BLOCKED:
            await self._reports.along(actor, campaign, conversation, marks, outcome.message_id)
        return outcome

    async def _said(
        self,
        campaign: Campaign,
        action_id: int | None,
        contact_id: int,
        answer: Answer,
        person: Assigned | None = None,
    ) -> Prepared:
        """The text of an answer, and what else a response does. Raises BadInput."""
        if (answer.body is None) == (answer.response is None):
            raise BadInput("give words of your own, or a response by its name", "body", "give one of the two")
        if answer.response is not None:
            return await self._prepared(campaign, action_id, contact_id, answer.response, person)
        if not campaign.settings.custom_replies:
            raise BadInput("this campaign allows its prepared responses alone", "body", "name a response")
        return Prepared("", answer.body or "")

    async def _prepared(
        self,
        campaign: Campaign,
        action_id: int | None,
        contact_id: int,
        name: str,
        person: Assigned | None,
    ) -> Prepared:
        if action_id is None:
            raise _no_response(())
        where = campaign.campaign_id, action_id, contact_id
        for found in await self._bank.prepared(*where, only=name, person=person):
            return found
        raise _no_response([each.name for each in await self._bank.prepared(*where, person=person)])

    async def mark_read(self, actor: Actor, campaign_id: int, contact_id: int, revision: int) -> Conversation:
        """Nothing is unread any more; what has come since `revision` stays so."""
        campaign = self._campaigns[campaign_id]
        await whose.own(self._database, campaign, actor, Act.ANSWER, contact_id)
        await threads.mark_read(self._database, campaign.key, contact_id, revision, self._clock.now())
        return await whose.now(self._database, campaign, contact_id)

    async def archive(self, actor: Actor, campaign_id: int, contact_id: int, revision: int) -> Conversation:
        """Out of the inbox, until the person writes again (F202, F205). Raises ConversationChanged."""
        campaign = self._campaigns[campaign_id]
        await whose.own(self._database, campaign, actor, Act.ANSWER, contact_id)
        now = self._clock.now()
        if not await threads.archive(self._database, campaign.key, contact_id, revision, now):
            raise ConversationChanged
        return await whose.now(self._database, campaign, contact_id)

    async def unarchive(self, actor: Actor, campaign_id: int, contact_id: int) -> Conversation:
        """In the inbox again."""
        campaign = self._campaigns[campaign_id]
        await whose.own(self._database, campaign, actor, Act.ANSWER, contact_id)
        await threads.unarchive(self._database, campaign.key, contact_id, self._clock.now())
        self._bank.changed_hands(campaign_id)
        return await whose.now(self._database, campaign, contact_id)

    async def opt_out(
        self, actor: Actor, campaign_id: int, contact_id: int, noted_by: int | None = None
    ) -> bool:
        """The opt-out of a person who asked in other words (F123), whatever has changed; in force at its answer.

        Returns whether they had not opted out before. Raises NoConversation.
        """
        if actor.user_id is not None and actor.reach(Act.REPORT) is Reach.OWN:
            is_new = await self._bank.opt_out_own(campaign_id, contact_id, actor.user_id)
            if is_new is None:
                raise NoConversation(contact_id)
            return is_new
        await whose.own(self._database, self._campaigns[campaign_id], actor, Act.REPORT, contact_id)
        return await self._bank.opt_out(campaign_id, contact_id, actor.user_id or noted_by)

    async def now(self, campaign_id: int, contact_id: int) -> Conversation:
        """The conversation as it stands after an act of whoever asks."""
        return await whose.now(self._database, self._campaigns[campaign_id], contact_id)

    async def hand_over(
        self, actor: Actor, campaign_id: int, contact_id: int, revision: int, volunteer_id: int
    ) -> Conversation:
        """The thread, and the contact with it, are another volunteer's. Raises ConversationChanged.

        A person hands over to a person of the campaign alone, or BadInput is raised; an API key's volunteers may be
        people of whom only its owner knows.
        """
        campaign = self._campaigns[campaign_id]
        await whose.own(self._database, campaign, actor, Act.ANSWER, contact_id)
        if actor.user_id is not None:
            await self._require_member(campaign, volunteer_id)
        if await abuse.was_reported_by(self._database, campaign.key, contact_id, volunteer_id):
            raise BadInput("they reported this person for abuse", "volunteer_id", "give another")
        if await abuse.is_for_others(self._database, campaign.key, contact_id, volunteer_id):
            raise BadInput("this person is staff's alone", "volunteer_id", "give somebody of the staff")
        now = self._clock.now()
        moved = await threads.hand_over(self._database, campaign.key, contact_id, revision, volunteer_id, now)
        if not moved:
            raise ConversationChanged
        self._bank.changed_hands(campaign_id)
        return await whose.now(self._database, campaign, contact_id)

    # ------------------------------------------------------------ whose it is

    async def _require_member(self, campaign: Campaign, volunteer_id: int) -> None:
        member = await users.member(self._database, campaign.key, volunteer_id)
        if member is None or member.deactivated_at is not None:
            raise BadInput("nobody who is active in the campaign has this id", "volunteer_id", "give another")


def _sender(actor: Actor, answer: Answer) -> int | None:
    return answer.sender_id if actor.user_id is None else actor.user_id


def _parameters(actor: Actor, contact_id: int, answer: Answer) -> object:
    """What an answer asks for: its key stands for that, and not for how a response reads at the moment."""
    return ("answer", contact_id, _sender(actor, answer), answer.body, answer.response)


def _with(marks: Marks, said: Prepared) -> Marks:
    """What a response tags and sets (F112, F113), and what whoever sends it says besides, which goes before."""
    tags = [each for each in said.tag_ids if each not in (*marks.tags, *marks.removed_tags)]
    return Marks(
        tags=(*marks.tags, *tags), removed_tags=marks.removed_tags, fields={**said.fields, **marks.fields}
    )


def _whose(actor: Actor, volunteer_id: int | None) -> int | None:
    """Whose conversations are listed when somebody's (None: everybody's) are asked for."""
    if actor.reach(Act.READ_CONVERSATIONS) is Reach.CAMPAIGN:
        return volunteer_id
    if actor.user_id is None or volunteer_id not in (None, actor.user_id):
        return _NOBODY
    return actor.user_id


def _place(which: Which, cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    place = place_of(cursor, _ListPlace)
    if (place.filter, place.order) != (which.filter, which.order):
        raise bad_cursor()
    return Place(place.at, place.id)


def _no_response(names: Sequence[str]) -> BadInput:
    do = f"give one of: {', '.join(names)}" if names else ""
    return BadInput("the action has no response of this name", "response", do)
