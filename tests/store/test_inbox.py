"""The inbox's lists, counts and threads (F187, F199 to F205)."""

from collections.abc import Sequence

import pytest

from gateway.core.bank.inbox import Filter, Order
from gateway.core.rules.lifecycle import State
from gateway.store import conversations, inbox, threads
from gateway.store.database import Database
from gateway.store.inbox import Place, Row, Text, TextPlace, Which
from tests.store.rows import (
    ACTION,
    KEY,
    NOW,
    SCOPE,
    admission,
    admit,
    heard,
    people,
    phone,
)
from tests.store.test_conversations import hear

PEOPLE = 12
OTHER_ACTION = 6


async def bank(database: Database) -> None:
    """Contacts 1 to 12 were texted by volunteer 7 (odd) or 8 (even), 3, 6, 9 and 12 in another action; 1 to 9 wrote."""
    await people(database, PEOPLE)
    await database.execute(
        "INSERT INTO actions (campaign_id, action_id, title, scripts) VALUES (1, $1, 'Polls', '{}'), (1, $2, 'Rides', '{}')",
        ACTION,
        OTHER_ACTION,
    )
    await admit(
        database,
        *(
            admission(
                each,
                sender_id=7 if each % 2 else 8,
                action_id=ACTION if each % 3 else OTHER_ACTION,
                requested_at=NOW + each,
            )
            for each in range(1, PEOPLE + 1)
        ),
    )
    await hear(
        database,
        *(heard(each, each, f"Hi from {each}", received_at=NOW + 60 + each) for each in range(1, 10)),
    )


async def listed(database: Database, which: Which = Which(), limit: int = 100) -> list[int]:  # noqa: B008 - frozen
    return [each.conversation.contact_id for each in await pages(database, which, limit)]


async def pages(database: Database, which: Which, limit: int) -> list[Row]:
    found: list[Row] = []
    place: Place | None = None
    while rows := await inbox.page(database, KEY, SCOPE, which, place, limit):
        found += rows
        place = rows[-1].place
    return found


async def revision(database: Database, contact_id: int) -> int:
    found: int = await database.fetch_value(
        "SELECT revision FROM conversations WHERE contact_id = $1", contact_id
    )
    return found


# ---------------------------------------------------------------- lists


async def test_the_inbox_has_who_wrote_newest_first(database: Database) -> None:
    await bank(database)
    assert await listed(database) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert await listed(database, Which(order=Order.OLDEST)) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("limit", [1, 2, 4, 9])
@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("each", Filter)
async def test_pages_join_without_a_gap_or_a_double(
    database: Database, each: Filter, order: Order, limit: int
) -> None:
    """Also where several wrote in one instant."""
    await bank(database)
    await hear(database, *(heard(20 + n, n, "Again", received_at=NOW + 300) for n in (2, 4, 6)))
    for contact_id in (1, 4):
        assert await threads.archive(
            database, KEY, contact_id, await revision(database, contact_id), NOW + 400
        )
    which = Which(filter=each, order=order)
    whole = await listed(database, which)
    assert await listed(database, which, limit) == whole
    assert len(whole) == len(set(whole)) == (2 if each is Filter.ARCHIVED else 7)


async def test_a_row_tells_what_a_list_shows(database: Database) -> None:
    await bank(database)
    [first] = await inbox.page(database, KEY, SCOPE, Which(), None, 1)
    about = first.conversation
    assert (about.contact_id, about.first_name, about.phone) == (9, "Ann", phone(9))
    assert (about.action_id, about.action_title, about.volunteer_id) == (OTHER_ACTION, "Rides", 7)
    assert (about.unread, about.attention_at, about.archived_at, about.opted_out) == (
        1,
        NOW + 69,
        None,
        False,
    )
    assert (first.last_text, first.last_is_ours, first.last_at) == ("Hi from 9", False, NOW + 69)
    answer = admission(
        90, 9, kind="reply", body="Thanks", seen_revision=about.revision, requested_at=NOW + 200, text_hash=1
    )
    blocked = admission(91, 9, body="No", state=State.BLOCKED, code=1302, requested_at=NOW + 300)
    assert await admit(database, answer, blocked) == {90, 91}
    [first] = await inbox.page(database, KEY, SCOPE, Which(), None, 1)
    assert (first.last_text, first.last_is_ours, first.last_at) == ("Thanks", True, NOW + 200)
    assert (first.conversation.unread, first.conversation.attention_at) == (0, None)
    assert first.conversation.revision == about.revision + 1


