"""What a request may look like: credentials, bodies, phones, pages, dates, headers."""

import asyncio
import base64
import inspect
import re
import socket
from contextlib import suppress
from urllib.request import HTTPBasicAuthHandler, Request, build_opener

import aiohttp
import pytest
from twilio.rest.api.v2010.account import AccountInstance
from twilio.rest.api.v2010.account.available_phone_number_country import AvailablePhoneNumberCountryInstance
from twilio.rest.api.v2010.account.available_phone_number_country.local import LocalInstance
from twilio.rest.api.v2010.account.balance import BalanceInstance
from twilio.rest.api.v2010.account.incoming_phone_number import IncomingPhoneNumberInstance
from twilio.rest.api.v2010.account.key import KeyInstance
from twilio.rest.api.v2010.account.message import MessageInstance
from twilio.rest.api.v2010.account.message.media import MediaInstance
from twilio.rest.lookups.v1 import phone_number as lookups_v1
from twilio.rest.lookups.v2 import phone_number as lookups_v2
from twilio.rest.messaging.v1.service import ServiceInstance
from twilio.rest.messaging.v1.service.phone_number import PhoneNumberInstance as PoolNumberInstance

from simulator.twin.accounts import DEFAULT_SID, DEFAULT_TOKEN
from simulator.twin.server import TwilioServer
from simulator.twin.wire import day_or_instant, dialled
from tests.twilio_server.twin import MESSAGES, OURS, PATIENCE_S, PERSON, START_AT, Twilio, Wire, calm

BASIC = base64.b64encode(f"{DEFAULT_SID}:{DEFAULT_TOKEN}".encode()).decode()


async def test_who_waits_for_a_challenge_gets_in(server: TwilioServer, twilio: Twilio) -> None:
    """urllib sends no credentials before it is asked, and only to a realm it knows."""
    handler = HTTPBasicAuthHandler()
    handler.add_password("Twilio API", server.url, DEFAULT_SID, DEFAULT_TOKEN)

    def ask(_: object) -> int:
        with build_opener(handler).open(Request(f"{server.url}{MESSAGES}"), timeout=PATIENCE_S) as answer:
            return int(answer.status)

    assert await twilio.call(ask) == 200


async def test_401_says_how_to_get_in(server: TwilioServer) -> None:
    async with aiohttp.ClientSession() as session, session.get(server.url + MESSAGES) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Twilio API"')
        assert (await answer.json())["code"] == 20003


async def test_a_body_of_several_parts(wire: Wire) -> None:
    form = aiohttp.FormData({"To": PERSON, "From": OURS, "Body": "Sí 👍"}, default_to_multipart=True)
    form.add_field("MediaUrl", "https://x.example/1.png")
    form.add_field("MediaUrl", "https://x.example/2.png")
    form.add_field("MediaUrl", b"x", filename="left out.png")
    status, message, _ = await wire("POST", MESSAGES, data=form)
    assert (status, message["body"], message["num_media"]) == (201, "Sí 👍", "2")


@pytest.mark.parametrize("body", [b"", b"nonsense", b"--x\r\n\r\n"])
async def test_a_body_that_is_not_of_several_parts(wire: Wire, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    status, answer, _ = await wire("POST", MESSAGES, data=body, headers=headers)
    assert (status, answer["code"] in {20422, 21604}) == (400, True)


async def test_expect_100_continue_is_answered(server: TwilioServer) -> None:
    body = f"To=%2B{PERSON[1:]}&From=%2B{OURS[1:]}&Body=Hi".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {BASIC}\r\nExpect: 100-continue\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201")
    writer.close()


async def test_headers_of_every_answer(wire: Wire) -> None:
    _, _, headers = await wire.create()
    assert headers["Twilio-Request-Id"].startswith("RQ")
    assert float(headers["Twilio-Request-Duration"]) >= 0
    assert (headers["X-Home-Region"], headers["X-API-Domain"]) == ("us1", "api.twilio.com")
    for path, domain in (
        ("/v1/Services", "messaging.twilio.com"),
        (f"/v1/PhoneNumbers/{PERSON}", "lookups.twilio.com"),
        (f"/v2/PhoneNumbers/{PERSON}", "lookups.twilio.com"),
    ):
        assert (await wire("GET", path))[2]["X-API-Domain"] == domain


@pytest.mark.parametrize(
    "path",
    [
        MESSAGES.replace(".json", f"/SM{'0' * 32}.json"),
        MESSAGES.replace("Messages", f"IncomingPhoneNumbers/PN{'0' * 32}"),
        MESSAGES.replace("Messages", f"Keys/SK{'0' * 32}"),
        MESSAGES.replace("Messages", "Faxes"),
    ],
)
async def test_what_is_not_there_is_named(wire: Wire, path: str) -> None:
    status, refused, _ = await wire("GET", path)
    assert (status, refused["code"]) == (404, 20404)
    assert refused["message"] == f"The requested resource {path} was not found"


async def test_unknown_parameters_and_utf_8(wire: Wire) -> None:
    status, made, _ = await wire.create(Body="¿Qué? 👍🏽 日本", Nonsense="1", EspeciallyThis="")
    assert status == 201
    _, fetched, _ = await wire("GET", MESSAGES.replace(".json", f"/{made['sid']}.json"))
    assert fetched["body"] == "¿Qué? 👍🏽 日本"
    assert fetched["uri"] == MESSAGES.replace(".json", f"/{made['sid']}.json")
    assert fetched["subresource_uris"]["media"] == fetched["uri"].replace(".json", "/Media.json")


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("+14145550142", 14145550142),
        ("14145550142", 14145550142),
        (" 14145550142", 14145550142),  # a plus in a form that nobody encoded
        ("4145550142", 14145550142),
        ("(414) 555-0142", 14145550142),
        ("414.555.0142", 14145550142),
        ("+1 (414) 555-0142", 14145550142),
        ("+447700900123", 447700900123),
        ("447700900123", None),
        ("5550142", None),
        ("banana", None),
        ("", None),
    ],
)
def test_phones_as_people_write_them(text: str, phone: int | None) -> None:
    assert dialled(text) == phone


