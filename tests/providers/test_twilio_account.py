"""The provider's URL: what it means, and what is wrong with it."""

import pytest

from gateway.core.rules.errors import BadInput
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.provider import TwilioProvider

AC, SK, MG = "AC" + "0" * 32, "SK" + "1" * 32, "MG" + "2" * 32
OURS = "https://texts.example.org/"


def account(url: str) -> Account:
    return Account.from_url(url, public_url=OURS)


ADDRESSES = [
    ("", "https://api.twilio.com", "https://messaging.twilio.com", "https://lookups.twilio.com"),
    (
        "api.twilio.com",
        "https://api.twilio.com",
        "https://messaging.twilio.com",
        "https://lookups.twilio.com",
    ),
    (
        "api.dublin.ie1.twilio.com",
        "https://api.dublin.ie1.twilio.com",
        "https://messaging.dublin.ie1.twilio.com",
        "https://lookups.dublin.ie1.twilio.com",
    ),
    ("localhost:8900?scheme=http", *["http://localhost:8900"] * 3),
    ("[::1]:8900?scheme=http", *["http://[::1]:8900"] * 3),
    ("carrier.example.org", *["https://carrier.example.org"] * 3),
]


@pytest.mark.parametrize(("host", "api", "messaging", "lookups"), ADDRESSES)
def test_addresses(host: str, api: str, messaging: str, lookups: str) -> None:
    found = account(f"twilio://{AC}:token@{host}")
    assert (found.api_url, found.messaging_url, found.lookups_url) == (api, messaging, lookups)


def test_all_parts() -> None:
    found = account(f"twilio://{SK}:a%2Fb@?account={AC}&messaging_service={MG}&concurrency=20&timeout_s=9.5")
    assert (found.user, found.secret, found.account_sid) == (SK, "a/b", AC)
    assert (found.messaging_service, found.concurrency, found.timeout_s) == (MG, 20, 9.5)
    assert found.public_url == "https://texts.example.org"


@pytest.mark.parametrize(
    ("url", "tokens"),
    [
        (f"twilio://{AC}:one@", ("one",)),
        (f"twilio://{AC}:one@?signing_token=two", ("one", "two")),
        (f"twilio://{SK}:key@?account={AC}", ()),
        (f"twilio://{SK}:key@?account={AC}&signing_token=one&signing_token=two", ("one", "two")),
    ],
)
def test_webhooks_are_signed_with_the_accounts_tokens(url: str, tokens: tuple[str, ...]) -> None:
    """Never with an API key's secret."""
    assert TwilioProvider.from_url(url, public_url=OURS).signing_tokens == tokens


BAD = [
    ("simulated://x", "scheme"),
    ("twilio://", "missing"),
    (f"twilio://{AC}@", "missing"),
    ("twilio://me:hidden@", "not the sid of an account"),
    (f"twilio://{SK}:hidden@", "not the sid of an account"),
    (f"twilio://{AC}:hidden@host:port", "can't be read"),
    (f"twilio://{AC}:hidden@?messaging_service=PN1", "not the sid of a Messaging Service"),
    (f"twilio://{AC}:hidden@?concurrency=0", "concurrency"),
    (f"twilio://{AC}:hidden@?concurrency=many", "concurrency"),
    (f"twilio://{AC}:hidden@?timeout_s=nan", "timeout_s"),
    (f"twilio://{AC}:hidden@?scheme=ftp", "scheme"),
    (f"twilio://{AC}:hidden@?scheme=http", "in clear"),
    (f"twilio://{AC}:hidden@?sheme=http", "unknown option 'sheme'"),
]


@pytest.mark.parametrize(("url", "says"), BAD)
def test_a_bad_url_is_told_in_one_line_without_its_secret(url: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as raised:
        account(url)
    assert "hidden" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "public_url",
    [None, "", "texts.example.org", "https://my_host/", "ftp://a.example", "https://a.example/?x=1"],
)
def test_callbacks_need_an_address(public_url: str | None) -> None:
    with pytest.raises(BadInput, match=r"http\.public_url"):
        Account.from_url(f"twilio://{AC}:token@", public_url=public_url)
