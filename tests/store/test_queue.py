"""What waits: its order, the claim with its second look, the block, and what is over."""

import itertools
from math import inf

import pytest

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.safeguards import Kind, second_look
from gateway.store import campaigns, claims, contacts, messages
from gateway.store.claims import Refusal
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.messages import Head, Queued, Swept
from tests.store.rows import (
    GROUP,
    KEY,
    NOW,
    OWNER,
    SCOPE,
    admission,
    admit,
    claim,
    claiming,
    conversation,
    message,
    opt_out,
    owned,
    people,
    phone,
    queue,
    states,
)


async def test_replies_come_first_then_retries_then_the_oldest(database: Database):
    await people(database, 6)
    rows = [
        admission(1, lane=2, requested_at=NOW),
        admission(2, lane=2, requested_at=NOW - 9),
        admission(3, lane=0, requested_at=NOW + 1),
        admission(4, lane=1, requested_at=NOW),
        admission(5, lane=0, requested_at=NOW + 0.5),
        admission(6, lane=2, requested_at=NOW),
    ]
    await admit(database, *rows)

    async def waiting(due_until: float, lanes: tuple[int, int] = (0, 2), limit: int = 10) -> list[int]:
        head = await messages.waiting(database, KEY, lanes, due_until, limit)
        return [each.message_id for each in head.messages]

    assert await waiting(NOW + 9) == [5, 3, 4, 2, 1, 6]
    assert await waiting(NOW + 9, limit=3) == [5, 3, 4]
    assert await waiting(NOW + 9, (1, 2), 2) == [4, 2]
    assert await waiting(NOW + 9, (0, 0)) == [5, 3]
    assert await waiting(NOW + 0.5) == [5, 4, 2, 1, 6]
    assert await messages.waiting(database, CampaignKey(1, 2), (0, 2), NOW + 9, 10) == Head([], False, None)


async def test_what_is_in_hand_is_not_read_again_and_keeps_its_place(database: Database):
    await people(database, 5)
    await admit(database, *(admission(each, requested_at=NOW + each) for each in range(1, 6)))

    async def waiting(limit: int, *in_hand: int) -> tuple[list[int], bool]:
        head = await messages.waiting(database, KEY, (0, 2), NOW + 9, limit, in_hand)
        return [each.message_id for each in head.messages], head.may_be_more

    assert await waiting(9, 1, 2, 7) == ([3, 4, 5], False)
    assert await waiting(4, 2, 3) == ([1, 4], True)
    assert await waiting(4, 1, 2, 3, 4) == ([], True)
    assert await waiting(9, 1, 2, 3, 4, 5) == ([], False)


async def test_a_piece_goes_on_behind_the_one_before_and_leaves_carriers_out(database: Database):
    """Also where several are due at the same instant: each is looked at once."""
    await people(database, 6)
    await database.execute("UPDATE contacts SET carrier = 'att' WHERE contact_id IN (1, 2, 4)")
    await admit(database, *(admission(each, requested_at=NOW) for each in range(1, 7)))
    pieces, after, more = [], None, True
    while more:
        head = await messages.waiting(database, KEY, (2, 2), NOW + 9, 2, (), after, {"att"})
        pieces.append([each.message_id for each in head.messages])
        after, more = head.last or after, head.may_be_more
    assert pieces == [[], [3], [5, 6], []]
    everybody = await messages.waiting(database, KEY, (2, 2), NOW + 9, 9, (), None, {None})
    assert [each.message_id for each in everybody.messages] == [1, 2, 4]


async def test_a_waiting_message_brings_all_that_sending_it_needs(database: Database):
    await people(database, 0)
    await contacts.add(database, KEY, [ContactRow(1, phone(1), GROUP, carrier="att")])
    await admit(database, admission(1, segments=2, number_id=8, body="Hi", lane=0, kind="reply"))
    head = await messages.waiting(database, KEY, (0, 2), NOW, 10)
    assert head.messages == [
        Queued(
            message_id=1,
            contact_id=1,
            lane=0,
            due_at=NOW,
            segments=2,
            not_after=NOW + 3600,
            phone=phone(1),
            carrier="att",
            hours_group=GROUP,
            number_id=8,
            body="Hi",
            kind="reply",
            attempt=0,
            action_id=5,
        )
    ]


async def test_next_due(database: Database):
    await people(database)
    assert await messages.next_due(database, KEY, NOW) is None
    await admit(database, admission(1, requested_at=NOW + 5), admission(2, requested_at=NOW + 2, lane=2))
    assert await messages.next_due(database, KEY, NOW) == NOW + 2
    assert await messages.next_due(database, KEY, NOW + 2) == NOW + 5
    assert await messages.next_due(database, KEY, NOW + 5) is None


async def test_a_claim_writes_the_intent_and_takes_it_out_of_the_queue(database: Database):
    await people(database)
    await admit(database, admission(1), admission(2))
    assert await claim(database, claiming(1, number_id=6)) == {1: 1}
    row = await message(database, 1)
    assert (row["state"], row["number_id"], row["attempt"], row["spent"]) == ("sending", 6, 1, 1)
    assert row["slot_at"].timestamp() == NOW + 1
    assert await queue(database) == [2]
    talk = await conversation(database, 1)
    assert talk is not None
    assert talk["number_id"] == 6


