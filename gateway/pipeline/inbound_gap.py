"""Whether people's texts may have been lost that nobody has fetched yet: until they are, nothing is sent.

A webhook that met a closed door, a frozen process or a database that was away is given up by the provider within
seconds. What it brought may have been a STOP. So whoever sends asks here first, and whoever fetches
(upkeep/inbound_poll.py) says here how far it has come. A request to fetch is a number that only grows; a fetch
answers all requests that were made before it began.
"""

import asyncio
from collections.abc import Callable

import structlog

_log = structlog.get_logger("textbank.inbound_gap")
_FROZEN_S = 5.0  # a webhook is tried for 15 s; a shorter pause of ours is not noticed
_AWAY_S = 5.0  # a provider that can't be reached for so long can't reach us either


def _never_away() -> float | None:
    return None


class InboundGap:
    """One worker's gap. Nobody fetches until `watch` is called: then there is never a gap."""

    __slots__ = (
        "_away_since",
        "_fetched",
        "_go_on",
        "_held",
        "_is_watched",
        "_requested",
        "_requests",
        "_seen_at",
        "_steady",
        "frozen_s",
        "opened_at",
        "why",
    )

    def __init__(self, steady: Callable[[], float], go_on: Callable[[], None]) -> None:
        """`go_on` is called when a fetch is done."""
        self._steady = steady
        self._go_on = go_on
        self._away_since: Callable[[], float | None] = _never_away
        self._is_watched = False
        self._requested = 0  # the last request to fetch
        self._held = 0  # the last one for which all of this worker's sending waits
        self._fetched = 0  # the last one that is answered
        self._requests = asyncio.Event()
        self._seen_at = 0.0
        self.frozen_s = _FROZEN_S  # who stands still for so long may have missed webhooks
        self.opened_at: float | None = None  # by `steady`
        self.why = ""

    def watch(self, away_since: Callable[[], float | None] = _never_away) -> None:
        """Somebody fetches from now on. `away_since`: since when the provider can't be reached, by `steady`."""
        self._is_watched = True
        self._away_since = away_since
        self._seen_at = self._steady()

    @property
    def is_open(self) -> bool:
        """Whether all sending waits for lost texts; also when this process has just been frozen."""
        if not self._is_watched:
            return False
        self.look()
        return self._fetched < self._held

    def look(self) -> None:
        """Opens the gap when we stood still, or the provider was away; called at least once a second."""
        now = self._steady()
        still_s = now - self._seen_at
        self._seen_at = now
        away_since = self._away_since()
        if still_s > self.frozen_s:
            self.open("this process stood still")
        elif away_since is not None and now - away_since > _AWAY_S and self._fetched >= self._held:
            self.open("the provider could not be reached")

    def open(self, why: str) -> None:
        """All sending waits until the texts up to now are fetched."""
        if not self._is_watched:
            return
        self._held = self.request()
        if self.opened_at is None:
            self.opened_at = self._steady()
            self.why = why
            _log.warning("sending waits until lost texts are fetched", why=why)

    def request(self) -> int:
        """Asks for a fetch without holding everybody up; `has` tells when it is done."""
        if not self._is_watched:
            return 0
        self._requested += 1
        self._requests.set()
        return self._requested

    def hold(self, *, wants_fetch: bool) -> "Hold":
        """A campaign's that this worker takes up now: texts to its numbers may have been lost before."""
        return Hold(self, self.request() if wants_fetch else 0)

    def has(self, request: int) -> bool:
        """Whether that request is answered: what had come to the provider before it is in our books."""
        return request <= self._fetched

    @property
    def open_s(self) -> float:
        """For how long sending has waited; 0: it does not."""
        return 0.0 if self.opened_at is None else self._steady() - self.opened_at

    # ------------------------------------------------------------ whoever fetches

    async def wait(self) -> int:
        """Waits until a fetch is wanted; returns what `close` is to be told when it is done."""
        while self._requested <= self._fetched:
            self._requests.clear()
            await self._requests.wait()
        return self._requested

    def close(self, request: int) -> None:
        """All requests up to this one are answered."""
        self._fetched = max(self._fetched, request)
        if self.opened_at is not None and self._fetched >= self._held:
            waited_s = round(self._steady() - self.opened_at, 3)
            _log.info("lost texts are fetched, sending goes on", why=self.why, waited_s=waited_s)
            self.opened_at, self.why = None, ""
        self._go_on()


class Hold:
    """What keeps one campaign's texts back: the worker's gap, or the fetch that its taking up asked for."""

    __slots__ = ("_gap", "_request")

    def __init__(self, gap: InboundGap, request: int) -> None:
        self._gap = gap
        self._request = request

    @property
    def is_on(self) -> bool:
        return self._gap.is_open or not self._gap.has(self._request)
