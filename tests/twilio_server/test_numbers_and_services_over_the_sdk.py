"""Numbers, Messaging Services, lookups, accounts and credentials, through the official SDK."""

from collections import Counter

import msgspec
import pytest
from twilio.base.exceptions import TwilioRestException

from simulator.twin.accounts import DEFAULT_SID, TEST_SID, TEST_TOKEN, Account
from simulator.twin.server import TwilioServer
from tests.twilio_server.twin import OURS, PERSON, Connect, Receiver, Serve, Twilio, calm


async def refusal(twilio: Twilio, ask: object) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as refused:
        await twilio.call(ask)  # type: ignore[arg-type]
    return refused.value.code, refused.value.status


# ------------------------------------------------------------ numbers


async def test_a_number_is_searched_bought_configured_and_released(
    server: TwilioServer, twilio: Twilio
) -> None:
    offers = await twilio.call(lambda c: c.available_phone_numbers("US").local.list(area_code=312, limit=3))
    assert [offer.phone_number for offer in offers] == ["+13125550100", "+13125550101", "+13125550102"]
    wanted = offers[1].phone_number
    bought = await twilio.call(
        lambda c: c.incoming_phone_numbers.create(phone_number=wanted, sms_url="http://127.0.0.1:1/in")
    )
    assert (bought.phone_number, bought.friendly_name, bought.sms_method) == (
        wanted,
        "(312) 555-0101",
        "POST",
    )
    left = await twilio.call(lambda c: c.available_phone_numbers("US").local.list(area_code=312, limit=2))
    assert wanted not in [offer.phone_number for offer in left]
    changed = await twilio.call(
        lambda c: c.incoming_phone_numbers(bought.sid).update(friendly_name="Desk", sms_method="GET")
    )
    assert (changed.friendly_name, changed.sms_method, changed.sms_url) == (
        "Desk",
        "GET",
        "http://127.0.0.1:1/in",
    )
    found = await twilio.call(lambda c: c.incoming_phone_numbers.list(phone_number=wanted))
    assert [number.sid for number in found] == [bought.sid]
    assert (await twilio.call(lambda c: c.incoming_phone_numbers(bought.sid).fetch())).sid == bought.sid
    assert await twilio.call(lambda c: c.incoming_phone_numbers(bought.sid).delete())
    assert await refusal(twilio, lambda c: c.incoming_phone_numbers(bought.sid).fetch()) == (20404, 404)
    assert await refusal(twilio, lambda c: c.messages.create(to=PERSON, from_=wanted, body="x")) == (
        21606,
        400,
    )


async def test_numbers_are_searched_by_pattern(twilio: Twilio) -> None:
    found = await twilio.call(
        lambda c: c.available_phone_numbers("US").local.list(contains="312555*1*7", limit=50)
    )
    assert found
    assert {n.phone_number[:8] + n.phone_number[9] + n.phone_number[11] for n in found} == {"+1312555" + "17"}
    toll_free = await twilio.call(lambda c: c.available_phone_numbers("US").toll_free.list(limit=1))
    assert toll_free[0].phone_number[2:5] == "800"
    for area_code, kind in ((800, "toll_free"), (800, "local"), (312, "toll_free")):
        offers = await twilio.call(
            lambda c, a=area_code, k=kind: getattr(c.available_phone_numbers("US"), k).list(
                area_code=a, limit=1
            )
        )
        assert bool(offers) == (area_code == 800 and kind == "toll_free")


async def test_a_toll_free_number_has_a_rate_of_its_own(server: TwilioServer, twilio: Twilio) -> None:
    numbers = [
        await twilio.call(lambda c, a=area_code: c.incoming_phone_numbers.create(area_code=a))
        for area_code in ("800", "888")
    ]
    campaigns = {server.accounts[0].numbers[number.sid].home_campaign for number in numbers}
    assert len(campaigns) == 2
    assert [server.world.market.rates(campaign)["total"] for campaign in campaigns] == [3.0, 3.0]


