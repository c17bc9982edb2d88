"""What the safeguards ask about a person, every column of it."""

import math

from gateway.store import contacts, recipients
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.recipients import Recipient
from tests.store.rows import (
    ACTION,
    GROUP,
    KEY,
    NOW,
    SCOPE,
    admission,
    admit,
    opt_out,
    people,
    phone,
)


async def load(database: Database, *pairs: tuple[int, int | None], texts_since: float = 0) -> list[Recipient]:
    async with database.connection() as connection:
        return await recipients.load(
            connection,
            KEY,
            SCOPE,
            [contact for contact, _ in pairs],
            [action for _, action in pairs],
            texts_since=texts_since,
        )


def stranger(contact_id: int, **known: object) -> Recipient:
    nothing = dict.fromkeys(Recipient.__struct_fields__, None)
    plain = {
        "hours_group": "",
        "revision": 0,
        "opted_out": False,
        "already_sent": False,
        "recent_texts": [],
        "is_users_own": False,
        "consent": "none",
    }
    return Recipient(**{**nothing, **plain, "contact_id": contact_id, **known})


async def test_an_unknown_contact_has_no_phone(database: Database):
    await people(database, 1)
    assert await load(database, (99, None)) == [stranger(99)]


async def test_a_person_never_texted(database: Database):
    await people(database, 0)
    row = ContactRow(1, phone(1), GROUP, line_type="landline", carrier="verizon")
    await contacts.add(database, KEY, [row])
    assert await load(database, (1, ACTION)) == [
        stranger(1, phone=phone(1), hours_group=GROUP, line_type="landline", carrier="verizon")
    ]


async def test_everything_a_conversation_knows(database: Database):
    await people(database, 2)
    await database.execute(
        """
        INSERT INTO conversations (campaign_id, contact_id, revision, number_id, last_initial_at,
            last_outbound_at, failure_code, failure_until, last_inbound_at)
        VALUES (1, 1, 4, 9, to_timestamp($1), to_timestamp($1 + 1), 30003, to_timestamp($1 + 2),
                to_timestamp($1 + 3)),
               (1, 2, 1, NULL, NULL, NULL, 30006, 'infinity', NULL)
        """,
        NOW,
    )
    await database.execute("INSERT INTO assignments VALUES (1, $1, 1, '', 0, 77, now())", ACTION)
    await opt_out(database, 1)
    known, failed = await load(database, (1, ACTION), (2, ACTION))
    assert known == stranger(
        1,
        phone=phone(1),
        hours_group=GROUP,
        revision=4,
        number_id=9,
        last_initial_at=NOW,
        last_outbound_at=NOW + 1,
        failure_code=30003,
        failure_until=NOW + 2,
        last_inbound_at=NOW + 3,
        opted_out=True,
        assignee_id=77,
    )
    assert (failed.failure_code, failed.failure_until) == (30006, math.inf)


async def test_an_opt_out_of_another_scope_does_not_count(database: Database):
    await people(database, 1)
    await database.execute("INSERT INTO opt_outs VALUES (99, $1, 'keyword', '', now())", phone(1))
    assert not (await load(database, (1, None)))[0].opted_out


async def test_recent_texts_and_already_sent_leave_blocked_ones_out(database: Database):
    await people(database, 1)
    await admit(database, admission(1, 1, text_hash=111, requested_at=NOW))
    await admit(database, admission(2, 1, text_hash=222, state="blocked", code=1001, requested_at=NOW + 1))
    sent, elsewhere, no_action = await load(database, (1, ACTION), (1, 6), (1, None), texts_since=NOW - 1)
    assert [sent.already_sent, elsewhere.already_sent, no_action.already_sent] == [True, False, False]
    assert sent.recent_texts == elsewhere.recent_texts == [111]
    later = await load(database, (1, ACTION), texts_since=NOW)
    assert later[0].recent_texts == []


async def test_a_reply_is_not_an_actions_initial(database: Database):
    await people(database, 1)
    await admit(database, admission(1, 1, kind="reply"))
    assert not (await load(database, (1, ACTION)))[0].already_sent


async def test_the_answers_come_in_the_order_of_the_questions(database: Database):
    await people(database, 3)
    asked = [3, 1, 99, 2, 1]
    found = await load(database, *((each, None) for each in asked))
    assert [each.contact_id for each in found] == asked
    assert await load(database) == []