async def test_a_list_of_one_volunteer_and_of_one_action(database: Database) -> None:
    await bank(database)
    assert await listed(database, Which(volunteer_id=8)) == [8, 6, 4, 2]
    assert await listed(database, Which(action_id=OTHER_ACTION)) == [9, 6, 3]
    assert await listed(database, Which(volunteer_id=8, action_id=OTHER_ACTION)) == [6]
    assert await listed(database, Which(volunteer_id=99)) == []


async def test_those_that_need_attention_by_how_long_they_wait(database: Database) -> None:
    await bank(database)
    await hear(database, heard(30, 2, "Still there?", received_at=NOW + 500))
    which = Which(filter=Filter.NEEDS_ATTENTION, order=Order.OLDEST)
    assert await listed(database, which) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert (await listed(database))[0] == 2


async def test_who_opted_out_is_marked_and_needs_no_attention(database: Database) -> None:
    await bank(database)
    await hear(database, heard(30, 2, "STOP", intent="stop", received_at=NOW + 500))
    [first] = await inbox.page(database, KEY, SCOPE, Which(), None, 1)
    assert (first.conversation.contact_id, first.conversation.opted_out) == (2, True)
    assert 2 not in await listed(database, Which(filter=Filter.NEEDS_ATTENTION))


# ---------------------------------------------------------------- counts


async def counted(
    database: Database, volunteer_id: int | None = None, action_id: int | None = None
) -> dict[Filter, int]:
    return await inbox.counts(database, KEY, volunteer_id=volunteer_id, action_id=action_id)


@pytest.mark.parametrize("volunteer_id", [None, 7, 8])
@pytest.mark.parametrize("action_id", [None, ACTION, OTHER_ACTION])
async def test_a_count_is_the_length_of_its_list(
    database: Database, volunteer_id: int | None, action_id: int | None
) -> None:
    await bank(database)
    for contact_id in (1, 6):
        await threads.archive(database, KEY, contact_id, await revision(database, contact_id), NOW + 400)
    await threads.mark_read(database, KEY, 2, await revision(database, 2), NOW)
    await conversations.report(database, KEY, 3, NOW + 400)
    found = await counted(database, volunteer_id, action_id)
    assert found == {
        each: len(await listed(database, Which(filter=each, volunteer_id=volunteer_id, action_id=action_id)))
        for each in Filter
    }
    if volunteer_id is None and action_id is None:
        assert found == {
            Filter.ALL: 7,
            Filter.UNREAD: 5,
            Filter.NEEDS_ATTENTION: 6,
            Filter.ARCHIVED: 2,
        }


# ---------------------------------------------------------------- a thread


async def read(
    database: Database, contact_id: int, limit: int = 30, before: TextPlace | None = None
) -> Sequence[Text]:
    found = await inbox.thread(database, KEY, SCOPE, contact_id, before, limit)
    assert found is not None
    return found[1]


async def test_a_thread_has_the_texts_of_both_sides_in_order(database: Database) -> None:
    await bank(database)
    answer = admission(
        90, 1, kind="reply", body="Where?", sender_id=8, seen_revision=2, requested_at=NOW + 100, script="x"
    )
    await admit(database, answer)
    await hear(database, heard(40, 1, "leave me be", suggests_opt_out=True, received_at=NOW + 200))
    found = await inbox.thread(database, KEY, SCOPE, 1, None, 30)
    assert found is not None
    about, texts = found
    assert (about.contact_id, about.revision, about.unread, about.volunteer_id) == (1, 4, 1, 8)
    assert [(each.is_ours, each.body, each.sender_id) for each in texts] == [
        (True, "Hello 1", 7),
        (False, "Hi from 1", None),
        (True, "Where?", 8),
        (False, "leave me be", None),
    ]
    assert [each.at for each in texts] == [NOW + 1, NOW + 61, NOW + 100, NOW + 200]
    assert (texts[2].state, texts[2].script, texts[2].action_id) == ("queued", "x", ACTION)
    assert [each.suggests_opt_out for each in texts] == [False, False, False, True]


