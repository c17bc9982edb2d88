"""Who must answer before a worker calls itself ready: each is asked by one at a time, within a limit, and kept for seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

Ping = Callable[[], Awaitable[object]]
OK: Final = "ok"
NO_ANSWER: Final = "no answer"
LIMIT_S: Final = 2.0
BAD_KEPT_S: Final = 2.0
"""Of trouble we ask again soon, but not for every probe: who is in trouble needs no more questions."""


class Asked:
    """A part of the worker and its last word: "ok", or the class of what went wrong.

    The words of a failure are not told: they may hold an address or a secret.
    """

    def __init__(self, ping: Ping, *, kept_s: float) -> None:
        self._ping = ping
        self._kept_s = kept_s
        self._word = ""
        self._good_until = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def word(self) -> str:
        """At most LIMIT_S old or late, or `kept_s` old while all is well."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._good_until:
            return self._word
        if self._asking is None or self._asking.done():
            self._asking = loop.create_task(self._ask(), name="readiness")
        done, _ = await asyncio.wait({self._asking}, timeout=LIMIT_S)
        if not done:  # the question stays open, and nobody asks a second one beside it
            self._asking.cancel()
            self._keep(NO_ANSWER, BAD_KEPT_S)
        return self._word

    async def _ask(self) -> None:
        try:
            await self._ping()
        except Exception as error:  # noqa: BLE001 - whatever it is, this part is not ready
            self._keep(type(error).__name__, BAD_KEPT_S)
        else:
            self._keep(OK, self._kept_s)

    def _keep(self, word: str, kept_s: float) -> None:
        self._word = word
        self._good_until = asyncio.get_running_loop().time() + kept_s
