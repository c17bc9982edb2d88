"""Group commit: order, one bad row, one lock, the database away, bounds, drain and close."""

import asyncio

import pytest
import simpy

from gateway.store.group_commit import Bound, CommitWindow, TooMuchWaits, WindowOptions
from gateway.store.troubles import DatabaseAway, DatabaseBusy, DatabaseGone
from simulator.rehearsal.loop import VirtualLoop, run


class BadRow(Exception):
    """What the store says of a row that it can't take."""


class Table:
    """Keeps what is written; refuses a batch that holds a bad row or one that is locked; may be away for some calls."""

    def __init__(
        self, *, takes_s: float = 0.0, away: int = 0, trouble: DatabaseAway | None = None, item_s: float = 0.0
    ) -> None:
        self.takes_s = takes_s
        self.item_s = item_s
        self.away = away
        self.trouble = trouble or DatabaseGone("away")
        self.locked: set[int] = set()
        self.batches: list[list[int]] = []
        self.rows: list[int] = []

    async def write(self, items: list[int]) -> list[str]:
        self.batches.append(list(items))
        await asyncio.sleep(self.takes_s + self.item_s * len(items))
        if self.away:
            self.away -= 1
            raise self.trouble
        if self.locked.intersection(items):
            raise DatabaseBusy("a lock was not to be had", is_lock=True)
        if any(item < 0 for item in items):
            raise BadRow(min(items))
        self.rows += items
        return [f"row {item}" for item in items]


def play(story, **window):
    """Runs `story(table, window)` in virtual time."""

    async def begin(loop: VirtualLoop):
        table = window.pop("table", None) or Table()
        return await story(table, CommitWindow(table.write, WindowOptions(**{"window_s": 1.0, **window})))

    return run(simpy.Environment(), begin)


def test_what_comes_within_a_window_is_one_batch_in_order():
    async def story(table, window):
        first = window.put(1)
        await asyncio.sleep(0.9)
        second = window.put(2)
        assert len(window) == 2
        assert await asyncio.gather(first, second) == ["row 1", "row 2"]
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)
        assert table.batches == [[1, 2]]

    play(story)


def test_a_caller_resumes_only_when_its_row_is_written():
    async def story(table, window):
        future = window.put(1)
        future.add_done_callback(lambda _: seen.append(list(table.rows)))
        seen: list[list[int]] = []
        await future
        assert seen == [[1]]

    play(story, table=Table(takes_s=0.5))


def test_a_full_window_does_not_wait():
    async def story(table, window):
        futures = [window.put(each) for each in range(5)]
        await asyncio.gather(*futures[:4])
        assert asyncio.get_running_loop().time() == 0.0
        await futures[4]
        assert table.batches == [[0, 1], [2, 3], [4]]

    play(story, max_items=2)


def test_batches_never_overlap_and_keep_the_order():
    async def story(table, window):
        futures = []
        for each in range(20):
            futures.append(window.put(each))
            await asyncio.sleep(0.3)
        assert await asyncio.gather(*futures) == [f"row {each}" for each in range(20)]
        assert table.rows == list(range(20))

    play(story, table=Table(takes_s=2.5), max_items=4)


def test_the_age_of_the_oldest_item_is_known_while_it_waits_and_is_written():
    async def story(table, window):
        time = asyncio.get_running_loop().time
        assert window.oldest_at is None
        futures = []
        for _ in range(5):  # at 0, 1, 2, 3 and 4: two by two, written within 10 s
            futures.append(window.put(1))
            await asyncio.sleep(1)
        seen = {}
        while not futures[-1].done():
            seen[time()] = window.oldest_at
            await asyncio.sleep(1)
        assert {at: seen[at] for at in (5.0, 10.0, 12.0, 20.0, 22.0, 35.0)} == {
            5.0: 0.0,
            10.0: 0.0,
            12.0: 2.0,
            20.0: 2.0,
            22.0: 4.0,
            35.0: 4.0,
        }
        assert window.oldest_at is None

    play(story, table=Table(takes_s=10.0), max_items=2, window_s=5.0)


