"""Sending over HTTP: one, many, bad rows, repeats."""

import asyncio
from io import BytesIO
from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.http.records import MOST_ROWS
from tests.http.house import CAMPAIGN, UNDER_WAY, House, phone


async def batch(house: House, rows: list[Any], **headers: str) -> Any:
    body = {"campaign_id": CAMPAIGN, "messages": rows}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await house.call("POST", "/v1/messages:batch", body, headers=named)


async def test_a_text_is_accepted_handed_over_and_delivered(house: House) -> None:
    answer = await house.send(1, "Hi Ann")
    assert answer.status == 202
    assert answer.body["state"] in UNDER_WAY
    assert answer.headers["Location"] == f"/v1/messages/1/{answer.body['message_id']}"
    text = await house.provider.next_text()
    assert (text.phone, text.body, text.message_id) == (phone(1), "Hi Ann", answer.body["message_id"])
    assert (await house.says(text, "delivered")).status == 204
    message = (await house.call("GET", answer.headers["Location"], key=Role.KEY_READER)).body
    assert (message["state"], message["to"], message["sent_from"]) == ("delivered", phone(1), "+12675550101")
    assert message["cost_usd"] > 0


async def test_it_is_durable_before_the_202(house: House) -> None:
    await house.send(1)
    assert await house.count("messages") == 1


async def test_a_person_may_be_named_by_phone(house: House) -> None:
    answer = await house.send(None, to="(215) 555-0102")
    assert answer.status == 202
    assert (await house.provider.next_text()).phone == phone(2)


async def test_a_safeguard_answers_in_words(house: House) -> None:
    await house.send(1)
    answer = await house.send(1)
    assert answer.status == 202
    assert (answer.body["state"], answer.body["code"], answer.body["reason"]) == (
        "blocked",
        1001,
        "identical_text",
    )
    assert answer.body["explanation"]


@pytest.mark.parametrize(
    ("message", "status", "words"),
    [
        ({"campaign_id": 1, "contact_id": 1}, 422, "body"),
        ({"campaign_id": 1, "contact_id": "1", "body": "x"}, 422, "contact_id"),
        ({"campaign_id": 1, "contact_id": 1, "body": "x", "text": "y"}, 422, "text"),
        ({"campaign_id": 1, "contact_id": 2**63, "body": "x"}, 422, "contact_id"),
        ({"campaign_id": 1, "contact_id": 1, "body": "x" * 1601}, 422, "1600"),
        ({"campaign_id": 1, "body": "x"}, 422, "contact_id or to"),
        ({"campaign_id": 1, "body": "x", "to": "555"}, 422, "ten"),
        ({"campaign_id": 1, "body": "x", "to": "+12155559999"}, 422, "no contact"),
        ({"campaign_id": 1, "contact_id": 1, "body": "a\x00b"}, 400, "U+0000"),
        ({"campaign_id": 9, "contact_id": 1, "body": "x"}, 404, "campaign 9"),
        ([], 422, "object"),
    ],
)
async def test_a_bad_message_is_refused_in_words(house: House, message: Any, status: int, words: str) -> None:
    answer = await house.call("POST", "/v1/messages", message)
    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert words in answer.body["detail"]
    assert await house.count("messages") == 0


@pytest.mark.parametrize(
    ("data", "type_", "status"),
    [(b"{", "application/json", 400), (b"\xff", "application/json", 400), (b"{}", "text/plain", 415)],
)
async def test_what_is_no_json_is_refused(house: House, data: bytes, type_: str, status: int) -> None:
    answer = await house.call("POST", "/v1/messages", data=data, headers={"Content-Type": type_})
    assert answer.status == status


async def test_a_body_is_bounded(house: House) -> None:
    data = BytesIO(b" " * (16 * 1024 * 1024 + 1))
    answer = await house.call("POST", "/v1/messages", data=data, headers={"Content-Type": "application/json"})
    assert answer.status == 413


