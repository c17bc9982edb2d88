"""Whoever asks while a claim is under way shares the next: a storm is a few statements, and each gets their own bucket."""

import asyncio

import pytest

from gateway.p2p import shared_claims
from gateway.p2p.shared_claims import SharedClaims, Where
from gateway.store.buckets import Claimed, Wanted
from gateway.store.troubles import DatabaseBusy

HERE = (1, 5)


class Books:
    """Gives everybody as many contacts as they want; writes when it may."""

    def __init__(self) -> None:
        self.written: list[list[Wanted]] = []
        self.writes = asyncio.Event()
        self.may_write = asyncio.Event()
        self.fails: Exception | None = None
        self.next_contact = 1

    async def write(self, _where: Where, wanted: list[Wanted]) -> list[Claimed]:
        self.written.append(wanted)
        self.writes.set()
        await self.may_write.wait()
        if self.fails is not None:
            raise self.fails
        return [self._given(each) for each in wanted]

    def _given(self, wanted: Wanted) -> Claimed:
        first = self.next_contact
        self.next_contact += wanted.size
        return Claimed(len(self.written), list(range(first, self.next_contact)), is_new=True)


async def test_a_storm_is_a_few_statements_in_the_order_of_those_who_ask() -> None:
    books = Books()
    claims = SharedClaims(books.write)
    books.may_write.set()
    given = await asyncio.gather(*(claims.claim(HERE, Wanted(each, None, 100)) for each in range(500)))
    assert [mine.contact_ids[0] for mine in given] == list(range(1, 50_001, 100))
    assert len(books.written) == 25
    assert max(sum(each.size for each in batch) for batch in books.written) == shared_claims.MOST_CONTACTS
    assert claims._waiting == claims._writers == {}


async def test_nobody_is_twice_in_a_statement_and_who_gave_up_in_none() -> None:
    books = Books()
    claims = SharedClaims(books.write)
    loop = asyncio.get_running_loop()
    first = loop.create_task(claims.claim(HERE, Wanted(1, None, 10)))
    await books.writes.wait()
    others = [loop.create_task(claims.claim(HERE, Wanted(each, None, 10))) for each in (2, 3, 2, 4)]
    elsewhere = loop.create_task(claims.claim((1, 6), Wanted(2, None, 10)))
    await asyncio.sleep(0)
    others[1].cancel()
    books.may_write.set()
    await asyncio.gather(first, elsewhere, *others, return_exceptions=True)
    asked = [[each.volunteer_id for each in batch] for batch in books.written]
    assert asked == [[1], [2], [2, 4], [2]]


async def test_a_bucket_larger_than_a_statement_is_claimed_alone() -> None:
    books = Books()
    claims = SharedClaims(books.write)
    books.may_write.set()
    await asyncio.gather(*(claims.claim(HERE, Wanted(each, None, 5_000)) for each in range(3)))
    assert [len(batch) for batch in books.written] == [1, 1, 1]


async def test_what_a_statement_fails_with_is_for_those_in_it_and_the_next_goes_on() -> None:
    books = Books()
    claims = SharedClaims(books.write)
    books.may_write.set()
    books.fails = DatabaseBusy("a lock")
    failed = await asyncio.gather(
        *(claims.claim(HERE, Wanted(each, None, 1)) for each in (1, 2)), return_exceptions=True
    )
    assert failed == [books.fails] * 2
    books.fails = None
    assert (await claims.claim(HERE, Wanted(1, None, 1))).contact_ids == [1]


async def test_only_so_many_wait_and_at_the_end_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_claims, "MOST_WAITING", 3)
    books = Books()
    claims = SharedClaims(books.write)
    loop = asyncio.get_running_loop()
    waiting = [loop.create_task(claims.claim(HERE, Wanted(0, None, 1)))]
    await books.writes.wait()
    waiting += [loop.create_task(claims.claim(HERE, Wanted(each, None, 1))) for each in range(1, 4)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseBusy, match="too many wait for a bucket"):
        await claims.claim(HERE, Wanted(7, None, 1))
    claims.close()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in ended] == [asyncio.CancelledError] * 4
    assert claims._waiting == claims._writers == {}