async def test_a_thread_is_read_backwards(database: Database) -> None:
    await bank(database)
    texts = [heard(100 + n, 1, f"line {n}", received_at=NOW + 200 + n // 2) for n in range(9)]
    await hear(database, *texts)
    whole = await read(database, 1)
    pieces: list[Text] = []
    before = None
    while page := await read(database, 1, 4, before):
        pieces = [*page, *pieces]
        before = TextPlace(page[0].at, page[0].is_ours, page[0].text_id)
    assert pieces == whole
    assert len(whole) == 11


async def test_of_nobody_there_is_no_thread(database: Database) -> None:
    await bank(database)
    assert await inbox.thread(database, KEY, SCOPE, 77, None, 30) is None
    # who was texted and never wrote has one all the same
    assert [each.body for each in await read(database, 11)] == ["Hello 11"]


# ---------------------------------------------------------------- acts


async def test_reading_leaves_what_came_meanwhile_unread(database: Database) -> None:
    await bank(database)
    seen = await revision(database, 1)
    await hear(database, heard(50, 1, "One more", received_at=NOW + 300))
    await threads.mark_read(database, KEY, 1, seen, NOW)
    assert (await counted(database))[Filter.UNREAD] == 9
    await threads.mark_read(database, KEY, 1, await revision(database, 1), NOW)
    assert (await counted(database))[Filter.UNREAD] == 8


async def test_a_reply_brings_a_conversation_back_any_number_of_times(database: Database) -> None:
    await bank(database)
    for turn in range(3):
        assert await threads.archive(database, KEY, 1, await revision(database, 1), NOW + 400)
        assert 1 not in await listed(database)
        assert 1 in await listed(database, Which(filter=Filter.ARCHIVED))
        await hear(database, heard(60 + turn, 1, "Wait", received_at=NOW + 500 + turn))
        for each in (Filter.ALL, Filter.UNREAD, Filter.NEEDS_ATTENTION):
            assert 1 in await listed(database, Which(filter=each))
    await threads.archive(database, KEY, 1, await revision(database, 1), NOW + 600)
    await threads.unarchive(database, KEY, 1, NOW)
    assert 1 in await listed(database)


async def test_what_changed_since_it_was_seen_is_not_archived(database: Database) -> None:
    await bank(database)
    seen = await revision(database, 1)
    await hear(database, heard(50, 1, "One more", received_at=NOW + 300))
    assert not await threads.archive(database, KEY, 1, seen, NOW + 400)
    assert not await threads.archive(database, KEY, 77, 1, NOW + 400)
    assert not await conversations.report(database, KEY, 1, NOW + 400, revision=seen)
    assert 1 in await listed(database, Which(filter=Filter.NEEDS_ATTENTION))


async def test_a_report_may_archive(database: Database) -> None:
    await bank(database)
    assert await conversations.report(database, KEY, 1, NOW + 400, archive=True)
    assert await conversations.report(database, KEY, 2, NOW + 400)
    assert await listed(database, Which(filter=Filter.ARCHIVED)) == [1]
    assert await listed(database, Which(filter=Filter.NEEDS_ATTENTION)) == [9, 8, 7, 6, 5, 4, 3]


async def test_whoever_got_a_conversation_has_the_contact(database: Database) -> None:
    await bank(database)
    await database.execute(
        """
        INSERT INTO assignments (campaign_id, action_id, contact_id, hours_group, turn, volunteer_id, assigned_at)
        VALUES (1, $1, 1, 'PA', 0, 7, to_timestamp($2))
        """,
        ACTION,
        NOW,
    )
    seen = await revision(database, 1)
    assert await threads.hand_over(database, KEY, 1, seen, 8, NOW + 400)
    assert not await threads.hand_over(database, KEY, 1, seen, 9, NOW + 400), "it has another revision now"
    assert 1 in await listed(database, Which(volunteer_id=8))
    assert await database.fetch_value("SELECT volunteer_id FROM assignments") == 8


async def test_what_is_idle_leaves_the_inbox_in_pieces(database: Database) -> None:
    await bank(database)
    answer = admission(90, 2, kind="reply", body="Yes", seen_revision=2, requested_at=NOW + 5000)
    await admit(database, answer)
    await conversations.report(database, KEY, 3, NOW + 5000)
    idle_since, place, archived = NOW + 68.5, (float("-inf"), 0), 0
    rounds = 0
    while place is not None:
        more, place = await threads.archive_idle(database, KEY, idle_since, NOW + 9000, after=place, limit=3)
        archived, rounds = archived + more, rounds + 1
    assert (archived, rounds) == (6, 3)
    assert await listed(database, Which(filter=Filter.ARCHIVED)) == [8, 7, 6, 5, 4, 1]
    assert await listed(database) == [9, 3, 2]