async def test_purchases_are_refused(twilio: Twilio, serve: Serve, connect: Connect) -> None:
    buy = [
        ({"phone_number": OURS}, 21422),
        ({"phone_number": "+1999"}, 21421),
        ({"area_code": "911"}, 21451),
        ({}, 21421),
    ]
    for asked, code in buy:
        assert (await refusal(twilio, lambda c, asked=asked: c.incoming_phone_numbers.create(**asked)))[
            0
        ] == code
    scenario = calm()
    inventory = type(scenario.inventory)(scarce={"212": 1})
    scarce = connect(await serve(msgspec.structs.replace(scenario, inventory=inventory)))
    first = await scarce.call(lambda c: c.incoming_phone_numbers.create(area_code="212"))
    assert first.phone_number == "+12125550100"
    assert await refusal(scarce, lambda c: c.incoming_phone_numbers.create(area_code="212")) == (21452, 400)


# ------------------------------------------------------------ services


async def test_a_service_is_made_changed_listed_and_deleted(server: TwilioServer, twilio: Twilio) -> None:
    made = await twilio.call(
        lambda c: c.messaging.v1.services.create(friendly_name="Bank", sticky_sender=False, usecase="poll")
    )
    assert (made.friendly_name, made.sticky_sender, made.area_code_geomatch, made.usecase) == (
        "Bank",
        False,
        True,
        "poll",
    )
    assert made.url == f"{server.url}/v1/Services/{made.sid}"
    changed = await twilio.call(lambda c: c.messaging.v1.services(made.sid).update(validity_period=600))
    assert (changed.validity_period, changed.sticky_sender) == (600, False)
    for nth in range(4):
        await twilio.call(lambda c, nth=nth: c.messaging.v1.services.create(friendly_name=f"Other {nth}"))
    listed = await twilio.call(lambda c: c.messaging.v1.services.list(page_size=2))
    assert [service.friendly_name for service in listed] == [
        "Other 3",
        "Other 2",
        "Other 1",
        "Other 0",
        "Bank",
    ]
    assert await twilio.call(lambda c: c.messaging.v1.services(made.sid).delete())
    assert await refusal(twilio, lambda c: c.messaging.v1.services(made.sid).fetch()) == (20404, 404)
    assert (await refusal(twilio, lambda c: c.messaging.v1.services.create(friendly_name="")))[1] == 400


async def with_pool(twilio: Twilio, *area_codes: str, **settings: object) -> tuple[str, list[str]]:
    service = await twilio.call(lambda c: c.messaging.v1.services.create(friendly_name="Bank", **settings))
    phones = []
    for area_code in area_codes:
        number = await twilio.call(lambda c, a=area_code: c.incoming_phone_numbers.create(area_code=a))
        await twilio.call(
            lambda c, number=number: c.messaging.v1.services(service.sid).phone_numbers.create(number.sid)
        )
        phones.append(number.phone_number)
    return service.sid, phones


async def test_numbers_of_a_service(twilio: Twilio) -> None:
    sid, phones = await with_pool(twilio, "312", "404", "602")
    pool = await twilio.call(lambda c: c.messaging.v1.services(sid).phone_numbers.list(page_size=2))
    assert [number.phone_number for number in pool] == phones
    first = pool[0].sid
    assert (
        await twilio.call(lambda c: c.messaging.v1.services(sid).phone_numbers(first).fetch())
    ).service_sid == sid
    assert await refusal(twilio, lambda c: c.messaging.v1.services(sid).phone_numbers.create(first)) == (
        21710,
        409,
    )
    other = await twilio.call(lambda c: c.messaging.v1.services.create(friendly_name="Other"))
    assert await refusal(
        twilio, lambda c: c.messaging.v1.services(other.sid).phone_numbers.create(first)
    ) == (21712, 409)
    assert await twilio.call(lambda c: c.messaging.v1.services(sid).phone_numbers(first).delete())
    moved = await twilio.call(lambda c: c.messaging.v1.services(other.sid).phone_numbers.create(first))
    assert moved.phone_number == phones[0]


