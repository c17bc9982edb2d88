"""Pictures that people sent: shown to who presses for one, fetched from the provider only then, and each look written
down."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from gateway.clock import Clock
from gateway.core.bank.permissions import Act, Actor
from gateway.core.bank.pictures import shown_as
from gateway.core.rules.errors import TextbankError
from gateway.p2p import whose
from gateway.pipeline.campaigns import Campaigns
from gateway.store import audit_log, inbound_media
from gateway.store.database import Database
from gateway.store.rows import as_json

FetchMedia: TypeAlias = Callable[[str, int, str], Awaitable[bytes]]
"""By the text's id at the provider, the picture's place and its address, if it is known."""


class NoPicture(TextbankError):
    """The text brought no such picture."""

    def __init__(self) -> None:
        super().__init__("there is no such picture")


class NotShown(TextbankError):
    """It is none of the kinds of pictures that are shown."""

    def __init__(self) -> None:
        super().__init__("this is no JPEG, PNG, GIF or WebP, and is not shown")


class Shown(msgspec.Struct, frozen=True):
    """A picture, and what it is by its first bytes, whatever anybody says of it."""

    media_type: str
    content: bytes


class ReceivedPictures:
    """For whoever may read the conversation."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, fetch: FetchMedia) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._fetch = fetch

    async def show(
        self, actor: Actor, campaign_id: int, contact_id: int, inbound_id: int, place: int
    ) -> Shown:
        """Raises NoConversation for another's, NoPicture, NotShown, and what fetching it does."""
        campaign = self._campaigns[campaign_id]
        await whose.own(self._database, campaign, actor, Act.READ_CONVERSATIONS, contact_id)
        kept = await inbound_media.find(self._database, campaign.key, contact_id, inbound_id, place)
        if kept is None:
            raise NoPicture
        content = await self._fetch(kept.provider_sid, place, kept.url)
        media_type = shown_as(content)
        told = {"contact_id": contact_id, "text_id": inbound_id, "place": place, "bytes": len(content)}
        act = "received picture refused" if media_type is None else "received picture opened"
        async with self._database.transaction() as transaction:
            after = as_json(told)
            await audit_log.write(transaction, campaign.key, self._clock.now(), actor.name, act, after=after)
        if media_type is None:
            raise NotShown
        return Shown(media_type, content)
