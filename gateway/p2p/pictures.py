"""Pictures that scripts carry: kept, listed, and handed to the provider that fetches them (F090, F013)."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.permissions import Actor
from gateway.core.bank.pictures import MOST_PICTURES, type_of
from gateway.core.rules.errors import BadInput
from gateway.pipeline.campaigns import Campaigns
from gateway.store import audit_log, campaigns, pictures
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.pictures import PictureRow

_WORD_BYTES: Final = 16


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture and its address."""

    row: PictureRow
    url: str


class Pictures:
    """Of every campaign. `random` draws the words of their addresses, which begin with `public_url`."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        random: Callable[[int], bytes],
        public_url: str,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._random = random
        self._public_url = public_url.rstrip("/")
        self._ids = Ids(database)

    async def keep(self, actor: Actor, campaign_id: int, content: bytes) -> Picture:
        """Raises BadFields for what no script may carry, BadInput where the provider could not fetch it."""
        if not self._public_url:
            raise BadInput("the provider can't fetch pictures", "http.public_url", "set it")
        key, now = self._campaigns[campaign_id].key, self._clock.now()
        content_type = type_of(content)
        [picture_id] = await self._ids.take(1)
        row = PictureRow(
            picture_id=picture_id,
            word=self._random(_WORD_BYTES).hex(),
            content_type=content_type,
            size=len(content),
            made_at=now,
        )
        async with self._database.transaction() as transaction:
            await campaigns.locked(transaction, key)
            if len(await pictures.every(transaction, key)) >= MOST_PICTURES:
                raise BadInput(
                    f"a campaign has at most {MOST_PICTURES} pictures", "image", "use one that is there"
                )
            await pictures.add(transaction, key, row, content)
            told = msgspec.json.encode({"picture_id": picture_id, "bytes": row.size}).decode()
            await audit_log.write(transaction, key, now, actor.name, "picture added", after=told)
        return self._told(campaign_id, row)

    async def every(self, campaign_id: int) -> Sequence[Picture]:
        """All the campaign's pictures, the newest first."""
        rows = await pictures.every(self._database, self._campaigns[campaign_id].key)
        return [self._told(campaign_id, row) for row in rows]

    async def content(self, campaign_id: int, word: str) -> tuple[str, bytes] | None:
        """What the provider fetches: media type and bytes; None: nobody has this address."""
        return await pictures.content(self._database, self._campaigns[campaign_id].key, word)

    def _told(self, campaign_id: int, row: PictureRow) -> Picture:
        return Picture(row=row, url=f"{self._public_url}/pictures/{campaign_id}/{row.word}")
