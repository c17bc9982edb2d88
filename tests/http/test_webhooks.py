"""Webhooks: the signature proves them, nothing is answered before it is durable, repeats change nothing."""

import pytest

from gateway.providers.twilio.webhooks import signature
from tests.http.house import (
    NUMBER,
    PUBLIC_URL,
    House,
    inbound_form,
    phone,
    status_form,
)
from tests.http.signing_provider import TOKENS

INBOUND, STATUS = "/webhooks/twilio/inbound", "/webhooks/twilio/status?c=1&m=1&a=1"
SID = f"SM{1:032d}"


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({}, 200),
        ({"token": TOKENS[1]}, 200),
        ({"url": "https://texts.example.org:443/bank"}, 200),
        ({"token": "another"}, 403),
        ({"given": ""}, 403),
        ({"given": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, 403),
        ({"given": "é"}, 403),
        ({"url": "http://127.0.0.1"}, 403),
        ({"url": "https://texts.example.org"}, 403),
    ],
    ids=["first", "second", "port", "token", "blank", "wrong", "not-ascii", "local", "prefix"],
)
async def test_only_what_is_signed_for_the_public_address_comes_in(
    house: House, how: dict[str, str], status: int
) -> None:
    answer = await house.webhook(INBOUND, inbound_form(SID, phone(1), "Sí, STOP? 👍"), **how)
    assert answer.status == status
    assert await house.count("inbound") == (status == 200)
    refused = await house.metric('p2p_webhooks_total{result="bad_signature",type="inbound"}')
    assert refused == (status == 403)


async def test_a_blank_parameter_is_part_of_the_signature(house: House) -> None:
    form = inbound_form(SID, phone(1), "hello")
    without_blanks = [pair for pair in form if pair[1]]
    given = signature(PUBLIC_URL + INBOUND, without_blanks, TOKENS[0])
    assert (await house.webhook(INBOUND, form, given=given)).status == 403


async def test_a_status_with_a_bad_signature_moves_nothing(house: House) -> None:
    await house.send(1)
    text = await house.provider.next_text()
    path = f"/webhooks/twilio/status?c=1&m={text.message_id}&a=1"
    assert (await house.webhook(path, status_form(SID, "delivered"), given="x")).status == 403
    other = f"/webhooks/twilio/status?c=1&m={text.message_id + 1}&a=1"  # another message's signature
    given = signature(PUBLIC_URL + other, status_form(SID, "delivered"), TOKENS[0])
    assert (await house.webhook(path, status_form(SID, "delivered"), given=given)).status == 403
    assert "delivered" not in await house.states()
    assert await house.metric('p2p_webhooks_total{result="bad_signature",type="status"}') == 2


@pytest.mark.parametrize("repeats", [1, 3])
async def test_a_text_is_stored_before_it_is_answered_and_once(house: House, repeats: int) -> None:
    for _ in range(repeats):
        answer = await house.writes(1, "who is this?", sid=SID)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
        assert answer.body.endswith(b"<Response/>")
        assert await house.count("inbound") == 1


async def test_an_opt_out_is_in_force_with_the_answer(house: House) -> None:
    assert (await house.writes(1, "STOP")).status == 200
    assert (await house.send(1)).body["code"] == 1302


async def test_a_receipt_may_come_twice_and_late(house: House) -> None:
    await house.send(1)
    text = await house.provider.next_text()
    for status in ("delivered", "sent", "delivered", "queued"):
        assert (await house.says(text, status)).status == 204
        assert await house.states() == ["delivered"]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/webhooks/twilio/status", status_form(SID, "delivered")),
        ("/webhooks/twilio/status?c=1&m=x&a=1", status_form(SID, "delivered")),
        (STATUS, [("MessageSid", SID)]),
        (STATUS, status_form(SID, "levitating")),
        ("/webhooks/twilio/status?c=77&m=1&a=1", status_form(SID, "delivered")),
        (STATUS, status_form(SID, "delivered")),
        (INBOUND, [("MessageSid", SID)]),
    ],
)
async def test_what_is_none_of_ours_is_answered_and_forgotten(
    house: House, path: str, form: list[tuple[str, str]]
) -> None:
    """An error would only bring it back."""
    assert (await house.webhook(path, form)).status == 204
    assert await house.count("inbound") == 0


async def test_a_text_may_hold_anything(house: House) -> None:
    assert (await house.writes(1, "a\x00b &=+% 🤷")).status == 200
    assert await house.store.fetch_value("SELECT body FROM inbound") == "ab &=+% 🤷"


@pytest.mark.parametrize(
    ("data", "type_", "status"),
    [
        (b"{}", "application/json", 415),
        (b"a=" + b"b" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=b" for _ in range(300)), "application/x-www-form-urlencoded", 400),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"a=\xff", "application/x-www-form-urlencoded", 400),
    ],
    ids=["json", "large", "fields", "escaped", "bytes"],
)
@pytest.mark.parametrize("path", [INBOUND, STATUS])
async def test_a_body_is_a_form_within_bounds(
    house: House, path: str, data: bytes, type_: str, status: int
) -> None:
    answer = await house.call("POST", path, data=data, headers={"Content-Type": type_}, key=None)
    assert answer.status == status
    type_name = "inbound" if path == INBOUND else "status"
    assert await house.metric(f'p2p_webhooks_total{{result="error",type="{type_name}"}}') == 1


async def test_our_own_number_is_the_conversations(house: House) -> None:
    await house.writes(2, "hello")
    row = await house.store.fetch_row("SELECT campaign_id, contact_id, number_phone FROM inbound")
    assert tuple(row) == (1, 2, NUMBER)


async def test_how_long_a_callback_takes_and_until_it_is_in_the_books(house: House) -> None:
    await house.send(1)
    text = await house.provider.next_text()

    async def counts(name: str) -> list[float]:
        return [
            await house.metric(f'p2p_webhook_{name}_seconds_count{{type="{type_}"}}')
            for type_ in ("status", "inbound")
        ]

    await house.says(text, "delivered")
    await house.writes(1, "Who is this?")
    assert (await counts("duration"), await counts("lag")) == ([1, 1], [1, 1])
    await house.webhook(INBOUND, inbound_form(SID, phone(1), "Hello"), given="x")
    assert (await counts("duration"), await counts("lag")) == ([1, 2], [1, 1])
    lag_s = await house.metric('p2p_webhook_lag_seconds_sum{type="inbound"}')
    assert 0 < lag_s <= await house.metric('p2p_webhook_duration_seconds_sum{type="inbound"}')
