"""How full a campaign's limits are, and when each will be full at the present pace."""

import msgspec

from gateway.core.bank.limits import Level, Limit, share
from gateway.pipeline.campaigns import Campaign
from gateway.store import campaign_limits
from gateway.store.database import Database


class LimitState(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as the campaign's worker last saw it, at `at`; times are Unix seconds.

    `share`: how much of it is used, 1 is all. `hit_at`: when it will be full at the pace of the last ten minutes; null: not
    before it begins anew (`resets_at`; null: never, or little by little). `level`: `warned` from two thirds on, `reached`
    at the whole, since `crossed_at`.
    """

    limit: Limit
    level: str
    used: float
    most: float
    share: float
    hit_at: float | None
    resets_at: float | None
    at: float
    crossed_at: float | None


class LimitsTold:
    """A campaign's limits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, campaign: Campaign) -> list[LimitState]:
        """Those that were looked at since the campaign was first taken up, by name."""
        return [
            LimitState(
                limit=Limit(row.name),
                level=Level(row.level).name.lower(),
                used=row.used,
                most=row.most,
                share=share(row.used, row.most),
                hit_at=row.hit_at,
                resets_at=row.resets_at,
                at=row.at,
                crossed_at=row.crossed_at,
            )
            for row in await campaign_limits.read(self._database, campaign.key)
        ]
