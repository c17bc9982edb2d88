"""Pictures that scripts carry."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements


class PictureRow(msgspec.Struct, frozen=True, kw_only=True):
    """A picture without its bytes; `word` is of its address, `made_at` Unix seconds."""

    picture_id: int
    word: str
    content_type: str
    size: int
    made_at: float


async def add(transaction: Statements, key: CampaignKey, picture: PictureRow, content: bytes) -> None:
    await transaction.fetch(
        """
        INSERT INTO pictures (organisation_id, campaign_id, picture_id, word, content_type, bytes, made_at)
        VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7))
        """,
        *key,
        picture.picture_id,
        picture.word,
        picture.content_type,
        content,
        picture.made_at,
    )


async def every(statements: Statements, key: CampaignKey) -> Sequence[PictureRow]:
    """All the campaign's pictures, the newest first; there are few."""
    rows = await statements.fetch(
        """
        SELECT picture_id, word, content_type, octet_length(bytes), extract(epoch FROM made_at)::float8 FROM pictures
        WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY made_at DESC, picture_id DESC
        """,
        *key,
    )
    return [
        PictureRow(picture_id=row[0], word=row[1], content_type=row[2], size=row[3], made_at=row[4])
        for row in rows
    ]


async def content(database: Database, key: CampaignKey, word: str) -> tuple[str, bytes] | None:
    """Its media type and bytes; None: there is none with this word."""
    row = await database.fetch_row(
        "SELECT content_type, bytes FROM pictures WHERE organisation_id = $1 AND campaign_id = $2 AND word = $3",
        *key,
        word,
    )
    return None if row is None else (row[0], bytes(row[1]))
