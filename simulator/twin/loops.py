"""The guard against answers that answer each other: error 14107 (twilio.com/docs/api/errors/14107)."""

_MOST = 30  # answers between two numbers ...
_WINDOW_S = 30.0  # ... each less than this after the one before
_HELD_S = 30.0
_PAIRS_KEPT = 10_000


class ReplyLoops:
    """Counts TwiML answers between two numbers; after 30 in quick succession the next 30 s of them fail."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[int, int], tuple[int, float]] = {}  # answers so far, when the last was
        self._held: dict[tuple[int, int], float] = {}  # until when answers fail

    def holds(self, sender: int, to: int, now: float) -> bool:
        """Whether this answer must fail; it is counted. `now` in seconds of the world."""
        pair = (sender, to)
        if now < self._held.get(pair, 0.0):
            return True
        self._held.pop(pair, None)
        count, last_at = self._pairs.pop(pair, (0, now))
        count = count + 1 if now - last_at < _WINDOW_S else 1
        if count > _MOST:
            self._held[pair] = now + _HELD_S
            return True
        self._pairs[pair] = (count, now)
        if len(self._pairs) > _PAIRS_KEPT:  # the pair that has been quiet for longest
            del self._pairs[next(iter(self._pairs))]
        return False
