"""Only this machine and what somebody allowed is loaded; a provider never, by whatever way it is named."""

import socket

import pytest

from loadtests.targets import Refused, is_provider, target

HERE, ELSEWHERE = "127.0.0.1", "203.0.113.7"


def names(**known: tuple[str, str]):
    """A name server that knows these: a name's (address, canonical name)."""

    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if host not in known:
            raise socket.gaierror("Name or service not known")
        address, canonical = known[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, canonical, (address, port))]

    return resolve


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://127.0.0.1:8800", "http://127.0.0.1:8800"),
        ("http://127.0.0.1:8800/", "http://127.0.0.1:8800"),
        ("http://127.9.9.9", "http://127.9.9.9:80"),
        ("http://[::1]:8800", "http://[::1]:8800"),
        ("http://2130706433:8800", "http://127.0.0.1:8800"),
    ],
)
def test_this_machine_is_loaded(url: str, asked: str) -> None:
    assert (target(url).url, target(url).is_here) == (asked, True)


def test_a_name_of_this_machine_is_connected_to_by_the_address_found() -> None:
    """Else a name server that changes its mind would lead the load elsewhere."""
    found = target("http://gateway.test:8800", resolve=names(**{"gateway.test": (HERE, "")}))
    assert (found.url, found.named) == ("http://127.0.0.1:8800", "gateway.test")


def test_another_host_is_loaded_when_it_is_allowed_and_only_then() -> None:
    resolve = names(**{"staging.example.org": (ELSEWHERE, "")})
    with pytest.raises(Refused, match=r"--allow staging\.example\.org"):
        target("https://staging.example.org", resolve=resolve)
    found = target("https://STAGING.example.org", ["staging.example.org."], resolve=resolve)
    assert (found.url, found.is_here) == ("https://staging.example.org:443", False)
    with pytest.raises(Refused):  # allowed is a host, not all that ends like it
        target(
            "https://a.staging.example.org",
            ["staging.example.org"],
            resolve=lambda *_, **__: resolve("staging.example.org", 443),
        )


PROVIDERS = [
    "api.twilio.com",
    "API.Twilio.COM",
    "api.twilio.com.",
    "twilio.com",
    "rest.nexmo.com",
    "api.telnyx.com",
]
PROVIDERS += ["ａpi.twilio.com", "api.twilio。com", "sns.us-east-1.amazonaws.com"]


@pytest.mark.parametrize("host", PROVIDERS)
def test_a_provider_is_never_loaded(host: str) -> None:
    """Not even where it is allowed, and not even where its name leads to this machine."""
    with pytest.raises(Refused, match="is a provider's"):
        target(f"http://{host}", [host], resolve=lambda _, port, **__: [(2, 1, 6, "", (HERE, port))])


def test_nor_by_another_name() -> None:
    resolve = names(**{"texts.example.org": (ELSEWHERE, "edge.api.twilio.com.")})
    with pytest.raises(Refused, match=r"edge.api.twilio.com. \(behind texts.example.org\) is a provider's"):
        target("https://texts.example.org", ["texts.example.org"], resolve=resolve)


@pytest.mark.parametrize("host", ["nottwilio.com", "twilio.com.example.org", "ec2-1.us-east-1.amazonaws.com"])
def test_a_name_that_only_looks_like_one_is_no_provider(host: str) -> None:
    assert not is_provider(host)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8800", "give http://HOST:PORT"),
        ("ftp://127.0.0.1", "give http://HOST:PORT"),
        ("http://", "give http://HOST:PORT"),
        ("http://127.0.0.1@api.twilio.com", "name or password"),
        ("http://127.0.0.1:8800/v1", "has a path"),
        ("http://127.0.0.1:99999", "no port between"),
        ("http://[::1", "is not an address"),
        ("http://nowhere.test", "can't be found"),
        ("http://0.0.0.0:8800", "--allow 0.0.0.0"),
    ],
)
def test_what_is_no_target_is_told(url: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        target(url, resolve=names() if "nowhere" in url else socket.getaddrinfo)
