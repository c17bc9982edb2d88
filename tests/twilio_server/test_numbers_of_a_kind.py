"""Numbers by kind and country, area codes that there are not, and what a number is set to."""

from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from simulator.twin.accounts import DEFAULT_SID
from simulator.twin.area_codes import has_numbers
from simulator.twin.server import TwilioServer
from tests.twilio_server.twin import OURS, Twilio, Wire

NUMBERS = f"/2010-04-01/Accounts/{DEFAULT_SID}/IncomingPhoneNumbers"


async def refused(twilio: Twilio, ask: Any) -> int:
    with pytest.raises(TwilioRestException) as error:
        await twilio.call(ask)
    return int(error.value.code)


async def test_numbers_of_one_kind(twilio: Twilio) -> None:
    toll_free = (await twilio.call(lambda c: c.available_phone_numbers("US").toll_free.list(limit=1)))[0]
    bought = await twilio.call(
        lambda c: c.incoming_phone_numbers.toll_free.create(phone_number=toll_free.phone_number)
    )
    local = await twilio.call(lambda c: c.incoming_phone_numbers.local.create(phone_number="+13125550100"))
    assert [n.sid for n in await twilio.call(lambda c: c.incoming_phone_numbers.toll_free.list())] == [
        bought.sid
    ]
    listed = await twilio.call(lambda c: c.incoming_phone_numbers.local.list(page_size=1))
    assert [number.phone_number for number in listed] == [local.phone_number, OURS]
    assert await twilio.call(lambda c: c.incoming_phone_numbers.mobile.list()) == []
    assert len(await twilio.call(lambda c: c.incoming_phone_numbers.list())) == 3
    other = "+13125550101"
    for ask in (
        lambda c: c.incoming_phone_numbers.toll_free.create(phone_number=other),
        lambda c: c.incoming_phone_numbers.mobile.create(phone_number=other),
    ):
        assert await refused(twilio, ask) == 21421


async def test_one_kind_is_not_bought_by_area_code(wire: Wire) -> None:
    for kind, fields, code in (
        ("Local", {"AreaCode": "312"}, 21457),
        ("TollFree", {"AreaCode": "888"}, 21457),
        ("Local", {}, 21421),
    ):
        status, refused, _ = await wire("POST", f"{NUMBERS}/{kind}.json", data=fields)
        assert (status, refused["code"]) == (400, code)


async def test_countries_and_their_kinds_of_number(twilio: Twilio) -> None:
    (country,) = await twilio.call(lambda c: c.available_phone_numbers.list())
    fetched = await twilio.call(lambda c: c.available_phone_numbers("US").fetch())
    for shown in (country, fetched):
        assert (shown.country_code, shown.country, shown.beta) == ("US", "United States", False)
        assert set(shown.subresource_uris) == {"local", "toll_free", "mobile"}
        assert shown.uri.endswith("/AvailablePhoneNumbers/US.json")
    for kind in ("mobile", "national", "voip", "shared_cost", "machine_to_machine"):
        assert (
            await twilio.call(lambda c, k=kind: getattr(c.available_phone_numbers("US"), k).list(limit=1))
            == []
        )
    assert await refused(twilio, lambda c: c.available_phone_numbers("GB").fetch()) == 20404


@pytest.mark.parametrize(
    ("area_code", "there"),
    [
        *((code, True) for code in ("215", "800", "907")),
        *((code, False) for code in ("999", "211", "911", "12", "416", "500", "900", "", "abc", "٣١٢")),
    ],
)
def test_area_codes(area_code: str, there: bool) -> None:
    assert has_numbers(area_code) is there


async def test_area_codes_that_there_are_not(server: TwilioServer, twilio: Twilio) -> None:
    for area_code in (999, 211, 12, 416):
        found = await twilio.call(
            lambda c, a=area_code: c.available_phone_numbers("US").local.list(area_code=a, limit=5)
        )
        assert found == []
    assert await refused(twilio, lambda c: c.incoming_phone_numbers.create(area_code="999")) == 21452
    assert await refused(twilio, lambda c: c.incoming_phone_numbers.create(area_code="211")) == 21451
    assert (
        await refused(twilio, lambda c: c.incoming_phone_numbers.create(phone_number="+19995550104")) == 21421
    )
    assert len(server.accounts[0].numbers) == 1


async def test_a_search_by_state_letters_and_ends(twilio: Twilio) -> None:
    async def found(**asked: object) -> list[str]:
        search = await twilio.call(lambda c: c.available_phone_numbers("US").local.list(limit=1000, **asked))
        return [number.phone_number for number in search]

    assert {phone[:5] for phone in await found(in_region="PA")} == {"+1814"}  # the scenario's only state
    assert await found(in_region="WI") == []
    assert await found(area_code=312, contains="+1312555") == await found(area_code=312)
    assert await found(area_code=312, contains="01AD$") == ["+13125550123"]
    assert await found(area_code=312, contains="5550%23$") == ["+13125550123", "+13125550223"]


async def test_a_search_has_pages(wire: Wire) -> None:
    search = f"/2010-04-01/Accounts/{DEFAULT_SID}/AvailablePhoneNumbers/US/Local.json?AreaCode=312&PageSize=2"
    for page, first in ((0, "+13125550100"), (1, "+13125550102")):
        _, found, _ = await wire("GET", f"{search}&Page={page}")
        assert [
            len(found["available_phone_numbers"]),
            found["available_phone_numbers"][0]["phone_number"],
        ] == [
            2,
            first,
        ]


