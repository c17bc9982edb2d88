"""In which campaigns nobody waits for an answer: volunteers look again and again, and nearly always there is nothing.

A look that finds nothing for its volunteer says whether anybody waits at all. If not, it speaks for every volunteer
of the campaign until a text of a person is written there. That this worker knows; what another one writes is seen when
the look is too old.
"""

from collections import Counter
from collections.abc import Callable


class QuietInboxes:
    """Looks at whole campaigns that found nothing, by campaign; one is good for `known_for_s` seconds of `steady`."""

    def __init__(self, steady: Callable[[], float], known_for_s: float) -> None:
        self._steady = steady
        self._known_for_s = known_for_s
        self._quiet_at: dict[int, float] = {}
        self._changes: Counter[int] = Counter()

    def changed(self, campaign_id: int) -> None:
        """People's texts are about to be written, or may have been: called before and after."""
        self._changes[campaign_id] += 1
        self._quiet_at.pop(campaign_id, None)

    def changes(self, campaign_id: int) -> int:
        """Which state of things a look that begins now may see."""
        return self._changes[campaign_id]

    def nobody_waits(self, campaign_id: int, changes: int, looked_at: float) -> None:
        """A look that began at `looked_at`, after so many `changes`, found nobody of the campaign waiting."""
        if self._changes[campaign_id] == changes:
            self._quiet_at[campaign_id] = looked_at

    def is_quiet(self, campaign_id: int) -> bool:
        """Whether a look would find nothing, whoever looks."""
        quiet_at = self._quiet_at.get(campaign_id)
        return quiet_at is not None and self._steady() - quiet_at < self._known_for_s
