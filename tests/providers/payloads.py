"""Answers as Twilio's API reference and its OpenAPI files show them; phone numbers are fictitious."""

import json

from tests.providers.fake_twilio import API, SID

OURS, THEIRS = "+15125550100", "+12125550123"


def message(sid: str = "SM" + "1" * 32, **changes: object) -> dict[str, object]:
    record: dict[str, object] = {
        "sid": sid,
        "account_sid": SID,
        "api_version": "2010-04-01",
        "body": "Hello",
        "direction": "outbound-api",
        "from": OURS,
        "to": THEIRS,
        "messaging_service_sid": None,
        "status": "queued",
        "num_segments": "1",
        "num_media": "0",
        "price": None,
        "price_unit": "USD",
        "error_code": None,
        "error_message": None,
        "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
        "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000",
        "date_sent": None,
        "uri": f"{API}/Messages/{sid}.json",
        "subresource_uris": {"media": f"{API}/Messages/{sid}/Media.json"},
    }
    return {**record, **{name.rstrip("_"): value for name, value in changes.items()}}


CREATED_AT = 1692853305.0
"""The date_created above in Unix seconds."""


def created(**changes: object) -> str:
    return json.dumps(message(**changes))


def page(*messages: dict[str, object], next_page_uri: str | None = None) -> str:
    return json.dumps(
        {
            "messages": messages,
            "page": 0,
            "page_size": 50,
            "start": 0,
            "end": max(0, len(messages) - 1),
            "uri": f"{API}/Messages.json",
            "first_page_uri": f"{API}/Messages.json?PageSize=50&Page=0",
            "next_page_uri": next_page_uri,
            "previous_page_uri": None,
        }
    )


def number(sid: str, phone: str) -> dict[str, object]:
    return {
        "sid": sid,
        "account_sid": SID,
        "friendly_name": "(267) 555-0142",
        "phone_number": phone,
        "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
        "sms_url": "",
        "sms_method": "POST",
        "status": "in-use",
        "type": "local",
    }


def for_sale(*phones: str) -> str:
    offers = [
        {
            "friendly_name": phone,
            "phone_number": phone,
            "lata": "228",
            "region": "PA",
            "iso_country": "US",
            "capabilities": {"voice": True, "SMS": True, "MMS": True},
        }
        for phone in phones
    ]
    uri = f"{API}/AvailablePhoneNumbers/US/Local.json"
    return json.dumps({"uri": uri, "available_phone_numbers": offers})


def owned(*numbers: dict[str, object]) -> str:
    return json.dumps({"incoming_phone_numbers": numbers, "page": 0, "page_size": 50, "next_page_uri": None})


def lookup(phone: str, line_type: str, carrier_name: str) -> str:
    return json.dumps(
        {
            "calling_country_code": "1",
            "country_code": "US",
            "phone_number": phone,
            "valid": True,
            "validation_errors": None,
            "line_type_intelligence": {
                "type": line_type,
                "carrier_name": carrier_name,
                "mobile_country_code": "240",
                "mobile_network_code": "38",
                "error_code": None,
            },
            "caller_name": None,
        }
    )


def invalid(phone: str) -> str:
    return json.dumps(
        {
            "calling_country_code": None,
            "country_code": None,
            "phone_number": phone,
            "valid": False,
            "validation_errors": ["TOO_SHORT"],
            "line_type_intelligence": None,
        }
    )


def classic(code: int, status: int, text: str = "") -> str:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json.dumps({"code": code, "message": text, "more_info": more, "status": status})


def rfc_9457(code: int, status: int, detail: str = "") -> str:
    kind = f"https://www.twilio.com/docs/api/errors/{code}"
    return json.dumps({"type": kind, "title": "Bad", "status": status, "code": code, "detail": detail})
