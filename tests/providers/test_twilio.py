"""What the provider asks, form by form, and what it makes of Twilio's answers."""

import json

import pytest

from gateway.providers.base import (
    Accepted,
    AnswerLost,
    BoughtNumber,
    Found,
    InboundText,
    Line,
    Listed,
    Refused,
)
from gateway.providers.twilio.provider import TwilioProvider
from gateway.providers.twilio.records import carrier_of, same_text
from tests.providers.conftest import MakeProvider, no_phones, outbound
from tests.providers.fake_twilio import API, FakeTwilio, Says
from tests.providers.payloads import (
    CREATED_AT,
    OURS,
    THEIRS,
    classic,
    created,
    for_sale,
    invalid,
    lookup,
    message,
    number,
    owned,
    page,
)

MG, PN = "MG" + "2" * 32, "PN" + "3" * 32
SM1, SM2 = "SM" + "1" * 32, "SM" + "2" * 32
CALLBACK = "https://texts.example.org/webhooks/twilio/status?c=7&m=42&a=1#rc=5&rp=all"
PLAIN = {"To": THEIRS, "Body": "Hello", "StatusCallback": CALLBACK, "ValidityPeriod": "3600", "From": OURS}


# ---------------------------------------------------------------- send


@pytest.mark.parametrize(
    ("options", "changes", "expected"),
    [
        ({}, {}, PLAIN),
        ({"messaging_service": MG}, {}, {**PLAIN, "MessagingServiceSid": MG}),
        ({}, {"body": "Sí & 100 % 👍 + more"}, {**PLAIN, "Body": "Sí & 100 % 👍 + more"}),
        ({}, {"validity_s": 0.2}, {**PLAIN, "ValidityPeriod": "1"}),
        ({}, {"validity_s": 99_999.0}, {**PLAIN, "ValidityPeriod": "36000"}),
    ],
)
async def test_creating_a_message(
    twilio: FakeTwilio,
    make_provider: MakeProvider,
    options: dict[str, object],
    changes: dict[str, object],
    expected: dict[str, str],
) -> None:
    twilio.says(Says(201, created(sid=SM1)))
    assert await make_provider(**options).send(outbound(**changes)) == Accepted(SM1)
    asked = twilio.asked[0]
    assert asked.line == f"POST {API}/Messages.json"
    assert dict(asked.form) == expected
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.headers["Authorization"].startswith("Basic ")


