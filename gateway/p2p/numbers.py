"""A campaign's number pool, for people to read."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from gateway.core.sending.numbers import Number, NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.pipeline.campaigns import Campaign
from gateway.store import numbers
from gateway.store.database import Database
from gateway.store.numbers import NumberRow


class NumberView(Struct, frozen=True, kw_only=True):
    """A number of the pool (C7); `conversations` is how many people know us by it.

    `provisioning`: it waits until `settles_at`, and is tried again then. `is_proved`: carriers know it.
    `refused_with`: the code with which they last refused it as unknown (30034, 30035).
    """

    number_id: int
    phone: str
    area_code: str
    state: str
    bought_because: str
    provider_sid: str
    conversations: int
    new_conversations_in_turn: int
    errors: int
    quarantines: int
    bought_at: float | None
    settles_at: float | None
    is_proved: bool
    refused_with: int | None
    last_used_at: float | None
    moved_to: int | None


class NumberList(Struct, frozen=True, kw_only=True):
    """A campaign's number pool, and how many numbers its registration allows.

    Retired numbers count, since they stay in the registered campaign. `nothing_bought_because`: `unregistered`
    (carriers say 30034), `budget` (`bought_lately`, within 24 hours, of `purchases_per_day`), `pool_is_full`; null:
    numbers are bought as they are needed.
    """

    most_numbers: int
    bought_lately: int
    purchases_per_day: int
    nothing_bought_because: str | None
    numbers: list[NumberView]


class Numbers:
    """The pools of campaigns. `live` is a campaign's pool where this worker dispatches it; `now` tells Unix seconds."""

    def __init__(
        self, database: Database, now: Callable[[], float], live: Callable[[int], NumberPool | None]
    ) -> None:
        self._database = database
        self._now = now
        self._live = live

    async def of(self, campaign: Campaign) -> NumberList:
        """The live pool where this worker dispatches the campaign, else what was last saved of it."""
        rows = await numbers.load(self._database, campaign.key)
        pool = self._live(campaign.campaign_id) or _saved_pool(campaign, rows)
        now = self._now()
        return NumberList(
            most_numbers=pool.max_numbers,
            bought_lately=pool.bought_lately(now),
            purchases_per_day=pool.policy.purchases_per_day(pool.max_numbers),
            nothing_bought_because=pool.no_purchase(now),
            numbers=[_number(row, pool.numbers.get(row.number_id)) for row in rows],
        )


def _saved_pool(campaign: Campaign, rows: Sequence[NumberRow]) -> NumberPool:
    """The pool as its owner, another worker, last saved it."""
    saved = [msgspec.json.decode(row.details, type=Number) for row in rows]
    return NumberPool(campaign.settings.pool, campaign.limits, saved, Pacer(campaign.limits))


def _number(row: NumberRow, live: Number | None) -> NumberView:
    number = live or msgspec.json.decode(row.details, type=Number)
    return NumberView(
        number_id=number.number_id,
        phone=number.phone,
        area_code=number.area_code,
        state=number.state,
        bought_because=row.bought_because,
        provider_sid=row.provider_sid,
        conversations=number.conversations,
        new_conversations_in_turn=number.new_conversations_in_turn,
        errors=number.errors,
        quarantines=number.quarantines,
        bought_at=number.bought_at,
        settles_at=number.settles_at,
        is_proved=number.proved_at is not None,
        refused_with=number.refused_with,
        last_used_at=number.last_used_at,
        moved_to=number.moved_to,
    )
