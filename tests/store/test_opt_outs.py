"""The list of opt-outs: look-up by phone, pages, and the two counters of C11."""

from gateway.store import conversations, opt_outs
from gateway.store.database import Database
from tests.store.rows import KEY, NOW, SCOPE, heard, people, phone
from tests.store.test_conversations import hear


async def some(database: Database) -> None:
    """1 wrote STOP, 2 was noted by volunteer 7, 3 came with a list, and so did somebody who is no contact."""
    await people(database, 3)
    await hear(database, heard(1, 1, "Stop it", intent="stop"))
    await opt_outs.opt_out(database, KEY, SCOPE, 2, "manual", NOW + 90, 7)
    await conversations.import_opt_outs(database, 1, SCOPE, [phone(3), "+19995550100"], NOW)
    await conversations.import_opt_outs(database, 1, SCOPE + 1, [phone(9)], NOW)


async def test_a_look_up_says_when_how_by_whom_and_in_which_words(database: Database) -> None:
    await some(database)
    stopped = await opt_outs.look_up(database, KEY, SCOPE, phone(1))
    assert stopped == opt_outs.OptOut(phone(1), "keyword", "Stop it", NOW + 60, None, 1, "Ann", "")
    noted = await opt_outs.look_up(database, KEY, SCOPE, phone(2))
    assert noted == opt_outs.OptOut(phone(2), "manual", "", NOW + 90, 7, 2, "Ann", "")
    assert await opt_outs.look_up(database, KEY, SCOPE, phone(9)) is None


async def test_the_list_has_pages_and_may_be_of_one_source(database: Database) -> None:
    await some(database)
    found: list[str] = []
    while page := await opt_outs.page(database, KEY, SCOPE, None, found[-1] if found else "", 3):
        found += [each.phone for each in page]
    assert found == [phone(1), phone(2), phone(3), "+19995550100"]
    imported = await opt_outs.page(database, KEY, SCOPE, "import", "", 10)
    assert [(each.phone, each.contact_id) for each in imported] == [(phone(3), 3), ("+19995550100", None)]


async def test_automatic_and_manual_ones_are_counted_apart(database: Database) -> None:
    assert await opt_outs.counts(database, 1, SCOPE) == {
        "keyword": 0,
        "manual": 0,
        "provider": 0,
        "import": 0,
        "erasure": 0,
    }
    await some(database)
    assert await opt_outs.counts(database, 1, SCOPE) == {
        "keyword": 1,
        "manual": 1,
        "provider": 0,
        "import": 2,
        "erasure": 0,
    }


async def test_a_volunteer_marks_only_who_is_theirs(database: Database) -> None:
    """Looked at and done by one statement: whose a conversation is may change at any time."""
    await people(database, 3)
    await hear(database, heard(1, 1, "Leave me alone"), heard(2, 2, "Me too"))
    await database.execute("UPDATE conversations SET volunteer_id = 6 + contact_id")

    async def mark(contact_id: int) -> opt_outs.OwnOptOut:
        return await opt_outs.opt_out_own(database, KEY, SCOPE, contact_id, "manual", NOW + 90, 7)

    assert await mark(1) == opt_outs.OwnOptOut(True, phone(1))
    assert await mark(1) == opt_outs.OwnOptOut(True, None)
    for contact_id in (2, 3):  # another's; nobody's yet
        assert await mark(contact_id) == opt_outs.OwnOptOut(False, None)
        assert await opt_outs.look_up(database, KEY, SCOPE, phone(contact_id)) is None
    waiting = await database.fetch(
        "SELECT contact_id, attention_at IS NOT NULL FROM conversations ORDER BY contact_id"
    )
    assert [tuple(row) for row in waiting] == [(1, False), (2, True)]
