"""One commit window a campaign: what holds up one campaign's rows holds up nobody else's."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import Final, Generic, TypeVar

from gateway.store.group_commit import CommitWindow, Item, Result, WindowOptions

Key = TypeVar("Key", bound=Hashable)
_IDLE_KEPT: Final = 64  # they know their pace; more than that is forgotten


def _nobody(_campaign: object) -> None:
    """Nothing."""


class CampaignWindows(Generic[Key, Item, Result]):
    """The windows of one station, by what names a campaign there; all of them share its bound. An idle one may go."""

    def __init__(
        self, write: Callable[[Key, list[Item]], Awaitable[list[Result]]], options: WindowOptions
    ) -> None:
        self._write = write
        self._options = options
        self._windows: OrderedDict[Key, CommitWindow[Item, Result]] = OrderedDict()
        self.wrote: Callable[[Key], None] = _nobody  # is told of each write, also of one that may have failed

    def put(self, campaign: Key, item: Item, *, always: bool = False) -> "asyncio.Future[Result]":
        """Adds an item to its campaign's window. Raises TooMuchWaits unless it must be taken `always`."""
        window = self._windows.get(campaign)
        if window is None:
            window = self._opened(campaign)
        return window.put(item, always=always)

    def require_room(self, campaign: Key, items: int = 1) -> None:
        """Raises TooMuchWaits when so many more can't be taken now."""
        window = self._windows.get(campaign)
        if window is None:
            window = self._opened(campaign)
        window.require_room(items)

    async def drain(self) -> None:
        """Writes what is left and waits until nothing is."""
        while busy := [window for window in self if not window.is_idle]:
            await asyncio.gather(*(window.drain() for window in busy))

    async def written(self, campaign: Key, within_s: float) -> None:
        """Until what waits now of a campaign has its end; no longer than `within_s`."""
        if (window := self._windows.get(campaign)) is not None:
            await window.written(within_s)

    def close(self) -> list[Item]:
        """Stops at once, as a crash would; returns what nobody was told is durable."""
        return [item for window in self for item in window.close()]

    def __iter__(self) -> Iterator[CommitWindow[Item, Result]]:
        return iter(list(self._windows.values()))

    def __len__(self) -> int:
        """How many items wait to be written."""
        return sum(len(window) for window in self._windows.values())

    def waiting(self, campaign: Key) -> int:
        """How many items of a campaign wait to be written."""
        window = self._windows.get(campaign)
        return 0 if window is None else len(window)

    def _opened(self, campaign: Key) -> CommitWindow[Item, Result]:
        async def write(items: list[Item]) -> list[Result]:
            try:
                return await self._write(campaign, items)
            finally:
                self.wrote(campaign)

        window = self._windows[campaign] = CommitWindow(write, self._options)
        self._forget_idle()
        return window

    def _forget_idle(self) -> None:
        """The oldest idle ones go; the newest is about to be used."""
        if len(self._windows) <= _IDLE_KEPT:
            return
        idle = [each for each, window in self._windows.items() if window.is_idle][:-1]
        for campaign in idle[: len(self._windows) - _IDLE_KEPT]:
            del self._windows[campaign]
