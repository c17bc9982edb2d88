"""Another campaign's data, asked for through every operation with a key of every role: as if it were not there."""

import enum
import types
import typing
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import pytest_asyncio

from gateway.core.bank.permissions import KEY_ROLES, Actor, Role
from gateway.http.operations import Operation
from gateway.http.server import OPERATIONS
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, Answer, House

NOT_THERE = 99_999
WORDS = "Only those of this campaign read this"


def least(kind: Any, campaign_id: int) -> Any:
    """The least that a record takes: required fields alone, every campaign the given one."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = [each for each in msgspec.structs.fields(kind) if each.required]
        return {
            each.encode_name: campaign_id if each.name == "campaign_id" else least(each.type, campaign_id)
            for each in fields
        }
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind)).value
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return least(inside[0], campaign_id)
    if origin in (typing.Union, types.UnionType):
        return least(inside[0], campaign_id)
    if origin is typing.Literal:
        return inside[0]
    if origin in (list, tuple):
        return [least(inside[0], campaign_id)]
    return {int: 1, str: "2155550101", bool: True, float: 1.0}.get(kind, {})


def is_about_a_campaign(operation: Operation) -> bool:
    """By its path, or by what it must be given."""
    body = {} if operation.takes is None else least(operation.takes, 0)
    return operation.act is not None and ("campaign_id" in operation.ids or "campaign_id" in body)


ABOUT_A_CAMPAIGN = [each for each in OPERATIONS if is_about_a_campaign(each)]
ABOUT_ONE_THING = [each for each in ABOUT_A_CAMPAIGN if len(each.ids) > 1]


async def ask(house: House, operation: Operation, campaign_id: int, key: str, message_id: int = 1) -> Answer:
    ids = dict.fromkeys(operation.ids, 1) | {"campaign_id": campaign_id, "message_id": message_id}
    body = None if operation.takes is None else least(operation.takes, campaign_id)
    asked = {} if operation.asks is None else least(operation.asks, campaign_id)
    path = f"{operation.path.format(**ids)}?{urlencode(asked)}"
    return await house.call(operation.method, path, body, key=key)


async def furnished(house: House) -> int:
    """In the first campaign a text, an action of which a volunteer has a bucket, and an endpoint that was told of it; the
    text's id."""
    await house.store.execute(
        """
        INSERT INTO webhook_endpoints (organisation_id, campaign_id, endpoint_id, kind, url, topics, secret, made_at, xid,
          event_id, active) VALUES (1, $1, 1, 'webhook', $2, '{replied}', $2, now(), 0, 0, false)
        """,
        CAMPAIGN,
        WORDS,
    )
    await house.store.execute(
        """
        INSERT INTO webhook_deliveries (organisation_id, campaign_id, endpoint_id, delivery_id, topic, body, made_at,
          due_at, give_up_at) VALUES (1, $1, 1, 1, 'replied', to_json($2::text), now(), now(), now())
        """,
        CAMPAIGN,
        WORDS,
    )
    await house.store.execute(
        """
        WITH action AS (
            INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts, state, published_at)
            VALUES (1, $1, 1, $2, '{}', 'public', now()) RETURNING action_id
        ), script AS (
            INSERT INTO scripts (organisation_id, campaign_id, script_id, action_id, kind, name, source, place)
            SELECT 1, $1, 1, action_id, 'initial', 'initial-1', $2, 1 FROM action
        ), assigned AS (
            INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn, volunteer_id)
            SELECT 1, $1, action_id, 2, 'PA@America/New_York', 0, 1 FROM action
        )
        INSERT INTO buckets (organisation_id, campaign_id, action_id, volunteer_id, bucket_id, contact_ids, look_at)
        SELECT 1, $1, action_id, 1, 1, '{2}', now() FROM action
        """,
        CAMPAIGN,
        WORDS,
    )
    await a_list(house)
    await labels_and_people(house)
    message_id: int = (await house.send(1, WORDS)).body["message_id"]
    return message_id


async def test_a_bucket_of_ones_own_campaign_is_there(house: House) -> None:
    """What the others are not shown."""
    await furnished(house)
    path = f"/v1/campaigns/{CAMPAIGN}/actions/1/buckets/mine?volunteer_id=1"
    assert WORDS in msgspec.json.encode((await house.call("GET", path)).body).decode()


async def a_list(house: House) -> None:
    """A contact with a name of its own, a list, and an import with a row that was not used."""
    for sql in (
        "UPDATE contacts SET last_name = $2 WHERE campaign_id = $1 AND contact_id = 1",
        """
        INSERT INTO contact_lists (organisation_id, campaign_id, list_id, name, made_at)
        VALUES (1, $1::bigint, 1, $2::text, now())
        """,
        """
        INSERT INTO contact_imports (organisation_id, campaign_id, import_id, list_id, owner, request_hash, began_at, headers,
          report) VALUES (1, $1::bigint, 1, 1, 'key:1', 1, now(), to_jsonb(ARRAY[$2::text]), '{}')
        """,
        """
        INSERT INTO import_rejects (organisation_id, campaign_id, import_id, line, header, reason, words, cells)
        VALUES (1, $1::bigint, 1, 1, '', 'too_short', $2::text, '[]')
        """,
    ):
        await house.store.execute(sql, CAMPAIGN, WORDS)


