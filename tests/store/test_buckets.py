"""Buckets: each contact of an action with at most one volunteer at a time, and nobody left over while somebody asks."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from gateway.store import buckets, contacts, recipients
from gateway.store.buckets import NOBODY, Assigned, Claimed, Fronts, Wanted
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from tests.store.rows import (
    ACTION,
    CAMPAIGN,
    GROUP,
    KEY,
    NOW,
    SCOPE,
    admission,
    admit,
    people,
    phone,
    publish,
)
from tests.store.test_actions import published

WEST = "CA@America/Los_Angeles"


async def claim(
    database: Database,
    volunteer_id: int,
    size: int = 10,
    groups: tuple[str, ...] = (GROUP,),
    fronts: Fronts | None = None,
    *,
    known: int | None = None,
) -> list[int]:
    """The next bucket of a volunteer who knows of all that they had; of `known` alone where that is given."""
    newest = known or (await buckets.mine(database, KEY, ACTION, volunteer_id))[0]
    [claimed] = await claims(database, [Wanted(volunteer_id, newest, size)], groups, fronts)
    return claimed.contact_ids


async def claims(
    database: Database,
    wanted: list[Wanted],
    groups: Sequence[str] = (GROUP,),
    fronts: Fronts | None = None,
    *,
    action_id: int = ACTION,
    now: float = NOW,
) -> list[Claimed]:
    """Claims of several volunteers in one statement."""
    return await buckets.claim(
        database,
        KEY,
        action_id,
        wanted,
        open_groups=groups,
        now=now,
        look_at=now + 3600,
        fronts=Fronts() if fronts is None else fronts,
    )


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
    await publish(database)
    given = await claim(database, 7, 5)
    bucket = await buckets.about(database, KEY, ACTION, given, opt_out_scope=SCOPE, texts_since=0)
    at_once = await buckets.about(
        database, KEY, ACTION, given, opt_out_scope=SCOPE, texts_since=0, given_to=7
    )
    assert at_once == bucket
    [known] = await recipients.load(database, KEY, SCOPE, [1], [ACTION], texts_since=0)
    assert (known.phone, known.assignee_id) == (phone(1), 7)
    assert bucket == [Assigned(known, "Ann", "Lee", "a@example.org", "19103", "PA", '{"ward": "5"}')]
    row = await database.fetch_row(
        "SELECT volunteer_id, extract(epoch FROM assigned_at)::float8 FROM assignments"
    )
    assert tuple(row) == (7, NOW)


async def test_buckets_have_their_size_until_nobody_is_left(database: Database):
    await published(database, 25)
    given_out = [await claim(database, volunteer) for volunteer in range(4)]
    assert [len(bucket) for bucket in given_out] == [10, 10, 5, 0]
    assert sorted(each for bucket in given_out for each in bucket) == list(range(1, 26))
    assert await buckets.remaining(database, KEY, ACTION) == 0


async def test_the_order_is_drawn_from_the_seed(database: Database):
    """F177, F183: nobody is assigned at first; then first come, first served, in an order of luck."""
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
    await publish(database)
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
        back = buckets.release(database, KEY, ACTION, 99, mine, NOW)
    given_out, *_ = await asyncio.gather(
        asyncio.gather(*(claim(door, volunteer, 25) for volunteer, door in enumerate(doors))),
        *([back] if release else []),
    )
    given = [each for bucket in given_out for each in bucket]
    assert len(given) == len(set(given))
    if release:  # who was given back when the last had looked is free
        assert len(given) + await buckets.remaining(database, KEY, ACTION) == 500
        assert await buckets.remaining(database, KEY, ACTION) <= 40
    else:
        assert [len(bucket) for bucket in given_out] == [25] * 20
    for door in doors:
        await door.close()


@pytest.mark.parametrize("seed", range(8))
async def test_who_gets_less_than_asked_leaves_nobody_free(dsn: str, database: Database, seed: int):
    """Claims of any sizes for any groups, at once over connections of their own."""
    luck = random.Random(seed)
    await people(database, 60)
    await contacts.add(database, KEY, [ContactRow(each, phone(each), WEST) for each in range(61, 101)])
    await publish(database, seed=seed)
    doors = [Database(dsn, connections=1) for _ in range(12)]
    await asyncio.gather(*(door.fetch("SELECT 1") for door in doors))
    asked = [
        (luck.randint(1, 20), luck.choice([(GROUP,), (WEST,), (GROUP, WEST), (WEST, GROUP)])) for _ in doors
    ]
    given_out = await asyncio.gather(*(claim(door, nth, *asked[nth]) for nth, door in enumerate(doors)))
    given = [each for bucket in given_out for each in bucket]
    assert len(given) == len(set(given))
    free = set(range(1, 101)) - set(given)
    for (size, groups), bucket in zip(asked, given_out, strict=True):
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
    while await buckets.remaining(database, KEY, ACTION):
        for bucket in await asyncio.gather(*(claim(database, volunteer, 5) for volunteer in range(8))):
            given += bucket
    assert sorted(given) == list(range(1, 61))


async def test_release_gives_back_what_was_not_texted(database: Database):
    await published(database, 4)
    mine = await claim(database, 7, 4)
    await admit(database, admission(1, mine[0]))
    assert sorted(await buckets.release(database, KEY, ACTION, 7, mine[:3], NOW)) == sorted(mine[1:3])
    assert await buckets.remaining(database, KEY, ACTION) == 2
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
    fronts = Fronts()
    first = await claim(database, 7, 10, fronts=fronts)
    second = await claim(database, 8, 10, fronts=fronts)
    assert len(await buckets.release(database, KEY, ACTION, 7, first, NOW)) == 10
    third = await claim(database, 9, 10, fronts=fronts)
    assert len({*first, *second, *third}) == 30
    assert await claim(database, 9, 20, (GROUP, WEST), fronts) == [31, *first]
    assert await claim(database, 9, 20, (GROUP, WEST), fronts) == []


async def test_with_a_front_buckets_are_the_same(database: Database):
    await published(database, 25)
    fronts = Fronts()
    with_it = [await claim(database, volunteer, 7, fronts=fronts) for volunteer in range(5)]
    for volunteer, mine in enumerate(with_it):
        await buckets.release(database, KEY, ACTION, volunteer, mine, NOW)
    assert [await claim(database, volunteer, 7) for volunteer in range(5)] == with_it


@pytest.mark.parametrize("seed", range(4))
async def test_what_fronts_remember_changes_nobodys_bucket(database: Database, seed: int):
    """One action claimed with fronts from the first to the last, another of the same order without, in any groups and
    sizes, with people given back in between: the same buckets."""
    luck = random.Random(seed)
    await people(database, 120)
    await contacts.add(database, KEY, [ContactRow(each, phone(each), WEST) for each in range(121, 181)])
    other = ACTION + 1
    for action_id in (ACTION, other):
        await publish(database, action_id, seed)
    kept, had = Fronts(), dict.fromkeys((ACTION, other), ())
    for volunteer in range(1, 31):
        groups, size = luck.choice([(GROUP,), (WEST,), (GROUP, WEST)]), luck.randint(1, 15)
        for action_id, fronts in ((ACTION, kept), (other, Fronts())):
            wanted = [Wanted(volunteer, None, size)]
            [claimed] = await claims(database, wanted, groups, fronts, action_id=action_id)
            had[action_id] = tuple(claimed.contact_ids)
        assert had[ACTION] == had[other]
        if luck.random() < 0.3:
            back = luck.sample(had[ACTION], len(had[ACTION]) // 2)
            for action_id in (ACTION, other):
                await buckets.release(database, KEY, action_id, volunteer, back, NOW)
            kept.clear()


async def test_a_claim_whose_answer_was_lost_is_given_again(database: Database):
    """C23: the repeat of a claim is no second bucket, from however many places it comes."""
    await published(database, 30)
    first = await claim(database, 7, 4)
    newest, _ = await buckets.mine(database, KEY, ACTION, 7)
    second = await claim(database, 7, 4, known=newest)
    both = await asyncio.gather(*(claim(database, 7, 4, known=newest) for _ in range(4)))
    assert both == [second] * 4
    assert not {*first} & {*second}
    assert await buckets.remaining(database, KEY, ACTION) == 22


async def test_start_pressed_on_two_devices_at_once_gives_one_bucket(dsn: str, database: Database):
    await published(database, 30)
    doors = [Database(dsn, connections=1) for _ in range(4)]
    mine = await asyncio.gather(
        *(claims(door, [Wanted(7, None, 5)], now=NOW + nth) for nth, door in enumerate(doors))
    )
    mine = [each for [each] in mine]
    assert len({each.bucket_id for each in mine}) == 1
    assert [each.is_new for each in mine].count(True) == 1
    assert all(each.contact_ids == mine[0].contact_ids for each in mine)
    for door in doors:
        await door.close()


async def test_a_bucket_is_read_again_without_those_that_were_pressed(database: Database):
    await published(database, 12)
    first, second = await claim(database, 7, 5), await claim(database, 7, 5)
    await admit(database, admission(1, first[1]))
    await admit(database, admission(2, second[0], state="blocked", code=1302))
    newest, left = await buckets.mine(database, KEY, ACTION, 7)
    assert left == [first[0], *first[2:], *second[1:]]
    assert await buckets.mine(database, KEY, ACTION, 8) == (None, [])
    assert sorted(await buckets.give_back(database, KEY, ACTION, 7, NOW)) == sorted(left)
    assert await buckets.mine(database, KEY, ACTION, 7) == (None, [])
    assert newest is not None
    assert await buckets.remaining(database, KEY, ACTION) == 10


async def test_a_bucket_that_was_pressed_whole_goes_when_the_next_is_asked_for(database: Database):
    await published(database, 12)
    first, (begun, _) = await claim(database, 7, 3), await buckets.mine(database, KEY, ACTION, 7)
    second, (newest, _) = await claim(database, 7, 3), await buckets.mine(database, KEY, ACTION, 7)
    others = await claim(database, 8, 3)
    assert begun is not None
    assert newest is not None
    assert await buckets.finish(database, KEY, ACTION, 7, newest) == newest
    for nth, contact_id in enumerate([*first[1:], *second, *others], start=1):
        await admit(database, admission(nth, contact_id))
    assert (
        await buckets.finish(database, KEY, ACTION, 7, newest) == begun
    )  # one of its people waits for a press
    assert (
        await buckets.finish(database, KEY, ACTION, 7, newest) == newest
    )  # whoever asks once more knows no better
    assert await buckets.mine(database, KEY, ACTION, 7) == (begun, first[:1])
    await admit(database, admission(20, first[0]))
    assert await buckets.finish(database, KEY, ACTION, 7, begun) is None
    assert await database.fetch("SELECT volunteer_id FROM buckets") == [(8,)]


async def test_whoever_is_claimed_again_is_there_once(database: Database):
    """Some were given back, and come with the volunteer's next bucket."""
    await published(database, 6)
    first = await claim(database, 7, 4)
    await buckets.release(database, KEY, ACTION, 7, first[:2], NOW)
    second = await claim(database, 7, 4)
    assert {*first[:2]} < {*second}
    assert (await buckets.mine(database, KEY, ACTION, 7))[1] == [*first[2:], *second]
    assert (await buckets.standing(database, KEY, ACTION)).held_from(8) == 6


