"""What a webhook's request looks like, and where it goes: redirects, credentials, methods, content types."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl
from urllib.request import parse_http_list, parse_keqv_list
from uuid import UUID

import pytest
from aiohttp import encode_basic_auth, web
from twilio.request_validator import RequestValidator

from simulator.twin.accounts import DEFAULT_TOKEN
from simulator.twin.http_credentials import Credentials, authorization
from simulator.twin.server import TwilioServer
from simulator.twin.webhook_request import target_of
from tests.twilio_server.test_webhooks import ask, is_signed, listen, text
from tests.twilio_server.twin import OURS, PERSON, Receiver, Twilio, Webhook

TWIML = "<Response><Message>Thanks!</Message></Response>"
REPLY = "Thanks!"


def answers(receiver: Receiver, say: Callable[[Webhook], web.Response]) -> None:
    """Answers to what people write; statuses are taken without a word."""
    receiver.answer = lambda w: say(w) if w["SmsStatus"] != "sent" else web.Response(status=204)


async def replies(twilio: Twilio) -> list[str]:
    return [m.body for m in await twilio.call(lambda c: c.messages.list(to=PERSON))]


async def hear(server: TwilioServer, twilio: Twilio, receiver: Receiver, path: str) -> list[str]:
    """What the application's answer at `path` sent to a person who wrote."""
    await text(twilio, server, "hello")
    await receiver.until(lambda w: w.path.startswith(path))
    await done(server, twilio)
    return await replies(twilio)


async def done(server: TwilioServer, twilio: Twilio) -> dict[str, Any]:
    while True:
        state: dict[str, Any] = await ask(twilio, server, "GET", "/twin/state")
        if not state["webhooks"]["outstanding"]:
            return state


async def test_the_request_of_a_webhook(server: TwilioServer, twilio: Twilio, receiver: Receiver) -> None:
    await listen(twilio, receiver)
    await text(twilio, server, "hello")
    webhook = await receiver.until(lambda w: w["Body"] == "hello")
    assert webhook.headers["User-Agent"] == "TwilioProxy/1.1"
    assert webhook.headers["Accept"] == "*/*"
    assert webhook.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert webhook.headers["X-Home-Region"] == "us1"
    assert UUID(webhook.headers["I-Twilio-Idempotency-Token"]).version == 4
    assert "Authorization" not in webhook.headers


@pytest.mark.parametrize(
    "content_type", ["text/xml", "application/xml", "text/html", "text/html; charset=utf-8", "text/plain"]
)
async def test_types_in_which_an_answer_is_read(
    server: TwilioServer, twilio: Twilio, receiver: Receiver, content_type: str
) -> None:
    """text/html is what Flask and PHP say unless they are told otherwise."""
    await listen(twilio, receiver)
    content = REPLY if content_type == "text/plain" else f"<?xml version='1.0'?><!-- Hi -->{TWIML}"
    answers(
        receiver,
        lambda _: web.Response(body=content.encode(), headers={"Content-Type": content_type}),
    )
    assert await hear(server, twilio, receiver, "/in") == [REPLY]


async def test_json_is_no_answer(server: TwilioServer, twilio: Twilio, receiver: Receiver) -> None:
    await listen(twilio, receiver)
    answers(receiver, lambda _: web.json_response({"ok": True}))
    assert await hear(server, twilio, receiver, "/in") == []
    assert (await done(server, twilio))["webhooks"]["alerts"] == {"12300": 1}


