"""Look-ups that were paid for: line type and carrier by phone, with their age."""

from collections.abc import Sequence

import msgspec

from gateway.store.database import Database
from gateway.store.rows import as_rows


class LookedUp(msgspec.Struct, frozen=True, gc=False):
    """What a look-up said of a phone (E.164)."""

    phone: str
    line_type: str
    carrier: str | None


async def load(database: Database, phones: Sequence[str], since: float) -> dict[str, LookedUp]:
    """Those of the phones that were looked up since an instant (Unix seconds)."""
    rows = await database.fetch(
        """
        SELECT phone, line_type, carrier FROM look_ups
        WHERE phone = ANY ($1::text[]) AND looked_up_at >= to_timestamp($2)
        """,
        phones,
        since,
    )
    return {row[0]: LookedUp(*row) for row in rows}


async def save(database: Database, found: Sequence[LookedUp], now: float) -> None:
    """Keeps the answers, each in place of an older one."""
    await database.execute(
        """
        INSERT INTO look_ups (phone, line_type, carrier, looked_up_at)
        SELECT DISTINCT ON (phone) phone, line_type, carrier, to_timestamp($2)
        FROM json_to_recordset($1::json) AS f (phone text, line_type text, carrier text) ORDER BY phone
        ON CONFLICT (phone) DO UPDATE SET
            line_type = excluded.line_type, carrier = excluded.carrier, looked_up_at = excluded.looked_up_at
        """,
        as_rows(found),
        now,
    )


_TELL_CONTACTS = """
WITH differing AS (
    SELECT c.campaign_id, c.contact_id, f.line_type, f.carrier
    FROM json_to_recordset($2::json) AS f (phone text, line_type text, carrier text)
    JOIN campaigns p ON p.organisation_id = $1
    JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = p.campaign_id AND c.phone = f.phone
    WHERE (c.line_type, c.carrier) IS DISTINCT FROM (f.line_type, f.carrier)
    ORDER BY c.campaign_id, c.contact_id FOR UPDATE OF c
), told AS (
    UPDATE contacts c SET line_type = d.line_type, carrier = d.carrier FROM differing d
    WHERE c.organisation_id = $1 AND c.campaign_id = d.campaign_id AND c.contact_id = d.contact_id
    RETURNING 1
)
SELECT count(*) FROM told
"""


async def tell_contacts(database: Database, lines: Sequence[LookedUp]) -> int:
    """Contacts of any campaign with these phones get line type and carrier where theirs differ; returns how many.

    A line belongs to the phone, whoever's list it is on. Locked in the order of their keys: two lists may come at once.
    """
    organisations = await database.fetch("SELECT organisation_id FROM organisations ORDER BY organisation_id")
    found = as_rows(lines)
    return sum([await database.fetch_value(_TELL_CONTACTS, row[0], found) for row in organisations])
