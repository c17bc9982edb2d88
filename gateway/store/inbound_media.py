"""What came with people's texts beside words: where the provider has it."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements
from gateway.store.rows import as_rows


class MediaRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One of a text's pictures; `contact_id` None: a stranger's. `url` and `media_type` "": nobody has said."""

    inbound_id: int
    place: int
    contact_id: int | None
    url: str
    media_type: str


_KEEP = """
INSERT INTO inbound_media (organisation_id, campaign_id, inbound_id, place, contact_id, url, media_type)
SELECT $1, $2, inbound_id, place, contact_id, url, media_type
FROM json_to_recordset($3::json) AS m (inbound_id bigint, place smallint, contact_id bigint, url text, media_type text)
ORDER BY inbound_id, place
ON CONFLICT DO NOTHING
"""


async def keep(transaction: Statements, key: CampaignKey, rows: Sequence[MediaRow]) -> None:
    """In the transaction of the texts themselves."""
    await transaction.fetch(_KEEP, *key, as_rows(rows))


class Kept(msgspec.Struct, frozen=True):
    """Where one of a text's pictures is: the text's id at the provider, and its address, "" when it has to be asked for."""

    provider_sid: str
    url: str


_FIND = """
SELECT i.provider_sid, m.url FROM inbound_media m
JOIN inbound i ON i.organisation_id = $1 AND i.campaign_id = $2 AND i.inbound_id = m.inbound_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.inbound_id = $4 AND m.place = $5 AND m.contact_id = $3
"""


async def find(
    database: Database, key: CampaignKey, contact_id: int, inbound_id: int, place: int
) -> Kept | None:
    """None: the person sent no such picture."""
    row = await database.fetch_row(_FIND, *key, contact_id, inbound_id, place)
    return None if row is None else Kept(*row)
