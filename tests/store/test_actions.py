"""Actions: published whole, and each contact with at most one volunteer at a time."""

import asyncio
import random

import pytest

from gateway.core.rules.errors import BadInput
from gateway.store import actions, contacts, recipients
from gateway.store.actions import ActionRow, Assigned, Fronts
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.troubles import DatabaseGone
from tests.store.rows import ACTION, CAMPAIGN, GROUP, KEY, NOW, SCOPE, admission, admit, people, phone

ROW = ActionRow(KEY, ACTION, "Get out the vote", '{"initials": ["Hi"]}')
WEST = "CA@America/Los_Angeles"


async def claim(
    database: Database,
    volunteer_id: int,
    size: int = 10,
    groups: tuple[str, ...] = (GROUP,),
    fronts: Fronts | None = None,
) -> list[int]:
    return await actions.take(
        database,
        KEY,
        ACTION,
        volunteer_id,
        open_groups=groups,
        size=size,
        now=NOW,
        fronts={} if fronts is None else fronts,
    )


async def published(database: Database, count: int, seed: int = 1) -> None:
    await people(database, count)
    assert await actions.publish(database, ROW, seed, NOW) == count


async def test_a_published_action_is_read_again(database: Database):
    await published(database, 3)
    assert await actions.load(database, KEY, ACTION) == ROW
    assert await actions.remaining(database, KEY, ACTION) == 3


async def test_an_action_that_does_not_exist_is_bad_input(database: Database):
    await people(database)
    with pytest.raises(BadInput, match="no such action: campaign 1, action 9"):
        await actions.load(database, KEY, 9)


async def test_publishing_twice_is_refused_and_assigns_nobody_twice(database: Database):
    await published(database, 3)
    await contacts.add(database, KEY, [ContactRow(4, phone(4), GROUP)])
    with pytest.raises(BadInput, match="published already: campaign 1, action 5"):
        await actions.publish(database, ROW, 2, NOW)
    assert await actions.remaining(database, KEY, ACTION) == 3


@pytest.mark.parametrize("at_once", [1, 4, 5, 100])
async def test_an_action_is_published_in_pieces(database: Database, at_once: int):
    await people(database, 9)
    assert await actions.publish(database, ROW, 1, NOW, at_once=at_once) == 9
    assert await actions.remaining(database, KEY, ACTION) == 9


async def test_an_action_without_people_can_be_published(database: Database):
    await published(database, 0)
    assert await actions.remaining(database, KEY, ACTION) == 0


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
    assert await actions.remaining(database, KEY, ACTION) == 9


async def test_a_bucket_brings_the_person_with_it(database: Database):
    await people(database, 0)
    person = ContactRow(
        1,
        phone(1),
        GROUP,
        first_name="Ann",
        last_name="Lee",
        email="a@example.org",
        zip="19103",
        state="PA",
        fields='{"ward": "5"}',
    )
    await contacts.add(database, KEY, [person])
    await actions.publish(database, ROW, 1, NOW)
    taken = await actions.take(database, KEY, ACTION, 7, open_groups=[GROUP], size=5, now=NOW + 1, fronts={})
    bucket = await actions.about(database, KEY, ACTION, taken, opt_out_scope=SCOPE, texts_since=0)
    [known] = await recipients.load(database, KEY, SCOPE, [1], [ACTION], texts_since=0)
    assert (known.phone, known.assignee_id) == (phone(1), 7)
    assert bucket == [Assigned(known, "Ann", "Lee", "a@example.org", "19103", "PA", '{"ward": "5"}')]
    row = await database.fetch_row(
        "SELECT volunteer_id, extract(epoch FROM assigned_at)::float8 FROM assignments"
    )
    assert tuple(row) == (7, NOW + 1)


async def test_buckets_have_their_size_until_nobody_is_left(database: Database):
    await published(database, 25)
    buckets = [await claim(database, volunteer) for volunteer in range(4)]
    assert [len(bucket) for bucket in buckets] == [10, 10, 5, 0]
    assert sorted(each for bucket in buckets for each in bucket) == list(range(1, 26))
    assert await actions.remaining(database, KEY, ACTION) == 0


async def test_the_order_is_drawn_from_the_seed(database: Database):
    orders = []
    for seed in (1, 1, 2):
        await database.script("TRUNCATE campaigns CASCADE; TRUNCATE assignments")
        await published(database, 40, seed)
        orders.append(await claim(database, 7, 40))
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])


async def test_only_people_whose_window_is_open_are_given(database: Database):
    await people(database, 4)
    west = [ContactRow(each, phone(each), WEST) for each in range(5, 9)]
    await contacts.add(database, KEY, west)
    await actions.publish(database, ROW, 1, NOW)
    assert sorted(await claim(database, 7, 3, (WEST,))) != []
    assert set(await claim(database, 7, 50, (WEST,))) <= {5, 6, 7, 8}
    assert sorted(await claim(database, 8, 50, (WEST, GROUP))) == [1, 2, 3, 4]
    assert await claim(database, 9, 50, ()) == []


@pytest.mark.parametrize("release", [False, True], ids=["claims alone", "with releases"])
async def test_of_twenty_claims_at_one_instant_each_is_full(dsn: str, database: Database, release: bool):
    """F178: 25 for each of 20, over 20 connections and 500 people, who are just enough."""
    await published(database, 500)
    doors = [Database(dsn, connections=1) for _ in range(20)]
    await asyncio.gather(*(door.fetch("SELECT 1") for door in doors))
    if release:
        mine = await claim(database, 99, 40)
        back = actions.release(database, KEY, ACTION, 99, mine)
    buckets, *_ = await asyncio.gather(
        asyncio.gather(*(claim(door, volunteer, 25) for volunteer, door in enumerate(doors))),
        *([back] if release else []),
    )
    given = [each for bucket in buckets for each in bucket]
    assert len(given) == len(set(given))
    if release:  # who was given back when the last had looked is free
        assert len(given) + await actions.remaining(database, KEY, ACTION) == 500
        assert await actions.remaining(database, KEY, ACTION) <= 40
    else:
        assert [len(bucket) for bucket in buckets] == [25] * 20
    for door in doors:
        await door.close()


