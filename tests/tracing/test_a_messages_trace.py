"""A message's spans, from its request to its receipt and its answer; judged by what OpenTelemetry's own exporter was given."""

import json

import msgspec
import pytest

from gateway.config import Log
from gateway.pipeline.admission import Admission
from gateway.pipeline.call_record import CallRecord
from gateway.providers.base import InboundText, OutboundText
from gateway.tracing import stations
from gateway.tracing.ids import message_place, message_trace
from gateway.tracing.spans import Span
from gateway.tracing.stations import Tracing
from tests.http.house import CAMPAIGN, NUMBER, a_house, phone
from tests.tracing.conftest import Kept, traced

WORDS = "Polls close at eight, bring your card"
CALLER = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def places(span) -> tuple[int, int]:
    return span.context.trace_id, span.context.span_id


def linked(span) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


async def test_one_text_from_its_request_to_its_answer(dsn: str, kept: Kept) -> None:
    async with a_house(dsn, settings=traced()) as house:
        headers = {"traceparent": f"00-{CALLER[0]}-{CALLER[1]}-01"}
        body = {"campaign_id": CAMPAIGN, "contact_id": 1, "body": WORDS, "kind": "initial"}
        answer = await house.call("POST", "/v1/messages", body, headers=headers)
        message_id = answer.body["message_id"]
        text = await house.provider.next_text()
        await house.says(text, "delivered")
        await house.writes(1, "Where do I vote?")
    trace_id = message_trace("textbank", CAMPAIGN, message_id)
    admission, call = message_place(trace_id), message_place(trace_id, 1)
    request, admit, send = kept.one("POST /v1/messages"), kept.one("admit"), kept.one("send")
    receipt, reply = kept.one("receipt"), kept.one("reply")
    assert places(admit) == (admission.trace_id, admission.span_id)
    assert places(send) == (call.trace_id, call.span_id)
    assert (send.parent.trace_id, send.parent.span_id) == places(admit)
    assert linked(admit) == [places(request)]
    assert linked(request) == [(int(CALLER[0], 16), int(CALLER[1], 16))]
    for each, route in ((receipt, "status"), (reply, "inbound")):
        webhook = kept.one(f"POST /webhooks/twilio/{route}")
        assert linked(each) == [places(send)]
        assert (each.parent.trace_id, each.parent.span_id) == places(webhook)
        assert each.context.trace_id == webhook.context.trace_id != trace_id
    assert (
        admit.start_time <= send.start_time <= send.end_time
    )  # it goes straight on, before its asker resumes
    assert request.start_time <= admit.start_time <= admit.end_time <= request.end_time
    assert dict(send.attributes) == {
        "messaging.system": "sms",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": str(message_id),
        "textbank.campaign_id": CAMPAIGN,
        "textbank.attempt": 1,
        "textbank.lane": "initial",
        "textbank.segments": 1,
        "textbank.outcome": "ok",
    } | {"textbank.provider": house.provider.name}
    assert receipt.attributes["textbank.provider_status"] == "delivered"


