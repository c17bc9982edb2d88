"""Signatures as Twilio makes them, and what its webhooks say."""

import hashlib
import unicodedata
from base64 import b64encode, encodebytes

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from gateway.core.rules.errors import BadInput
from gateway.providers.base import InboundText, Media, StatusReport
from gateway.providers.twilio import base64_body
from gateway.providers.twilio.webhooks import (
    inbound_text,
    is_signed,
    signature,
    status_query,
    status_report,
)

CALL = {
    "Digits": "1234",
    "To": "+18005551212",
    "From": "+14158675310",
    "Caller": "+14158675310",
    "CallSid": "CA1234567890ABCDE",
}
INBOUND = {
    "MessageSid": "SM" + "1" * 32,
    "From": "+12125550123",
    "To": "+15125550100",
    "Body": "Sí, STOP? 👍",
    "NumMedia": "0",
    "FromCity": "",
}
WITHOUT_BLANK = {name: value for name, value in INBOUND.items() if value}
REPEATED = [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "a"), ("A", "")]
SMS_URL = "https://sms.example.org/webhooks/twilio/inbound?t=7"
JSON_SHA = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
JSON_URL = f"https://x.example/y?bodySHA256={JSON_SHA}"

# Made with the official SDK, token 12345.
SIGNED = [
    ("https://example.com/myapp.php?foo=1&bar=2", CALL, "L/OH5YylLD5NRKLltdqwSvS0BnU="),
    ("https://mycompany.com/myapp.php?foo=1&bar=2", CALL, "GvWf1cFY/Q7PnoempGyD5oXAezc="),
    (SMS_URL, INBOUND, "2g/0mxhf21KuauzSbgnpaxUe8Ik="),
    (SMS_URL, WITHOUT_BLANK, "Sl0A6PxGxW3lpkaJRrTlWlopGJs="),
    ("https://x.example/y", REPEATED, "7m+Wl2gXwsvpo9sMErRNcKeN1N0="),
    (JSON_URL, {}, "9CX4YLY0ehfflroktNkhT9cumr4="),
]


@pytest.mark.parametrize(("url", "form", "expected"), SIGNED)
def test_signatures_are_twilios(url: str, form: object, expected: str) -> None:
    assert signature(url, form, "12345") == expected  # type: ignore[arg-type]
    assert is_signed(url, form, expected, ["12345"])  # type: ignore[arg-type]


FORGED = [
    ("blank value dropped", SMS_URL, WITHOUT_BLANK, ["12345"]),
    ("another path", SMS_URL.replace("inbound", "status"), INBOUND, ["12345"]),
    ("another query", SMS_URL.replace("t=7", "t=8"), INBOUND, ["12345"]),
    ("plain http", SMS_URL.replace("https", "http"), INBOUND, ["12345"]),
    ("a parameter more", SMS_URL, {**INBOUND, "X": "1"}, ["12345"]),
    ("another token", SMS_URL, INBOUND, ["54321"]),
    ("no token at all", SMS_URL, INBOUND, []),
    ("an empty token", SMS_URL, INBOUND, [""]),
]


@pytest.mark.parametrize(
    ("url", "form", "tokens"), [row[1:] for row in FORGED], ids=[row[0] for row in FORGED]
)
def test_a_forgery_is_seen(url: str, form: dict[str, str], tokens: list[str]) -> None:
    assert not is_signed(url, form, "2g/0mxhf21KuauzSbgnpaxUe8Ik=", tokens)


def test_an_empty_token_signs_nothing() -> None:
    assert not is_signed(SMS_URL, INBOUND, signature(SMS_URL, INBOUND, ""), ["", "12345"])


@pytest.mark.parametrize("given_signature", ["", "é", "2g/0mxhf21KuauzSbgnpaxUe8Ik"])
def test_a_signature_that_is_none(given_signature: str) -> None:
    assert not is_signed(SMS_URL, INBOUND, given_signature, ["12345"])


