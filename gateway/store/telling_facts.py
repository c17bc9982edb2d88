"""What is told of events beyond their ids: people, the words of their texts, what reports said."""

from collections.abc import Sequence

import msgspec

from gateway.core.bank.tellings import Filed, Person
from gateway.core.rules.campaign import CampaignKey
from gateway.store import campaign_limits
from gateway.store.database import Statements

_PEOPLE = """
SELECT contact_id, phone, first_name, last_name, fields::text FROM contacts
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = ANY ($3::bigint[])
"""
_TEXTS = """
SELECT inbound_id, body FROM inbound
WHERE organisation_id = $1 AND campaign_id = $2 AND inbound_id = ANY ($3::bigint[])
"""
_REPORTS = """
SELECT r.report_id, r.fields::text,
       ARRAY (SELECT t.name FROM tags t WHERE t.organisation_id = $1 AND t.campaign_id = $2
              AND t.tag_id = ANY (r.tags) ORDER BY t.tag_id),
       ARRAY (SELECT t.name FROM tags t WHERE t.organisation_id = $1 AND t.campaign_id = $2
              AND t.tag_id = ANY (r.removed_tags) ORDER BY t.tag_id)
FROM reports r
WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.report_id = ANY ($3::bigint[])
"""
_NOTICES = """
SELECT n.notice_id, n.user_id, n.kind, coalesce(a.title, n.title), coalesce(a.body, n.body) FROM user_notices n
LEFT JOIN announcements a ON a.organisation_id = $1 AND a.campaign_id = $2 AND a.announcement_id = n.announcement_id
WHERE n.organisation_id = $1 AND n.campaign_id = $2 AND n.notice_id = ANY ($3::bigint[]) ORDER BY n.notice_id
"""
_fields = msgspec.json.Decoder(dict[str, str | None])


async def people(statements: Statements, key: CampaignKey, ids: Sequence[int]) -> dict[int, Person]:
    """Contacts by id; who is in no list any more is missing."""
    rows = await statements.fetch(_PEOPLE, *key, ids) if ids else []
    return {
        row[0]: Person(
            contact_id=row[0],
            phone=row[1],
            first_name=row[2],
            last_name=row[3],
            fields=_fields.decode(row[4]) if row[4] else {},
        )
        for row in rows
    }


async def texts(statements: Statements, key: CampaignKey, ids: Sequence[int]) -> dict[int, str]:
    """The words of people's texts by id."""
    rows = await statements.fetch(_TEXTS, *key, ids) if ids else []
    return {row[0]: row[1] for row in rows}


async def reports(statements: Statements, key: CampaignKey, ids: Sequence[int]) -> dict[int, Filed]:
    """What reports said, by id."""
    rows = await statements.fetch(_REPORTS, *key, ids) if ids else []
    return {
        row[0]: Filed(fields=_fields.decode(row[1]), tags=tuple(row[2]), removed_tags=tuple(row[3]))
        for row in rows
    }


async def notices(
    statements: Statements, key: CampaignKey, ids: Sequence[int]
) -> dict[int, dict[str, object]]:
    """What people were told within the application, by id."""
    rows = await statements.fetch(_NOTICES, *key, ids) if ids else []
    names = ("notice_id", "user_id", "kind", "title", "body")
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


async def limits(statements: Statements, key: CampaignKey, are_asked: bool) -> dict[str, dict[str, object]]:
    """How full each limit is, by name; nothing where nobody asks."""
    rows = await campaign_limits.read(statements, key) if are_asked else []
    return {
        row.name: {"used": row.used, "most": row.most, "hit_at": row.hit_at, "resets_at": row.resets_at}
        for row in rows
    }