async def test_kept_contacts_are_for_their_volunteer_alone(database: Database):
    """F184: the assignee gets them first, and to others there are no remaining contacts."""
    await published(database, 10)
    await database.execute(
        "UPDATE assignments SET kept_for = 7 WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id <= 4",
        *KEY,
    )
    assert sorted(await claim(database, 8, 10)) == [5, 6, 7, 8, 9, 10]
    assert await claim(database, 8, 10) == []
    assert (await buckets.standing(database, KEY, ACTION)).free_for(8) == {}
    assert (await buckets.standing(database, KEY, ACTION)).free_for(7) == {GROUP: 4}
    mine = await claim(database, 7, 3)
    assert {*mine} <= {1, 2, 3, 4}
    assert (await buckets.standing(database, KEY, ACTION)).held_from(7) == 6
    assert (await buckets.standing(database, KEY, ACTION)).held_from(
        8
    ) == 0  # what is kept never comes to them
    assert len(await buckets.release(database, KEY, ACTION, 7, mine, NOW)) == 3
    assert await claim(database, 8, 10) == []


async def test_kept_contacts_come_before_the_others(database: Database):
    await published(database, 10)
    await database.execute(
        "UPDATE assignments SET kept_for = 7 WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id IN (3, 9)",
        *KEY,
    )
    mine = await claim(database, 7, 5)
    assert {*mine[:2]} == {3, 9}
    assert len(mine) == 5