async def test_the_good_rows_of_a_batch_go_and_the_bad_ones_say_why(house: House) -> None:
    rows = [
        {"contact_id": 1, "body": "one"},
        {"contact_id": 2},
        {"to": "nonsense", "body": "three"},
        {"to": phone(4), "body": "four"},
        "five",
        {"contact_id": 6, "body": " "},
        {"contact_id": 99, "body": "stranger"},
    ]
    answer = await batch(house, rows)
    assert answer.status == 202
    results = answer.body["results"]
    assert [("error" in each, each.get("code")) for each in results] == [
        (False, None),
        (True, None),
        (True, None),
        (False, None),
        (True, None),
        (False, 1002),
        (False, 1106),
    ]
    assert (answer.body["accepted"], answer.body["blocked"], answer.body["rejected"]) == (2, 2, 3)
    assert await house.count("messages") == 4
    assert {(await house.provider.next_text()).phone for _ in range(2)} == {phone(1), phone(4)}


async def test_a_batch_without_a_good_row_is_422(house: House) -> None:
    answer = await batch(house, [{"contact_id": 1}, 7])
    assert (answer.status, answer.body["rejected"]) == (422, 2)


@pytest.mark.parametrize(
    "rows", [[], [{"contact_id": 1, "body": "x"}] * (MOST_ROWS + 1)], ids=["none", "many"]
)
async def test_a_batch_has_its_size(house: House, rows: list[Any]) -> None:
    assert (await batch(house, rows)).status == 422


async def test_a_repeat_with_the_same_key_sends_nothing(house: House) -> None:
    message = {"campaign_id": CAMPAIGN, "contact_id": 1, "body": "once"}
    first, again = [
        await house.call("POST", "/v1/messages", message, headers={"Idempotency-Key": "k-1"})
        for _ in range(2)
    ]
    assert (first.status, again.status) == (202, 202)
    assert first.body["message_id"] == again.body["message_id"]
    assert await house.count("messages") == 1


async def test_a_repeated_batch_sends_nothing(house: House) -> None:
    rows = [{"contact_id": each, "body": "once"} for each in range(1, 6)]
    first, again = [await batch(house, rows, Idempotency_Key="b-1") for _ in range(2)]
    assert [each["message_id"] for each in first.body["results"]] == [
        each["message_id"] for each in again.body["results"]
    ]
    assert await house.count("messages") == 5


async def test_one_key_twice_in_a_batch_is_one_message(house: House) -> None:
    rows = [{"contact_id": 1, "body": "x", "idempotency_key": "same"}] * 2
    results = (await batch(house, rows)).body["results"]
    assert results[0]["message_id"] == results[1]["message_id"]
    assert await house.count("messages") == 1


async def test_one_key_for_two_people_in_a_batch_refuses_the_second(house: House) -> None:
    rows = [{"contact_id": each, "body": "x", "idempotency_key": "same"} for each in (1, 2)]
    for _ in range(2):
        first, second = (await batch(house, rows)).body["results"]
        assert first["state"] in UNDER_WAY
        assert "other parameters" in second["error"]
    assert await house.count("messages") == 1
    assert await house.count("conversations") == 1


async def test_a_repeat_has_the_same_status_and_body(house: House) -> None:
    """Whatever has become of the message meanwhile; a refusal too."""
    for message in ({"contact_id": 1, "body": "Hi"}, {"contact_id": 1, "body": "Hi"}):
        key = {"Idempotency-Key": f"k-{await house.count('messages')}"}
        sent = {"campaign_id": CAMPAIGN, **message}
        first = await house.call("POST", "/v1/messages", sent, headers=key)
        if first.body["state"] != "blocked":
            await house.says(await house.provider.next_text(), "delivered")
        again = await house.call("POST", "/v1/messages", sent, headers=key)
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["Location"] == first.headers["Location"]
    assert first.body["code"] == 1001


