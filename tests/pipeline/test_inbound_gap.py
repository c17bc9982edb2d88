"""The gap: who sends waits until what may have been lost is fetched; a fetch answers only what was asked before it."""

import asyncio

import pytest

from gateway.pipeline.inbound_gap import InboundGap


def nobody_waits() -> None:
    """Nothing."""


class Steady:
    def __init__(self) -> None:
        self.now = 100.0
        self.away_since: float | None = None

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def steady() -> Steady:
    return Steady()


@pytest.fixture
def gap(steady: Steady) -> InboundGap:
    gap = InboundGap(steady, nobody_waits)
    gap.watch(lambda: steady.away_since)
    return gap


def test_without_anybody_who_fetches_there_is_never_a_gap(steady: Steady) -> None:
    gap = InboundGap(steady, nobody_waits)
    gap.open("a start")
    steady.now += 3600
    assert not gap.is_open
    assert gap.has(gap.request())


async def test_a_fetch_closes_it(gap: InboundGap, steady: Steady) -> None:
    gap.open("a start")
    steady.now += 3
    assert gap.is_open
    assert gap.open_s == 3
    gap.close(await gap.wait())
    assert not gap.is_open
    assert gap.open_s == 0


async def test_a_fetch_that_was_under_way_does_not_answer_for_what_came_later(gap: InboundGap) -> None:
    gap.open("a start")
    under_way = await gap.wait()
    gap.open("a text could not be kept")
    gap.close(under_way)
    assert gap.is_open
    gap.close(await gap.wait())
    assert not gap.is_open


async def test_a_new_owner_waits_and_nobody_else(gap: InboundGap) -> None:
    older, mine, new_campaign = (
        gap.hold(wants_fetch=False),
        gap.hold(wants_fetch=True),
        gap.hold(wants_fetch=False),
    )
    assert [older.is_on, mine.is_on, new_campaign.is_on] == [False, True, False]
    gap.close(await gap.wait())
    assert not mine.is_on
    gap.open("a start")
    assert older.is_on


async def test_nothing_is_fetched_before_it_is_wanted(gap: InboundGap) -> None:
    waiting = asyncio.create_task(gap.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    gap.request()
    assert await waiting == 1


@pytest.mark.parametrize(("still_s", "is_open"), [(0.5, False), (4.0, False), (6.0, True), (3600.0, True)])
def test_a_frozen_process_sends_nothing_when_it_wakes(
    gap: InboundGap, steady: Steady, still_s: float, is_open: bool
) -> None:
    steady.now += still_s
    assert gap.is_open is is_open


async def test_a_provider_that_was_away_is_asked_first(gap: InboundGap, steady: Steady) -> None:
    steady.away_since = steady.now
    assert not gap.is_open
    for _ in range(3):
        steady.now += 3
        gap.look()
    assert gap.is_open
    steady.away_since = None
    gap.close(await gap.wait())
    assert not gap.is_open
