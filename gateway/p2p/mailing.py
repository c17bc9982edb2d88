"""Mails of announcements go out: a few at a time, none lost when a worker ends in the middle, and none for ever."""

import asyncio
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.p2p.sign_in_codes import Mail, Post
from gateway.store import announcements
from gateway.store.announcements import DueMail
from gateway.store.database import Database

MOST_AT_ONCE: Final = 200  # of one turn
MOST_TRIES: Final = 5
AGAIN_S: Final = 600.0
EVERY_S: Final = 10.0
_SIDE_BY_SIDE: Final = 4

_ENDS: Final = {
    "en": "\n\n--\n{campaign}. Nobody reads answers to this address. To get no more of these mails, sign in and "
    "turn off mails in your settings.\n",
    "es": "\n\n--\n{campaign}. Nadie lee las respuestas a esta dirección. Para no recibir más correos, inicie sesión y "
    "desactive los correos en sus ajustes.\n",
}
_log = structlog.get_logger("textbank.mailing")


class Mailing:
    """Sends what is due. A mail that nobody takes is tried again after ten minutes, five times in all."""

    def __init__(self, database: Database, clock: Clock, post: Post) -> None:
        self._database = database
        self._clock = clock
        self._post = post

    async def run(self, _done_until: float | None) -> float:
        """A turn; says until when it is done."""
        now = self._clock.now()
        due = await announcements.take_mails(
            self._database, now, now + AGAIN_S, limit=MOST_AT_ONCE, most_tries=MOST_TRIES
        )
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)
        await asyncio.gather(*(self._send(each, gate) for each in due))
        return now

    async def _send(self, due: DueMail, gate: asyncio.Semaphore) -> None:
        async with gate:
            if due.to is not None:
                text = due.body + _ENDS[due.language].format(campaign=due.campaign)
                try:
                    await self._post(Mail(due.to, f"{due.campaign}: {due.title}", text))
                except Exception as error:  # noqa: BLE001 - a server may fail in any way; it is tried again
                    _log.warning("nobody took a mail", notice=due.notice_id, error=type(error).__name__)
                    return
            await announcements.sent(self._database, due.key, [due.notice_id])
