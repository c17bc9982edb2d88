"""A message's story: what happened, in order, in words, with its cost."""

from typing import Any

import pytest

from gateway.core.rules.errors import CATALOGUE
from gateway.core.rules.registration import BrandKind, CampaignKind, Limits, Registration, limits
from gateway.core.rules.safeguards import RULES, Kind
from gateway.p2p.story import story_of
from gateway.providers.base import Refused
from gateway.store.stories import Facts, MessageFacts, OwnNumber, PastAttempt
from tests.http.house import CAMPAIGN, NUMBER, START_AT, House

LIMITS = limits(Registration())
MESSAGE: dict[str, Any] = {
    "campaign_id": 1,
    "message_id": 7,
    "contact_id": 3,
    "action_id": None,
    "kind": "initial",
    "sender_id": 5,
    "script": "initial-1",
    "body": "Hello",
    "segments": 1,
    "state": "queued",
    "code": None,
    "reason": None,
    "attempt": 0,
    "number_id": None,
    "provider_sid": None,
    "requested_at": 100.0,
    "not_after": 1000.0,
    "slot_at": None,
    "accepted_at": None,
    "sent_at": None,
    "final_at": None,
    "due_at": None,
    "phone": "+12155550101",
    "carrier": "att",
    "number_phone": None,
}
POOL = {
    1: OwnNumber(1, "+12155550111", "first_number", False),
    2: OwnNumber(2, "+14125550111", "replacement", True),
}


def told(
    past: tuple[PastAttempt, ...] = (), limits: Limits = LIMITS, **changes: Any
) -> tuple[list[tuple[str, str]], float]:
    facts = Facts(MessageFacts(**{**MESSAGE, **changes}), list(past), POOL, [], None)
    story = story_of(facts, limits, now=500.0)
    assert [each.at for each in story.story] == sorted(each.at for each in story.story)
    return [(each.what, each.words) for each in story.story], story.cost_usd


def words(chapters: list[tuple[str, str]], what: str) -> str:
    return " ".join(text for kind, text in chapters if kind == what)


def test_a_waiting_message() -> None:
    chapters, cost_usd = told()
    assert words(chapters, "now") == "It waits in the queue."
    assert cost_usd == 0
    passed = [
        rule for rule in RULES if Kind.INITIAL in rule.applies_to
    ]  # nothing is told of broadcasts' rules
    assert len([each for each in chapters if each[0] == "check"]) == len(passed)


def test_a_message_that_waits_for_lost_texts() -> None:
    facts = Facts(MessageFacts(**MESSAGE), [], POOL, [], None)
    last = [
        each.words
        for each in story_of(facts, LIMITS, 500.0, "this worker starts").story
        if each.what == "now"
    ]
    assert last == ["It waits until what people texted is fetched: this worker starts."]


def test_a_delivered_message() -> None:
    chapters, cost_usd = told(
        state="delivered",
        attempt=1,
        number_id=1,
        slot_at=112.5,
        accepted_at=113.0,
        sent_at=114.0,
        final_at=116.0,
        provider_sid="SM1",
    )
    order = [what for what, _ in chapters if what != "check"]
    assert order == ["requested", "wait", "number", "attempt", "receipt", "receipt", "receipt", "cost"]
    assert "12.5 s" in words(chapters, "wait")
    assert "own area code" in words(chapters, "number")
    assert "SM1" in words(chapters, "receipt")
    assert cost_usd > 0.008


def test_a_message_with_an_attempt_before() -> None:
    past = PastAttempt(1, 1, "+12155550111", "SM1", 101.0, 130.0, "undelivered", 30007)
    chapters, cost_usd = told((past,), state="sent", attempt=2, number_id=2, slot_at=190.0, accepted_at=191.0)
    assert "Attempt 1 as SM1 ended: undelivered, 30007" in words(chapters, "receipt")
    assert "60.0 s" in words(chapters, "wait")
    assert "already has texts from" in words(chapters, "number")
    assert "over 2 attempts" in words(chapters, "cost")
    assert cost_usd == pytest.approx(2 * told(state="sent", attempt=1, slot_at=101.0)[1])