async def test_by_get_the_parameters_are_in_the_query_and_signed(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    await listen(twilio, receiver, sms_method="GET")
    await text(twilio, server, "Sí & no")
    webhook = await receiver.until(lambda w: "Body=" in w.path)
    assert dict(parse_qsl(webhook.path.partition("?")[2]))["Body"] == "Sí & no"
    assert webhook.parameters == {}
    assert is_signed(receiver, webhook)


# ------------------------------------------------------------ redirects


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_goes_on_by_get(
    server: TwilioServer, twilio: Twilio, receiver: Receiver, status: int
) -> None:
    """Django's missing slash is a 301."""
    await listen(twilio, receiver)
    answers(
        receiver,
        lambda w: (
            web.Response(status=status, headers={"Location": "/in/"})
            if w.path == "/in?t=7"
            else web.Response(text=TWIML, content_type="text/xml")
        ),
    )
    assert await hear(server, twilio, receiver, "/in/") == [REPLY]
    assert len({w.headers["I-Twilio-Idempotency-Token"] for w in receiver.calls}) == 1
    followed = receiver.calls[-1]
    assert dict(parse_qsl(followed.path.partition("?")[2]))["Body"] == "hello"
    assert is_signed(receiver, followed)
    assert (await done(server, twilio))["webhooks"]["alerts"] == {}


async def test_a_307_is_followed_by_the_same_request(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    await listen(twilio, receiver)
    answers(
        receiver,
        lambda w: (
            web.Response(status=307, headers={"Location": f"{receiver.url}/moved?x=1"})
            if w.path == "/in?t=7"
            else web.Response(text=TWIML, content_type="text/xml")
        ),
    )
    assert await hear(server, twilio, receiver, "/moved") == [REPLY]
    followed = receiver.calls[-1]
    assert (followed.path, followed["Body"], is_signed(receiver, followed)) == ("/moved?x=1", "hello", True)


async def test_a_status_webhook_follows_a_redirect(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    receiver.answer = lambda w: (
        web.Response(status=307, headers={"Location": "/s/"}) if w.path == "/s" else web.Response(status=204)
    )
    message = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON, from_=OURS, body="Hi. STOP to end", status_callback=f"{receiver.url}/s"
        )
    )
    await receiver.until(lambda w: w.path == "/s/" and w["MessageStatus"] == "delivered")
    assert (await done(server, twilio))["webhooks"]["failed"] == 0
    assert {w["MessageSid"] for w in receiver.calls} == {message.sid}


@pytest.mark.parametrize(
    ("headers", "status", "code", "calls"),
    [
        ({"Location": "/in?t=7"}, 307, "11215", 11),
        ({}, 302, "11216", 1),
        ({"Location": "ftp://x.example/"}, 302, "11216", 1),
        ({"Location": "/elsewhere"}, 308, "11216", 1),
        ({"Location": "/elsewhere"}, 300, "11216", 1),
    ],
)
async def test_a_redirect_that_leads_nowhere_falls_back(
    server: TwilioServer,
    twilio: Twilio,
    receiver: Receiver,
    headers: dict[str, str],
    status: int,
    code: str,
    calls: int,
) -> None:
    await listen(
        twilio, receiver, sms_url=f"{receiver.url}/in?t=7", sms_fallback_url=f"{receiver.url}/fallback"
    )
    answers(
        receiver,
        lambda w: (
            web.Response(status=204)
            if w.path == "/fallback"
            else web.Response(status=status, headers=headers)
        ),
    )
    await text(twilio, server, "hello")
    fallen = await receiver.until(lambda w: w.path == "/fallback")
    assert (fallen["ErrorCode"], fallen["ErrorUrl"]) == (code, f"{receiver.url}/in?t=7")
    assert [w.path for w in receiver.calls].count("/in?t=7") == calls
    assert (await done(server, twilio))["webhooks"]["alerts"] == {code: 1}


# ------------------------------------------------------------ credentials


def guarded(webhook: Webhook) -> web.Response:
    """An application behind HTTP Basic."""
    if webhook.headers.get("Authorization") == encode_basic_auth("user", "pass word"):
        return web.Response(text=TWIML, content_type="text/xml")
    return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="ours"'})


async def test_credentials_of_the_address_are_sent_when_they_are_asked_for(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    with_credentials = receiver.url.replace("http://", "http://user:pass%20word@")
    await listen(twilio, receiver, sms_url=f"{with_credentials}/in")
    answers(receiver, guarded)
    await text(twilio, server, "hello")
    await receiver.until(lambda w: "Authorization" in w.headers)
    await done(server, twilio)
    assert await replies(twilio) == [REPLY]
    assert ["Authorization" in w.headers for w in receiver.calls] == [False, True]
    first, second = receiver.calls
    assert first["Body"] == second["Body"] == "hello"
    tokens = {w.headers["I-Twilio-Idempotency-Token"] for w in receiver.calls}
    assert len(tokens) == 1
    assert all(
        RequestValidator(DEFAULT_TOKEN).validate(
            f"{with_credentials}/in", w.parameters, w.headers["X-Twilio-Signature"]
        )
        for w in receiver.calls
    )


@pytest.mark.parametrize(
    ("credentials", "challenge"),
    [("", 'Basic realm="ours"'), ("user:wrong@", 'Basic realm="ours"'), ("user:pass%20word@", None)],
)
async def test_who_is_not_let_in_fails(
    server: TwilioServer, twilio: Twilio, receiver: Receiver, credentials: str, challenge: str | None
) -> None:
    """Without a challenge no credentials are sent, as the documentation says."""
    await listen(twilio, receiver, sms_url=f"{receiver.url}/in".replace("http://", f"http://{credentials}"))
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    answers(
        receiver,
        lambda w: (
            guarded(w)
            if challenge is None and "Authorization" in w.headers
            else web.Response(status=401, headers=headers)
        ),
    )
    await text(twilio, server, "hello")
    await receiver.until(lambda w: w["Body"] == "hello")
    state = await done(server, twilio)
    assert (state["webhooks"]["failed"], state["webhooks"]["alerts"]) == (1, {"11200": 1})
    assert [alert["url"] for alert in state["webhooks"]["last_alerts"]] == [f"{receiver.url}/in"]
    assert await replies(twilio) == []


async def test_credentials_go_nowhere_else(server: TwilioServer, twilio: Twilio, receiver: Receiver) -> None:
    """A redirect to another address has none unless it brings its own; one within the address keeps them."""
    other = Receiver()
    await other.open()
    try:
        other.answer = guarded
        await listen(
            twilio, receiver, sms_url=receiver.url.replace("http://", "http://user:pass%20word@") + "/in"
        )
        answers(receiver, lambda _: web.Response(status=307, headers={"Location": f"{other.url}/x"}))
        await text(twilio, server, "hello")
        await other.until(lambda w: w.path == "/x")
        await done(server, twilio)
        assert ["Authorization" in w.headers for w in other.calls] == [False]
    finally:
        await other.close()


def test_the_credentials_of_an_address() -> None:
    target = target_of("https://us%40er:p%3Aw@x.example:8443/a?b=c#rc=2")
    assert target.receiver.credentials == Credentials("us@er", "p:w")
    assert (target.receiver.host, target.path) == ("x.example:8443", "/a?b=c")
    assert target_of("https://x.example/").receiver.credentials is None


MUFASA = Credentials("Mufasa", "Circle of Life")  # RFC 7616, 3.9.1
ASKED = 'realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"'
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digests(algorithm: str, response: str) -> None:
    challenge = (
        f'Digest {ASKED}, algorithm={algorithm}, opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    given = authorization(challenge, MUFASA, "GET", "/dir/index.html", CNONCE)
    assert f'response="{response}"' in given
    assert given.startswith('Digest username="Mufasa", realm="http-auth@example.org"')


@pytest.mark.parametrize(
    "challenge",
    [
        "Negotiate",
        "",
        'Digest realm="x", nonce="y", algorithm=ROT13',
        'Digest realm="x", nonce="y", qop="auth-int"',
        "Digest nonsense",
    ],
)
def test_challenges_that_nobody_answers(challenge: str) -> None:
    assert authorization(challenge, MUFASA, "GET", "/", CNONCE) == ""


def test_a_user_that_would_break_the_header_is_not_sent() -> None:
    challenge = 'Digest realm="x", nonce="y"'
    assert authorization(challenge, Credentials("a\r\nX: y", "p"), "GET", "/", CNONCE) == ""


async def test_digest_credentials_are_sent_after_the_challenge(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    challenge = 'Digest realm="ours", nonce="n1", qop="auth"'

    def guard(webhook: Webhook) -> web.Response:
        given = webhook.headers.get("Authorization", "")
        if not given:
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        cnonce = parse_keqv_list(parse_http_list(given.partition(" ")[2]))["cnonce"]
        expected = authorization(challenge, Credentials("user", "secret"), "POST", webhook.path, cnonce)
        return web.Response(text=TWIML, content_type="text/xml", status=200 if given == expected else 403)

    await listen(twilio, receiver, sms_url=f"{receiver.url}/in?x=1".replace("http://", "http://user:secret@"))
    answers(receiver, guard)
    await text(twilio, server, "hello")
    await receiver.until(lambda w: "Authorization" in w.headers)
    await done(server, twilio)
    assert await replies(twilio) == [REPLY]


async def test_a_large_answer_is_no_answer(server: TwilioServer, twilio: Twilio, receiver: Receiver) -> None:
    await listen(twilio, receiver)
    answers(
        receiver, lambda _: web.Response(text=f"<Response>{'x' * 65_536}</Response>", content_type="text/xml")
    )
    assert await hear(server, twilio, receiver, "/in") == []
    assert (await done(server, twilio))["webhooks"]["alerts"] == {"11750": 1}


# ------------------------------------------------------------ what people say


@pytest.mark.parametrize("word", ["STOPALL", "unsubscribe", "Cancel", "END", "quit", "REVOKE", "OptOut"])
async def test_each_word_that_closes_the_pair(
    server: TwilioServer, twilio: Twilio, receiver: Receiver, word: str
) -> None:
    await listen(twilio, receiver)
    await text(twilio, server, word)
    await receiver.until(lambda w: w["Body"] == word)
    assert server.world.market.blocks.blocks(int(PERSON[1:]), int(OURS[1:]), 1)
    told = await twilio.call(lambda c: c.messages.list(to=PERSON))
    assert told[0].body.startswith("You have successfully been unsubscribed.")


@pytest.mark.parametrize("word", ["START", "unstop", "Yes"])
async def test_each_word_that_opens_the_pair(
    server: TwilioServer, twilio: Twilio, receiver: Receiver, word: str
) -> None:
    await listen(twilio, receiver)
    for each in ("STOP", word):
        await text(twilio, server, each)
        await receiver.until(lambda w, each=each: w["Body"] == each)
    assert not server.world.market.blocks.blocks(int(PERSON[1:]), int(OURS[1:]), 1)


async def test_the_documented_parameters_of_a_text(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    await listen(twilio, receiver)
    await text(twilio, server, "x" * 161)
    webhook = await receiver.until(lambda w: w["NumSegments"] == "2")
    assert set(webhook.parameters) == {
        *("MessageSid", "SmsSid", "SmsMessageSid", "AccountSid", "From", "To", "Body", "NumMedia"),
        *("NumSegments", "SmsStatus", "ApiVersion"),
        *(f"{side}{what}" for side in ("From", "To") for what in ("City", "State", "Zip", "Country")),
    }
    listed = (await twilio.call(lambda c: c.messages.list(to=OURS)))[0]
    assert (listed.direction, listed.status, listed.price, listed.num_segments) == (
        "inbound",
        "received",
        "-0.01660",
        "2",
    )


async def test_the_parameters_of_a_status(twilio: Twilio, receiver: Receiver) -> None:
    message = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON, from_=OURS, body="Hi. STOP to end", status_callback=f"{receiver.url}/s?c=1"
        )
    )
    delivered = await receiver.status(message.sid, "delivered")
    assert set(delivered.parameters) == {
        *("MessageSid", "SmsSid", "AccountSid", "From", "To", "MessageStatus", "SmsStatus", "ApiVersion"),
        "RawDlrDoneDate",
    }
    assert {w["MessageStatus"] for w in receiver.calls} <= {"sent", "delivered"}
    assert (delivered.path, is_signed(receiver, delivered)) == ("/s?c=1", True)


async def test_a_service_s_status_callback_serves_when_the_request_names_none(
    twilio: Twilio, receiver: Receiver
) -> None:
    service = await twilio.call(
        lambda c: c.messaging.v1.services.create(
            friendly_name="Bank", status_callback=f"{receiver.url}/service"
        )
    )
    number = (await twilio.call(lambda c: c.incoming_phone_numbers.list()))[0]
    await twilio.call(lambda c: c.messaging.v1.services(service.sid).phone_numbers.create(number.sid))
    for more, path in (({}, "/service"), ({"status_callback": f"{receiver.url}/own"}, "/own")):
        message = await twilio.call(
            lambda c, more=more: c.messages.create(
                to=PERSON, messaging_service_sid=service.sid, body="Hi. STOP to end", **more
            )
        )
        assert (await receiver.status(message.sid, "sent")).path == path


async def test_a_smart_service_replaces_typographic_characters(twilio: Twilio) -> None:
    message = await twilio.call(
        lambda c: c.messages.create(to=PERSON, from_=OURS, body="It’s “today”…", smart_encoded=True)
    )
    assert message.body == 'It\'s "today"...'
