"""What a worker does again and again beside the messages."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.store.troubles import DatabaseAway

_log = structlog.get_logger("textbank.periodic")


async def tried(once: Callable[[], Awaitable[object]], what: str) -> None:
    """Does it; a defect is told in the log, and is not the end of who does it again.

    That the database is away is nothing to tell of: whoever waits for it does.
    """
    try:
        await once()
    except DatabaseAway:
        pass
    except Exception:  # noqa: BLE001 - a defect must not end it for good
        _log.exception("periodic work met a defect", work=what)


async def repeatedly(
    once: Callable[[], Awaitable[object]], rest_s: Callable[[float], float], what: str
) -> None:
    """Does it, and rests for `rest_s(seconds it took)`; what goes wrong is tried again."""
    time = asyncio.get_running_loop().time
    while True:
        began_at = time()
        await tried(once, what)
        await asyncio.sleep(rest_s(time() - began_at))


async def every(every_s: float, once: Callable[[], Awaitable[object]], what: str) -> None:
    """Does it for ever, with the same rest after each time."""
    await repeatedly(once, lambda _: every_s, what)
