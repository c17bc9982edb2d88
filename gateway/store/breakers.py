"""Breakers of a campaign's scripts and carriers: where each was moved, and what has been counted of each pair."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.core.bank.events import EventKind
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import CATALOGUE, Kind
from gateway.core.sending.breakers import Breaker, Pair, Reason, State, Tally
from gateway.store.database import Statements
from gateway.store.journal import noted
from gateway.store.rows import as_rows

_FILTERED = [code for code, means in sorted(CATALOGUE.items()) if means.kind is Kind.FILTERED]

# The counts say of each pair how its first texts ended, and who wrote (counts.py).
_TALLIES = """
SELECT action_id, name,
       sum(number) FILTER (WHERE what = 'initial' AND state IN ('delivered', 'undelivered', 'failed'))::bigint,
       sum(number) FILTER (WHERE what = 'initial' AND code = ANY ($3::int[]))::bigint,
       sum(number) FILTER (WHERE what = 'initial' AND state = 'delivered')::bigint,
       sum(number) FILTER (WHERE what = 'response' AND state = 'opted_out')::bigint,
       sum(number) FILTER (WHERE what = 'responder')::bigint
FROM counts WHERE organisation_id = $1 AND campaign_id = $2 AND per = 'pair'
GROUP BY action_id, name ORDER BY action_id, name
"""


async def tallies(statements: Statements, key: CampaignKey) -> dict[Pair, Tally]:
    """Every pair to which a first text was asked for; what happened in the last second or two may be missing."""
    rows = await statements.fetch(_TALLIES, *key, _FILTERED)
    return {_pair(row[0], row[1]): Tally(*(max(0, each or 0) for each in row[2:])) for row in rows}


def _pair(action_id: int, name: str) -> Pair:
    carrier, _, script = name.partition("/")
    return Pair(action_id, carrier, script)


_READ = """
SELECT action_id, carrier, script, state, reason, extract(epoch FROM since)::float8, who, base
FROM breakers WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY action_id, carrier, script
"""


async def read(statements: Statements, key: CampaignKey) -> dict[Pair, Breaker]:
    """Those that were ever moved."""
    found = [_breaker(row) for row in await statements.fetch(_READ, *key)]
    return {each.pair: each for each in found}


def _breaker(row: Sequence[Any]) -> Breaker:
    action_id, carrier, script, state, reason, since, who, base = row
    return Breaker(
        pair=Pair(action_id, carrier, script),
        state=State(state),
        reason=Reason(reason),
        since=since,
        who=who,
        base=Tally(*base),
    )


class _Moved(msgspec.Struct, frozen=True):
    action_id: int
    carrier: str
    script: str
    state: str
    reason: str
    since: float | None
    who: str
    base: tuple[int, ...]


_NOTED = noted(
    EventKind.BREAKER,
    "moved",
    at="to_timestamp($4)",
    columns={
        "action_ids": "action_id",
        "scripts": "script",
        "kinds": "carrier",
        "states": "state",
        "befores": "reason",
    },
)
# Its caller has locked the campaign: who comes later sees what was moved before.
_MOVE = f"""
WITH moved AS (
    INSERT INTO breakers AS b (organisation_id, campaign_id, action_id, carrier, script, state, reason, since, who, base)
    SELECT $1, $2, m.action_id, m.carrier, m.script, m.state, m.reason, to_timestamp(m.since), m.who, m.base
    FROM json_to_recordset($3::json) AS m (action_id bigint, carrier text, script text, state text, reason text,
                                           since float8, who text, base integer[])
    ORDER BY m.action_id, m.carrier, m.script
    ON CONFLICT (organisation_id, campaign_id, action_id, carrier, script) DO UPDATE SET
        state = excluded.state, reason = excluded.reason, since = excluded.since, who = excluded.who, base = excluded.base
    RETURNING action_id, carrier, script, state, reason
), {_NOTED}
SELECT FROM moved LIMIT 0
"""  # noqa: S608 - fixed texts
_HOLD = """
UPDATE campaigns SET actions_version = actions_version + 1, held_pairs = ARRAY(
    SELECT concat(b.action_id, '/', b.carrier, '/', b.script) FROM breakers b
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.state = 'open' ORDER BY 1)
WHERE organisation_id = $1 AND campaign_id = $2
"""


async def move(transaction: Statements, key: CampaignKey, moved: Sequence[Breaker], now: float) -> None:
    """Writes where breakers are now, and what they hold; the journal tells of each. The campaign is locked."""
    rows = [
        _Moved(*each.pair, each.state, each.reason, each.since, each.who, each.base.all()) for each in moved
    ]
    await transaction.fetch(_MOVE, *key, as_rows(rows), now)
    await transaction.fetch(_HOLD, *key)
