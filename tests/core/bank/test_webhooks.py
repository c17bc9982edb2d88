"""How deliveries are signed, where they may go, and when they are tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.webhooks import (
    GIVE_UP_S,
    headers,
    may_go_to,
    networks,
    rest_s,
    retry_s,
    secret_of,
    signature,
    spread_of,
    url_fault,
)
from gateway.core.rules.errors import BadInput


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of their own libraries."""
    made = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_sign_side_by_side() -> None:
    new, old = secret_of(b"n" * 32), secret_of(b"o" * 32)
    made = headers([new, old], "1-2-3", 5, b"{}")
    assert made["webhook-signature"].split() == [
        signature(new, "1-2-3", 5, b"{}"),
        signature(old, "1-2-3", 5, b"{}"),
    ]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "198.18.0.1", "::", "::1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fd00::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "127.1", "localhost", "",
    ],
)  # fmt: skip
def test_no_private_address_is_gone_to_in_any_spelling(address: str) -> None:
    assert not may_go_to(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are(address: str) -> None:
    assert may_go_to(address)


def test_networks_are_allowed_on_purpose() -> None:
    allowed = networks("10.1.0.0/16, fd00::/8")
    assert [may_go_to(each, allowed) for each in ("10.1.2.3", "10.2.0.1", "fd12::1", "::ffff:10.1.2.3")] == [
        True, False, True, False,
    ]  # fmt: skip
    with pytest.raises(BadInput, match="allowed_networks"):
        networks("10.1.0.1/16")


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.org", "ftp://crm.example.org", "crm.example.org", "https://", "https:///x", "javascript:x",
        "https://user:word@crm.example.org", "https://crm.example.org/#x", "https://crm.example.org:0/",
        "https://crm.example.org:99999/", "https://crm.example.org/a b", "https://[::1", "https://crm\x00.example.org",
        "https://crm.example.org/" + "x" * 2000,
    ],
)  # fmt: skip
def test_what_is_no_address_to_send_to(url: str) -> None:
    assert url_fault(url, is_plain_allowed=False)


def test_plain_http_is_for_allowed_networks() -> None:
    assert url_fault("https://crm.example.org:8443/hooks?x=1", is_plain_allowed=False) is None
    assert url_fault("http://10.1.2.3/hooks", is_plain_allowed=True) is None


@given(st.integers(1, 10_000), st.integers(0, 2**40))
def test_retries_come_later_and_later_and_not_together(attempts: int, number: int) -> None:
    spread = spread_of(number)
    assert 0 <= spread < 1
    assert 5 <= retry_s(attempts, 0.0) <= retry_s(attempts, spread) <= 6 * 3600
    assert retry_s(attempts, spread) <= retry_s(attempts + 1, spread)


def test_three_days_are_some_thirty_attempts() -> None:
    at, attempts = 0.0, 0
    while at < GIVE_UP_S:
        attempts += 1
        at += retry_s(attempts, 0.5)
    assert 20 <= attempts <= 40


def test_an_endpoint_rests_after_five_failures_and_never_long() -> None:
    assert [rest_s(failures) for failures in (0, 4, 5, 6, 7)] == [0.0, 0.0, 5.0, 10.0, 20.0]
    assert rest_s(100_000) == 300.0
