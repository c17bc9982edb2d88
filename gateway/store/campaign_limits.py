"""How full a campaign's limits are, as its owner last saw them; a level that rises is an event of the journal."""

from collections.abc import Sequence

import msgspec

from gateway.core.bank.events import EventKind
from gateway.core.bank.limits import Forecast, Level, Limit
from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Statements
from gateway.store.journal import noted
from gateway.store.rows import as_rows


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """A limit; times are Unix seconds. `at`: when it was looked at; `crossed_at`: when its level last rose."""

    name: str
    level: int
    used: float
    most: float
    hit_at: float | None
    resets_at: float | None
    at: float
    crossed_at: float | None


_READ = """
SELECT name, level, used, most, extract(epoch FROM hit_at)::float8, extract(epoch FROM resets_at)::float8,
       extract(epoch FROM at)::float8, extract(epoch FROM crossed_at)::float8
FROM campaign_limits WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY name
"""
_WRITTEN = noted(
    EventKind.LIMIT,
    "risen",
    at="to_timestamp($4)",
    columns={"states": "name", "codes": "level::integer"},
)
# Whoever writes it first has the level rise: of two owners in turn one says it.
_WRITE = f"""
WITH seen AS (
    SELECT * FROM json_to_recordset($3::json) AS s (
        limit_name text, level smallint, used float8, most float8, hit_at float8, resets_at float8)
), written AS (
    INSERT INTO campaign_limits AS l
      (organisation_id, campaign_id, name, level, used, most, hit_at, resets_at, at, crossed_at)
    SELECT $1, $2, limit_name, level, used, most, to_timestamp(hit_at), to_timestamp(resets_at), to_timestamp($4),
           CASE WHEN level > 0 THEN to_timestamp($4) END
    FROM seen ORDER BY limit_name
    ON CONFLICT (organisation_id, campaign_id, name) DO UPDATE SET
      level = excluded.level, used = excluded.used, most = excluded.most, hit_at = excluded.hit_at,
      resets_at = excluded.resets_at, at = excluded.at,
      crossed_at = CASE WHEN excluded.level > l.level THEN excluded.at ELSE l.crossed_at END
    RETURNING NEW.name AS name, NEW.level AS level, OLD.level AS former
), risen AS (
    SELECT name, level FROM written WHERE level > coalesce(former, 0) ORDER BY name
), {_WRITTEN}
SELECT name FROM risen
"""  # noqa: S608 - fixed texts


async def read(statements: Statements, key: CampaignKey) -> list[LimitRow]:
    """Every limit of a campaign that was looked at, by name."""
    rows = await statements.fetch(_READ, *key)
    return [LimitRow(**dict(zip(LimitRow.__struct_fields__, row, strict=True))) for row in rows]


async def levels(statements: Statements, key: CampaignKey) -> dict[Limit, Level]:
    """What has been said of each limit."""
    return {Limit(row.name): Level(row.level) for row in await read(statements, key)}


class _Seen(msgspec.Struct, frozen=True):
    limit_name: str
    level: int
    used: float
    most: float
    hit_at: float | None
    resets_at: float | None


async def write(
    transaction: Statements, key: CampaignKey, forecasts: Sequence[Forecast], now: float
) -> set[Limit]:
    """Keeps what was seen; the limits whose level has risen, each of which the journal tells of."""
    rows = [
        _Seen(str(each.limit), int(each.level), each.used, each.most, each.hit_at, each.resets_at)
        for each in forecasts
    ]
    return {Limit(row[0]) for row in await transaction.fetch(_WRITE, *key, as_rows(rows), now)}
