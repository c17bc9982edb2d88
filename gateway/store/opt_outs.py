"""The list of opt-outs as people read it: who left, when, how, in which words (C5, C11)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements


class OptOut(msgspec.Struct, frozen=True, gc=False):
    """An opt-out in force in a scope; `at` in Unix seconds. `contact_id`, names: of the campaign's contact, if any.

    `source`: keyword (the person's own text), manual (a volunteer's), provider (its refusal), import (a list), erasure.
    """

    phone: str
    source: str
    words: str
    at: float
    volunteer_id: int | None
    contact_id: int | None
    first_name: str
    last_name: str


_FIELDS = """
o.phone, o.source, o.words, extract(epoch FROM o.opted_out_at)::float8, o.volunteer_id, c.contact_id,
coalesce(c.first_name, ''), coalesce(c.last_name, '')
"""
_CONTACT = "contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.phone = o.phone"
_ONE = f"""
SELECT {_FIELDS} FROM opt_outs o LEFT JOIN {_CONTACT}
WHERE o.organisation_id = $1 AND o.scope = $3 AND o.phone = $4
"""  # noqa: S608 - fixed texts
_PAGE = f"""
WITH page AS MATERIALIZED (
    SELECT * FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3 AND o.phone > $4
      AND ($5::text IS NULL OR o.source = $5)
    ORDER BY o.phone LIMIT $6
)
SELECT {_FIELDS} FROM page o LEFT JOIN {_CONTACT} ORDER BY o.phone
"""  # noqa: S608 - fixed texts
SOURCES: Final = ("keyword", "manual", "provider", "import", "erasure")


async def look_up(database: Database, key: CampaignKey, opt_out_scope: int, phone: str) -> OptOut | None:
    """The opt-out of a phone (E.164); None: it has not opted out."""
    rows = await database.fetch(_ONE, *key, opt_out_scope, phone)
    return OptOut(*rows[0]) if rows else None


async def page(
    database: Database, key: CampaignKey, opt_out_scope: int, source: str | None, after: str, limit: int
) -> list[OptOut]:
    """The next `limit` opt-outs in force, those after a phone ("": from the first), in the order of phones."""
    rows = await database.fetch(_PAGE, *key, opt_out_scope, after, source, limit)
    return [OptOut(*row) for row in rows]


_AMONG = """
SELECT count(*) FROM unnest($3::text[]) AS u (phone) WHERE EXISTS (
    SELECT FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $2 AND o.phone = u.phone)
"""


async def among(
    statements: Statements, organisation_id: int, opt_out_scope: int, phones: Sequence[str]
) -> int:
    """How many of these phones have opted out."""
    rows = await statements.fetch(_AMONG, organisation_id, opt_out_scope, phones)
    count: int = rows[0][0]
    return count


async def counts(database: Database, organisation_id: int, opt_out_scope: int) -> dict[str, int]:
    """How many there are of each source (C11)."""
    rows = await database.fetch(
        "SELECT source, count(*) FROM opt_outs WHERE organisation_id = $1 AND scope = $2 GROUP BY source",
        organisation_id,
        opt_out_scope,
    )
    return dict.fromkeys(SOURCES, 0) | {row[0]: row[1] for row in rows}
