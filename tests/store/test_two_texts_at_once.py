"""Two texts of one person whose webhooks come at one instant, each at a worker."""

import asyncio

import pytest

from gateway.store import conversations
from gateway.store.conversations import Heard
from gateway.store.database import Database
from tests.store.rows import KEY, NOW, SCOPE, admission, admit, conversation, heard, people


@pytest.mark.parametrize("before", [False, True], ids=["the first ever", "after another text of ours"])
async def test_one_of_them_is_the_first_answer(database: Database, other: Database, before: bool) -> None:
    """Else one person would be two who answered (F159)."""
    await people(database, 1)
    await admit(database, admission(1))
    if before:
        async with database.connection() as connection:
            await conversations.hear(connection, KEY, SCOPE, [heard(1, 1)])
        await database.execute(
            "UPDATE conversations SET action_id = 9, last_initial_at = to_timestamp($1)", NOW + 90
        )

    async def hears(worker: Database, text: Heard) -> None:
        async with worker.connection() as connection:
            await conversations.hear(connection, KEY, SCOPE, [text])

    async with database.transaction() as transaction:
        await transaction.fetch("SELECT FROM conversations WHERE contact_id = 1 FOR UPDATE")
        both = []
        for worker, inbound_id in ((database, 2), (other, 3)):
            both.append(asyncio.ensure_future(hears(worker, heard(inbound_id, 1, received_at=NOW + 100))))
            async with asyncio.timeout(20.0):
                while await transaction.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(
                    both
                ):
                    pass
    await asyncio.gather(*both)
    first = await database.fetch_value("SELECT count(*) FROM inbound WHERE is_first AND inbound_id > 1")
    talk = await conversation(database, 1)
    assert talk is not None
    assert (first, talk["unread"]) == (1, 3 if before else 2)