def test_one_bad_row_harms_only_itself():
    async def story(table, window):
        results = await asyncio.gather(*map(window.put, [1, -2, 3]), return_exceptions=True)
        assert results[0] == "row 1"
        assert isinstance(results[1], BadRow)
        assert results[2] == "row 3"
        assert table.rows == [1, 3]
        assert await window.put(4) == "row 4"

    play(story)


def test_while_the_database_is_away_the_batch_waits_and_nobody_is_told():
    async def story(table, window):
        futures = [window.put(1), window.put(2)]
        await asyncio.sleep(1.25)
        assert len(table.batches) == 2
        assert not futures[0].done()
        assert await asyncio.gather(*futures) == ["row 1", "row 2"]
        assert table.batches == [[1, 2]] * 6
        assert table.rows == [1, 2]

    play(story, table=Table(away=5))


def test_the_wait_for_the_database_grows_to_a_most():
    async def story(table, window):
        await window.put(1)
        # 1 s window, then 0.1 + 0.2 + 0.4 + 0.8 s and six times the most, 1 s
        assert asyncio.get_running_loop().time() == pytest.approx(1 + 1.5 + 6 * 1)

    play(story, table=Table(away=10))


@pytest.mark.parametrize(
    "trouble",
    [DatabaseGone("away"), DatabaseBusy("the disk is full"), DatabaseBusy("cancelled", is_local=True)],
    ids=["gone", "refuses", "cancelled"],
)
def test_a_trouble_of_the_database_takes_no_batch_apart(trouble: DatabaseAway):
    async def story(table, window):
        futures = [window.put(each) for each in range(3)]
        assert await asyncio.gather(*futures) == ["row 0", "row 1", "row 2"]
        assert table.batches == [[0, 1, 2]] * 5

    play(story, table=Table(away=4, trouble=trouble))


def test_a_short_lock_takes_no_batch_apart():
    async def story(table, window):
        table.locked = {2}
        futures = [window.put(each) for each in range(3)]
        await asyncio.sleep(1.05)
        table.locked = set()
        await asyncio.gather(*futures)
        assert table.batches == [[0, 1, 2]] * 2

    play(story)


def test_a_long_lock_holds_up_only_its_row():
    async def story(table, window):
        table.locked = {2}
        futures = [window.put(each) for each in range(4)]
        await asyncio.sleep(1.5)
        assert [future.done() for future in futures] == [True, True, False, True]
        assert window.oldest_at == 0.0
        later = [window.put(each) for each in (10, 11)]
        await asyncio.sleep(1.5)
        assert all(future.done() for future in later)
        assert not futures[2].done()
        table.locked = set()
        assert await futures[2] == "row 2"
        assert table.rows == [0, 1, 3, 10, 11, 2]
        assert window.is_idle

    play(story)


def test_many_long_locks_cost_one_wait_a_round():
    async def story(table, window):
        table.locked = set(range(50))
        futures = [window.put(each) for each in range(50)]
        await asyncio.sleep(1.5)
        before = len(table.batches)
        await window.put(100)
        assert len(table.batches) <= before + 3
        table.locked = set()
        await asyncio.gather(*futures)
        assert sorted(table.rows) == [*range(50), 100]

    play(story)


def test_a_locked_row_that_is_also_bad_gets_its_error():
    async def story(table, window):
        table.locked = {-1}
        futures = [window.put(each) for each in (-1, 1)]
        await asyncio.sleep(3)
        table.locked = set()
        with pytest.raises(BadRow):
            await futures[0]
        assert await futures[1] == "row 1"

    play(story)


def test_while_the_database_is_away_what_waits_is_bounded():
    async def story(table, window):
        taken, refused = [], 0
        for each in range(100):
            await asyncio.sleep(0.1)
            try:
                taken.append(window.put(each))
            except TooMuchWaits:
                refused += 1
        assert (len(taken), refused) == (7, 93)
        table.away = 0
        await asyncio.gather(*taken)
        assert (bound.items, bound.bytes) == (0, 0)
        await window.put(1000)

    bound = Bound(most_items=7, most_bytes=10**6)
    play(story, table=Table(away=10**6), bound=bound)