async def labels_and_people(house: House) -> None:
    """A tag, a field, a report, a list of people, an announcement and a reassignment, all with words of their own."""
    for sql in (
        """
        INSERT INTO tags (organisation_id, campaign_id, tag_id, name, label, place, by_default)
        VALUES (1, $1::bigint, 1, $2::text, $2, 1, true)
        """,
        """
        INSERT INTO custom_fields (organisation_id, campaign_id, field_id, slug, label, kind, place, by_default)
        VALUES (1, $1::bigint, 1, 'pet', $2::text, 'text', 1, true)
        """,
        """
        INSERT INTO reports (organisation_id, campaign_id, report_id, contact_id, at, tags, removed_tags, fields)
        VALUES (1, $1::bigint, 1, 1, now(), '{1}', '{}', jsonb_build_object('pet', $2::text))
        """,
        """
        INSERT INTO user_lists (organisation_id, campaign_id, user_list_id, name, made_at)
        VALUES (1, $1::bigint, 1, $2::text, now())
        """,
        """
        INSERT INTO announcements (organisation_id, campaign_id, announcement_id, at, who, title, body, people, mails,
          request_hash) VALUES (1, $1::bigint, 1, now(), 'key:1', $2::text, $2, 0, 0, 0)
        """,
        """
        INSERT INTO reassignments (organisation_id, campaign_id, reassignment_id, at, who, moved, request_hash)
        VALUES (1, $1::bigint, 1, now(), $2::text, 1, 0)
        """,
    ):
        await house.store.execute(sql, CAMPAIGN, WORDS)


async def test_labels_and_people_of_ones_own_campaign_are_there(house: House) -> None:
    """What the others are not shown."""
    await furnished(house)
    for path in ("tags", "fields", "conversations/1/reports", "user-lists", "announcements", "reassignments"):
        answer = await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/{path}")
        assert WORDS in msgspec.json.encode(answer.body).decode(), path


def test_the_operations_of_campaigns_are_found() -> None:
    assert {"sending.one", "reading.story", "campaigns.change"} <= {each.handler for each in ABOUT_A_CAMPAIGN}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anothers(kept_house: House) -> tuple[int, dict[Role, str]]:
    """The text of the furnished campaign, and the other campaign's keys: asking with them changes nothing."""
    keys = {role: await kept_house.key(role, OTHER_CAMPAIGN) for role in KEY_ROLES.values()}
    return await furnished(kept_house), keys


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation", ABOUT_A_CAMPAIGN, ids=lambda each: each.handler)
async def test_anothers_campaign_is_as_if_it_were_not_there(
    kept_house: House, anothers: tuple[int, dict[Role, str]], operation: Operation
) -> None:
    house, (message_id, keys) = kept_house, anothers
    before = await house.store.fetch("SELECT * FROM campaigns ORDER BY campaign_id")
    for role, key in keys.items():
        theirs = await ask(house, operation, CAMPAIGN, key, message_id)
        nobodys = await ask(house, operation, NOT_THERE, key, message_id)
        assert operation.act is not None
        assert theirs.status == nobodys.status == (404 if Actor(role).may(operation.act) else 403)
        told = msgspec.json.encode(theirs.body).decode()
        assert told == msgspec.json.encode(nobodys.body).decode().replace(str(NOT_THERE), str(CAMPAIGN))
        assert WORDS not in told
    assert await house.count("messages") == 1
    assert await house.store.fetch("SELECT * FROM campaigns ORDER BY campaign_id") == before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation", ABOUT_ONE_THING, ids=lambda each: each.handler)
async def test_anothers_things_are_not_in_ones_own_campaign(
    kept_house: House, anothers: tuple[int, dict[Role, str]], operation: Operation
) -> None:
    house, (message_id, keys) = kept_house, anothers
    for role, key in keys.items():
        answer = await ask(house, operation, OTHER_CAMPAIGN, key, message_id)
        assert operation.act is not None
        assert answer.status == (404 if Actor(role).may(operation.act) else 403)
        assert WORDS not in msgspec.json.encode(answer.body).decode()


def said(answer: Answer) -> str:
    """All that an answer says, files included."""
    if isinstance(answer.body, bytes):
        return answer.body.decode(errors="replace")
    return msgspec.json.encode(answer.body).decode()


async def test_a_campaigns_lists_figures_and_files_are_its_own(house: House) -> None:
    await furnished(house)
    await house.writes(1, WORDS)
    reads = [
        each
        for each in ABOUT_A_CAMPAIGN
        if each.method == "GET"
        and each.ids == ["campaign_id"]
        and "text/event-stream" not in each.gives.values()
    ]
    own, told = await house.key(Role.KEY_ADMIN, OTHER_CAMPAIGN), set()
    for operation in reads:
        answer = await ask(house, operation, OTHER_CAMPAIGN, own)
        assert answer.status < 500, (operation.handler, answer.body)
        assert WORDS not in said(answer), operation.handler
        if WORDS in said(await ask(house, operation, CAMPAIGN, house.keys[Role.KEY_ADMIN])):
            told.add(operation.handler)
    assert {f"exports.{each}" for each in ("messages", "replies", "contacts")} <= told  # a leak would be seen
