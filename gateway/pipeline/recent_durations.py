"""How long something has lately taken."""

_PERIOD_S = 10.0


class RecentDurations:
    """The longest duration of the last one to two periods; in seconds, of a clock of the caller's that nobody sets."""

    def __init__(self) -> None:
        self._ends_at = 0.0
        self._before_s = self._now_s = 0.0

    @property
    def longest_s(self) -> float:
        return max(self._before_s, self._now_s)

    @property
    def ample_s(self) -> float:
        """Time within which the next one ends, if nothing gets much worse."""
        return 2.0 * self.longest_s

    def saw(self, now: float, took_s: float) -> None:
        if now >= self._ends_at:
            follows = now < self._ends_at + _PERIOD_S
            self._before_s = self._now_s if follows else 0.0
            self._now_s = 0.0
            self._ends_at = (self._ends_at if follows else now) + _PERIOD_S
        self._now_s = max(self._now_s, took_s)
