"""Word between workers over LISTEN and NOTIFY: sooner than looking, and no more than a hint.

A word may be lost, with its connection or before anybody listened. Whoever acts on one also looks by itself now and
then.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import structlog

from gateway.store.database import Connection, Database
from gateway.store.ownership import hold_lock
from gateway.store.troubles import DatabaseAway

_log = structlog.get_logger("gateway.notices")
_PULSE_S = 5.0  # how soon a listening connection is found dead that nobody closed
_AGAIN_FIRST_S, _AGAIN_MOST_S = 0.2, 5.0
_IDS_A_WORD = 300  # a payload holds 8,000 bytes


class Subject(StrEnum):
    """What a word is about; the campaigns come with it."""

    QUEUE = "textbank_queue"  # there is something in the queue that did not come through the owner
    CAMPAIGN = "textbank_campaign"  # made, paused or changed
    OWNER = "textbank_owner"  # without an owner, or asked for


Heard = Callable[[Subject, list[int]], None]


class Notices:
    """A worker's ear. `missed` is called when it listens, again or for the first time: words may have been lost.

    While it listens it holds the worker's lock, so that a worker whose process has ended is known for dead at once
    (`ownership.beat`).
    """

    def __init__(self, database: Database, heard: Heard, missed: Callable[[], None]) -> None:
        self._database = database
        self._heard = heard
        self._missed = missed
        self.is_listening = False

    async def run(self, worker_id: int) -> None:
        """For ever; a connection that breaks is opened again."""
        again_s = _AGAIN_FIRST_S
        while True:
            try:
                async with self._database.connection() as connection:
                    await self._listen(connection, worker_id)
                    again_s = _AGAIN_FIRST_S
                    await self._until_broken(connection)
            except DatabaseAway:
                pass
            except Exception:  # noqa: BLE001 - words are a hint: without them it is only slower
                _log.exception("listening failed")
            finally:
                self.is_listening = False
            await asyncio.sleep(again_s)
            again_s = min(_AGAIN_MOST_S, 2 * again_s)

    async def _listen(self, connection: Connection, worker_id: int) -> None:
        await hold_lock(connection, worker_id)
        for subject in Subject:
            await connection.add_listener(subject, self._hear)
        self.is_listening = True
        self._missed()

    async def _until_broken(self, connection: Connection) -> None:
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _: broken.set())
        while not broken.is_set() and not connection.is_closed():
            try:
                async with asyncio.timeout(_PULSE_S):
                    await broken.wait()
            except TimeoutError:
                await connection.fetchval("SELECT 1")

    def _hear(self, _connection: Connection, _process: int, channel: str, payload: str) -> None:
        self._heard(Subject(channel), [int(each) for each in payload.split(",") if each.isdecimal()])


class Notifier:
    """Tells the other workers; many words within a moment are one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._to_tell: dict[Subject, dict[int, None]] = {}
        self._telling: asyncio.Task[None] | None = None

    def tell(self, subject: Subject, campaign_ids: Iterable[int]) -> None:
        """Nobody waits for it, and what can't be told now is left to those who look by themselves."""
        self._to_tell.setdefault(subject, {}).update(dict.fromkeys(campaign_ids))
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._run(), name="notifier")

    async def drain(self) -> None:
        if self._telling is not None:
            await asyncio.wait([self._telling])

    def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()

    async def _run(self) -> None:
        try:
            while self._to_tell:
                words, self._to_tell = self._to_tell, {}
                for subject, campaign_ids in words.items():
                    await notify(self._database, subject, list(campaign_ids))
        except Exception as error:  # noqa: BLE001 - a hint
            _log.info("other workers can't be told", why=str(error))
        finally:
            self._telling = None


async def notify(database: Database, subject: Subject, campaign_ids: Sequence[int]) -> None:
    """In a statement of its own: a commit that notifies waits for every other one that does."""
    for first in range(0, max(1, len(campaign_ids)), _IDS_A_WORD):
        some = ",".join(str(each) for each in campaign_ids[first : first + _IDS_A_WORD])
        await database.execute("SELECT pg_notify($1, $2)", subject.value, some)
