"""Webhooks of the carrier server: signatures that the official validator accepts, retries, TwiML, opt-outs."""

import asyncio
import json
from typing import Any
from urllib.request import Request, urlopen

import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from simulator.twin.accounts import DEFAULT_TOKEN
from simulator.twin.loops import ReplyLoops
from simulator.twin.server import TwilioServer
from simulator.twin.twiml import BadTwiml, Redirect, Reply, Twiml, twiml_of
from simulator.twin.webhook_request import Overrides, signature, target_of
from tests.twilio_server.twin import OURS, PATIENCE_S, PERSON, Receiver, Twilio, Webhook

BODY = "Hello. Reply STOP to opt out"


async def ask(twilio: Twilio, server: TwilioServer, method: str, path: str, content: object = None) -> Any:
    """A control request, beside the loop."""

    def send(_: object) -> object:
        data = None if content is None else json.dumps(content).encode()
        with urlopen(Request(f"{server.url}{path}", data=data, method=method), timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    return await twilio.call(send)


async def text(twilio: Twilio, server: TwilioServer, body: str, to: str = OURS, sender: str = PERSON) -> None:
    await ask(twilio, server, "POST", "/twin/texts", {"from": sender, "to": to, "body": body})


async def listen(twilio: Twilio, receiver: Receiver, **more: str) -> str:
    """Our number posts what comes in to the receiver."""
    number = (await twilio.call(lambda c: c.incoming_phone_numbers.list()))[0]
    settings = {"sms_url": f"{receiver.url}/in?t=7#rc=2&rp=all", **more}
    await twilio.call(lambda c: c.incoming_phone_numbers(number.sid).update(**settings))
    return str(number.sid)


def is_signed(receiver: Receiver, webhook: Webhook) -> bool:
    url = receiver.url + webhook.path
    given = webhook.headers["X-Twilio-Signature"]
    return bool(RequestValidator(DEFAULT_TOKEN).validate(url, webhook.parameters, given))


# The vectors of Twilio's documentation and SDK, token 12345.
@pytest.mark.parametrize(
    ("url", "parameters", "expected"),
    [
        (
            "https://mycompany.com/myapp.php?foo=1&bar=2",
            {
                "Digits": "1234",
                "To": "+18005551212",
                "From": "+14158675310",
                "Caller": "+14158675310",
                "CallSid": "CA1234567890ABCDE",
            },
            "GvWf1cFY/Q7PnoempGyD5oXAezc=",
        ),
        (
            "https://sms.example.org/webhooks/twilio/inbound?t=7",
            {
                "MessageSid": "SM" + "1" * 32,
                "From": "+12125550123",
                "To": "+15125550100",
                "Body": "Sí, STOP? 👍",
                "NumMedia": "0",
                "FromCity": "",
            },
            "2g/0mxhf21KuauzSbgnpaxUe8Ik=",
        ),
    ],
)
def test_signatures(url: str, parameters: dict[str, str], expected: str) -> None:
    assert signature(url, parameters, "12345") == expected


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", Overrides()),
        ("#rc=5&rp=all", Overrides(retries=5, policies=frozenset({"all"}))),
        (
            "#ct=2000&rt=3000&tt=9000&rc=0&rp=4xx,5xx",
            Overrides(2.0, 3.0, 9.0, 0, frozenset({"4xx", "5xx"})),
        ),
        ("#rc=9&ct=5&rp=never&tt=x", Overrides()),
    ],
)
def test_overrides(fragment: str, expected: Overrides) -> None:
    target = target_of(f"http://x.example/a?b=%20c{fragment}")
    assert target.receiver.overrides == expected
    assert (target.signed, target.path) == ("http://x.example/a?b=%20c", "/a?b=%20c")
    assert (target.receiver.host, target.receiver.path) == ("x.example", "/a")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"<Response/>", []),
        (b"<?xml version='1.0'?><Response><Message>Hi &amp; bye</Message></Response>", [Reply("Hi & bye")]),
        (
            b"<Response><Message to='+12125550123'><Body>A</Body><Media>http://x/1</Media></Message><Sms>B</Sms></Response>",
            [Reply("A", to="+12125550123", media=("http://x/1",)), Reply("B")],
        ),
    ],
)
def test_twiml(document: bytes, expected: list[Reply]) -> None:
    assert twiml_of(document) == Twiml(tuple(expected))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"<Response><Redirect>/next</Redirect></Response>", Twiml(redirect=Redirect("/next"))),
        (
            b"<Response><Message>A</Message><Redirect method='get'> http://x/?a=1&amp;b=2 </Redirect><Sms/></Response>",
            Twiml((Reply("A"),), Redirect("http://x/?a=1&b=2", "GET")),
        ),
        (b"<Response><Say>Hi</Say><Message>A</Message></Response>", Twiml((Reply("A"),), None, ("Say",))),
    ],
)
def test_twiml_that_goes_on_elsewhere_or_is_not_for_messages(document: bytes, expected: Twiml) -> None:
    assert twiml_of(document) == expected


