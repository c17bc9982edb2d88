"""Actions: published whole, each of their contacts with nobody to text them yet."""

import pytest

from gateway.core.rules.errors import BadInput
from gateway.store import actions, buckets, contacts
from gateway.store.actions import ActionRow
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.troubles import DatabaseGone
from tests.store.rows import ACTION, GROUP, KEY, NOW, people, phone

ROW = ActionRow(KEY, ACTION, "Get out the vote", '{"initials": ["Hi"]}')


async def published(database: Database, count: int, seed: int = 1) -> None:
    await people(database, count)
    assert await actions.publish(database, ROW, seed, NOW) == count


async def test_a_published_action_is_read_again(database: Database):
    await published(database, 3)
    assert await actions.load(database, KEY, ACTION) == ROW
    assert await buckets.remaining(database, KEY, ACTION) == 3


async def test_an_action_that_does_not_exist_is_bad_input(database: Database):
    await people(database)
    with pytest.raises(BadInput, match="no such action: campaign 1, action 9"):
        await actions.load(database, KEY, 9)


async def test_publishing_twice_is_refused_and_assigns_nobody_twice(database: Database):
    await published(database, 3)
    await contacts.add(database, KEY, [ContactRow(4, phone(4), GROUP)])
    with pytest.raises(BadInput, match="published already: campaign 1, action 5"):
        await actions.publish(database, ROW, 2, NOW)
    assert await buckets.remaining(database, KEY, ACTION) == 3


@pytest.mark.parametrize("at_once", [1, 4, 5, 100])
async def test_an_action_is_published_in_pieces(database: Database, at_once: int):
    await people(database, 9)
    assert await actions.publish(database, ROW, 1, NOW, at_once=at_once) == 9
    assert await buckets.remaining(database, KEY, ACTION) == 9


async def test_an_action_without_people_can_be_published(database: Database):
    await published(database, 0)
    assert await buckets.remaining(database, KEY, ACTION) == 0


async def test_publishing_that_was_broken_off_goes_on_and_was_seen_by_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    await people(database, 9)
    pieces = 0
    fetch = database.fetch

    async def break_off(sql: str, *arguments: object) -> object:
        nonlocal pieces
        pieces += "assigned AS" in sql
        if pieces == 3:
            raise DatabaseGone("the connection broke")
        return await fetch(sql, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(database, "fetch", break_off)
        with pytest.raises(DatabaseGone):
            await actions.publish(database, ROW, 1, NOW, at_once=2)
    with pytest.raises(BadInput, match="no such action"):
        await actions.load(database, KEY, ACTION)
    assert await actions.publish(database, ROW, 1, NOW, at_once=2) == 9
    assert await buckets.remaining(database, KEY, ACTION) == 9
