"""Who else is at a thread, and persons from whom a volunteer is kept: what a thread knows beside its texts (F126)."""

from typing import Final

from gateway.clock import Clock
from gateway.core.bank.permissions import Act, Actor
from gateway.core.rules.errors import TextbankError
from gateway.p2p import whose
from gateway.p2p.preferences import person
from gateway.p2p.reassignments import Reassignments
from gateway.pipeline.campaigns import Campaigns
from gateway.store import abuse, audit_log, user_notices, viewers
from gateway.store.database import Connection, Database
from gateway.store.ids import Ids
from gateway.store.user_notices import UserNotice
from gateway.store.viewers import Viewer

__all__ = ["Company", "NobodyToTell", "Viewer"]

LOOK_S: Final = 45.0
"""Somebody who has not said so for as long looks no longer; clients say it three times in between."""
MOST_SHOWN: Final = 20
_MOST_TOLD: Final = 50


class NobodyToTell(TextbankError):
    """The campaign has no staff who could take the conversation over."""

    def __init__(self) -> None:
        super().__init__("the campaign has no staff who could take this over")


class Company:
    """Other people around a thread."""

    def __init__(
        self, database: Database, campaigns: Campaigns, clock: Clock, reassignments: Reassignments
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._reassignments = reassignments
        self._ids = Ids(database)

    async def look(self, actor: Actor, campaign_id: int, contact_id: int, *, here: bool) -> list[Viewer]:
        """Says that the actor looks at the thread, or no longer; returns who else does. An API key only asks.

        Raises NoConversation.
        """
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        await whose.own(self._database, campaign, actor, Act.READ_CONVERSATIONS, contact_id)
        if actor.user_id is not None and here:
            await viewers.look(self._database, campaign.key, actor.user_id, contact_id, now)
        elif actor.user_id is not None:
            await viewers.leave(self._database, campaign.key, actor.user_id, contact_id)
        return await viewers.others(
            self._database, campaign.key, contact_id, now - LOOK_S, actor.user_id, MOST_SHOWN
        )

    async def report_abuse(self, actor: Actor, campaign_id: int, contact_id: int, words: str) -> None:
        """The thread and the contact are staff's from now on, who are told; whoever reports never gets them again.

        Raises NoConversation, NoPerson for an API key, and NobodyToTell.
        """
        campaign, now, user_id = self._campaigns[campaign_id], self._clock.now(), person(actor)
        conversation = await whose.own(self._database, campaign, actor, Act.REPORT, contact_id)
        told = await abuse.staff(self._database, campaign.key, _MOST_TOLD)
        if not told:
            raise NobodyToTell
        notices = [
            UserNotice(
                notice_id=notice_id,
                user_id=each,
                kind="abuse",
                title="A volunteer reported abuse",
                body=words,
                about={"contact_id": contact_id, "reported_by": user_id},
                at=now,
            )
            for notice_id, each in zip(await self._ids.take(len(told)), told, strict=True)
        ]

        async def tell(transaction: Connection) -> None:
            """With the move: who no longer has the person can't report them again, should this break off."""
            await abuse.report(transaction, campaign.key, contact_id, user_id, words, now)
            await user_notices.tell(transaction, campaign.key, notices)
            after = f'{{"contact_id": {contact_id}}}'
            await audit_log.write(transaction, campaign.key, now, actor.name, "abuse reported", after=after)

        await self._reassignments.to_staff(actor, campaign_id, conversation, told, but=user_id, along=tell)