def test_bytes_are_bounded_too_and_what_must_be_taken_is():
    async def story(table, window):
        first = window.put(60)
        second = window.put(60)  # the one that passes the bound is still taken
        with pytest.raises(TooMuchWaits):
            window.put(1)
        third = window.put(1, always=True)
        await asyncio.gather(first, second, third)
        assert (bound.items, bound.bytes) == (0, 0)

    bound = Bound(most_items=1000, most_bytes=100)
    play(story, bound=bound, size_of=lambda item: item)


def test_a_batch_is_taken_whole_or_not_at_all():
    async def story(_table, window):
        window.require_room(10)
        with pytest.raises(TooMuchWaits):
            window.require_room(11)

    play(story, bound=Bound(most_items=10, most_bytes=0))


def test_nobody_is_taken_in_who_would_wait_for_too_long():
    """Twice as many come as can be written: half is refused, and who is taken waits about as long as is allowed."""

    async def story(table, window):
        time = asyncio.get_running_loop().time
        waits, refused = [], 0
        for each in range(20_000):  # 2,000 a second, of which 1,000 can be written
            asked_at = time()
            try:
                window.put(each).add_done_callback(
                    lambda _, asked_at=asked_at: waits.append(time() - asked_at)
                )
            except TooMuchWaits:
                refused += 1
            await asyncio.sleep(0.0005)
        await window.drain()
        assert len(waits) + refused == 20_000
        assert len(waits) > 9_000
        assert max(waits[1000:]) < 1.5

    play(story, table=Table(item_s=0.001), window_s=0.01, longest_wait_s=1.0)


def test_a_slow_database_that_writes_row_by_row_is_no_measure_of_the_pace():
    async def story(_table, window):
        for each in range(100):
            await window.put(each)
        for each in range(200):  # at a second each they would take minutes, together they take one
            window.put(each)
        await window.drain()

    play(story, table=Table(takes_s=1.0), window_s=0.01, longest_wait_s=5.0)


def test_a_caller_that_gave_up_may_want_its_row_no_more():
    async def story(table, window):
        given_up, other = window.put(1), window.put(2)
        given_up.cancel()
        assert await other == "row 2"
        assert table.rows == [2]
        only = window.put(3)
        only.cancel()
        await asyncio.sleep(5)
        assert table.batches == [[2]]
        assert bound.items == 0

    bound = Bound(most_items=10, most_bytes=0)
    play(story, drops_given_up=True, bound=bound)


def test_drain_writes_what_is_left_at_once():
    async def story(table, window):
        futures = [window.put(each) for each in range(7)]
        await window.drain()
        assert all(future.done() for future in futures)
        assert table.rows == list(range(7))
        assert len(window) == 0
        assert asyncio.get_running_loop().time() < 1.0

    play(story, max_items=50)


def test_drain_waits_for_what_comes_while_it_writes():
    async def story(table, window):
        first = window.put(1)
        draining = asyncio.ensure_future(window.drain())
        await asyncio.sleep(0.1)
        second = window.put(2)
        await draining
        assert (first.done(), second.done()) == (True, True)

    play(story, table=Table(takes_s=0.5))


def test_close_forgets_what_is_not_written_yet():
    async def story(table, window):
        future = window.put(1)
        window.close()
        await asyncio.sleep(60)
        assert table.batches == []
        assert future.cancelled()  # its caller is not left waiting for ever, and was told nothing

    play(story)


def test_close_while_a_batch_is_written_starts_no_other():
    """A crash: what waits behind the batch under way is not written by the dead."""

    async def story(table, window):
        window.put(1)
        await asyncio.sleep(1.1)  # the first batch is being written
        window.put(2)
        window.close()
        await asyncio.sleep(60)
        assert table.batches == [[1]]

    play(story, table=Table(takes_s=0.5))


def test_a_caller_that_gave_up_harms_nobody():
    async def story(table, window):
        given_up, other = window.put(1), window.put(2)
        given_up.cancel()
        assert await other == "row 2"
        assert table.rows == [1, 2]

    play(story)