async def test_nothing_is_claimed_twice(database: Database):
    await people(database)
    await admit(database, admission(1))
    assert await claim(database, claiming(1)) == {1: 1}
    assert await claim(database, claiming(1)) == {}
    assert (await message(database, 1))["attempt"] == 1


async def test_the_second_look_of_a_claim(database: Database):
    await people(database, 4)
    rows = [admission(1), admission(2), admission(3, state="blocked", code=1002), admission(4)]
    await admit(database, *rows)
    await opt_out(database, 2)
    assert await claim(database, *map(claiming, [1, 2, 3, 4, 99])) == {1: 1, 4: 1}
    assert await queue(database) == [2]
    assert await states(database) == {1: "sending", 2: "queued", 3: "blocked", 4: "sending"}
    standings = await claims.standings(database, KEY, SCOPE, [1, 2, 3, 99], NOW)
    assert [(each.message_id, each.state, each.facts.opted_out) for each in standings] == [
        (1, "sending", False),
        (2, "queued", True),
        (3, "blocked", False),
    ]


async def test_a_claim_holds_back_exactly_what_the_table_refuses(database: Database):
    """The conditions in SQL and the rules in core say the same of everybody."""
    lines = [None, "mobile", "Fixed_Line", "toll-free", "nonFixedVoip"]
    failures = [None, NOW - 1, NOW, NOW + 1, inf]
    everybody = list(
        enumerate(itertools.product(Kind, lines, failures, [False, True], [NOW, NOW + 1]), start=1)
    )
    await people(database, 0)
    rows = [ContactRow(each, phone(each), GROUP, line_type=line) for each, (_, line, *_) in everybody]
    await contacts.add(database, KEY, rows)
    await admit(database, *(admission(n, kind=kind, not_after=end) for n, (kind, *_, end) in everybody))
    for n, (_, _, until, left, _) in everybody:
        if left:
            await opt_out(database, n)
        await database.execute(
            "UPDATE conversations SET failure_until = to_timestamp($2) WHERE contact_id = $1", n, until
        )
    ids = [n for n, _ in everybody]
    standings = await claims.standings(database, KEY, SCOPE, ids, NOW)
    free = [each.message_id for each in standings if second_look(each.kind, each.facts, NOW) is None]
    assert sorted(await claim(database, *map(claiming, ids))) == free
    assert 0 < len(free) < len(ids)


async def test_a_paused_campaign_claims_nothing(database: Database):
    await people(database)
    await admit(database, admission(1))
    await campaigns.pause(database, KEY, True)
    assert await claim(database, claiming(1)) == {}
    await campaigns.pause(database, KEY, False)
    assert await claim(database, claiming(1)) == {1: 1}


async def test_an_opt_out_of_another_scope_stops_no_claim(database: Database):
    await people(database)
    await admit(database, admission(1))
    await database.execute("INSERT INTO opt_outs VALUES ($1, $2, 'x', '', now())", SCOPE + 1, phone(1))
    assert await claim(database, claiming(1)) == {1: 1}


@pytest.mark.parametrize("state", ["sending", "blocked"])
async def test_only_what_is_queued_is_blocked(database: Database, state: str):
    await people(database)
    await owned(database)
    await admit(database, admission(1), admission(2, state=state, number_id=1, slot_at=NOW), token=OWNER)
    refusals = [Refusal(each, 1203, "none to be had") for each in (1, 2, 99)]
    assert await claims.block(database, KEY, refusals, NOW + 3) == {1}
    row = await message(database, 1)
    assert (row["state"], row["code"], row["reason"]) == ("blocked", 1203, "none to be had")
    assert row["final_at"].timestamp() == NOW + 3
    assert await queue(database) == []
    assert (await message(database, 2))["state"] == state


async def test_what_is_over(database: Database):
    await people(database, 4)
    rows = [admission(each, not_after=NOW + 100 * each) for each in (1, 2, 3)]
    await owned(database)
    going = admission(4, not_after=NOW, state="sending", number_id=1, slot_at=NOW)
    await admit(database, *rows, going, token=OWNER)
    assert await messages.sweep(database, KEY, NOW + 50, 0, limit=10) == Swept([], None)
    assert await messages.sweep(database, KEY, NOW + 200, 0, limit=10) == Swept([1, 2], None)


async def test_a_long_queue_is_swept_in_pieces(database: Database):
    await people(database, 9)
    await admit(database, *(admission(each, not_after=NOW + each % 3) for each in range(1, 10)))
    over, after_id, pieces = [], 0, 0
    while after_id is not None:
        swept = await messages.sweep(database, KEY, NOW, after_id, limit=2)
        over, after_id, pieces = over + swept.over, swept.after_id, pieces + 1
    assert (over, pieces) == ([3, 6, 9], 5)