@pytest.mark.parametrize("nth", [0, 1])
def test_both_tokens_count_while_they_are_rotated(nth: int) -> None:
    tokens = ["old", "new"]
    assert is_signed(SMS_URL, INBOUND, signature(SMS_URL, INBOUND, tokens[nth]), tokens)


@pytest.mark.parametrize(
    ("called", "known"),
    [
        ("https://a.example:443/x?q=1", "https://a.example/x?q=1"),
        ("https://a.example/x?q=1", "https://a.example:443/x?q=1"),
        ("http://a.example:80/x", "http://a.example/x"),
        ("http://[::1]/x", "http://[::1]:80/x"),
    ],
)
def test_the_port_may_be_spelled_out_or_not(called: str, known: str) -> None:
    assert is_signed(known, INBOUND, signature(called, INBOUND, "12345"), ["12345"])


def test_a_json_body_is_signed_through_its_hash() -> None:
    good = "9CX4YLY0ehfflroktNkhT9cumr4="
    assert hashlib.sha256(b'{"a":1}').hexdigest() == JSON_SHA
    assert is_signed(JSON_URL, {}, good, ["12345"], body=b'{"a":1}')
    assert not is_signed(JSON_URL, {}, good, ["12345"], body=b'{"a":2}')
    bare = "https://x.example/y"
    assert not is_signed(bare, {}, signature(bare, {}, "12345"), ["12345"], body=b'{"a":1}')


@given(
    st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=8), st.text(min_size=1, max_size=20)
)
def test_the_official_validator_agrees(form: dict[str, str], token: str) -> None:
    url = "https://texts.example.org/webhooks/twilio/status?c=1&m=2&a=1"
    validator = RequestValidator(token)
    assert validator.compute_signature(url, form) == signature(url, form, token)
    assert validator.validate(url, form, signature(url, form, token))


# ---------------------------------------------------------------- status callbacks

QUERY = {"c": "7", "m": "42", "a": "2"}
SM = "SM" + "1" * 32
STATUS = {"MessageSid": SM, "SmsSid": SM, "AccountSid": "AC" + "0" * 32, "To": "+12125550123"}

REPORTS = [
    ({"MessageStatus": "sent", "SmsStatus": "sent"}, "sent", None),
    ({"MessageStatus": "delivered", "RawDlrDoneDate": "2611031504"}, "delivered", None),
    ({"MessageStatus": "undelivered", "ErrorCode": "30005"}, "undelivered", 30005),
    ({"MessageStatus": "failed", "ErrorCode": "21610", "ErrorMessage": "stop"}, "failed", 21610),
    ({"MessageStatus": "queued", "ErrorCode": "", "MessagingServiceSid": "MG"}, "queued", None),
    ({"MessageStatus": "sent", "ErrorCode": "0"}, "sent", None),
    ({"SmsStatus": "delivered"}, "delivered", None),
    ({"MessageStatus": "read", "ErrorCode": "many"}, "read", None),
]


@pytest.mark.parametrize(("form", "status", "code"), REPORTS)
def test_status_callbacks(form: dict[str, str], status: str, code: int | None) -> None:
    report = status_report({**STATUS, **form}, QUERY, at=5.0)
    assert report == StatusReport(7, 42, 2, status, code, 5.0, SM)


@pytest.mark.parametrize(
    "broken", [{}, {"c": "7", "m": "42"}, {**QUERY, "m": "-1"}, {**QUERY, "m": "9" * 30}]
)
def test_a_callback_about_nothing_of_ours(broken: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="reference"):
        status_report({**STATUS, "MessageStatus": "sent"}, broken)


@pytest.mark.parametrize("missing", ["MessageStatus", "MessageSid"])
def test_a_callback_that_says_nothing(missing: str) -> None:
    form = {"MessageSid": SM, "MessageStatus": "sent"}
    del form[missing]
    with pytest.raises(BadInput, match=missing):
        status_report(form, QUERY)


def test_the_query_comes_back() -> None:
    query = dict(pair.split("=") for pair in status_query(7, 42, 2).split("&"))
    assert query == QUERY


