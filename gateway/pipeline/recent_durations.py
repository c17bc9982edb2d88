"""How long something has lately taken."""

_PERIOD_S = 10.0
_NEWEST = 0.2  # the share of the last one in what is typical


class RecentDurations:
    """The longest duration of the last one to two periods, and a typical one; in seconds, of a clock of the caller's
    that nobody sets."""

    def __init__(self) -> None:
        self._ends_at = 0.0
        self._before_s = self._now_s = 0.0
        self.typical_s = 0.0
        """An average that a single one hardly moves, and five in a row do."""

    @property
    def longest_s(self) -> float:
        return max(self._before_s, self._now_s)

    @property
    def ample_s(self) -> float:
        """Time within which the next one ends, if nothing gets much worse."""
        return 2.0 * self.longest_s

    def saw(self, now: float, took_s: float) -> None:
        """One that has just ended."""
        self.forget(now)
        self._now_s = max(self._now_s, took_s)
        self.typical_s += (took_s - self.typical_s) * (_NEWEST if self.typical_s else 1.0)

    def forget(self, now: float) -> None:
        """What is older than two periods; by itself when nothing ends for long."""
        if now < self._ends_at:
            return
        follows = now < self._ends_at + _PERIOD_S
        self._before_s = self._now_s if follows else 0.0
        self._now_s = 0.0
        self._ends_at = (self._ends_at if follows else now) + _PERIOD_S
        if not follows:
            self.typical_s = 0.0
