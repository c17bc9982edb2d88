"""Usage and its bill between two instants (F001, F002, F014)."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from gateway.core.bank.usage import Usage, usage_of
from gateway.core.rules.errors import BadInput
from gateway.pipeline.campaigns import Campaign
from gateway.store import usage
from gateway.store.database import Database
from gateway.store.usage import Group

LONGEST_S: Final = 400 * 86_400.0
"""A year and a month; what is longer is asked for in parts."""
_STATEMENT_S: Final = 60.0


class DayOfUsage(msgspec.Struct, frozen=True):
    """A day (its first Unix second, UTC) and what was handed over of what was asked for on it."""

    day: float
    usage: Usage


class Billed(msgspec.Struct, frozen=True):
    """The whole, and each day of it."""

    total: Usage
    days: list[DayOfUsage]


class UsageBook:
    """What a campaign used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def between(
        self, campaign: Campaign, since: float, until: float, action_id: int | None = None
    ) -> Billed:
        """Of texts that were asked for from `since` on and before `until`. Raises BadInput for what is no span."""
        if not since < until <= since + LONGEST_S:
            raise BadInput("until", "it must be later than since, by 400 days at most", "give another span")
        async with self._database.patient(_STATEMENT_S) as patient:
            groups = await usage.groups(patient, campaign.key, since, until, action_id)
        return Billed(usage_of(groups, campaign.limits), _days(groups, campaign))


def _days(groups: Sequence[Group], campaign: Campaign) -> list[DayOfUsage]:
    return [
        DayOfUsage(day, usage_of(list(alike), campaign.limits))
        for day, alike in groupby(groups, key=lambda each: each.day)
    ]
