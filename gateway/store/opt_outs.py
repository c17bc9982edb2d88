"""Opt-outs: the list as people read it, who left, when, how, in which words (C5, C11), and those that volunteers mark."""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.core.bank.events import EventKind
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements
from gateway.store.journal import noted


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


# ---------------------------------------------------------------- what a volunteer marks

_OPTED_OUT = noted(
    EventKind.OPTED_OUT,
    "stopped LEFT JOIN about ON true",
    at="to_timestamp($6)",
    columns={
        "contact_ids": "$4::bigint",
        "action_ids": "about.action_id",
        "user_ids": "coalesce($7, about.volunteer_id)",
        "states": "$5::text",
    },
)


def _opting_out(whom: str) -> str:
    """The parts of both statements' WITH; `whom` is a further condition. Who has left already is noted again, and the row
    waited for: else a START that is older, or just being heard, would lift it."""
    return f"""
about AS (
    SELECT action_id, volunteer_id FROM conversations
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $4
), marked AS (
    INSERT INTO opt_outs AS o (organisation_id, scope, phone, source, opted_out_at, volunteer_id)
    SELECT $1, $3, phone, $5, to_timestamp($6), $7 FROM contacts
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $4 AND {whom}
    ON CONFLICT (organisation_id, scope, phone) DO UPDATE SET
        noted_again_at = greatest(o.noted_again_at, excluded.opted_out_at)
    RETURNING phone, OLD.phone IS NULL AS is_new
), stopped AS (
    SELECT phone FROM marked WHERE is_new
), talk AS (
    UPDATE conversations SET revision = revision + 1, attention_at = NULL,
           last_report_at = to_timestamp($6)
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $4 AND {whom}
), {_OPTED_OUT}
"""  # noqa: S608 - fixed texts


_THEIRS = "EXISTS (SELECT FROM about WHERE about.volunteer_id = $7)"
_OPT_OUT = f"WITH {_opting_out('true')} SELECT phone FROM stopped"  # noqa: S608 - fixed texts
_OPT_OUT_OWN = f"WITH {_opting_out(_THEIRS)} SELECT {_THEIRS}, (SELECT phone FROM stopped)"  # noqa: S608 - fixed texts


async def opt_out(
    database: Database,
    key: CampaignKey,
    opt_out_scope: int,
    contact_id: int,
    source: str,
    now: float,
    volunteer_id: int | None = None,
) -> str | None:
    """A volunteer's or an admin's opt-out of a contact (F123): the phone, None when it had opted out already."""
    rows = await database.fetch(
        _OPT_OUT,
        *key,
        opt_out_scope,
        contact_id,
        source,
        now,
        volunteer_id,
    )
    return rows[0][0] if rows else None


class OwnOptOut(msgspec.Struct, frozen=True):
    """Whether the conversation is the volunteer's; if so the phone that has opted out now, None: it had already."""

    is_theirs: bool
    phone: str | None


async def opt_out_own(
    database: Database,
    key: CampaignKey,
    opt_out_scope: int,
    contact_id: int,
    source: str,
    now: float,
    volunteer_id: int,
) -> OwnOptOut:
    """The same by a volunteer, of a person whose conversation is theirs, and else of nobody; looked at and done in one."""
    [row] = await database.fetch(_OPT_OUT_OWN, *key, opt_out_scope, contact_id, source, now, volunteer_id)
    return OwnOptOut(*row)
