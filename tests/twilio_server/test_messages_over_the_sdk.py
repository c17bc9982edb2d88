"""Messages, through the official SDK: create, fetch, list, redact, cancel, delete, media, feedback."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from simulator.twin.server import TwilioServer
from tests.twilio_server.twin import OURS, PERSON, START_AT, Connect, Receiver, Serve, Twilio


async def test_a_message_is_created_reported_and_fetched(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    message = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON,
            from_=OURS,
            body="Hi. Reply STOP to opt out",
            status_callback=receiver.url + "/s?c=7&m=9&a=2",
        )
    )
    assert (message.status, message.direction, message.num_segments) == ("queued", "outbound-api", "1")
    assert (message.price, message.error_code, message.date_sent) == (None, None, None)
    assert message.date_created.tzinfo is UTC or message.date_created.utcoffset() == timedelta(0)
    sent = await receiver.status(message.sid, "sent")
    assert (sent["From"], sent["To"], sent["SmsStatus"]) == (OURS, PERSON, "sent")
    assert sent.path == "/s?c=7&m=9&a=2"
    delivered = await receiver.status(message.sid, "delivered")
    assert len(delivered["RawDlrDoneDate"]) == 10
    fetched = await twilio.call(lambda c: c.messages(message.sid).fetch())
    assert (fetched.status, fetched.price, fetched.price_unit) == ("delivered", "-0.00830", "USD")
    assert fetched.date_sent is not None
    assert server.world.ledger.submissions.where(campaign_id=7, message_id=9, attempt=2) == [0]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "banana"}, 21211),
        ({"to": "+1215555"}, 21211),
        ({"to": "+447700900123"}, 21408),
        ({"to": OURS}, 21266),
        ({"from_": "+13125550199"}, 21606),
        ({"from_": "12"}, 21212),
        ({"from_": None}, 21603),
        ({"body": ""}, 21619),
        ({"body": "  "}, 21618),
        ({"body": "x" * 1601}, 21617),
        ({"status_callback": "not a url"}, 21609),
        ({"status_callback": "http://under_score.example/x"}, 21609),
        ({"validity_period": 0}, 21624),
        ({"validity_period": 36_001}, 21624),
        ({"media_url": ["http://x.example/a.png"] * 11}, 21623),
        ({"media_url": ["nowhere"]}, 21620),
        ({"messaging_service_sid": "MG" + "0" * 32}, 21701),
        ({"messaging_service_sid": "nonsense"}, 21705),
        ({"schedule_type": "fixed", "send_at": datetime(2026, 11, 5, tzinfo=UTC)}, 35118),
    ],
)
async def test_what_is_wrong_is_refused_at_once(
    server: TwilioServer, twilio: Twilio, fields: dict[str, object], code: int
) -> None:
    asked = {"to": PERSON, "from_": OURS, "body": "Hello", **fields}
    with pytest.raises(TwilioRestException) as refused:
        await twilio.call(lambda c: c.messages.create(**{k: v for k, v in asked.items() if v is not None}))
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert len(server.world.ledger.submissions) == 0


async def test_a_list_is_paged_newest_first_and_stable(twilio: Twilio) -> None:
    for nth in range(5):
        await twilio.call(lambda c, nth=nth: c.messages.create(to=PERSON, from_=OURS, body=f"text {nth}"))
    first = await twilio.call(lambda c: c.messages.page(page_size=2))
    bodies = [message.body for message in first]
    await twilio.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body="late"))
    page = first
    while page is not None:
        page = await twilio.call(lambda _, page=page: page.next_page())
        bodies += [message.body for message in page] if page is not None else []
    assert bodies == [f"text {nth}" for nth in (4, 3, 2, 1, 0)]


async def test_a_list_is_filtered(twilio: Twilio) -> None:
    other = "+14145550143"
    await twilio.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body="one"))
    await twilio.call(lambda c: c.messages.create(to=other, from_=OURS, body="two"))
    day = datetime.fromtimestamp(START_AT, UTC)
    later = day + timedelta(days=2)

    async def bodies(**filters: object) -> list[str]:
        return [m.body for m in await twilio.call(lambda c: c.messages.list(**filters))]

    assert await bodies(to=other) == ["two"]
    assert await bodies(to=PERSON, from_=OURS) == ["one"]
    assert await bodies(from_=OURS) == ["two", "one"]
    assert await bodies(to="+14145550199") == []
    assert await bodies(date_sent_after=day - timedelta(minutes=1)) == ["two", "one"]
    assert await bodies(to=PERSON, date_sent_after=later) == []
    assert await bodies(date_sent_before=day - timedelta(days=2)) == []
    assert await bodies(limit=1) == ["two"]


async def test_redact_and_delete_wait_for_the_end(twilio: Twilio, receiver: Receiver) -> None:
    message = await twilio.call(
        lambda c: c.messages.create(to=PERSON, from_=OURS, body="secret", status_callback=receiver.url)
    )
    await receiver.status(message.sid, "delivered")
    assert (await twilio.call(lambda c: c.messages(message.sid).update(body=""))).body == ""
    with pytest.raises(TwilioRestException) as refused:
        await twilio.call(lambda c: c.messages(message.sid).update(status="canceled"))
    assert refused.value.code == 30409
    with pytest.raises(TwilioRestException) as refused:
        await twilio.call(lambda c: c.messages(message.sid).update(body="new words"))
    assert refused.value.code == 30400
    assert await twilio.call(lambda c: c.messages(message.sid).delete())
    with pytest.raises(TwilioRestException) as gone:
        await twilio.call(lambda c: c.messages(message.sid).fetch())
    assert (gone.value.code, gone.value.status) == (20404, 404)


async def test_delete_of_a_message_on_its_way_is_refused(serve: Serve, connect: Connect) -> None:
    twilio = connect(await serve(speed=0.01))
    message = await twilio.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body="slow"))
    with pytest.raises(TwilioRestException) as refused:
        await twilio.call(lambda c: c.messages(message.sid).delete())
    assert (refused.value.code, refused.value.status) == (20009, 409)


async def test_media_and_feedback(twilio: Twilio) -> None:
    message = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON, from_=OURS, media_url=["https://x.example/1.png?size=2", "https://x.example/2"]
        )
    )
    assert message.sid.startswith("MM")
    assert message.num_media == "2"
    media = await twilio.call(lambda c: c.messages(message.sid).media.list())
    assert len(media) == 2
    assert {m.parent_sid for m in media} == {message.sid}
    assert [m.content_type for m in media] == ["image/png", "image/jpeg"]  # without an ending: a picture
    assert (await twilio.call(lambda c: c.messages(message.sid).media(media[0].sid).fetch())).sid == media[
        0
    ].sid
    feedback = await twilio.call(lambda c: c.messages(message.sid).feedback.create(outcome="confirmed"))
    assert feedback.outcome == "confirmed"


async def test_a_picture_has_a_price_of_its_own(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    message = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON,
            from_=OURS,
            body="x" * 500,
            media_url=["https://x.example/1.png"],
            status_callback=receiver.url,
        )
    )
    assert message.num_segments == "1"
    await receiver.status(message.sid, "delivered")
    assert (await twilio.call(lambda c: c.messages(message.sid).fetch())).price == "-0.02200"
    assert server.world.ledger.cost_usd > 0.022  # with the carrier's fee


async def test_a_scheduled_message_is_sent_in_time_or_cancelled(
    serve: Serve, connect: Connect, receiver: Receiver
) -> None:
    server = await serve(speed=2000.0)
    twilio = connect(server)
    service = await twilio.call(lambda c: c.messaging.v1.services.create(friendly_name="Later"))
    number = (await twilio.call(lambda c: c.incoming_phone_numbers.list()))[0]
    await twilio.call(lambda c: c.messaging.v1.services(service.sid).phone_numbers.create(number.sid))

    async def schedule(after_s: float) -> Any:
        at = datetime.fromtimestamp(START_AT + server.world.pump.now + after_s, UTC)
        return await twilio.call(
            lambda c: c.messages.create(
                to=PERSON,
                messaging_service_sid=service.sid,
                body="later",
                schedule_type="fixed",
                send_at=at,
                status_callback=receiver.url,
            )
        )

    cancelled, sent = await schedule(100_000.0), await schedule(3_000.0)
    assert sent.status == "scheduled"
    answer = await twilio.call(lambda c: c.messages(cancelled.sid).update(status="canceled"))
    assert answer.status == "canceled"
    await receiver.status(cancelled.sid, "canceled")
    await receiver.status(sent.sid, "delivered")
    with pytest.raises(TwilioRestException) as refused:
        await schedule(60.0)
    assert refused.value.code == 35114