# ---------------------------------------------------------------- people's texts


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({}, "Sí, STOP? 👍"),
        ({"Body": "", "NumMedia": "0"}, ""),
        (
            {"Body": " ", "NumMedia": "2", "MediaUrl0": "https://m/0", "MediaUrl1": "https://m/1"},
            "",
        ),
        ({"Body": "STOP", "NumMedia": "1", "MediaUrl0": "https://m/0"}, "STOP"),
        ({"Body": "", "NumMedia": "many"}, ""),
    ],
)
def test_inbound_texts(changes: dict[str, str], body: str) -> None:
    text = inbound_text({**INBOUND, **changes}, at=5.0)
    assert msgspec.structs.replace(text, media=()) == InboundText(
        SM, "+12125550123", "+15125550100", body, 5.0
    )


@pytest.mark.parametrize(
    ("changes", "media"),
    [
        ({"NumMedia": "0", "MediaUrl0": "https://m/0"}, []),
        (
            {"NumMedia": "2", "MediaUrl0": "https://m/0", "MediaContentType0": "image/png", "MediaUrl1": "b"},
            [Media("https://m/0", "image/png"), Media("b", "")],
        ),
        ({"NumMedia": "1"}, [Media()]),
        ({"NumMedia": "1", "MediaUrl0": "https://m/" + "0" * 5_000, "MediaContentType0": "é"}, [Media()]),
        ({"NumMedia": "many", "MediaUrl0": "https://m/0"}, []),
        ({"NumMedia": "999999999"}, [Media()] * 10),
    ],
)
def test_what_came_with_a_text(changes: dict[str, str], media: list[Media]) -> None:
    assert list(inbound_text({**INBOUND, **changes}, at=5.0).media) == media


def in_base64(text: str) -> str:
    return b64encode(text.encode()).decode()


LONG = "Please take me off your list 🙏‍️ and never\nwrite to me again. " * 4
CUT = b64encode(
    "Bannon explains the world … The Camp of the Saints”".encode()[:-1]
).decode()  # in its last character


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (in_base64("STOP"), "STOP"),
        (in_base64("Stop texting me"), "Stop texting me"),
        (in_base64("STOP texting me!"), "STOP texting me!"),
        (in_base64(LONG), LONG),
        (encodebytes(LONG.encode()).decode().replace("\n", "\r\n"), LONG),
        (CUT + "\r", "Bannon explains the world … The Camp of the Saints"),
        # what people write stays as it is
        ("STOPSTOPSTOPSTOPSTOPSTOP", "STOPSTOPSTOPSTOPSTOPSTOP"),
        ("Donaudampfschifffahrtsgesellschaften", "Donaudampfschifffahrtsgesellschaften"),
        ("yes=", "yes="),
        ("https://vote.example/abcdefghijklmnop", "https://vote.example/abcdefghijklmnop"),
        ("QUJD", "QUJD"),
        (b64encode(bytes(range(60))).decode(), b64encode(bytes(range(60))).decode()),
        ("=", "="),
    ],
)
def test_a_body_in_base64_reads_as_what_it_encodes(body: str, expected: str) -> None:
    assert inbound_text({**INBOUND, "Body": body}).body == expected


@given(st.text())
def test_what_is_in_base64_comes_back_and_nothing_else_changes(text: str) -> None:
    encoded = in_base64(text) if all(unicodedata.category(c)[0] != "C" for c in text) else ""
    if len(encoded) >= 20 and text.strip():
        assert base64_body.said(encoded) == text
    if not text.isascii() or " " in text.strip():
        assert base64_body.said(text) == text


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", max_size=19), max_size=5))
def test_words_stay_as_they_are(words: list[str]) -> None:
    assert base64_body.said(" ".join(words)) == " ".join(words)


@pytest.mark.parametrize("missing", ["From", "To", "MessageSid"])
def test_an_inbound_text_from_nobody(missing: str) -> None:
    with pytest.raises(BadInput, match=missing):
        inbound_text({name: value for name, value in INBOUND.items() if name != missing})
