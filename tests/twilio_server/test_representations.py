"""The API of 2010 in JSON, XML and CSV."""

import csv
from io import StringIO
from xml.etree import ElementTree as ET

import pytest

from simulator.twin.accounts import DEFAULT_SID
from simulator.twin.representations import written
from tests.twilio_server.twin import OURS, PERSON, Wire

ACCOUNT = f"/2010-04-01/Accounts/{DEFAULT_SID}"
MESSAGES = f"{ACCOUNT}/Messages"


async def test_a_list_in_each_representation(wire: Wire) -> None:
    for body in ("one & <two>", 'say "hi", please\nand again'):
        await wire.create(Body=body)
    bodies = ['say "hi", please\nand again', "one & <two>"]
    status, text, headers = await wire.bare("GET", f"{MESSAGES}.json?PageSize=2")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    for extension in ("", ".xml"):
        status, text, headers = await wire.bare("GET", f"{MESSAGES}{extension}?PageSize=2")
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, "application/xml")
        root = ET.fromstring(text)
        (found,) = root
        assert (root.tag, found.tag, found.get("pagesize"), found.get("nextpageuri")) == (
            "TwilioResponse",
            "Messages",
            "2",
            "",
        )
        assert [message.findtext("Body") for message in found.findall("Message")] == bodies
        assert (found[0].findtext("From"), found[0].findtext("ErrorCode")) == (OURS, "")
        uri = f"{MESSAGES}/{found[0].findtext('Sid')}"
        assert found[0].findtext("Uri") == uri
        assert found[0].findtext("SubresourceUris/Media") == f"{uri}/Media"
    status, text, headers = await wire.bare("GET", f"{MESSAGES}.csv?PageSize=2")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/csv")
    rows = list(csv.DictReader(StringIO(text)))
    assert [row["Body"] for row in rows] == bodies
    assert [(row["To"], row["DateSent"] == "", row["Uri"][-4:]) for row in rows] == [
        (PERSON, row["DateSent"] == "", ".csv") for row in rows
    ]


async def test_one_resource_and_what_is_created_in_xml(wire: Wire) -> None:
    form = {"To": PERSON, "From": OURS, "Body": "Hi"}
    status, text, _ = await wire.bare("POST", MESSAGES, data=form)
    assert status == 201
    sid = ET.fromstring(text).findtext("Message/Sid")
    status, text, _ = await wire.bare("GET", f"{MESSAGES}/{sid}")
    assert (status, ET.fromstring(text).findtext("Message/Body")) == (200, "Hi")
    status, text, _ = await wire.bare("GET", f"{ACCOUNT}.xml")
    assert ET.fromstring(text).findtext("Account/Sid") == DEFAULT_SID
    status, text, _ = await wire.bare("GET", f"{ACCOUNT}/IncomingPhoneNumbers")
    number = ET.fromstring(text).find("IncomingPhoneNumbers/IncomingPhoneNumber")
    assert number is not None
    assert (number.findtext("PhoneNumber"), number.findtext("Capabilities/Sms")) == (OURS, "true")
    status, text, _ = await wire.bare("GET", f"{ACCOUNT}/Balance.csv")
    assert text.splitlines()[0] == "AccountSid,Balance,Currency"


@pytest.mark.parametrize(
    ("path", "code"), [(f"{MESSAGES}/SM{'0' * 32}", 20404), (f"{MESSAGES}.xml?PageSize=1001", 20007)]
)
async def test_an_error_in_xml(wire: Wire, path: str, code: int) -> None:
    status, text, headers = await wire.bare("GET", path)
    error = ET.fromstring(text).find("RestException")
    assert error is not None
    assert (error.findtext("Code"), error.findtext("Status")) == (str(code), str(status))
    assert headers["Content-Type"].startswith("application/xml")


async def test_the_later_products_speak_json_alone(wire: Wire) -> None:
    for path in ("/v1/Services", f"/v2/PhoneNumbers/{PERSON}", "/v1/Nothing"):
        _, _, headers = await wire.bare("GET", path)
        assert headers["Content-Type"].startswith("application/json")


def test_characters_that_xml_has_not_are_left_out() -> None:
    assert b"<Body>ab</Body>" in written({"body": "a\x01b\x00"}, "Message", "xml")
    assert written({"messages": [], "page": 0}, "Message", "csv") == b""
