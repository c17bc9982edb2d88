"""A database restored on another server, whose transactions have small numbers: nothing is counted twice or never."""

from gateway.store import counts, events, restored
from gateway.store.database import Database
from gateway.store.events import FIRST, EventPlace
from tests.store.rows import KEY, NOW, admission, admit, people

_OF_ANOTHER_SERVER = """
UPDATE {} SET xid = (xid::text::bigint + 1000000000)::text::{} WHERE xid::text::bigint > 0
"""
_ENDPOINT = """
INSERT INTO webhook_endpoints (organisation_id, campaign_id, endpoint_id, kind, url, topics, secret, made_at, xid, event_id)
VALUES (1, 1, 1, 'webhook', 'https://example.org', '{}', '', now(), $1, $2)
"""


async def count_all(database: Database) -> int:
    while not await counts.catch_up(database, KEY, NOW):
        pass
    found = await counts.read(database, KEY, 5, NOW)
    assert found is not None
    return sum(row.number for row in found.rows)


async def test_what_was_counted_stays_and_what_was_not_is_counted_once(database: Database):
    await people(database, 9)
    await counts.count_anew(database, KEY, NOW)
    await admit(database, admission(1), admission(2))
    await admit(database, admission(3))
    assert await count_all(database) == 3
    read_by_another = (await events.read(database, KEY, FIRST))[0].place
    await database.execute(_ENDPOINT, read_by_another.xid, read_by_another.event_id)
    await admit(database, admission(4))
    for table, kind in (("events", "xid8"), ("count_progress", "xid8"), ("webhook_endpoints", "bigint")):
        await database.execute(_OF_ANOTHER_SERVER.format(table, kind))
    assert await restored.mend(database) == [KEY.campaign_id]
    assert await restored.mend(database) == []
    await admit(database, admission(5))
    assert await count_all(database) == 5
    [place] = await database.fetch("SELECT xid, event_id FROM webhook_endpoints")
    left = [each for event in await events.read(database, KEY, EventPlace(*place)) for each in event.ids]
    assert sorted(left) == [3, 4, 5]


async def test_on_the_same_server_nothing_is_touched(database: Database):
    await people(database)
    await counts.count_anew(database, KEY, NOW)
    await admit(database, admission(1))
    before = await database.fetch("SELECT xid::text, event_id FROM events")
    assert await restored.mend(database) == []
    assert await database.fetch("SELECT xid::text, event_id FROM events") == before