async def test_without_a_number_the_service_chooses(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    answer = created(sid=SM1, from_=None, messaging_service_sid=MG, status="accepted", num_segments="0")
    twilio.says(Says(201, answer))
    provider = make_provider(messaging_service=MG)
    assert await provider.send(outbound(number_phone="")) == Accepted(SM1)
    assert "From" not in dict(twilio.asked[0].form)


# ---------------------------------------------------------------- find


def listed(*records: dict[str, object]) -> str:
    return page(*records)


ACCOUNT = json.dumps({"status": "active"})  # asked for its Date
LATER = "Thu, 24 Aug 2023 05:01:46 +0000"
FOUND = [
    ("nothing there", [], "Hello", None),
    ("it waits in the queue", [message(SM1)], "Hello", Found(SM1, "queued", None)),
    ("it failed", [message(SM1, status="failed", error_code=30034)], "Hello", Found(SM1, "failed", 30034)),
    ("a reply of theirs", [message(SM1, direction="inbound")], "Hello", None),
    ("Twilio's answer to a STOP", [message(SM1, direction="outbound-reply")], "", None),
    ("too long ago", [message(SM1, date_created="Thu, 24 Aug 2023 04:01:40 +0000")], "Hello", None),
    (
        "by a worker whose clock was ahead",
        [message(SM1, date_created="Thu, 24 Aug 2023 04:59:45 +0000")],
        "Hello",
        Found(SM1, "queued", None),
    ),
    (
        "since the hand-over, rather than before it",
        [message(SM1, date_created="Thu, 24 Aug 2023 05:01:00 +0000"), message(SM2)],
        "Hello",
        Found(SM2, "queued", None),
    ),
    (
        "the last before it",
        [
            message(SM1, date_created="Thu, 24 Aug 2023 05:00:00 +0000"),
            message(SM2, date_created="Thu, 24 Aug 2023 05:01:00 +0000"),
        ],
        "Hello",
        Found(SM2, "queued", None),
    ),
    ("without a date", [message(SM1, date_created=None)], "Hello", Found(SM1, "queued", None)),
    ("an odd date", [message(SM1, date_created="yesterday")], "Hello", Found(SM1, "queued", None)),
    ("by its words", [message(SM1, body="Other"), message(SM2)], "Hello", Found(SM2, "queued", None)),
    (
        "the earliest",
        [message(SM1, date_created=LATER), message(SM2)],
        "Hello",
        Found(SM2, "queued", None),
    ),
    ("words forgotten", [message(SM1)], "", Found(SM1, "queued", None)),
    ("words redacted", [message(SM1, body="")], "Hello", Found(SM1, "queued", None)),
    ("smart encoding", [message(SM1, body='It\'s "on"')], "It’s “on”", Found(SM1, "queued", None)),
    ("only another text", [message(SM1, body="Other")], "Hello", None),
    ("the end of another", [message(SM1, body="Look at my book")], "ok", None),
    (
        "a trial account",
        [message(SM1, body="Sent from your Twilio trial account - Hi")],
        "Hi",
        Found(SM1, "queued", None),
    ),
    ("marks alone", [message(SM1, body="👍")], "👍", Found(SM1, "queued", None)),
    ("other marks", [message(SM1, body="👎"), message(SM2, body="Hello")], "👍", None),
    ("two alike", [message(SM2), message(SM1)], "Hello", Found(SM1, "queued", None)),
    ("two, words forgotten", [message(SM1), message(SM2)], "", Found(SM1, "queued", None)),
    (
        "a code in words",
        [message(SM1, status="failed", error_code="30007")],
        "Hello",
        Found(SM1, "failed", 30007),
    ),
    ("no code", [message(SM1, status="failed", error_code="x" * 99)], "Hello", Found(SM1, "failed", None)),
    ("beside what can't be read", [{"sid": 7}, message(SM1)], "Hello", Found(SM1, "queued", None)),
]


@pytest.mark.parametrize(
    ("records", "body", "expected"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND]
)
async def test_finding_what_became_of_a_lost_answer(
    twilio: FakeTwilio,
    provider: TwilioProvider,
    records: list[dict[str, object]],
    body: str,
    expected: object,
) -> None:
    twilio.says(page(*records))
    assert await provider.find(outbound(body=body), since=CREATED_AT - 1) == expected
    assert twilio.asked[0].line == f"GET {API}/Messages.json"
    assert dict(twilio.asked[0].query) == {"To": THEIRS, "From": OURS, "PageSize": "1000"}


async def test_texts_that_the_books_know_are_not_it(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    """The process that handed them over is gone; its books are not."""
    twilio.says(*[page(message(SM1), message(SM2))] * 3)
    assert await provider.find(outbound(), CREATED_AT, [SM1]) == Found(SM2, "queued", None)
    assert await provider.find(outbound(2), CREATED_AT, [SM1, SM2]) is None


async def test_a_picture_is_told_from_a_text_without_words(
    twilio: FakeTwilio, provider: TwilioProvider
) -> None:
    twilio.says(page(message(SM1, body="", num_media="0"), message(SM2, body="", num_media="1")))
    text = outbound(body="", media=["https://pictures.example.org/a.jpg"])
    assert await provider.find(text, CREATED_AT) == Found(SM2, "queued", None)


async def test_texts_known_to_be_others_are_not_it(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(Says(201, created(sid=SM1)), page(message(SM1)), page(message(SM1), message(SM2)))
    await provider.send(outbound(1))
    assert await provider.find(outbound(2, body=""), CREATED_AT) is None
    assert await provider.find(outbound(2, body=""), CREATED_AT) == Found(SM2, "queued", None)


async def test_asking_twice_finds_the_same(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    """The first answer may not have become durable."""
    twilio.says(*[page(message(SM1), message(SM2))] * 3)
    first = await provider.find(outbound(1), CREATED_AT)
    other = await provider.find(outbound(2), CREATED_AT)
    assert first is not None
    assert other is not None
    assert first.provider_sid != other.provider_sid
    assert await provider.find(outbound(1), CREATED_AT) == first


async def test_another_attempt_is_another_text(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(Says(201, created(sid=SM1)), page(message(SM1)))
    await provider.send(outbound(1))
    assert await provider.find(outbound(1, attempt=2), CREATED_AT) is None


async def test_all_pages_are_read(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    following = f"{API}/Messages.json?PageSize=50&Page=1&PageToken=PASM9&To=%2B12125550123"
    twilio.says(page(message(SM1, body="Other"), next_page_uri=following), page(message(SM2)))
    assert await provider.find(outbound(), CREATED_AT) == Found(SM2, "queued", None)
    assert dict(twilio.asked[1].query)["PageToken"] == "PASM9"
    assert dict(twilio.asked[1].query)["To"] == THEIRS


@pytest.mark.parametrize("elsewhere", ["https://evil.example/x", "//evil.example/x", "x"])
async def test_credentials_go_to_no_other_host(
    twilio: FakeTwilio, provider: TwilioProvider, elsewhere: str
) -> None:
    twilio.says(page(message(SM1, body="Other"), next_page_uri=elsewhere))
    with pytest.raises(AnswerLost):
        await provider.find(outbound(), CREATED_AT)
    assert len(twilio.asked) == 1


async def test_a_list_that_fails_is_not_an_empty_one(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(Says(500), Says(404, classic(20404, 404)), Says(200, '{"messages": null}'))
    for expected in (AnswerLost, Refused, AnswerLost):
        with pytest.raises(expected):
            await provider.find(outbound(), CREATED_AT)


async def test_what_the_list_does_not_show_is_asked_for_again(make_provider: MakeProvider) -> None:
    """Twilio's list follows a little later: recovery believes it when it said so twice, so far apart."""
    assert make_provider(timeout_s=7).find_lags_s == 7


# ---------------------------------------------------------------- reconciliation


async def test_fetching_one(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(created(sid=SM1, status="undelivered", error_code=30005), Says(404, classic(20404, 404)))
    assert await provider.fetch(SM1) == Found(SM1, "undelivered", 30005)
    assert await provider.fetch(SM2) is None
    assert twilio.asked[0].line == f"GET {API}/Messages/{SM1}.json"


async def test_texts_that_a_lost_webhook_told_nobody(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    reply = message(
        SM1, direction="inbound", status="received", from_=THEIRS, to=OURS, body="STOP", date_sent=LATER
    )
    twilio.says(ACCOUNT, page(reply, message(SM2)), page())
    texts = [text async for text in provider.inbound_since(CREATED_AT, None, no_phones)]
    assert texts == [InboundText(SM1, THEIRS, OURS, "STOP", CREATED_AT + 1)]
    assert [text async for text in provider.inbound_since(CREATED_AT, CREATED_AT + 60, no_phones)] == []
    assert dict(twilio.asked[1].query)["PageSize"] == "1000"
    assert dict(twilio.asked[1].query)["DateSent>"] in ("2023-08-24T05:01:44Z", "2023-08-24T05:01:45Z")
    assert dict(twilio.asked[2].query)["DateSent<"] in ("2023-08-24T05:02:46Z", "2023-08-24T05:02:47Z")


async def test_our_texts_since(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(ACCOUNT, page(message(SM1, status="delivered"), message(SM2, direction="inbound")))
    found = [found async for found in provider.outbound_since(OURS, CREATED_AT)]
    assert found == [Listed(SM1, THEIRS, "delivered", None, CREATED_AT)]
    assert dict(twilio.asked[1].query)["From"] == OURS


# ---------------------------------------------------------------- numbers

BOUGHT = "+12675550142"


async def test_buying_a_number(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    twilio.says(for_sale(BOUGHT), Says(201, json.dumps(number(PN, BOUGHT))), Says(201, "{}"))
    assert await make_provider(messaging_service=MG).buy(7, "267") == BoughtNumber(BOUGHT, PN)
    search, purchase, join = twilio.asked
    assert search.line == f"GET {API}/AvailablePhoneNumbers/US/Local.json"
    assert dict(search.query) == {"AreaCode": "267", "SmsEnabled": "true", "PageSize": "20"}
    assert purchase.line == f"POST {API}/IncomingPhoneNumbers.json"
    assert dict(purchase.form) == {
        "PhoneNumber": BOUGHT,
        "FriendlyName": "textbank campaign 7",
        "SmsUrl": "https://texts.example.org/webhooks/twilio/inbound#rc=5&rp=all",
        "SmsMethod": "POST",
    }
    assert join.line == f"POST /v1/Services/{MG}/PhoneNumbers"
    assert dict(join.form) == {"PhoneNumberSid": PN}


async def test_anywhere_and_without_a_service(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(for_sale(BOUGHT), Says(201, json.dumps(number(PN, BOUGHT))))
    assert await provider.buy(7, "") == BoughtNumber(BOUGHT, PN)
    assert "AreaCode" not in dict(twilio.asked[0].query)
    assert len(twilio.asked) == 2


async def test_a_number_that_somebody_else_took(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    taken = Says(400, classic(21422, 400))
    twilio.says(for_sale("+12675550141", BOUGHT), taken, Says(201, json.dumps(number(PN, BOUGHT))))
    assert await provider.buy(7, "267") == BoughtNumber(BOUGHT, PN)


@pytest.mark.parametrize("offers", [[], ["+12675550141"]])
async def test_none_to_be_had(twilio: FakeTwilio, provider: TwilioProvider, offers: list[str]) -> None:
    twilio.says(for_sale(*offers), Says(400, classic(21422, 400)))
    with pytest.raises(Refused) as raised:
        await provider.buy(7, "267")
    assert raised.value.code == 21452


async def test_a_refusal_of_another_kind_ends_the_purchase(
    twilio: FakeTwilio, provider: TwilioProvider
) -> None:
    twilio.says(for_sale("+12675550141", BOUGHT), Says(401, classic(20003, 401)))
    with pytest.raises(Refused):
        await provider.buy(7, "267")
    assert len(twilio.asked) == 2


async def test_a_purchase_whose_answer_is_lost_is_not_repeated(
    twilio: FakeTwilio, provider: TwilioProvider
) -> None:
    twilio.says(for_sale(BOUGHT), Says(hangs_up=True), owned(number(PN, BOUGHT)))
    assert await provider.buy(7, "267") == BoughtNumber(BOUGHT, PN)
    twilio.says(for_sale(BOUGHT), Says(500), owned())
    with pytest.raises(AnswerLost):
        await provider.buy(7, "267")
    assert [asked.line for asked in twilio.asked].count(f"POST {API}/IncomingPhoneNumbers.json") == 2


JOINING = [
    ("in it already", [Says(409, classic(21710, 409))], True),
    ("asked again", [Says(500), Says(hangs_up=True), Says(409, classic(21710, 409))], True),
    ("in another", [Says(409, classic(21712, 409)), Says(204)], False),
    ("pool full, and it can't go back", [Says(400, classic(21714, 400)), Says(500)], False),
    ("never answers", [Says(500), Says(500), Says(500), Says(204)], False),
]


@pytest.mark.parametrize(("answers", "joins"), [row[1:] for row in JOINING], ids=[row[0] for row in JOINING])
async def test_a_number_that_can_not_join_goes_back(
    twilio: FakeTwilio, make_provider: MakeProvider, answers: list[Says], joins: bool
) -> None:
    provider = make_provider(messaging_service=MG)
    twilio.says(for_sale(BOUGHT), Says(201, json.dumps(number(PN, BOUGHT))), *answers)
    if joins:
        assert (await provider.buy(7, "267")).phone == BOUGHT
    else:
        with pytest.raises((Refused, AnswerLost)):
            await provider.buy(7, "267")
        assert twilio.asked[-1].line == f"DELETE {API}/IncomingPhoneNumbers/{PN}.json"
    assert not twilio.script


async def test_the_other_doings_with_numbers(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    provider = make_provider(messaging_service=MG)
    twilio.says(Says(204), Says(404, classic(20404, 404)), json.dumps(number(PN, BOUGHT)), Says(204))
    await provider.release(PN)
    await provider.release(PN)
    await provider.numbers.configure(PN)
    await provider.numbers.remove_from_service(PN)
    twilio.says(owned(number(PN, BOUGHT)))
    assert [each async for each in provider.numbers.owned()] == [BoughtNumber(BOUGHT, PN)]
    assert [asked.line for asked in twilio.asked] == [
        f"DELETE {API}/IncomingPhoneNumbers/{PN}.json",
        f"DELETE {API}/IncomingPhoneNumbers/{PN}.json",
        f"POST {API}/IncomingPhoneNumbers/{PN}.json",
        f"DELETE /v1/Services/{MG}/PhoneNumbers/{PN}",
        f"GET {API}/IncomingPhoneNumbers.json",
    ]


# ---------------------------------------------------------------- look-up

LINES = [
    (lookup(THEIRS, "mobile", "T-Mobile USA, Inc."), Line("mobile", "tmobile")),
    (lookup(THEIRS, "landline", "AT&T - PSTN"), Line("landline", "att")),
    (lookup(THEIRS, "nonFixedVoip", "Bandwidth/13 - Bandwidth.com - SVR"), Line("nonFixedVoip", "voip")),
    (lookup(THEIRS, "tollFree", ""), Line("tollFree", None)),
    (invalid(THEIRS), Line("invalid", None)),
    (json.dumps({"valid": True, "line_type_intelligence": None}), Line("unknown", None)),
    (json.dumps({"valid": True, "line_type_intelligence": {"error_code": 60616}}), Line("unknown", None)),
]


@pytest.mark.parametrize(("body", "line"), LINES)
async def test_a_look_up(twilio: FakeTwilio, provider: TwilioProvider, body: str, line: Line) -> None:
    twilio.says(body)
    assert await provider.look_up([THEIRS]) == [line]
    assert twilio.asked[0].line == f"GET /v2/PhoneNumbers/{THEIRS}"
    assert twilio.asked[0].query == [("Fields", "line_type_intelligence")]


async def test_each_phone_is_looked_up_once_in_order(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    provider = make_provider(concurrency=4)
    other = "+12125550124"
    twilio.says(lookup(THEIRS, "mobile", "Verizon Wireless"), invalid(other))
    lines = await provider.look_up([THEIRS, other, THEIRS])
    assert [line.carrier for line in lines] == ["verizon", None, "verizon"]
    assert [asked.path[-4:] for asked in twilio.asked] == ["0123", "0124"]
    assert await provider.look_up([]) == []


async def test_a_throttled_look_up_is_repeated(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says(Says(429, classic(20429, 429)), Says(503), lookup(THEIRS, "mobile", "Verizon"))
    assert await provider.look_up([THEIRS]) == [Line("mobile", "verizon")]


async def test_a_refused_look_up_is_not(twilio: FakeTwilio, make_provider: MakeProvider) -> None:
    twilio.says(*[Says(401, classic(20003, 401))] * 2)
    with pytest.raises(Refused):
        await make_provider(concurrency=4).look_up([THEIRS, "+12125550124"])
    assert len(twilio.asked) == 1


@pytest.mark.parametrize(
    ("line_type", "name", "carrier"),
    [
        ("mobile", "Verizon Wireless", "verizon"),
        ("mobile", "Cellco Partnership dba Verizon Wireless", "verizon"),
        ("mobile", "AT&T Wireless", "att"),
        ("mobile", "New Cingular Wireless", "att"),
        ("mobile", "Cricket Wireless - ATT - SVR", "att"),
        ("mobile", "MetroPCS Communications", "tmobile"),
        ("mobile", "Sprint Spectrum L.P.", "tmobile"),
        ("mobile", "United States Cellular Corp.", "uscellular"),
        ("mobile", "Appalachian Wireless", "regional"),
        ("landline", "Windstream", None),
        ("fixedVoip", "Verizon", "voip"),
        ("mobile", "", None),
    ],
)
def test_carrier_names(line_type: str, name: str, carrier: str | None) -> None:
    assert carrier_of(line_type, name) == carrier


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        ("Hi Ann, vote!", True),
        ("Sent from your Twilio trial account - Hi Ann, vote!", True),
        ("", True),
        ("Hi Ann", False),
        ("Hi Ben, vote!", False),
    ],
)
def test_the_same_text_as_twilio_may_have_changed_it(theirs: str, same: bool) -> None:
    assert same_text("Hi Ann, vote!", theirs) is same


# ---------------------------------------------------------------- life


CHECKS = [
    ('{"status": "active"}', "{}", "does not bring"),
    ('{"status": "active"}', '{"inbound_request_url": "https://other.example/"}', "does not bring"),
    ('{"status": "active"}', '{"use_inbound_webhook_on_number": true}', ""),
    (
        '{"status": "active"}',
        '{"inbound_request_url": "https://texts.example.org/webhooks/twilio/inbound#rc=5&rp=all"}',
        "",
    ),
    ('{"status": "suspended"}', '{"use_inbound_webhook_on_number": true}', "the account is suspended"),
]


@pytest.mark.parametrize(("account", "service", "says"), CHECKS)
async def test_checking_what_is_set_up_at_twilio(
    twilio: FakeTwilio, make_provider: MakeProvider, account: str, service: str, says: str
) -> None:
    twilio.says(account, service)
    wrong = await make_provider(messaging_service=MG).check()
    assert len(wrong) == (1 if says else 0)
    assert says in "".join(wrong)
    assert [asked.line for asked in twilio.asked] == [f"GET {API}.json", f"GET /v1/Services/{MG}"]


async def test_checking_credentials(twilio: FakeTwilio, provider: TwilioProvider) -> None:
    twilio.says('{"status": "active"}', Says(401, classic(20003, 401)))
    assert await provider.check() == []
    with pytest.raises(Refused) as raised:
        await provider.check()
    assert raised.value.code == 20003


async def test_closing_twice_and_before_the_first_call(make_provider: MakeProvider) -> None:
    provider = make_provider()
    await provider.close()
    await provider.close()