@pytest.mark.parametrize(
    "changes",
    [
        {"contact_id": 2},
        {"body": "Another"},
        {"kind": "reply"},
        {"action_id": 5},
        {"media_urls": ["https://texts.example.org/a.jpg"]},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_key_with_other_parameters_is_refused(house: House, changes: dict[str, Any]) -> None:
    assert (await house.send(1, idempotency_key="k")).status == 202
    answer = await house.send(**{"contact_id": 1, "idempotency_key": "k", **changes})
    assert answer.status == 422
    assert "other parameters" in answer.body["detail"]
    assert await house.count("messages") == 1
    assert (await house.send(2, "For you")).body["state"] in UNDER_WAY


async def test_a_key_is_the_api_keys_own(house: House) -> None:
    """Another API key's word of the same letters is another key; a person named by phone is the same person."""
    other = await house.key(Role.KEY_SENDER)
    message = {"campaign_id": CAMPAIGN, "contact_id": 1, "body": "one", "idempotency_key": "k"}
    first = await house.call("POST", "/v1/messages", message)
    by_phone = {**message, "contact_id": None, "to": phone(1)}
    assert (await house.call("POST", "/v1/messages", by_phone)).body == first.body
    second = await house.call("POST", "/v1/messages", {**message, "contact_id": 2}, key=other)
    assert second.status == 202
    assert second.body["message_id"] != first.body["message_id"]
    assert await house.count("messages") == 2


async def test_a_request_under_way_is_answered_with_409(house: House) -> None:
    """Its first is neither done nor lost: the client asks again, and gets its outcome."""
    await house.store.script("BEGIN; LOCK TABLE messages IN SHARE MODE")
    first = asyncio.create_task(house.send(1, "Hi", idempotency_key="k"))
    rows = asyncio.create_task(batch(house, [{"contact_id": 2, "body": "Hi"}], Idempotency_Key="b"))
    while len(house.worker.gateway.admission.keys) < 3:
        await house.count("campaigns")
    answers = [
        await house.send(1, "Hi", idempotency_key="k"),
        await batch(house, [{"contact_id": 2, "body": "Hi"}], Idempotency_Key="b"),
        await batch(
            house,
            [{"contact_id": 3, "body": "Hi"}, {"contact_id": 1, "body": "Hi", "idempotency_key": "k"}],
        ),
    ]
    for answer in answers:
        assert (answer.status, answer.headers["Retry-After"]) == (409, "2")
    await house.store.script("COMMIT")
    assert (await house.send(1, "Hi", idempotency_key="k")).status in (202, 409)
    assert (await first).status == (await rows).status == 202
    assert (await house.send(1, "Hi", idempotency_key="k")).body == (await first).body
    assert await house.count("messages") == 2


async def test_a_batchs_key_stands_for_the_whole_batch(house: House) -> None:
    rows = [{"contact_id": each, "body": "x"} for each in (1, 2)]
    first = await batch(house, rows, Idempotency_Key="b-1")
    for other in (rows[:1], [*rows, {"contact_id": 3, "body": "x"}], rows[::-1]):
        answer = await batch(house, other, Idempotency_Key="b-1")
        assert answer.status == 422
        assert "other parameters" in answer.body["detail"]
    message = {"campaign_id": CAMPAIGN, "contact_id": 3, "body": "x", "idempotency_key": "b-1"}
    assert (await house.call("POST", "/v1/messages", message)).status == 422
    assert (await batch(house, rows, Idempotency_Key="b-1")).body == first.body
    assert await house.count("messages") == 2


@pytest.mark.parametrize("key", ["", "x" * 251])
async def test_a_key_has_its_length(house: House, key: str) -> None:
    message = {"campaign_id": CAMPAIGN, "contact_id": 1, "body": "x"}
    answer = await house.call("POST", "/v1/messages", message, headers={"Idempotency-Key": key})
    assert answer.status == 400


async def test_a_batch_beyond_what_may_wait_is_refused_whole(house: House) -> None:
    """503 and Retry-After: nothing of it was taken, so it may come again as it is, with a key or without."""
    admission = house.worker.gateway.admission
    admission.bound.most_items = 3
    await house.store.script("BEGIN; LOCK TABLE messages IN SHARE MODE")
    taken = asyncio.create_task(batch(house, [{"contact_id": each, "body": "Hi"} for each in (1, 2)]))
    while admission.bound.items < 2:
        await house.count("campaigns")
    answer = await batch(house, [{"contact_id": each, "body": "Hi"} for each in (3, 4)], Idempotency_Key="b")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    last = asyncio.create_task(house.send(5, "Hi"))
    while admission.bound.items < 3:
        await house.count("campaigns")
    assert (await house.send(6, "Hi", idempotency_key="s")).status == 503
    assert (admission.bound.items, len(admission.keys)) == (3, 0)
    await house.store.script("COMMIT")
    assert ((await taken).status, (await last).status) == (202, 202)
    assert await house.count("messages") == 3
    again = await batch(house, [{"contact_id": each, "body": "Hi"} for each in (3, 4)], Idempotency_Key="b")
    assert (again.status, again.body["accepted"]) == (202, 2)
