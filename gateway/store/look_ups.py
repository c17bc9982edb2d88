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
