"""Rows that the store's tests begin with: one campaign, a few people, one number."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import State
from gateway.p2p.publishing import publish_whole
from gateway.store import campaigns, claims, contacts, messages, numbers
from gateway.store.campaign_actions import ActionRecord
from gateway.store.campaigns import CampaignRow
from gateway.store.claims import Claim
from gateway.store.contacts import ContactRow
from gateway.store.conversations import Heard
from gateway.store.database import Database, Record
from gateway.store.messages import Admission, Keyed
from gateway.store.numbers import NumberRow
from gateway.store.ownership import FencingToken

CAMPAIGN, SCOPE, ACTION, NUMBER = 1, 11, 5, 1
KEY = CampaignKey(1, CAMPAIGN)
NOW = 1_780_000_000.0
ASK_AT = NOW + 40
GROUP = "PA@America/New_York"
OUR_PHONE = "+12675550100"
OWNER = FencingToken(worker_id=1, epoch=1)


def phone(contact_id: int) -> str:
    return f"+1215555{100 + contact_id:04d}"


async def people(database: Database, count: int = 3, *, campaign_id: int = CAMPAIGN) -> None:
    """A campaign with contacts 1 to `count`."""
    row = CampaignRow(campaign_id, SCOPE, "Bank", "{}", paused=False)
    await campaigns.create(database, row, NOW)
    rows = [ContactRow(each, phone(each), GROUP, first_name="Ann") for each in range(1, count + 1)]
    assert await contacts.add(database, CampaignKey(1, campaign_id), rows) == count


async def own_number(database: Database) -> None:
    number = NumberRow(NUMBER, OUR_PHONE, "PN1", "active", "first_number", "{}")
    await numbers.add(database, KEY, number, NOW)


def admission(message_id: int, contact_id: int | None = None, **changes: object) -> Admission:
    """A queued initial to a person without a conversation, unless told otherwise."""
    contact_id = message_id if contact_id is None else contact_id
    plain = Admission(
        message_id=message_id,
        contact_id=contact_id,
        phone=phone(contact_id),
        action_id=ACTION,
        kind="initial",
        sender_id=7,
        body=f"Hello {message_id}",
        segments=1,
        text_hash=message_id,
        state=State.QUEUED,
        code=None,
        reason=None,
        requested_at=NOW,
        not_after=NOW + 3600,
        lane=2,
        seen_revision=0,
    )
    return msgspec.structs.replace(plain, **changes)


async def admit(
    database: Database, *rows: Admission, keyed: Sequence[Keyed] = (), token: FencingToken | None = None
) -> set[int]:
    async with database.connection() as connection:
        return await messages.admit(connection, KEY, SCOPE, rows, ASK_AT, keyed, token=token)


def keyed(row: Admission, word: str, owner: str = "key:a", request_hash: int = 1) -> Keyed:
    return Keyed(
        message_id=row.message_id,
        owner=owner,
        word=word,
        request_hash=request_hash,
        state=row.state,
        code=row.code,
        reason=row.reason,
        at=row.requested_at,
    )


def claiming(message_id: int, contact_id: int | None = None, number_id: int = NUMBER) -> Claim:
    contact_id = message_id if contact_id is None else contact_id
    return Claim(message_id, contact_id, number_id, NOW + 1)


async def owned(database: Database) -> None:
    """The campaign is the owner's."""
    await database.execute(
        "UPDATE campaigns SET owner_id = $1, owner_epoch = $2 WHERE campaign_id = $3", *OWNER, CAMPAIGN
    )


async def claim(database: Database, *rows: Claim) -> dict[int, int]:
    """As the campaign's owner."""
    await owned(database)
    async with database.connection() as connection:
        return await claims.claim(connection, KEY, SCOPE, rows, now=NOW, ask_at=ASK_AT, token=OWNER)


async def sending(database: Database, count: int = 1) -> None:
    """Contacts 1 to `count` each have the message of their own number under way, attempt 1."""
    await people(database, count)
    await own_number(database)
    ids = range(1, count + 1)
    await admit(database, *(admission(each) for each in ids))
    assert len(await claim(database, *(claiming(each) for each in ids))) == count


def heard(inbound_id: int, contact_id: int, body: str = "Yes", **changes: object) -> Heard:
    plain = Heard(
        inbound_id=inbound_id,
        provider_sid=f"SM{inbound_id}",
        phone=phone(contact_id),
        number_phone=OUR_PHONE,
        body=body,
        intent="reply",
        suggests_opt_out=False,
        wrong_number=False,
        received_at=NOW + 60,
    )
    return msgspec.structs.replace(plain, **changes)


async def opt_out(database: Database, contact_id: int) -> None:
    await database.execute(
        "INSERT INTO opt_outs VALUES ($1, $2, 'import', '', to_timestamp($3))", SCOPE, phone(contact_id), NOW
    )


async def message(database: Database, message_id: int) -> Record:
    row = await database.fetch_row("SELECT * FROM messages WHERE message_id = $1", message_id)
    assert row is not None
    return row


async def states(database: Database) -> dict[int, str]:
    rows = await database.fetch("SELECT message_id, state FROM messages ORDER BY message_id")
    return {row[0]: row[1] for row in rows}


async def queue(database: Database) -> list[int]:
    return [row[0] for row in await database.fetch("SELECT message_id FROM queue ORDER BY message_id")]


async def conversation(database: Database, contact_id: int) -> Record | None:
    return await database.fetch_row(
        "SELECT * FROM conversations WHERE campaign_id = $1 AND contact_id = $2", CAMPAIGN, contact_id
    )


async def opted_out(database: Database) -> list[str]:
    return [row[0] for row in await database.fetch("SELECT phone FROM opt_outs ORDER BY phone")]


def an_action(action_id: int = ACTION) -> ActionRecord:
    """A draft as an admin made it."""
    return ActionRecord(
        action_id=action_id, title="Get out the vote", state="draft", settings="{}", created_at=NOW
    )


async def publish(database: Database, action_id: int = ACTION, seed: int = 1, key: CampaignKey = KEY) -> int:
    """An action without scripts before the volunteers; how many contacts it has."""
    return await publish_whole(database, key, an_action(action_id), [], seed, NOW)
