"""The request of a webhook: to whom, how patiently, signed (twilio.com/docs/usage/webhooks/webhooks-security)."""

from base64 import b64encode
from functools import lru_cache
from hashlib import blake2b
from hmac import digest
from typing import NamedTuple
from urllib.parse import parse_qsl, quote_plus

import msgspec
from yarl import URL

from simulator.twin.http_credentials import Credentials, authorization

HOME_REGION = "us1"
_TOTAL_MS = 15_000
_POLICIES = frozenset({"4xx", "5xx", "ct", "rt", "all"})


class Overrides(msgspec.Struct, frozen=True):
    """Connection overrides of a webhook URL, Twilio's defaults without any: times in seconds."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    retries: int = 1
    policies: frozenset[str] = frozenset({"ct"})

    def tries_again(self, failure: str) -> bool:
        """Whether a failure ("4xx", "5xx", "ct", "rt") is worth another try."""
        return "all" in self.policies or failure in self.policies


class Receiver(msgspec.Struct, frozen=True):
    """Who gets webhooks: the URL without its query, and how patiently it is called.

    `credentials` are the address's user and password, None without any.
    """

    url: URL
    path: str
    host: str
    tag: str
    credentials: Credentials | None
    overrides: Overrides


class Target(NamedTuple):
    """Where one webhook goes: the URL as called and signed, its path with the query, and to whom."""

    signed: str
    path: str
    receiver: Receiver


def target_of(url: str, tag: str = "") -> Target:
    """The parts of a URL; what an override says badly counts as not said.

    `tag` is that of the address that sent us on to this one: its webhook keeps its token.
    """
    address, _, fragment = url.partition("#")
    base, mark, query = address.partition("?")
    receiver = _receiver(base, fragment)
    if tag:
        receiver = msgspec.structs.replace(receiver, tag=tag)
    return Target(address, f"{receiver.path}{mark}{query}", receiver)


@lru_cache(maxsize=4096)
def _receiver(base: str, fragment: str) -> Receiver:
    given = dict(parse_qsl(fragment))
    policies = frozenset(given.get("rp", "ct").split(",")) & _POLICIES
    overrides = Overrides(
        connect_s=_within(given.get("ct"), 100, 10_000, 5_000) / 1000,
        read_s=_within(given.get("rt"), 100, _TOTAL_MS, _TOTAL_MS) / 1000,
        total_s=_within(given.get("tt"), 100, _TOTAL_MS, _TOTAL_MS) / 1000,
        retries=_within(given.get("rc"), 0, 5, 1),
        policies=policies or frozenset({"ct"}),
    )
    url = URL(base, encoded=True)
    tag = blake2b(base.encode(), digest_size=6).hexdigest()
    host = url.raw_authority.rpartition("@")[2]
    credentials = Credentials(url.user, url.password or "") if url.user is not None else None
    return Receiver(url, url.raw_path or "/", host, tag, credentials, overrides)


def _within(text: str | None, least: int, most: int, default: int) -> int:
    if text is None or not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        return default
    return int(text)


def signature(url: str, parameters: dict[str, str], token: str) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the URL and the sorted parameters, base64."""
    text = url + "".join([name + value for name, value in sorted(parameters.items())])
    return b64encode(digest(token.encode(), text.encode(), "sha1")).decode()


def signed_request(
    nth: int,
    target: Target,
    parameters: dict[str, str],
    token: str,
    method: str,
    *,
    challenge: str = "",
) -> bytes:
    """The whole request, signed; by GET the parameters are in the URL and not signed apart.

    `nth` tells webhooks apart; another try of one has its token. `challenge` asks for the address's credentials.
    """
    encoded = "&".join([f"{name}={_encoded(value)}" for name, value in parameters.items()])
    path, body = target.path, encoded
    if method == "GET":
        separator = "&" if "?" in target.signed else "?"
        path, body = f"{path}{separator}{encoded}", ""
        given = signature(f"{target.signed}{separator}{encoded}", {}, token)
    else:
        given = signature(target.signed, parameters, token)
    idempotency_token, credentials = _token(nth, target), target.receiver.credentials
    admission = ""
    if challenge and credentials is not None:
        answer = authorization(challenge, credentials, method, path, idempotency_token)
        admission = f"Authorization: {answer}\r\n" if answer else ""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {target.receiver.host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
        f"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
        f"X-Twilio-Signature: {given}\r\nI-Twilio-Idempotency-Token: {idempotency_token}\r\n"
        f"X-Home-Region: {HOME_REGION}\r\n{admission}\r\n{body}"
    ).encode("ascii", "replace")


def _encoded(value: str) -> str:
    """As quote_plus says, quicker for what is most often sent: identifiers and phones."""
    if value.isalnum() and value.isascii():
        return value
    return (
        f"%2B{value[1:]}"
        if value[:1] == "+" and value[1:].isalnum() and value.isascii()
        else quote_plus(value)
    )


def _token(nth: int, target: Target) -> str:
    """A UUID, the same at each try of one webhook at one receiver; written by hand, for thousands a second."""
    return f"{nth & 0xFFFFFFFF:08x}-{nth >> 32 & 0xFFFF:04x}-4000-8000-{target.receiver.tag}"
