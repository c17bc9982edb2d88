"""Answers that wait until every look that began before them has expired."""

import asyncio


class Settling:
    """Turns "it is durable" into "it is in force": `settles_s` later, on whatever worker texts are handed over."""

    def __init__(self, settles_s: float) -> None:
        self._settles_s = settles_s
        self._pending: dict[int, asyncio.Future[None]] = {}
        self._count = 0

    def in_force(self, durable: "asyncio.Future[None]") -> "asyncio.Future[None]":
        """Done `settles_s` after `durable`; an error or a cancellation is passed on at once."""
        loop = asyncio.get_running_loop()
        in_force: asyncio.Future[None] = loop.create_future()
        self._count += 1
        nth = self._count
        self._pending[nth] = in_force
        in_force.add_done_callback(lambda _: self._pending.pop(nth, None))

        def settle() -> None:
            if not in_force.done():
                in_force.set_result(None)

        def written(durable: "asyncio.Future[None]") -> None:
            if durable.cancelled():
                in_force.cancel()
            elif (error := durable.exception()) is None:
                loop.call_later(self._settles_s, settle)
            elif not in_force.done():
                in_force.set_exception(error)

        durable.add_done_callback(written)
        return in_force

    def close(self) -> None:
        """Nobody is told any more; what is durable stays so."""
        for in_force in list(self._pending.values()):
            in_force.cancel()