async def test_a_service_chooses_sticks_and_reports(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    sid, phones = await with_pool(twilio, "312", "404", "414", status_callback=receiver.url)

    async def send(to: str, **more: object) -> str:
        message = await twilio.call(
            lambda c: c.messages.create(to=to, messaging_service_sid=sid, body="Hello. STOP to end", **more)
        )
        assert (message.status, message.from_, message.num_segments) == ("accepted", None, "0")
        queued = await receiver.status(message.sid, "queued")
        assert queued["MessagingServiceSid"] == sid
        await receiver.until(
            lambda w: w["MessageSid"] == message.sid and w["MessageStatus"] in {"delivered", "failed"}
        )
        fetched = await twilio.call(lambda c: c.messages(message.sid).fetch())
        assert fetched.num_segments == "1"
        return str(fetched.from_)

    assert await send(PERSON) == phones[2]  # the number of the person's area code
    strangers = [f"+1215555{line}" for line in range(7000, 7006)]
    chosen = {to: await send(to) for to in strangers}
    assert Counter(chosen.values()) == dict.fromkeys(phones, 2)
    for to in strangers[::-1]:
        assert await send(to) == chosen[to]
    assert await send(strangers[0], from_=phones[1]) == phones[1]


async def test_a_service_fails_later_where_a_number_refuses_at_once(
    server: TwilioServer, twilio: Twilio, receiver: Receiver
) -> None:
    empty, _ = await with_pool(twilio)
    message = await twilio.call(
        lambda c: c.messages.create(
            to=PERSON, messaging_service_sid=empty, body="x", status_callback=receiver.url
        )
    )
    assert message.status == "accepted"
    assert (await receiver.status(message.sid, "failed"))["ErrorCode"] == "21704"
    assert await refusal(
        twilio,
        lambda c: c.messages.create(to=PERSON, messaging_service_sid=empty, from_=OURS, body="x"),
    ) == (21711, 400)


async def test_a_number_that_is_being_configured_ends_30035(
    serve: Serve, connect: Connect, receiver: Receiver
) -> None:
    twilio = connect(await serve(calm(provisioning_s=20.0), speed=20.0))
    sid, _ = await with_pool(twilio, "312", status_callback=receiver.url)
    message = await twilio.call(
        lambda c: c.messages.create(to=PERSON, messaging_service_sid=sid, body="early")
    )
    assert (await receiver.status(message.sid, "failed"))["ErrorCode"] == "30035"


# ------------------------------------------------------------ lookups, accounts, credentials


async def test_lookups(twilio: Twilio) -> None:
    found = await twilio.call(
        lambda c: c.lookups.v2.phone_numbers(PERSON).fetch(fields="line_type_intelligence")
    )
    assert found.valid
    assert found.national_format == "(414) 555-0142"
    assert found.line_type_intelligence["type"] in {"mobile", "nonFixedVoip"}
    plain = await twilio.call(lambda c: c.lookups.v2.phone_numbers(PERSON).fetch())
    assert plain.line_type_intelligence is None
    short = await twilio.call(lambda c: c.lookups.v2.phone_numbers("+121555501").fetch())
    assert (short.valid, short.validation_errors, short.country_code) == (False, ["TOO_SHORT"], None)


async def test_the_list_keeps_its_landlines_and_strangers_are_mobile(serve: Serve, connect: Connect) -> None:
    server = await serve(contacts=2000)
    lines = dict(
        zip(server.world.population.listed.phones.tolist(), server.world.population.line, strict=True)
    )
    landlines = [phone for phone, line in lines.items() if line == 1]
    twilio = connect(server)

    async def kind(phone: str) -> str:
        found = await twilio.call(
            lambda c: c.lookups.v2.phone_numbers(phone).fetch(fields="line_type_intelligence")
        )
        return str(found.line_type_intelligence["type"])

    assert Counter([await kind(f"+{phone}") for phone in landlines[:20]])["landline"] >= 18
    strangers = [f"+1907555{line}" for line in range(2000, 2020)]
    assert {await kind(phone) for phone in strangers} <= {"mobile", "nonFixedVoip", "landline"}
    assert server.world.population.index_of(int(strangers[0][1:])) >= 2000


async def test_accounts_and_credentials(serve: Serve, connect: Connect) -> None:
    ours, theirs = "AC" + "a" * 32, "AC" + "b" * 32
    server = await serve(accounts=[Account(ours, "one"), Account(theirs, "two")])
    twilio = connect(server, ours, "one")
    account = await twilio.call(lambda c: c.api.v2010.accounts(ours).fetch())
    assert (account.sid, account.status, account.type) == (ours, "active", "Full")
    assert (await twilio.call(lambda c: c.balance.fetch())).currency == "USD"
    stranger = connect(server, theirs, "two")
    mine = await twilio.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body="mine"))
    assert await refusal(stranger, lambda c: c.messages(mine.sid).fetch()) == (20404, 404)
    assert await refusal(stranger, lambda c: c.messages.create(to=PERSON, from_=OURS, body="x")) == (
        21606,
        400,
    )
    assert await refusal(stranger, lambda c: c.api.v2010.accounts(ours).messages(mine.sid).fetch()) == (
        20404,
        404,
    )


