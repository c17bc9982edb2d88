"""Word between workers: heard at once, again after a lost connection, and a lock that ends with its process."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.store import ownership
from gateway.store.database import Database
from gateway.store.notices import Notices, Notifier, Subject, notify

PATIENCE_S = 20.0
NOW = 1_773_154_800.0


class Ear:
    """A worker that listens."""

    def __init__(self, dsn: str, worker_id: int = 1) -> None:
        self.database = Database(dsn, connections=1)
        self.words: asyncio.Queue[tuple[Subject, list[int]]] = asyncio.Queue()
        self.listening = asyncio.Semaphore(0)
        self.notices = Notices(self.database, self._hear, self.listening.release)
        self._task = asyncio.create_task(self.notices.run(worker_id))

    def _hear(self, subject: Subject, campaign_ids: list[int]) -> None:
        self.words.put_nowait((subject, campaign_ids))

    async def begins(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.listening.acquire()

    async def next(self) -> tuple[Subject, list[int]]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.words.get()

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.database.close()


@pytest.fixture
async def ear(dsn: str) -> AsyncIterator[Ear]:
    listener = Ear(dsn)
    await listener.begins()
    yield listener
    await listener.end()


@pytest.mark.parametrize("subject", Subject)
async def test_a_word_is_heard(ear: Ear, database: Database, subject: Subject):
    await notify(database, subject, [3, 2**40])
    assert await ear.next() == (subject, [3, 2**40])


async def test_many_campaigns_are_told_in_several_words(ear: Ear, database: Database):
    everybody = list(range(10**12, 10**12 + 1000))
    await notify(database, Subject.QUEUE, everybody)
    heard: list[int] = []
    while len(heard) < len(everybody):
        heard += (await ear.next())[1]
    assert heard == everybody


async def test_words_of_one_moment_are_one(ear: Ear, database: Database):
    notifier = Notifier(database)
    for campaign_id in (1, 2, 1, 3):
        notifier.tell(Subject.QUEUE, [campaign_id])
    await notifier.drain()
    assert await ear.next() == (Subject.QUEUE, [1, 2, 3])
    assert ear.words.empty()


async def test_who_cannot_be_told_is_no_trouble_of_who_tells():
    notifier = Notifier(Database("postgresql://nobody@127.0.0.1:1/none"))
    notifier.tell(Subject.OWNER, [1])
    await notifier.drain()


async def test_after_a_lost_connection_it_listens_again(ear: Ear, database: Database):
    ended = await database.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1"
    )
    assert len(ended) == 1
    await ear.begins()
    await notify(database, Subject.QUEUE, [1])
    assert await ear.next() == (Subject.QUEUE, [1])


async def test_a_worker_whose_process_has_ended_is_seen_to_hold_no_lock(dsn: str, database: Database):
    ear = Ear(dsn, worker_id=7)
    await ear.begins()
    await ownership.beat(database, 7, "there:7", 1, NOW, [], holds_lock=True)
    assert (await ownership.beat(database, 8, "here:8", 1, NOW, [])).unlocked == []
    await ear.end()
    assert (await ownership.beat(database, 8, "here:8", 2, NOW, [])).unlocked == [7]
