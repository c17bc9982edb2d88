"""Lookup v1 and v2, through the official SDK."""

from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from tests.twilio_server.twin import PERSON, Connect, Serve, Twilio


async def test_v1_says_carrier_and_name(twilio: Twilio) -> None:
    found = await twilio.call(
        lambda c: c.lookups.v1.phone_numbers(PERSON).fetch(type=["carrier", "caller-name"])
    )
    assert (found.phone_number, found.country_code, found.national_format) == (
        PERSON,
        "US",
        "(414) 555-0142",
    )
    assert found.carrier["type"] in {"mobile", "voip"}
    assert set(found.carrier) == {
        "mobile_country_code",
        "mobile_network_code",
        "name",
        "type",
        "error_code",
    }
    assert found.caller_name == {"caller_name": None, "caller_type": None, "error_code": None}
    plain = await twilio.call(lambda c: c.lookups.v1.phone_numbers("(414) 555-0142").fetch())
    assert (plain.phone_number, plain.carrier, plain.caller_name) == (PERSON, None, None)


async def test_v1_knows_a_landline_of_the_list(serve: Serve, connect: Connect) -> None:
    server = await serve(contacts=2000)
    listed = server.world.population.listed
    phones = [phone for phone, line in zip(listed.phones.tolist(), listed.line, strict=True) if line == 1]
    twilio = connect(server)
    kinds = [
        (
            await twilio.call(lambda c, p=phone: c.lookups.v1.phone_numbers(f"+{p}").fetch(type=["carrier"]))
        ).carrier
        for phone in phones[:20]
    ]
    assert [kind["type"] for kind in kinds].count("landline") >= 18


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda c: c.lookups.v1.phone_numbers("+1414555").fetch(), 20404),
        (lambda c: c.lookups.v1.phone_numbers("banana").fetch(), 20404),
        (lambda c: c.lookups.v1.phone_numbers(PERSON).fetch(type=["horoscope"]), 20422),
    ],
)
async def test_v1_refuses(twilio: Twilio, ask: Any, code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await twilio.call(ask)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("asked", "country", "number", "calling", "national"),
    [
        ("+447400123456", "GB", "+447400123456", "44", "07400 123456"),
        ("07400123456", "GB", "+447400123456", "44", "07400 123456"),
        ("+4930123456", "DE", "+4930123456", "49", "030 123456"),
        ("+525512345678", "MX", "+525512345678", "52", "55 1234 5678"),
        ("+14165550142", "CA", "+14165550142", "1", "(416) 555-0142"),
        ("414-555-0142", "US", PERSON, "1", "(414) 555-0142"),
    ],
)
async def test_numbers_of_other_countries(
    twilio: Twilio, asked: str, country: str, number: str, calling: str, national: str
) -> None:
    more = {} if asked.startswith("+") else {"country_code": country}
    found = await twilio.call(lambda c: c.lookups.v2.phone_numbers(asked).fetch(**more))
    assert (found.valid, found.validation_errors) == (True, [])
    assert (found.country_code, found.phone_number) == (country, number)
    assert (found.calling_country_code, found.national_format) == (calling, national)
    v1 = await twilio.call(lambda c: c.lookups.v1.phone_numbers(asked).fetch(**more))
    assert (v1.country_code, v1.phone_number, v1.national_format) == (country, number, national)


async def test_the_carrier_of_a_number_abroad_is_not_covered(twilio: Twilio) -> None:
    found = await twilio.call(
        lambda c: c.lookups.v2.phone_numbers("+447400123456").fetch(fields="line_type_intelligence")
    )
    assert (found.line_type_intelligence["type"], found.line_type_intelligence["error_code"]) == (None, 60600)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ("+1414555", "TOO_SHORT"),
        ("+141455501420", "TOO_LONG"),
        ("+19995550142", "INVALID_BUT_POSSIBLE"),
        ("+999123456789", "INVALID_COUNTRY_CODE"),
        ("banana", "NOT_A_NUMBER"),
    ],
)
async def test_what_is_not_valid(twilio: Twilio, asked: str, error: str) -> None:
    found = await twilio.call(
        lambda c: c.lookups.v2.phone_numbers(asked).fetch(fields="line_type_intelligence")
    )
    assert (found.valid, found.validation_errors, found.country_code) == (False, [error], None)
    assert found.line_type_intelligence is None


async def test_a_look_up_of_the_carrier_costs(serve: Serve, connect: Connect) -> None:
    server = await serve()
    twilio = connect(server)
    ledger, price_usd = server.world.ledger, server.world.scenario.carriers.lookup_usd
    await twilio.call(lambda c: c.lookups.v2.phone_numbers(PERSON).fetch())
    await twilio.call(lambda c: c.lookups.v1.phone_numbers(PERSON).fetch())
    assert (ledger.lookups, ledger.cost_usd) == (0, 0.0)
    await twilio.call(lambda c: c.lookups.v2.phone_numbers(PERSON).fetch(fields="line_type_intelligence"))
    await twilio.call(lambda c: c.lookups.v1.phone_numbers(PERSON).fetch(type=["carrier"]))
    assert (ledger.lookups, ledger.cost_usd) == (2, pytest.approx(2 * price_usd))
