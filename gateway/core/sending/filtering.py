"""Who is to blame when carriers filter (30007): the script is suspected first, the number second.

A text that many numbers carry and that is filtered from all of them is a bad text. A number that is filtered
over several scripts, or far more often than the pool's other numbers, is a bad number.
"""

from collections import Counter
from enum import StrEnum

import msgspec


class Suspect(StrEnum):
    """Who draws the filtering."""

    SCRIPT = "script"
    NUMBER = "number"


class FilteringPolicy(msgspec.Struct, frozen=True):
    """When filtering is more than the usual noise, which is 0.2 % of healthy texts.

    Nobody is suspected below `minimum_events` within `window_s`, nor below `minimum_share` of what was sent.
    """

    window_s: float = 3600.0
    minimum_events: int = 5
    minimum_share: float = 0.01
    # a number against the rest of its pool: so many times their share, and they must have sent so much
    outlier_factor: float = 4.0
    outlier_minimum_sent: int = 50
    # a script that makes more than this of a number's events explains them without blaming the number
    dominant_script_share: float = 0.7


class _Half:
    """What happened in half a window."""

    def __init__(self) -> None:
        self.sent: Counter[int] = Counter()
        self.filtered: Counter[tuple[int, str]] = Counter()


class FilteringWatch:
    """Counts sends and filtered texts of one campaign over the last `window_s`, and no less than half of that: a window
    that began anew would know nothing of what its numbers had just done.
    """

    def __init__(self, policy: FilteringPolicy) -> None:
        self.policy = policy
        self._began_at = float("-inf")  # the present half
        self._now, self._before = _Half(), _Half()

    def sent(self, now: float, number_id: int) -> None:
        self._turn(now)
        self._now.sent[number_id] += 1

    def filtered(self, now: float, number_id: int, script_hash: str) -> Suspect | None:
        """Count one filtered text and name who is to blame for it, as far as can be told."""
        self._turn(now)
        self._now.filtered[number_id, script_hash] += 1
        if self._script_is_spread(script_hash) and not self._is_outlier(number_id):
            return Suspect.SCRIPT
        if self._number_is_notable(number_id) and self._stands_out(number_id):
            return Suspect.NUMBER
        return Suspect.SCRIPT if self._script_is_notable(script_hash) else None

    def _turn(self, now: float) -> None:
        half_s = self.policy.window_s / 2
        passed_s = now - self._began_at
        if passed_s >= half_s:
            self._before = self._now if passed_s < 2 * half_s else _Half()
            self._now = _Half()
            self._began_at = now

    @property
    def _filtered(self) -> Counter[tuple[int, str]]:
        return self._now.filtered + self._before.filtered

    def _sent_total(self) -> int:
        return self._now.sent.total() + self._before.sent.total()

    def _sent_from(self, number_id: int) -> int:
        return self._now.sent[number_id] + self._before.sent[number_id]

    def _script_is_notable(self, script_hash: str) -> bool:
        events = sum(n for (_, script), n in self._filtered.items() if script == script_hash)
        return self._is_notable(events, self._sent_total())

    def _script_is_spread(self, script_hash: str) -> bool:
        numbers = sum(1 for _, script in self._filtered if script == script_hash)
        return numbers >= 2 and self._script_is_notable(script_hash)

    def _number_is_notable(self, number_id: int) -> bool:
        return self._is_notable(self._events_on(number_id), self._sent_from(number_id))

    def _is_notable(self, events: int, sent: int) -> bool:
        return events >= self.policy.minimum_events and events >= self.policy.minimum_share * sent

    def _events_on(self, number_id: int) -> int:
        return sum(n for (number, _), n in self._filtered.items() if number == number_id)

    def _has_several_scripts(self, number_id: int) -> bool:
        by_script = [n for (number, _), n in self._filtered.items() if number == number_id]
        return max(by_script) <= self.policy.dominant_script_share * sum(by_script)

    def _stands_out(self, number_id: int) -> bool:
        """Far more filtered than the rest of the pool; without a rest to compare, over several scripts."""
        others_sent = self._sent_total() - self._sent_from(number_id)
        if others_sent < self.policy.outlier_minimum_sent:
            return self._has_several_scripts(number_id)
        return self._is_outlier(number_id)

    def _is_outlier(self, number_id: int) -> bool:
        events, sent = self._events_on(number_id), self._sent_from(number_id)
        others_sent = self._sent_total() - sent
        if events < self.policy.minimum_events or others_sent < self.policy.outlier_minimum_sent:
            return False
        others_share = (self._filtered.total() - events) / others_sent
        return events / max(sent, events) >= self.policy.outlier_factor * others_share