async def test_wrong_credentials_are_401(server: TwilioServer, connect: Connect) -> None:
    for user, secret in ((DEFAULT_SID, "wrong"), ("AC" + "9" * 32, "twin"), ("SK" + "9" * 32, "x")):
        twilio = connect(server, user, secret, account_sid=DEFAULT_SID)
        assert await refusal(twilio, lambda c: c.messages.create(to=PERSON, from_=OURS, body="x")) == (
            20003,
            401,
        )


async def test_an_api_key_works_until_it_is_deleted(
    server: TwilioServer, twilio: Twilio, connect: Connect
) -> None:
    made = await twilio.call(lambda c: c.new_keys.create(friendly_name="worker"))
    with_key = connect(server, made.sid, made.secret, account_sid=DEFAULT_SID)
    assert (await with_key.call(lambda c: c.messages.create(to=PERSON, from_=OURS, body="x"))).sid
    assert [key.sid for key in await twilio.call(lambda c: c.keys.list())] == [made.sid]
    assert await twilio.call(lambda c: c.keys(made.sid).delete())
    assert (await refusal(with_key, lambda c: c.messages.create(to=PERSON, from_=OURS, body="x")))[1] == 401


MAGIC = "+1500555000"


@pytest.mark.parametrize(
    ("sender", "to", "code"),
    [
        (1, PERSON, 21212),
        (7, PERSON, 21606),
        (8, PERSON, 21611),
        (5, PERSON, 21606),
        (6, f"{MAGIC}1", 21211),
        (6, f"{MAGIC}2", 21612),
        (6, f"{MAGIC}3", 21408),
        (6, f"{MAGIC}4", 21610),
        (6, f"{MAGIC}9", 21614),
        (6, PERSON, 0),
    ],
)
async def test_magic_numbers_for_messages(
    server: TwilioServer, connect: Connect, sender: int, to: str, code: int
) -> None:
    twilio = connect(server, TEST_SID, TEST_TOKEN)

    def ask(client: object) -> object:
        return client.messages.create(to=to, from_=f"{MAGIC}{sender}", body="x")  # type: ignore[attr-defined]

    if code:
        assert await refusal(twilio, ask) == (code, 400)
    else:
        assert (await twilio.call(ask)).status == "queued"
    assert len(server.world.ledger.submissions) == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"phone_number": f"{MAGIC}0"}, 21422),
        ({"phone_number": f"{MAGIC}1"}, 21421),
        ({"phone_number": f"{MAGIC}6"}, 0),
        ({"phone_number": PERSON}, 21421),
        ({"area_code": "533"}, 21452),
        ({"area_code": "500"}, 0),
    ],
)
async def test_magic_numbers_for_purchases(
    server: TwilioServer, connect: Connect, asked: dict[str, str], code: int
) -> None:
    twilio = connect(server, TEST_SID, TEST_TOKEN)
    if code:
        assert (await refusal(twilio, lambda c: c.incoming_phone_numbers.create(**asked)))[0] == code
    else:
        assert (await twilio.call(lambda c: c.incoming_phone_numbers.create(**asked))).sid
    assert await refusal(twilio, lambda c: c.messages("SM" + "0" * 32).fetch()) == (20008, 403)