async def test_a_message_to_a_phone_without_its_plus(wire: Wire, twilio: Twilio) -> None:
    for to, sender in (("14145550142", OURS), ("(414) 555-0142", "12155550100")):
        message = await twilio.call(
            lambda c, to=to, sender=sender: c.messages.create(to=to, from_=sender, body="Hi")
        )
        assert (message.to, message.from_) == (PERSON, OURS)
    assert len(await twilio.call(lambda c: c.messages.list(to="414-555-0142"))) == 2


async def test_a_page_has_50_and_at_most_1000(wire: Wire) -> None:
    for _ in range(51):
        await wire.create()
    _, page, _ = await wire("GET", MESSAGES)
    assert (page["page_size"], len(page["messages"]), page["end"]) == (50, 50, 49)
    assert "&PageToken=PASM" in page["next_page_uri"]
    _, last, _ = await wire("GET", page["next_page_uri"])
    assert (len(last["messages"]), last["next_page_uri"]) == (1, None)
    assert (await wire("GET", f"{MESSAGES}?PageSize=1000"))[0] == 200
    status, refused, _ = await wire("GET", f"{MESSAGES}?PageSize=1001")
    assert (status, refused["code"]) == (400, 20007)


NOON = 1_560_981_840.0  # Wed, 19 Jun 2019 22:04:00 GMT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wed, 19 Jun 2019 22:04:00 +0000", (NOON, False)),
        ("Wed, 19 Jun 2019 22:04:00 -0000", (NOON, False)),
        ("Wed, 19 Jun 2019 15:04:00 MST", (NOON, False)),
        ("06/19/2019 15:04:00 MST", (NOON, False)),
        ("06/19/2019 22:04:00", (NOON, False)),
        ("2019-06-19T22:04:00Z", (NOON, False)),
        ("2019-06-19", (NOON - 22 * 3600 - 240, True)),
    ],
)
def test_dates_of_filters(text: str, expected: tuple[float, bool]) -> None:
    assert day_or_instant(text) == expected


async def test_a_list_is_filtered_by_an_rfc_2822_date(wire: Wire) -> None:
    await wire.create()
    for least, count in (("Wed, 19 Jun 2019 22:04:00 -0000", 1), ("12/31/2037 22:05:25 MST", 0)):
        _, page, _ = await wire("GET", MESSAGES, params={"DateSent>": least})
        assert len(page["messages"]) == count
    assert (await wire("GET", MESSAGES, params={"DateSent": "31/12/2037 22:05:25 MST"}))[1]["code"] == 20422


def has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_an_address_of_ipv6_can_be_used_as_it_is_told() -> None:
    server = TwilioServer(calm(), start_at=START_AT)
    await server.start("::1")
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/twin/state") as answer:
            assert (server.url.startswith("http://[::1]:"), answer.status) == (True, 200)
    finally:
        await server.stop()


async def test_resources_have_what_the_sdk_reads(wire: Wire) -> None:
    """The properties that the SDK's records take, against those in the answers."""
    account = MESSAGES.removesuffix("/Messages.json")
    message = (await wire.create(MediaUrl="https://x.example/1.png"))[1]
    service = (await wire("POST", "/v1/Services", data={"FriendlyName": "Bank"}))[1]
    number = (await wire("GET", f"{account}/IncomingPhoneNumbers.json"))[1]["incoming_phone_numbers"][0]
    pool = f"/v1/Services/{service['sid']}/PhoneNumbers"
    media = (await wire("GET", f"{account}/Messages/{message['sid']}/Media.json"))[1]["media_list"][0]
    on_sale = f"{account}/AvailablePhoneNumbers/US"
    offers = (await wire("GET", f"{on_sale}/Local.json?AreaCode=312"))[1]["available_phone_numbers"]
    answers = {
        MessageInstance: message,
        ServiceInstance: service,
        IncomingPhoneNumberInstance: number,
        PoolNumberInstance: (await wire("POST", pool, data={"PhoneNumberSid": number["sid"]}))[1],
        MediaInstance: media,
        LocalInstance: offers[0],
        AvailablePhoneNumberCountryInstance: (await wire("GET", f"{on_sale}.json"))[1],
        AccountInstance: (await wire("GET", f"{account}.json"))[1],
        KeyInstance: (await wire("POST", f"{account}/Keys.json"))[1],
        BalanceInstance: (await wire("GET", f"{account}/Balance.json"))[1],
        lookups_v1.PhoneNumberInstance: (await wire("GET", f"/v1/PhoneNumbers/{PERSON}"))[1],
        lookups_v2.PhoneNumberInstance: (await wire("GET", f"/v2/PhoneNumbers/{PERSON}"))[1],
    }
    for record, answer in answers.items():
        properties = set(re.findall(r"payload\.get\(\s*\"(\w+)\"", inspect.getsource(record)))
        assert len(properties) > 2
        assert properties <= set(answer), record