@pytest.mark.parametrize(
    "document", [b"<Response>", b"<Other/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><Response/>", b"", b"\xff\xfe<"]
)
def test_bad_twiml(document: bytes) -> None:
    with pytest.raises(BadTwiml):
        twiml_of(document)


async def test_an_inbound_text_is_posted_signed_and_listed(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    await listen(twilio, receiver)
    await text(twilio, server, "Sí, STOP? 👍")
    webhook = await receiver.until(lambda w: w["Body"] == "Sí, STOP? 👍")
    assert webhook.path == "/in?t=7"
    assert is_signed(receiver, webhook)
    assert (webhook["From"], webhook["To"], webhook["SmsStatus"]) == (PERSON, OURS, "received")
    assert webhook.parameters["FromCity"] == ""
    assert webhook.headers["I-Twilio-Idempotency-Token"]
    inbound = await twilio.call(lambda c: c.messages.list(to=OURS))
    assert [(m.sid, m.direction, m.status) for m in inbound] == [
        (webhook["MessageSid"], "inbound", "received")
    ]


async def test_a_status_webhook_is_signed(twilio: Twilio, receiver: Receiver) -> None:
    callback = f"{receiver.url}/s?c=1&m=2&a=0#rc=5&rp=all"
    message = await twilio.call(
        lambda c: c.messages.create(to=PERSON, from_=OURS, body=BODY, status_callback=callback)
    )
    for status in ("sent", "delivered"):
        assert is_signed(receiver, await receiver.status(message.sid, status))


async def test_twiml_answers_become_messages(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    await listen(twilio, receiver)
    receiver.answer = lambda w: web.Response(
        body=b"<Response><Message>Thanks!</Message></Response>" if w["Body"] == "hello" else b"",
        content_type="text/xml",
    )
    await text(twilio, server, "hello")
    webhook = await receiver.until(lambda w: w["Body"] == "hello")
    await text(twilio, server, "again")  # its webhook comes after the first was answered
    await receiver.until(lambda w: w["Body"] == "again")
    sent = await twilio.call(lambda c: c.messages.list(to=PERSON))
    assert [(m.direction, m.body, m.from_) for m in sent] == [("outbound-reply", "Thanks!", OURS)]
    assert webhook["MessageSid"] != sent[0].sid


async def test_a_redirect_is_followed_signed_with_the_same_text(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    await listen(twilio, receiver)
    answers = {
        "/in?t=7": "<Message>One</Message><Redirect>/more?x=1</Redirect><Message>Never</Message>",
        "/more?x=1": "<Message>Two</Message>",
    }
    receiver.answer = lambda w: web.Response(
        text=f"<Response>{answers[w.path]}</Response>" if w["Body"] == "hello" else "<Response/>",
        content_type="text/xml",
    )
    await text(twilio, server, "hello")
    webhook = await receiver.until(lambda w: w.path == "/more?x=1")
    assert (webhook["Body"], is_signed(receiver, webhook)) == ("hello", True)
    await settled(twilio, server)
    sent = await twilio.call(lambda c: c.messages.list(to=PERSON))
    assert [m.body for m in sent] == ["Two", "One"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("<Redirect>/in</Redirect>", "14106"),
        ("<Redirect>ftp://x/y</Redirect>", "11100"),
        ("<Dial>1</Dial>", "14110"),
    ],
)
async def test_answers_that_lead_nowhere_are_in_the_alerts(
    server: TwilioServer, twilio: Twilio, receiver: Receiver, answer: str, code: str
) -> None:
    await listen(twilio, receiver)
    receiver.answer = lambda _: web.Response(text=f"<Response>{answer}</Response>", content_type="text/xml")
    await text(twilio, server, "hello")
    state = await settled(twilio, server)
    assert state["webhooks"]["alerts"] == {code: 1}
    assert state["webhooks"]["failed"] == 0
    assert len(receiver.calls) == (50 if code == "14106" else 1)


async def test_a_loop_of_answers_is_broken(server: TwilioServer, twilio: Twilio, receiver: Receiver) -> None:
    await listen(twilio, receiver)
    many = "<Message action='/fate'>Beep</Message>".replace("/fate", f"{receiver.url}/fate") * 32
    receiver.answer = lambda w: web.Response(
        text=f"<Response>{many if w['Body'] == 'hello' else ''}</Response>", content_type="text/xml"
    )
    await text(twilio, server, "hello")
    failed = await receiver.until(lambda w: w["MessageStatus"] == "failed")
    assert (failed["ErrorCode"], is_signed(receiver, failed)) == ("14107", True)
    sent = await twilio.call(lambda c: c.messages.list(to=PERSON))
    assert [(m.error_code, m.price) for m in sent if m.status == "failed"] == [(14107, None)] * 2
    assert len(server.world.ledger.submissions) == 30


def test_a_loop_ends_after_a_pause() -> None:
    loops = ReplyLoops()
    assert [loops.holds(1, 2, at) for at in range(32)] == [False] * 30 + [True] * 2
    assert not loops.holds(1, 3, 31.0)  # another pair
    assert loops.holds(1, 2, 59.9)
    assert not loops.holds(1, 2, 60.1)
    slow = ReplyLoops()
    assert not any(slow.holds(1, 2, 30.0 * nth) for nth in range(100))


async def settled(twilio: Twilio, server: TwilioServer) -> dict[str, Any]:
    """The state once some webhook has been answered and none is on its way."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            state: dict[str, Any] = await ask(twilio, server, "GET", "/twin/state")
            if (
                state["counts"]["replies"]
                and state["webhooks"]["delivered"]
                and not state["webhooks"]["outstanding"]
            ):
                return state


async def test_failures_are_tried_again_as_the_url_says(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    left = {"/retry": 2, "/never": 9}

    def answer(webhook: Webhook) -> web.Response:
        left[webhook.path] = left.get(webhook.path, 0) - 1
        return web.Response(status=500 if left[webhook.path] >= 0 else 204)

    receiver.answer = answer
    sids = []
    for url in ("/retry#rc=5&rp=5xx", "/never"):
        message = await twilio.call(
            lambda c, url=url: c.messages.create(
                to=PERSON, from_=OURS, body=BODY, status_callback=receiver.url + url
            )
        )
        sids.append(message.sid)
        await receiver.status(message.sid, "delivered")
    await receiver.until(lambda _: [w.path for w in receiver.calls].count("/retry") == 4)
    async with asyncio.timeout(PATIENCE_S):
        while (state := await ask(twilio, server, "GET", "/twin/state"))["webhooks"]["outstanding"]:
            pass
    tokens = {w.headers["I-Twilio-Idempotency-Token"] for w in receiver.calls if w.path == "/retry"}
    assert len(tokens) == 2  # sent and delivered, tried twice each, or one of them three times
    assert len([w for w in receiver.calls if w.path == "/never"]) == 2  # a 500 is not tried again by default
    assert state["webhooks"]["retried"] == 2
    assert state["webhooks"]["alerts"] == {"11200": 2}
    ledger = await ask(twilio, server, "GET", "/twin/ledger/acknowledged")
    assert {row["n"] for row in ledger["rows"]} == {0}


async def test_an_inbound_text_falls_back(server: TwilioServer, twilio: Twilio, receiver: Receiver) -> None:
    await listen(
        twilio, receiver, sms_url="http://127.0.0.1:1/gone#rc=0", sms_fallback_url=f"{receiver.url}/fallback"
    )
    await text(twilio, server, "anybody?")
    webhook = await receiver.until(lambda w: w.path == "/fallback")
    assert (webhook["ErrorCode"], webhook["ErrorUrl"]) == ("11205", "http://127.0.0.1:1/gone")
    assert is_signed(receiver, webhook)


async def test_a_stop_blocks_the_pair_until_start(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    await listen(twilio, receiver)

    async def send() -> object:
        return await twilio.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body=BODY))

    await text(twilio, server, " stop ")
    await receiver.until(lambda w: w["Body"] == " stop ")
    with pytest.raises(TwilioRestException) as refused:
        await send()
    assert (refused.value.code, refused.value.status) == (21610, 400)
    replies = await twilio.call(lambda c: c.messages.list(to=PERSON))
    assert [(m.direction, m.status, m.price) for m in replies] == [("outbound-reply", "delivered", None)]
    assert replies[0].body.startswith("You have successfully been unsubscribed.")
    await text(twilio, server, "Yes")
    await receiver.until(lambda w: w["Body"] == "Yes")
    assert (await send()).status == "queued"  # type: ignore[attr-defined]
    assert (await twilio.call(lambda c: c.messages.list(to=PERSON)))[1].body.startswith(
        "You have successfully been re-"
    )
    assert len(server.world.ledger.submissions) == 1  # the answers to keywords are not ours


async def test_a_toll_free_number_is_closed_by_the_network(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    number = await twilio.call(
        lambda c: c.incoming_phone_numbers.create(area_code="888", sms_url=f"{receiver.url}/in")
    )

    async def hear(word: str) -> None:
        await text(twilio, server, word, to=number.phone_number)
        await receiver.until(lambda w: w["Body"] == word)

    async def refusal() -> int:
        try:
            await twilio.call(lambda c: c.messages.create(to=PERSON, from_=number.phone_number, body=BODY))
        except TwilioRestException as refused:
            return int(refused.code)
        return 0

    refused = []
    for word in ("STOP", "yes", "info", "START", "help"):
        await hear(word)
        refused.append(await refusal())
    assert refused == [21610, 21610, 21610, 0, 0]
    told = await twilio.call(lambda c: c.messages.list(to=PERSON))
    answers = [message.body for message in told if message.direction == "outbound-reply"]
    assert len(answers) == 1  # to help, once it was open again
    assert answers[0].startswith("Reply STOP")


async def test_a_stop_to_a_service_blocks_all_its_senders(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    service = await twilio.call(
        lambda c: c.messaging.v1.services.create(
            friendly_name="Bank",
            inbound_request_url=f"{receiver.url}/in",
            status_callback=f"{receiver.url}/s",
        )
    )
    phones = []
    for area_code in ("312", "404"):
        number = await twilio.call(lambda c, a=area_code: c.incoming_phone_numbers.create(area_code=a))
        await twilio.call(
            lambda c, n=number: c.messaging.v1.services(service.sid).phone_numbers.create(n.sid)
        )
        phones.append(number.phone_number)
    await text(twilio, server, "STOP", to=phones[0])
    webhook = await receiver.until(lambda w: w["Body"] == "STOP")
    assert webhook["MessagingServiceSid"] == service.sid
    message = await twilio.call(
        lambda c: c.messages.create(to=PERSON, messaging_service_sid=service.sid, from_=phones[1], body=BODY)
    )
    assert message.status == "accepted"
    assert (await receiver.status(message.sid, "failed"))["ErrorCode"] == "21610"


async def test_a_service_without_a_webhook_drops_what_comes_in(server: TwilioServer, twilio: Twilio) -> None:
    service = await twilio.call(lambda c: c.messaging.v1.services.create(friendly_name="Deaf"))
    number = (await twilio.call(lambda c: c.incoming_phone_numbers.list()))[0]
    pool = "/v1/Services/{}/PhoneNumbers"
    assert pool.format(service.sid) in service.links["phone_numbers"]
    await twilio.call(lambda c: c.messaging.v1.services(service.sid).phone_numbers.create(number.sid))

    def arrives(body: str) -> None:
        ledger = server.world.ledger
        ledger.receive(1.0, int(PERSON[1:]), int(OURS[1:]), campaign=1, carrier=0, text=body, segments=1)

    arrives("lost")
    await twilio.call(lambda c: c.messaging.v1.services(service.sid).phone_numbers(number.sid).delete())
    arrives("kept")
    assert [m.body for m in await twilio.call(lambda c: c.messages.list(to=OURS))] == ["kept"]
