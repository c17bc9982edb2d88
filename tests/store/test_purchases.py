"""The budget of a day is counted by the store."""

from gateway.core.rules.campaign import CampaignKey
from gateway.store import purchases
from gateway.store.database import Database
from tests.store.rows import KEY, NOW

DAY_S = 86_400.0


async def begin(database: Database, now: float, key: CampaignKey = KEY) -> int | None:
    return await purchases.begin(database, key, 3, now)


async def test_so_many_a_day_and_no_more(database: Database):
    assert [await begin(database, NOW + each) for each in range(5)] == [1, 2, 3, None, None]
    assert await begin(database, NOW, CampaignKey(1, 99)) == 1
    assert [await begin(database, NOW + DAY_S + each) for each in range(3)] == [4, 5, 6]


async def test_one_that_certainly_sold_nothing_does_not_count(database: Database):
    for _ in range(5):
        purchase_id = await begin(database, NOW)
        assert purchase_id is not None
        await purchases.not_made(database, KEY, purchase_id)


async def test_what_is_old_goes(database: Database):
    for day in range(6):
        await begin(database, NOW + day * DAY_S)
    assert await database.fetch_value("SELECT count(*) FROM number_purchases") == 3
