"""What the provider's words mean for a campaign's numbers and its pace; the catalogue of errors says which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from gateway.core.rules.errors import Consequence, Kind, consequence
from gateway.core.rules.lifecycle import State
from gateway.core.rules.retry import Ended
from gateway.core.sending.numbers import NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.delivery import Requeued
from gateway.store.receipts import Moved

if TYPE_CHECKING:
    from gateway.pipeline.dispatch import Dispatch

_log = structlog.get_logger("textbank.numbers")
_AT_CARRIER = frozenset({State.DELIVERED.value, State.UNDELIVERED.value})
_NO_ROOM = frozenset({Kind.THROTTLE, Kind.QUEUE_FULL})


class Consequences:
    """Of the words about one campaign's texts."""

    def __init__(self, station: "Dispatch", campaign: Campaign, pool: NumberPool, pacer: Pacer) -> None:
        self._station = station
        self._campaign = campaign
        self._pool = pool
        self._pacer = pacer

    def moved(self, moved: Sequence[Moved]) -> None:
        now = self._station.clock.now()
        for each in moved:
            if each.number_id is None or each.before == each.after:
                continue
            if each.code is not None:
                self._ended(now, each, each.number_id, consequence(each.code))
            if self._pool.is_in_doubt and each.after in _AT_CARRIER:
                self._pool.reached_carrier(now, each.number_id)

    def _ended(self, now: float, moved: Moved, number_id: int, means: Consequence) -> None:
        if means.unsettles_number:
            self._not_known(now, number_id, means)
        if means.blames_number:
            self._pool.number_error(now, number_id, True)
        if means.kind is Kind.FILTERED:
            self._pool.filtered(now, number_id, moved.script or "")
        if means.kind is Kind.DAILY_CAP:
            self._station.daily_cap_reached(self._campaign, now)

    def requeued(self, failures: Sequence[Requeued]) -> None:
        """Each refusal for want of room slows the campaign a little: at the door (429, 21611), or by a carrier."""
        now = self._station.clock.now()
        for each in failures:
            means = None if each.news.code is None else consequence(each.news.code)
            if each.news.ended is Ended.THROTTLED or (means is not None and means.kind in _NO_ROOM):
                self._pacer.slow_down(now, refused_at=each.news.at)
            if means is None:
                continue
            if means.kind is Kind.DAILY_CAP:
                self._station.daily_cap_reached(self._campaign, now)
            if each.number_id is not None and means.unsettles_number:
                self._not_known(now, each.number_id, means)
            elif each.number_id is not None and each.other_number:
                self._blame(now, each.number_id, means.kind)

    def _not_known(self, now: float, number_id: int, means: Consequence) -> None:
        """Carriers don't know the number (yet): it waits, and nothing is bought meanwhile."""
        if not self._pool.not_known(now, number_id, means.code):
            return
        self._station.metrics.number_refused(means.code)
        number = self._pool.numbers[number_id]
        _log.warning(
            "a number waits",
            campaign_id=self._campaign.campaign_id,
            number_id=number_id,
            for_s=round((number.settles_at or now) - now),
            why=means.title,
            code=means.code,
        )

    def _blame(self, now: float, number_id: int, kind: Kind) -> None:
        """A number that can't send at all is retired, so that its conversations move for good."""
        if kind is Kind.BAD_SENDER:
            self._pool.retire(number_id)
        else:
            self._pool.number_error(now, number_id, True)
