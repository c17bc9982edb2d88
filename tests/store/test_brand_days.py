"""A brand's day is shared in one statement: never above the cap, the same once more, used is used."""

import asyncio
from datetime import date

import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.store import brand_days, contacts
from gateway.store.brand_days import Held
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from tests.store.rows import GROUP, KEY, NOW, admission, admit, claim, claiming, people, phone

DAY = date(2026, 11, 3)


async def settle(
    database: Database,
    campaign_id: int,
    used: int,
    wanted: int,
    *,
    brand: str = "Vote",
    day: date = DAY,
    is_reached: bool = False,
) -> Held:
    return await brand_days.settle(
        database,
        CampaignKey(1, campaign_id),
        brand,
        day,
        used=used,
        wanted=wanted,
        cap=100,
        is_reached=is_reached,
    )


async def test_what_one_holds_another_can_not_have(database: Database):
    assert await settle(database, 1, 0, 60) == Held(60, False)
    assert await settle(database, 2, 0, 60) == Held(40, False)
    assert await settle(database, 2, 40, 60) == Held(40, False)
    assert await settle(database, 1, 20, 20) == Held(20, False)  # handed back
    assert await settle(database, 2, 40, 100) == Held(80, False)


async def test_days_and_brands_are_apart(database: Database):
    await settle(database, 1, 0, 100)
    assert await settle(database, 2, 0, 50, brand="Other") == Held(50, False)
    assert await settle(database, 2, 0, 50, day=date(2026, 11, 4)) == Held(50, False)


async def test_a_statement_that_is_repeated_changes_nothing(database: Database):
    for _ in range(3):
        assert await settle(database, 1, 5, 60) == Held(60, False)
        assert await settle(database, 2, 3, 60) == Held(40, False)


@pytest.mark.parametrize("first", [True, False], ids=["at first", "later"])
async def test_what_was_used_is_used_even_beyond_the_cap(database: Database, first: bool):
    if not first:
        await settle(database, 1, 0, 10)
    assert await settle(database, 1, 130, 200) == Held(130, False)
    assert await settle(database, 2, 0, 1) == Held(0, False)


async def test_when_the_carrier_says_so_nobody_gets_more(database: Database):
    await settle(database, 1, 0, 50)
    assert await settle(database, 2, 10, 30, is_reached=True) == Held(10, True)
    assert await settle(database, 1, 20, 60) == Held(20, True)


async def test_many_at_once_never_pass_the_cap(database: Database, other: Database):
    held = await asyncio.gather(
        *(settle(door, campaign, 0, 7) for campaign in range(1, 30) for door in (database, other))
    )
    assert len(held) == 58
    row = await database.fetch_value(
        "SELECT sum(value::int) FROM brand_days, jsonb_each_text(held) WHERE brand = 'Vote'"
    )
    assert row == 100


async def test_the_days_segments_are_counted(database: Database):
    await people(database, 0)
    rows = [
        ContactRow(1, phone(1), GROUP, carrier="tmobile"),
        ContactRow(2, phone(2), GROUP),
        ContactRow(3, phone(3), GROUP, carrier="att"),
    ]
    await contacts.add(database, KEY, rows)
    await admit(database, *(admission(each, segments=each) for each in (1, 2, 3)))
    await claim(database, *(claiming(each) for each in (1, 2, 3)))
    assert await brand_days.used_since(database, KEY, NOW, NOW + 900) == (3, 0)
    assert await brand_days.used_since(database, KEY, NOW - 900, NOW) == (3, 3)
    assert await brand_days.used_since(database, KEY, NOW + 2, NOW + 2) == (0, 0)


@pytest.mark.parametrize("at_once", [1, 2, 3, 9, 10])
async def test_what_was_used_is_counted_in_pieces(database: Database, at_once: int):
    """Messages 1 to 9 have n segments; every third is not handed over, every second had an attempt before."""
    await people(database, 9)
    await admit(database, *(admission(each, segments=each) for each in range(1, 10)))
    await claim(database, *(claiming(each) for each in range(1, 10) if each % 3))
    await database.execute(
        "INSERT INTO attempts (organisation_id, campaign_id, message_id, attempt, slot_at, ended_at, state)"
        " SELECT organisation_id, campaign_id, message_id, 0, to_timestamp($1), now(), 'failed' FROM messages"
        " WHERE message_id % 2 = 0",
        NOW + 50,
    )
    last = sum(each for each in range(1, 10) if each % 3)
    before = 2 + 4 + 6 + 8
    used = await brand_days.used_since(database, KEY, NOW, NOW + 50, at_once=at_once)
    assert used == (last + before, before)
