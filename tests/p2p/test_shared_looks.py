"""However many ask at once, one looks at a time, and nobody is told what was read before they asked."""

import asyncio

import pytest

from gateway.p2p.shared_looks import SharedLooks


class Books:
    """What is looked at: a number that rises, and how often it was read."""

    def __init__(self) -> None:
        self.number = self.looks = 0
        self.may_end = asyncio.Event()

    async def read(self) -> int:
        self.looks += 1
        number = self.number
        await self.may_end.wait()
        return number


async def test_who_asks_while_one_looks_shares_the_next() -> None:
    books, looks = Books(), SharedLooks[int]()
    loop = asyncio.get_running_loop()
    first = loop.create_task(looks.look("inbox", books.read))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    books.number = 1
    others = [loop.create_task(looks.look("inbox", books.read)) for _ in range(500)]
    await asyncio.sleep(0)
    others[0].cancel()  # harms nobody else
    books.may_end.set()
    assert await first == 0
    assert set(await asyncio.gather(*others[1:])) == {1}
    assert books.looks == 2
    books.number = 2
    assert await looks.look("inbox", books.read) == 2
    assert looks._under_way == looks._next == {}


async def test_who_asks_just_as_one_ends_waits_behind_the_next() -> None:
    books, looks = Books(), SharedLooks[int]()
    loop = asyncio.get_running_loop()
    late: list[asyncio.Task[int]] = []

    async def read() -> int:
        number = await books.read()
        if not late:
            loop.call_soon(lambda: late.append(loop.create_task(looks.look("inbox", read))))
        return number

    both = [loop.create_task(looks.look("inbox", read)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    both.append(loop.create_task(looks.look("inbox", read)))
    books.may_end.set()
    await asyncio.gather(*both)
    assert await asyncio.gather(*late) == [0]
    assert looks._under_way == looks._next == {}


async def test_other_things_wait_for_nobody() -> None:
    books, looks = Books(), SharedLooks[int]()
    held = asyncio.get_running_loop().create_task(looks.look("one", books.read))
    await asyncio.sleep(0)
    other = Books()
    other.may_end.set()
    assert await looks.look("two", other.read) == 0
    books.may_end.set()
    assert await held == 0


async def test_what_goes_wrong_is_told_to_those_who_waited_and_to_nobody_later() -> None:
    async def broken() -> int:
        raise OSError("away")

    looks = SharedLooks[int]()
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await looks.look("inbox", broken)
    books = Books()
    books.may_end.set()
    assert await looks.look("inbox", books.read) == 0