async def test_whom_others_hold_may_come_back(database: Database):
    await published(database, 5)
    mine = await claim(database, 7, 5)
    await admit(database, admission(1, mine[0]))
    assert (await buckets.standing(database, KEY, ACTION)).held_from(8) == 4
    assert (await buckets.standing(database, KEY, ACTION, most_held=2)).held_from(8) == 2
    assert (await buckets.standing(database, KEY, ACTION)).held_from(7) == 0


async def test_idle_buckets_are_given_back(database: Database):
    """C22: an hour without a press; of a bucket in which somebody presses nothing is taken away."""
    await published(database, 12)
    idle, busy, whole = [await claim(database, volunteer, 4) for volunteer in (7, 8, 9)]
    await admit(database, admission(1, busy[0], sender_id=8, requested_at=NOW + 1800))
    for nth, contact_id in enumerate(whole):
        await admit(database, admission(2 + nth, contact_id, sender_id=9))
    early = await buckets.tidy(database, KEY, NOW + 3599, 3600, 10)
    assert (early.looked_at, early.freed) == (0, [])
    looked = await buckets.tidy(database, KEY, NOW + 3600, 3600, 10)
    assert looked.looked_at == 3
    assert sorted(looked.freed) == [(ACTION, each) for each in sorted(idle)]
    assert await buckets.mine(database, KEY, ACTION, 9) == (None, [])
    assert (await buckets.mine(database, KEY, ACTION, 8))[1] == busy[1:]
    assert (await buckets.tidy(database, KEY, NOW + 5399, 3600, 10)).looked_at == 0
    again = await buckets.tidy(database, KEY, NOW + 5400, 3600, 10)
    assert sorted(each for _, each in again.freed) == sorted(busy[1:])
    assert await database.fetch_value("SELECT count(*) FROM buckets") == 0
    assert await buckets.remaining(database, KEY, ACTION) == 7