@pytest.mark.parametrize("seed", range(8))
async def test_who_gets_less_than_asked_leaves_nobody_free(dsn: str, database: Database, seed: int):
    """Claims of any sizes for any groups, at once over connections of their own."""
    luck = random.Random(seed)
    await people(database, 60)
    await contacts.add(database, KEY, [ContactRow(each, phone(each), WEST) for each in range(61, 101)])
    await actions.publish(database, ROW, seed, NOW)
    doors = [Database(dsn, connections=1) for _ in range(12)]
    await asyncio.gather(*(door.fetch("SELECT 1") for door in doors))
    asked = [
        (luck.randint(1, 20), luck.choice([(GROUP,), (WEST,), (GROUP, WEST), (WEST, GROUP)])) for _ in doors
    ]
    buckets = await asyncio.gather(*(claim(door, nth, *asked[nth]) for nth, door in enumerate(doors)))
    given = [each for bucket in buckets for each in bucket]
    assert len(given) == len(set(given))
    free = set(range(1, 101)) - set(given)
    for (size, groups), bucket in zip(asked, buckets, strict=True):
        assert len(bucket) <= size
        theirs = {each for each in free if (WEST if each > 60 else GROUP) in groups}
        assert len(bucket) == size or not theirs
    for door in doors:
        await door.close()


@pytest.mark.parametrize("round_number", range(10))
async def test_two_volunteers_at_once_never_share(database: Database, other: Database, round_number: int):
    """Two connections, two statements on their way at one time."""
    await published(database, 15, round_number)
    both = await asyncio.gather(claim(database, 1), claim(other, 2))
    given = [each for bucket in both for each in bucket]
    assert len(given) == len(set(given))
    assert len(given) >= 10


async def test_many_volunteers_at_once_share_nobody_and_forget_nobody(database: Database):
    await published(database, 60)
    given: list[int] = []
    while await actions.remaining(database, KEY, ACTION):
        for bucket in await asyncio.gather(*(claim(database, volunteer, 5) for volunteer in range(8))):
            given += bucket
    assert sorted(given) == list(range(1, 61))


async def test_release_gives_back_what_was_not_texted(database: Database):
    await published(database, 4)
    mine = await claim(database, 7, 4)
    await admit(database, admission(1, mine[0]))
    assert await actions.release(database, KEY, ACTION, 7, mine[:3]) == 2
    assert await actions.remaining(database, KEY, ACTION) == 2
    assert sorted(await claim(database, 8)) == sorted(mine[1:3])


async def test_the_front_hides_nobody(database: Database):
    """Who was given back, by this worker or another, and whose hours open later, are found behind it."""
    await published(database, 30)
    await contacts.add(database, KEY, [ContactRow(31, phone(31), WEST)])
    await database.execute(
        "INSERT INTO assignments (campaign_id, action_id, contact_id, hours_group, turn)"
        " VALUES ($1, $2, 31, $3, (SELECT min(turn) - 1 FROM assignments))",
        CAMPAIGN,
        ACTION,
        WEST,
    )
    fronts: Fronts = {}
    first = await claim(database, 7, 10, fronts=fronts)
    second = await claim(database, 8, 10, fronts=fronts)
    assert await actions.release(database, KEY, ACTION, 7, first) == 10
    third = await claim(database, 9, 10, fronts=fronts)
    assert len({*first, *second, *third}) == 30
    assert await claim(database, 9, 20, (GROUP, WEST), fronts) == [31, *first]
    assert await claim(database, 9, 20, (GROUP, WEST), fronts) == []


async def test_with_a_front_buckets_are_the_same(database: Database):
    await published(database, 25)
    fronts: Fronts = {}
    with_it = [await claim(database, volunteer, 7, fronts=fronts) for volunteer in range(5)]
    for volunteer, mine in enumerate(with_it):
        await actions.release(database, KEY, ACTION, volunteer, mine)
    assert [await claim(database, volunteer, 7) for volunteer in range(5)] == with_it


async def test_whoever_was_claimed_in_a_lost_answer_is_free_again(database: Database):
    await published(database, 6)
    mine = await claim(database, 7, size=4)
    await admit(database, admission(1, mine[0]))
    assert await actions.release_all_but(database, KEY, ACTION, 7, [mine[1]]) == 2
    assert await actions.remaining(database, KEY, ACTION) == 4
    assert await actions.release_all_but(database, KEY, ACTION, 8, []) == 0


async def test_nobody_releases_what_is_anothers(database: Database):
    await published(database, 2)
    mine = await claim(database, 7, 2)
    assert await actions.release(database, KEY, ACTION, 8, mine) == 0
    assert await actions.release(database, KEY, ACTION, 7, []) == 0
    assert await actions.remaining(database, KEY, ACTION) == 0


async def test_a_text_of_another_action_does_not_hold_a_contact(database: Database):
    await published(database, 1)
    await claim(database, 7)
    await admit(database, admission(1, 1, action_id=ACTION + 1))
    assert await actions.release(database, KEY, ACTION, 7, [1]) == 1