def test_an_attempt_that_arrived_after_all_is_paid_once() -> None:
    past = PastAttempt(1, 1, "+12155550111", "SM1", 101.0, 130.0, "delivered", None)
    _, cost_usd = told((past,), state="delivered", attempt=1, slot_at=101.0, final_at=140.0)
    assert cost_usd == pytest.approx(told(state="delivered", attempt=1, slot_at=101.0)[1])


@pytest.mark.parametrize(("carrier", "fee_usd"), [("tmobile", 0.0), ("att", 0.0035)])
def test_a_charity_pays_tmobile_nothing(carrier: str, fee_usd: float) -> None:
    charity = limits(Registration(brand_kind=BrandKind.CHARITY, campaign_kind=CampaignKind.CHARITY, score=80))
    _, cost_usd = told(limits=charity, state="sent", attempt=1, slot_at=101.0, carrier=carrier)
    assert cost_usd == pytest.approx(0.0083 + fee_usd)


@pytest.mark.parametrize(("code", "reason"), [(1302, None), (1001, "outbound_lock"), (9000, "landline")])
def test_the_check_that_stopped_it_is_the_last(code: int, reason: str | None) -> None:
    chapters, cost_usd = told(state="blocked", code=code, reason=reason, final_at=100.0)
    checks = [text for what, text in chapters if what == "check"]
    assert str(code) in checks[-1]
    assert checks[-1].startswith("Stopped by")
    assert all(text.startswith("Passed") for text in checks[:-1])
    assert cost_usd == 0


@pytest.mark.parametrize(("sid", "is_free"), [(None, True), ("SM1", False)])
def test_a_refusal_is_free_and_a_failure_is_not(sid: str | None, is_free: bool) -> None:
    _, cost_usd = told(state="failed", code=21610, attempt=1, slot_at=101.0, final_at=102.0, provider_sid=sid)
    assert (cost_usd == 0) == is_free


def test_a_message_stopped_while_it_waited() -> None:
    chapters, _ = told(state="blocked", code=1302, reason="opted out while it waited", final_at=150.0)
    checks = [text for what, text in chapters if what == "check"]
    assert checks[-1].startswith("Stopped while it waited, 1302")
    assert sum(text.startswith("Stopped") for text in checks) == 1


def test_a_lost_answer_is_told_as_such() -> None:
    chapters, _ = told(state="unknown", attempt=1, number_id=1, slot_at=101.0, reason="the answer was lost")
    assert "not sent again" in words(chapters, "now")


async def test_the_story_of_a_real_message(house: House) -> None:
    house.provider.answers.append(Refused(21610))
    first = (await house.send(1, "Hello Ann")).body["message_id"]
    await house.provider.next_text()
    second = (await house.send(2, "Hello Bea", sender_id=5)).body["message_id"]
    text = await house.provider.next_text()
    await house.says(text, "undelivered", 30005)
    await house.writes(2, "who is this?")
    await house.worker.gateway.delivery.windows.drain()
    refused = (await house.call("GET", f"/v1/messages/{CAMPAIGN}/{first}/story")).body
    assert (refused["state"], refused["cost_usd"]) == ("failed", 0)
    assert CATALOGUE[21610].title in str(refused["story"])
    story = (await house.call("GET", f"/v1/messages/{CAMPAIGN}/{second}/story")).body
    assert story["state"] == "undelivered"
    order = dict.fromkeys(each["what"] for each in story["story"] if each["what"] not in ("check", "wait"))
    assert list(order) == ["requested", "number", "attempt", "receipt", "inbound", "cost"]
    assert NUMBER in str(story["story"])
    assert story["story"][0]["at"] >= START_AT


async def test_there_is_no_story_of_nothing(house: House) -> None:
    for path in ("/v1/messages/1/77", "/v1/messages/1/77/story", f"/v1/messages/1/{10**19 - 1}"):
        assert (await house.call("GET", path)).status == 404
