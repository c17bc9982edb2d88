"""Whether the provider is away, told in the log once when it begins, now and then while it lasts, and at its end.

One call that fails among others is no outage: the metrics count it.
"""

import asyncio
from typing import Final

import structlog

_LASTS_S: Final = 5.0
_FEW: Final = 3
_MANY: Final = 10  # in a row, however fast
_EACH_NTH: Final = 100
_log = structlog.get_logger("gateway.provider")


class ProviderOutage:
    """Counts calls in a row without an answer. Times are the running loop's."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._since = 0.0  # of the first of them
        self._failures = 0
        self._told_at = 0  # how many there were when it was told last; 0: it was not

    @property
    def is_on(self) -> bool:
        return self._told_at > 0

    def failed(self, outcome: str) -> None:
        """A call had no answer: it could not be made (error), or none came (timeout)."""
        now = asyncio.get_running_loop().time()
        if not self._failures:
            self._since = now
        self._failures += 1
        if self._is_to_be_told(now - self._since):
            self._told_at = self._failures
            _log.warning(
                "the provider is away",
                provider=self._provider,
                outcome=outcome,
                failures=self._failures,
                for_s=round(now - self._since, 1),
            )

    def _is_to_be_told(self, for_s: float) -> bool:
        if self._told_at:
            return self._failures - self._told_at >= _EACH_NTH
        return self._failures >= _MANY or (self._failures >= _FEW and for_s >= _LASTS_S)

    def answered(self) -> None:
        """Whatever it said: it is there."""
        if self._told_at:
            away_s = round(asyncio.get_running_loop().time() - self._since, 1)
            _log.warning(
                "the provider is back", provider=self._provider, away_s=away_s, failures=self._failures
            )
        self._failures = self._told_at = 0
