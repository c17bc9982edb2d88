"""Which workers live, and whose share a campaign is: judged by beats alone, by nobody's clock but one's own."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

DEAD_AFTER_BEATS: Final = 5
"""So long a beat stands still until its worker is taken for dead; a worker trusts itself for less (`TRUSTED_BEATS`)."""
TRUSTED_BEATS: Final = 3
"""So long after the beginning of its last beat that got through a worker trusts that it still owns its campaigns."""
UNLOCKED_AFTER_BEATS: Final = 1.25
"""The same for a worker whose connection has ended: it may be opening another one."""
_MOST_COUNTED_BEATS: Final = 1.5


class _Seen(msgspec.Struct):
    beat: int
    is_unlocked: bool
    silent_s: float = 0.0


class Roster:
    """The workers, as one of them sees them.

    Silence counts only while we looked ourselves: after an outage, or when we were frozen, everybody has a
    whole time to beat again.
    """

    def __init__(self, worker_id: int, beat_s: float) -> None:
        self._me = worker_id
        self._beat_s = beat_s
        self._looked_at: float | None = None
        self._others: dict[int, _Seen] = {}

    def saw(self, now: float, beats: Mapping[int, int], unlocked: Collection[int] = ()) -> None:
        """The others' beats at an instant of our own steady clock, in seconds; and whose connection has ended."""
        passed_s = 0.0 if self._looked_at is None else now - self._looked_at
        counted_s = min(passed_s, _MOST_COUNTED_BEATS * self._beat_s)
        self._looked_at = now
        before, self._others = self._others, {}
        for worker_id, beat in sorted(beats.items()):
            seen = before.get(worker_id)
            if seen is None or seen.beat != beat:
                seen = _Seen(beat, worker_id in unlocked)
            else:
                seen.is_unlocked = worker_id in unlocked
                seen.silent_s += counted_s
            self._others[worker_id] = seen

    def living(self) -> list[int]:
        """By id, ourselves included."""
        return sorted([self._me, *(each for each in self._others if not self._is_dead(each))])

    def dead(self) -> list[int]:
        return [each for each in self._others if self._is_dead(each)]

    def _is_dead(self, worker_id: int) -> bool:
        seen = self._others[worker_id]
        beats = UNLOCKED_AFTER_BEATS if seen.is_unlocked else DEAD_AFTER_BEATS
        return seen.silent_s >= beats * self._beat_s

    def doubts(self) -> bool:
        """Whether somebody seems to have ended: the next look should come soon."""
        return any(seen.is_unlocked and not self._is_dead(each) for each, seen in self._others.items())


def share_of(campaign_id: int, workers: Iterable[int]) -> int:
    """Whose share the campaign is (rendezvous hashing): a worker that comes or goes moves only its own share."""
    return max(workers, key=lambda worker_id: (_weight(campaign_id, worker_id), worker_id))


def _weight(campaign_id: int, worker_id: int) -> int:
    digest = hashlib.blake2b(f"{campaign_id}:{worker_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