async def test_what_a_number_is_set_to_is_kept_and_shown(twilio: Twilio) -> None:
    number = (await twilio.call(lambda c: c.incoming_phone_numbers.list()))[0]
    assert (number.voice_receive_mode, number.voice_fallback_method, number.voice_caller_id_lookup) == (
        "voice",
        "POST",
        False,
    )
    assert (number.emergency_status, number.emergency_address_status) == ("Inactive", "unregistered")
    sids = {
        "sms_application_sid": "AP",
        "voice_application_sid": "AP",
        "address_sid": "AD",
        "bundle_sid": "BU",
        "trunk_sid": "TK",
        "identity_sid": "RI",
        "emergency_address_sid": "AD",
    }
    settings = {name: prefix + "1" * 32 for name, prefix in sids.items()} | {
        "voice_receive_mode": "fax",
        "voice_fallback_method": "GET",
        "emergency_status": "Active",
    }
    changed = await twilio.call(
        lambda c: c.incoming_phone_numbers(number.sid).update(voice_caller_id_lookup=True, **settings)
    )
    assert {name: getattr(changed, name) for name in settings} == settings
    assert changed.voice_caller_id_lookup is True


@pytest.mark.parametrize(
    "settings",
    [
        {"EmergencyStatus": "nonsense"},
        {"EmergencyAddressSid": "AP" + "1" * 32},
        {"TrunkSid": "TK1"},
        {"IdentitySid": "nonsense"},
        {"SmsApplicationSid": "nonsense"},
        {"AddressSid": "nonsense"},
        {"BundleSid": "nonsense"},
        {"VoiceReceiveMode": "nonsense"},
        {"VoiceFallbackMethod": "PUT"},
        {"VoiceCallerIdLookup": "perhaps"},
    ],
)
async def test_settings_that_there_are_not(wire: Wire, settings: dict[str, str]) -> None:
    sid = next(iter(wire.server.accounts[0].numbers))
    for path, more in ((f"{NUMBERS}/{sid}.json", {}), (f"{NUMBERS}.json", {"AreaCode": "312"})):
        status, body, _ = await wire("POST", path, data={**settings, **more})
        assert (status, body["code"]) == (400, 20422)
    assert len(wire.server.accounts[0].numbers) == 1


async def test_numbers_by_origin(twilio: Twilio) -> None:
    assert len(await twilio.call(lambda c: c.incoming_phone_numbers.list(origin="twilio", beta=False))) == 1
    assert await twilio.call(lambda c: c.incoming_phone_numbers.list(origin="hosted")) == []
    assert await twilio.call(lambda c: c.incoming_phone_numbers.list(beta=True)) == []


async def test_services_take_only_numbers_and_values_that_there_are(wire: Wire, twilio: Twilio) -> None:
    service = await twilio.call(
        lambda c: c.messaging.v1.services.create(friendly_name="Bank", scan_message_content="disable")
    )
    assert service.scan_message_content == "disable"
    nobodys = "PN" + "0" * 32
    assert (
        await refused(twilio, lambda c: c.messaging.v1.services(service.sid).phone_numbers.create(nobodys))
        == 21421
    )
    for name in ("ScanMessageContent", "Usecase", "InboundMethod", "StickySender"):
        status, body, _ = await wire("POST", f"/v1/Services/{service.sid}", data={name: "nonsense"})
        assert (status, body["code"]) == (400, 20422)


async def test_a_pool_has_an_end(server: TwilioServer, twilio: Twilio) -> None:
    service = await twilio.call(lambda c: c.messaging.v1.services.create(friendly_name="Bank"))
    account = server.accounts[0]
    number = next(iter(account.numbers.values()))
    account.services[service.sid].senders.update({f"PN{nth}": number for nth in range(400)})
    assert (
        await refused(twilio, lambda c: c.messaging.v1.services(service.sid).phone_numbers.create(number.sid))
        == 21714
    )


async def test_media_are_filtered_deleted_and_found_where_they_are(wire: Wire, twilio: Twilio) -> None:
    message = await twilio.call(
        lambda c: c.messages.create(
            to="+14145550142", from_=OURS, media_url=["https://x.example/1.png", "https://x.example/2.gif"]
        )
    )
    media = await twilio.call(lambda c: c.messages(message.sid).media.list())
    base = f"/2010-04-01/Accounts/{DEFAULT_SID}/Messages/{message.sid}/Media"
    status, _, headers = await wire.bare("GET", f"{base}/{media[0].sid}")
    assert (status, headers["Location"]) == (307, "https://x.example/1.png")
    status, text, _ = await wire.bare("GET", f"{base}/{media[0].sid}.xml")
    assert (status, "<ContentType>image/png</ContentType>" in text) == (200, True)
    for least, count in (("2020-01-01", 2), ("2037-01-01", 0)):
        _, page, _ = await wire("GET", f"{base}.json", params={"DateCreated>": least})
        assert len(page["media_list"]) == count
    assert await twilio.call(lambda c: c.messages(message.sid).media(media[0].sid).delete())
    left = await twilio.call(lambda c: c.messages(message.sid).media.list())
    assert [one.sid for one in left] == [media[1].sid]
    for ask in (
        lambda c: c.messages(message.sid).media(media[0].sid).fetch(),
        lambda c: c.messages(message.sid).media(media[0].sid).delete(),
    ):
        assert await refused(twilio, ask) == 20404