async def test_nobody_releases_what_is_anothers(database: Database):
    await published(database, 2)
    mine = await claim(database, 7, 2)
    assert await buckets.release(database, KEY, ACTION, 8, mine, NOW) == []
    assert await buckets.release(database, KEY, ACTION, 7, [], NOW) == []
    assert await buckets.remaining(database, KEY, ACTION) == 0


async def test_a_text_of_another_action_does_not_hold_a_contact(database: Database):
    await published(database, 1)
    await claim(database, 7)
    await admit(database, admission(1, 1, action_id=ACTION + 1))
    assert await buckets.release(database, KEY, ACTION, 7, [1], NOW) == [1]


async def test_who_is_kept_for_somebody_moves_no_front(database: Database):
    """They have any turn: where others are free nobody learns from it."""
    await published(database, 10)
    await database.execute(
        "UPDATE assignments SET kept_for = 7 WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id <= 4",
        *KEY,
    )
    fronts = Fronts()
    assert len(await claim(database, 8, 3, fronts=fronts)) == 3
    begin = fronts.of([GROUP])
    assert begin[0] > -(2**63)
    assert len(await claim(database, 7, 4, fronts=fronts)) == 4
    assert fronts.of([GROUP]) == begin
    assert begin[0] <= fronts.reach(begin, 500) < 2**63


@pytest.mark.parametrize("seed", range(6))
async def test_claims_taken_together_are_those_taken_one_after_the_other(database: Database, seed: int):
    """Two actions of one order: the same volunteers, some with people kept for them, some who repeat a claim, come one by
    one and all at once, people given back in between; whoever comes last may find nobody."""
    luck = random.Random(seed)
    await people(database, 90)
    await contacts.add(database, KEY, [ContactRow(each, phone(each), WEST) for each in range(91, 121)])
    alone, together = ACTION, ACTION + 1
    for action_id in (alone, together):
        await publish(database, action_id, seed)
    for contact_id in luck.sample(range(1, 121), 12):
        await database.execute(
            "UPDATE assignments SET kept_for = $3 WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $4",
            *KEY,
            luck.randint(1, 12),
            contact_id,
        )
    fronts, newest = Fronts(), dict.fromkeys(range(1, 13))
    for nth in range(4):
        groups = luck.choice([(GROUP,), (WEST,), (GROUP, WEST), (GROUP, WEST)])
        wanted = [
            Wanted(each, None if luck.random() < 0.2 else newest[each], luck.randint(1, 9))
            for each in luck.sample(range(1, 13), luck.randint(1, 12))
        ]
        one_by_one = [
            (await claims(database, [each], groups, action_id=alone, now=NOW + nth))[0] for each in wanted
        ]
        at_once = await claims(database, wanted, groups, fronts, action_id=together, now=NOW + nth)
        assert at_once == one_by_one
        newest.update(
            (each.volunteer_id, mine.bucket_id or newest[each.volunteer_id])
            for each, mine in zip(wanted, at_once, strict=True)
        )
        given = [each for mine in at_once if mine.is_new for each in mine.contact_ids]
        assert len(given) == len(set(given))
        if luck.random() < 0.5 and given:
            volunteer = next(
                each.volunteer_id
                for each, mine in zip(wanted, at_once, strict=True)
                if mine.is_new and mine.contact_ids
            )
            back = [each for mine in at_once for each in mine.contact_ids][: luck.randint(1, 9)]
            for action_id in (alone, together):
                await buckets.release(database, KEY, action_id, volunteer, back, NOW)
            fronts.clear()


async def test_a_claim_is_in_the_journal_once(database: Database):
    await published(database, 10)
    await claims(database, [Wanted(7, None, 4), Wanted(8, None, 4), Wanted(9, None, 4)])
    await claims(database, [Wanted(7, None, 4)])  # a repeat
    noted = await database.fetch("SELECT user_ids, action_ids FROM events WHERE kind = 'assigned'")
    assert [tuple(row) for row in noted] == [([7] * 4 + [8] * 4 + [9] * 2, [ACTION] * 10)]


async def test_nobody_is_claimed_where_no_window_is_open(database: Database):
    await published(database, 4)
    assert await claims(database, [Wanted(7, None, 4)], ()) == [NOBODY]
