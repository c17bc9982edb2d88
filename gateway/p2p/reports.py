"""Reports: what volunteers learn of a person, by tags and custom fields (F130 to F133, F139, F206, C9)."""

import msgspec

from gateway.clock import Clock
from gateway.core.bank.labels import Form, Marks, check_marks
from gateway.core.bank.permissions import Act, Actor, Reach
from gateway.p2p import whose
from gateway.p2p.cursors import AtPlace, before, page_of
from gateway.p2p.labels import Labels, everything
from gateway.pipeline.admission import ConversationChanged
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import conversations, labels, reports
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.inbox import Conversation
from gateway.store.labels import Standing
from gateway.store.reports import ReportRow

__all__ = ["FilledForm", "History", "ReportRow", "Reports"]


class FilledForm(msgspec.Struct, frozen=True, kw_only=True):
    """What a report on a person shows, and what is known already.

    `archives`: whether the actor's reports archive unless they say otherwise; `reported_at`: of the last one (F133).
    """

    form: Form
    standing: Standing
    archives: bool
    reported_at: float | None
    revision: int


class History(msgspec.Struct, frozen=True):
    """Reports, the newest first, and the cursor of those before them."""

    rows: list[ReportRow]
    next: str | None


class Reports:
    """What is reported about a person with whom there is a conversation."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, labels: Labels) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._labels = labels
        self._ids = Ids(database)

    async def form(self, actor: Actor, campaign_id: int, contact_id: int) -> FilledForm:
        """The report as it opens. Raises NoConversation: nobody was texted yet, or it is not the actor's (F130)."""
        campaign = self._campaigns[campaign_id]
        conversation = await whose.own(self._database, campaign, actor, Act.REPORT, contact_id)
        standing = await labels.standing(self._database, campaign.key, contact_id)
        if standing is None:
            raise whose.NoConversation(contact_id)
        return FilledForm(
            form=await self._form(campaign, conversation),
            standing=standing,
            archives=await reports.archives(self._database, campaign.key, actor.user_id),
            reported_at=conversation.reported_at,
            revision=conversation.revision,
        )

    async def history(
        self, actor: Actor, campaign_id: int, contact_id: int, cursor: str | None, limit: int
    ) -> History:
        """At most `limit` reports on a person. Raises NoConversation, and BadInput for a cursor of another list."""
        campaign = self._campaigns[campaign_id]
        await whose.own(self._database, campaign, actor, Act.READ_CONVERSATIONS, contact_id)
        rows = await reports.history(self._database, campaign.key, contact_id, before(cursor), limit + 1)
        return History(*page_of(rows, limit, lambda each: AtPlace(each.at, each.report_id)))

    async def file(
        self,
        actor: Actor,
        campaign_id: int,
        contact_id: int,
        marks: Marks,
        *,
        revision: int,
        archive: bool | None = None,
    ) -> Conversation:
        """Files a report, in part or whole, any number of times (F132): nothing is left to answer (C9).

        `archive`: the conversation leaves the inbox as well; None: as whoever reports has chosen (F206). Raises
        NoConversation, ConversationChanged (nothing was kept) and BadFields.
        """
        campaign = self._campaigns[campaign_id]
        conversation = await whose.own(self._database, campaign, actor, Act.REPORT, contact_id)
        await self.check(actor, campaign, conversation, marks)
        if archive is None:
            archive = await reports.archives(self._database, campaign.key, actor.user_id)
        await self._write(actor, campaign, conversation, marks, revision=revision, archive=archive)
        return await whose.now(self._database, campaign, contact_id)

    async def check(self, actor: Actor, campaign: Campaign, conversation: Conversation, marks: Marks) -> None:
        """A volunteer says what the action's report shows; whoever acts on the whole campaign what its catalogue has.

        Raises BadFields.
        """
        if marks.is_empty:
            return
        if actor.reach(Act.REPORT) is Reach.OWN:
            check_marks(await self._form(campaign, conversation), marks)
        else:
            tags = await self._labels.tags(campaign.campaign_id)
            check_marks(everything(tags, await self._labels.fields(campaign.campaign_id)), marks)

    async def along(
        self, actor: Actor, campaign: Campaign, conversation: Conversation, marks: Marks, message_id: int
    ) -> None:
        """The report that an answer brought along, once, whatever has changed since the answer was sent."""
        await self._write(actor, campaign, conversation, marks, message_id=message_id)

    async def _form(self, campaign: Campaign, conversation: Conversation) -> Form:
        chosen = await reports.chosen(self._database, campaign.key, conversation.action_id)
        return await self._labels.form(campaign.campaign_id, chosen.tag_ids or (), chosen.field_ids or ())

    async def _write(
        self,
        actor: Actor,
        campaign: Campaign,
        conversation: Conversation,
        marks: Marks,
        *,
        revision: int | None = None,
        archive: bool = False,
        message_id: int | None = None,
    ) -> None:
        now, contact_id = self._clock.now(), conversation.contact_id
        [report_id] = await self._ids.take(1)
        row = ReportRow(
            report_id=report_id,
            contact_id=contact_id,
            action_id=conversation.action_id,
            user_id=actor.user_id,
            at=now,
            marks=marks,
            message_id=message_id,
        )
        async with self._database.transaction() as transaction:
            if not await reports.file(transaction, campaign.key, row):
                return
            is_there = await conversations.report(
                transaction,
                campaign.key,
                contact_id,
                now,
                revision=revision,
                archive=archive,
                needs_reply=campaign.settings.require_report,
            )
            if not is_there or not await labels.apply(
                transaction, campaign.key, contact_id, marks, actor.user_id, now
            ):
                raise ConversationChanged