async def test_the_access_log_names_the_trace_that_is_kept(
    dsn: str, kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = msgspec.structs.replace(traced(), log=Log(format="json"))
    async with a_house(dsn, settings=settings) as house:
        await house.send(1)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"request"' in line]
    (line,) = (each for each in lines if each["route"] == "/v1/messages")
    assert line["trace_id"] == f"{kept.one('POST /v1/messages').context.trace_id:032x}"


async def test_no_span_holds_a_persons_words_or_number(dsn: str, kept: Kept) -> None:
    async with a_house(dsn, settings=traced()) as house:
        await house.send(1, WORDS)
        text = await house.provider.next_text()
        await house.says(text, "delivered")
        await house.writes(1, "Where do I vote, Ann?")
        await house.call("GET", f"/nowhere/{phone(1)}", key=None)
        await house.call("GET", f"/v1/campaigns/1/contacts?phone={phone(1)}")
    assert len(kept.all) > 6
    told = "\n".join(span.to_json() for span in kept.all)
    for secret in (WORDS, "Where do I vote", phone(1), phone(1)[2:], NUMBER, NUMBER[2:], text.phone):
        assert secret not in told
    assert all(key.split("_")[-1] not in told for key in house.keys.values())


async def test_a_batch_has_a_trace_for_each_text_and_one_of_its_own(dsn: str, kept: Kept) -> None:
    async with a_house(dsn, settings=traced()) as house:
        rows = [{"contact_id": each, "body": WORDS} for each in (1, 2, 3)]
        await house.call("POST", "/v1/messages:batch", {"campaign_id": CAMPAIGN, "messages": rows})
        for _ in rows:
            await house.provider.next_text()
    request = kept.one("POST /v1/messages:batch")
    admitted = kept.named("admit")
    assert len({span.context.trace_id for span in admitted}) == 3
    assert [linked(span) for span in admitted] == [[places(request)]] * 3


async def test_a_repeat_of_a_request_is_no_second_admission(dsn: str, kept: Kept) -> None:
    async with a_house(dsn, settings=traced()) as house:
        for _ in range(2):
            body = {"campaign_id": CAMPAIGN, "contact_id": 1, "body": WORDS}
            answer = await house.call("POST", "/v1/messages", body, headers={"Idempotency-Key": "one"})
            assert answer.status == 202
    assert (len(kept.named("admit")), len(kept.named("POST /v1/messages"))) == (1, 2)


async def test_a_blocked_text_is_admitted_to_nowhere_and_says_why(dsn: str, kept: Kept) -> None:
    async with a_house(dsn, settings=traced()) as house:
        await house.writes(1, "STOP")
        assert (await house.send(1)).body["code"] == 1302
    assert kept.one("admit").attributes["textbank.code"] == 1302
    assert kept.named("send") == []


async def test_nothing_is_kept_at_a_share_of_0(dsn: str, kept: Kept) -> None:
    async with a_house(dsn, settings=traced(0.0)) as house:
        await house.send(1)
        text = await house.provider.next_text()
        await house.says(text, "delivered")
        await house.writes(1, "Who is this?")
    assert kept.all == []


async def test_what_leads_to_a_kept_message_is_kept_with_it(dsn: str, kept: Kept) -> None:
    """At half of them: each message's spans are all there with its requests, or not at all."""
    async with a_house(dsn, settings=traced(0.5)) as house:
        sent = {(await house.send(each)).body["message_id"] for each in range(1, 11)}
        for _ in sent:
            await house.says(await house.provider.next_text(), "delivered")
    admitted = {int(span.attributes["messaging.message.id"]) for span in kept.named("admit")}
    assert 0 < len(admitted) < len(sent)
    for name in ("send", "receipt"):
        assert {int(span.attributes["messaging.message.id"]) for span in kept.named(name)} == admitted
    requests = {places(span) for span in kept.named("POST /v1/messages")}
    assert {link for span in kept.named("admit") for link in linked(span)} <= requests


async def test_off_the_stations_are_the_plain_ones(dsn: str) -> None:
    async with a_house(dsn) as house:
        gateway = house.worker.gateway
        assert type(gateway.admission) is Admission
        assert type(gateway.dispatch.hand_over.record) is CallRecord
        assert house.worker._parts.sink is gateway
        await house.send(1)
        assert await house.metric('p2p_spans_total{result="sent"}') == 0


async def test_a_text_that_waits_says_for_how_long(dsn: str, kept: Kept) -> None:
    settings = traced()
    dispatch = msgspec.structs.replace(settings.dispatch, concurrency=1)
    async with a_house(dsn, settings=msgspec.structs.replace(settings, dispatch=dispatch)) as house:
        await house.send(1)
        await house.provider.next_text()
    waits = kept.named("wait")
    send = kept.one("send")
    for wait in waits:
        assert wait.end_time == send.start_time
        assert wait.parent.span_id == send.parent.span_id


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_metrics_stay_as_they_are(dsn: str, kept: Kept, share: float) -> None:
    async with a_house(dsn, settings=traced(share)) as house:
        await house.send(1)
        await house.says(await house.provider.next_text(), "delivered")
        accepted = 'p2p_messages_accepted_total{channel="sms",kind="initial"}'
        assert await house.metric(accepted) == 1
        assert await house.metric('p2p_queue_wait_seconds_count{lane="initial"}') == 1


def test_an_answer_leads_to_the_last_text_that_went_to_this_person_or_nowhere() -> None:
    tracing = Tracing(Nobody(), "textbank", 1.0, lambda: 0.0, bytes)
    text = InboundText("IN1", phone(1), NUMBER, "Who is this?", 0.0)
    assert tracing.answered(text) is None
    first, second = (message_place(trace_id, 1) for trace_id in (7, 8))
    tracing.handed_over(outbound(1), first)
    tracing.handed_over(outbound(2), message_place(9, 1))
    assert tracing.answered(text) == first
    tracing.handed_over(outbound(1), second)
    assert tracing.answered(text) == second
    tracing.handed_over(outbound(1), None)  # a later one, whose trace isn't kept
    assert tracing.answered(text) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stations, "_REMEMBERED", 3)
    tracing = Tracing(Nobody(), "textbank", 1.0, lambda: 0.0, bytes)
    assert [tracing.begins(each) for each in (1, 2, 3, 1, 4, 5)] == [True, True, True, False, True, True]
    assert [tracing.begins(each) for each in (1, 2)] == [False, True]  # 2 and 3 were the oldest


class Nobody:
    def tell(self, span: Span) -> None:
        raise AssertionError(span)


def outbound(contact_id: int) -> OutboundText:
    return OutboundText(CAMPAIGN, 1, 1, phone(contact_id), NUMBER, WORDS, 1, 600.0, None)
