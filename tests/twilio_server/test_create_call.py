"""What a create call may ask for: senders, templates, choices, schedules."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from simulator.twin.server import TwilioServer
from tests.twilio_server.twin import OURS, PERSON, START_AT, Connect, Receiver, Serve, Twilio, Wire


async def service_of(twilio: Twilio, **settings: str) -> str:
    """A Messaging Service with our number in it."""
    service = await twilio.call(lambda c: c.messaging.v1.services.create(friendly_name="Bank", **settings))
    number = (await twilio.call(lambda c: c.incoming_phone_numbers.list()))[0]
    await twilio.call(lambda c: c.messaging.v1.services(service.sid).phone_numbers.create(number.sid))
    return str(service.sid)


async def test_a_service_in_the_place_of_the_sender(twilio: Twilio, receiver: Receiver) -> None:
    sid = await service_of(twilio, status_callback=receiver.url)
    message = await twilio.call(lambda c: c.messages.create(to=PERSON, from_=sid, body="Hello"))
    assert (message.status, message.from_, message.messaging_service_sid) == ("accepted", None, sid)
    sent = await receiver.status(message.sid, "sent")
    assert (sent["MessagingServiceSid"], sent["From"]) == (sid, OURS)
    both = await twilio.call(
        lambda c: c.messages.create(to=PERSON, from_=sid, messaging_service_sid=sid, body="Hello")
    )
    assert both.status == "accepted"
    with pytest.raises(TwilioRestException) as refused:
        await twilio.call(lambda c: c.messages.create(to=PERSON, from_="MG" + "0" * 32, body="Hello"))
    assert refused.value.code == 21701


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"ContentSid": "HX" + "0" * 32}, 21655),
        ({"ContentSid": "HX" + "0" * 32, "Body": ""}, 21655),
        ({"ContentSid": "nonsense"}, 21655),
        ({"ContentVariables": "{}"}, 21654),
        ({"RiskCheck": "nonsense"}, 20422),
        ({"ContentRetention": "forever"}, 30029),
        ({"AddressRetention": "forever"}, 30030),
        ({"TrafficType": "paid"}, 20422),
        ({"Attempt": "three"}, 20422),
        ({"Attempt": "0"}, 20422),
        ({"MaxPrice": "cheap"}, 21627),
        ({"ProvideFeedback": "perhaps"}, 20422),
        ({"ForceDelivery": "perhaps"}, 20422),
        ({"SendAsMms": "perhaps"}, 20422),
        ({"ShortenUrls": "perhaps"}, 20422),
        ({"SmartEncoded": "perhaps"}, 20422),
    ],
)
async def test_values_that_there_are_not(wire: Wire, fields: dict[str, str], code: int) -> None:
    status, refused, _ = await wire.create(**fields)
    assert (status, refused["code"]) == (400, code)
    assert len(wire.server.world.ledger.submissions) == 0


async def test_what_has_no_effect_is_taken(wire: Wire, twilio: Twilio) -> None:
    message = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON,
            from_=OURS,
            body="See https://example.com/long",
            risk_check="disable",
            content_retention="discard",
            address_retention="obfuscate",
            provide_feedback=True,
            attempt=3,
            force_delivery=False,
            send_as_mms=False,
            shorten_urls=False,
            max_price="0.05",
            traffic_type="free",
            persistent_action=["mailto:x"],
            application_sid="AP" + "0" * 32,
        )
    )
    assert (message.status, message.body) == ("queued", "See https://example.com/long")


async def test_1600_characters_are_taken_and_a_picture_needs_no_words(twilio: Twilio) -> None:
    long = await twilio.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body="x" * 1600))
    assert long.num_segments == "11"
    picture = await twilio.call(
        lambda c: c.messages.create(to=PERSON, from_=OURS, media_url=["https://x.example/1.png"])
    )
    assert (picture.sid[:2], picture.num_media, picture.body) == ("MM", "1", "")


async def test_the_same_call_twice_makes_two_messages(twilio: Twilio) -> None:
    made = [
        await twilio.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body="Hi")) for _ in range(2)
    ]
    assert made[0].sid != made[1].sid


async def test_a_text_that_waits_too_long_fails(serve: Serve, connect: Connect, receiver: Receiver) -> None:
    """At the speed of the market 400 segments need half a minute: more than the last one has."""
    twilio = connect(await serve(speed=10.0))
    body = "Hello. Reply STOP to opt out. " * 50
    for _ in range(40):
        await twilio.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body=body))
    late = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON, from_=OURS, body=body, validity_period=1, status_callback=receiver.url
        )
    )
    failed = await receiver.status(late.sid, "failed")
    assert (failed["ErrorCode"], failed["ErrorMessage"]) == ("30036", "Validity period expired")
    fetched = await twilio.call(lambda c: c.messages(late.sid).fetch())
    assert (fetched.error_code, fetched.error_message, fetched.price) == (
        30036,
        "Validity period expired",
        None,
    )


# ------------------------------------------------------------ schedules


def at(server: TwilioServer, ahead: timedelta) -> datetime:
    return datetime.fromtimestamp(START_AT + server.world.pump.now, UTC) + ahead


@pytest.mark.parametrize(
    ("ahead", "code"),
    [
        (timedelta(minutes=6), 0),
        (timedelta(minutes=16), 0),
        (timedelta(days=34, hours=23), 0),
        (timedelta(minutes=2), 35114),
        (timedelta(days=36), 35114),
    ],
)
async def test_when_a_message_may_be_scheduled(
    serve: Serve, connect: Connect, ahead: timedelta, code: int
) -> None:
    server = await serve(speed=0.01)
    twilio = connect(server)
    sid = await service_of(twilio)

    def ask(client: Any) -> Any:
        return client.messages.create(
            to=PERSON,
            messaging_service_sid=sid,
            body="Later",
            schedule_type="fixed",
            send_at=at(server, ahead),
        )

    if code:
        with pytest.raises(TwilioRestException) as refused:
            await twilio.call(ask)
        assert refused.value.code == code
    else:
        assert (await twilio.call(ask)).status == "scheduled"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"SendAt": "soon"}, 35119),
        ({"SendAt": "2026-11-05T00:00:00Z"}, 35119),
        ({"ScheduleType": "whenever", "SendAt": "2026-11-05T00:00:00Z"}, 35126),
        ({"ScheduleType": "fixed"}, 35111),
        ({"ScheduleType": "fixed", "SendAt": "tomorrow"}, 35114),
    ],
)
async def test_a_schedule_that_is_none(wire: Wire, twilio: Twilio, fields: dict[str, str], code: int) -> None:
    sid = await service_of(twilio)
    status, refused, _ = await wire.create(MessagingServiceSid=sid, **fields)
    assert (status, refused["code"]) == (400, code)
    assert len(wire.server.world.ledger.submissions) == 0


async def test_a_scheduled_picture_has_no_sender_and_no_segments_until_it_is_sent(
    serve: Serve, connect: Connect, receiver: Receiver
) -> None:
    server = await serve(speed=2000.0)
    twilio = connect(server)
    sid = await service_of(twilio)

    async def schedule(ahead: timedelta) -> Any:
        return await twilio.call(
            lambda c: c.messages.create(
                to=PERSON,
                messaging_service_sid=sid,
                media_url=["https://x.example/1.png"],
                schedule_type="fixed",
                send_at=at(server, ahead),
                status_callback=receiver.url,
            )
        )

    cancelled, sent = await schedule(timedelta(days=20)), await schedule(timedelta(minutes=30))
    shown = (sent.status, sent.sid[:2], sent.from_, sent.num_segments, sent.num_media, sent.date_sent)
    assert shown == ("scheduled", "MM", None, "0", "1", None)
    await receiver.status(sent.sid, "delivered")
    fetched = await twilio.call(lambda c: c.messages(sent.sid).fetch())
    assert (fetched.num_segments, fetched.from_) == ("1", OURS)
    await twilio.call(lambda c: c.messages(cancelled.sid).update(status="canceled"))
    await receiver.status(cancelled.sid, "canceled")
    gone = await twilio.call(lambda c: c.messages(cancelled.sid).fetch())
    assert (gone.status, gone.num_segments, gone.date_sent) == ("canceled", "0", None)
