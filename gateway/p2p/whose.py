"""Whose a conversation is: what isn't the actor's is as if it were not there."""

from collections.abc import Sequence

from gateway.core.bank.permissions import Act, Actor
from gateway.core.rules.errors import TextbankError
from gateway.pipeline.campaigns import Campaign
from gateway.store import inbox
from gateway.store.database import Database
from gateway.store.inbox import Conversation, Text, TextPlace


class NoConversation(TextbankError):
    """There is no such conversation, or it is not the actor's."""

    def __init__(self, contact_id: int) -> None:
        super().__init__(f"there is no conversation with contact {contact_id}")


async def read(
    database: Database,
    campaign: Campaign,
    actor: Actor,
    act: Act,
    contact_id: int,
    before: TextPlace | None = None,
    limit: int = 0,
) -> tuple[Conversation, Sequence[Text]]:
    """The conversation as it stands, and the last `limit` texts before a place.

    Raises NoConversation for one with which the actor may not do this.
    """
    found = await inbox.thread(database, campaign.key, campaign.opt_out_scope, contact_id, before, limit)
    if found is None or not actor.may(act, found[0].volunteer_id):
        raise NoConversation(contact_id)
    return found


async def own(
    database: Database, campaign: Campaign, actor: Actor, act: Act, contact_id: int
) -> Conversation:
    """The conversation as it stands. Raises NoConversation for one with which the actor may not do this."""
    conversation, _ = await read(database, campaign, actor, act, contact_id)
    return conversation


async def now(database: Database, campaign: Campaign, contact_id: int) -> Conversation:
    """As it stands after an act, which may have made it somebody else's."""
    found = await inbox.thread(database, campaign.key, campaign.opt_out_scope, contact_id, None, 0)
    if found is None:
        raise NoConversation(contact_id)
    return found[0]
