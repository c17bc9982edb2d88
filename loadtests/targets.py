"""What may be loaded: this machine, and hosts that somebody allowed by name. A provider's hosts never.

A load against a real provider costs money and a campaign's good name, and texts people. So the name is looked at before
anything connects, and so is the name behind it (a CNAME); a name of this machine is connected to by the address that was
found, so that it can't mean another machine later. Who asks a target follows no redirect.
"""

import socket
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

PROVIDER_DOMAINS: Final = (
    "africastalking.com",
    "aws.com",
    "bandwidth.com",
    "bird.com",
    "clicksend.com",
    "infobip.com",
    "messagebird.com",
    "nexmo.com",
    "plivo.com",
    "signalwire.com",
    "sinch.com",
    "telnyx.com",
    "tmobile.com",
    "twilio.com",
    "twiliocdn.com",
    "vonage.com",
)
_SMS_AT_AMAZON: Final = ("sns.", "sms-voice.", "pinpoint.", "social-messaging.")
_PORTS: Final = {"http": 80, "https": 443}

Resolve = Callable[..., list[Any]]
"""`socket.getaddrinfo`, or what stands in for it."""


class Refused(ValueError):
    """A host that must not be loaded; the message says what to do."""

    textbank_exit_status = 2


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is loaded: `url` has no path; a name of this machine has become its address."""

    url: str
    named: str
    is_here: bool


def target(url: str, allowed: Collection[str] = (), *, resolve: Resolve = socket.getaddrinfo) -> Target:
    """The target that `url` names; raises Refused unless it is loopback, or its host is one of `allowed`."""
    parts = _parts(url)
    host = _host(parts)
    _refuse_provider(host, host)
    port = _port(parts)
    addresses = _addresses(host, port, resolve)
    if all(map(_is_loopback, addresses)):
        pinned = host if parts.scheme == "https" else str(addresses[0])
        return Target(url=_origin(parts.scheme, pinned, port), named=host, is_here=True)
    if host not in {each.lower().rstrip(".") for each in allowed}:
        raise Refused(
            f"{host} is not this machine and not on the allow-list; name it with --allow {host} if it is yours to load"
        )
    return Target(url=_origin(parts.scheme, host, port), named=host, is_here=False)


def is_provider(host: str) -> bool:
    """Whether a host, in any spelling, belongs to somebody who sends texts for money."""
    name = host.lower().rstrip(".")
    at_amazon = name.startswith(_SMS_AT_AMAZON) and name.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return at_amazon or any(name == each or name.endswith(f".{each}") for each in PROVIDER_DOMAINS)


def _refuse_provider(name: str, host: str) -> None:
    if is_provider(name):
        behind = "" if name == host else f" (behind {host})"
        raise Refused(f"{name}{behind} is a provider's: nothing may load it, whatever is allowed")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Refused(f"{url!r} is not an address: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Refused(f"{url!r} is not an address: give http://HOST:PORT or https://HOST:PORT")
    if "@" in parts.netloc:
        raise Refused("an address with a name or password in it is not loaded: give http://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Refused(f"{url!r} has a path: give http://HOST:PORT alone")
    return parts


def _host(parts: SplitResult) -> str:
    """In the letters that go on the wire, so that no look-alike passes."""
    host = (parts.hostname or "").lower().rstrip(".")
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise Refused(f"{host!r} is not a host's name: {error}") from error


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise Refused(f"{parts.netloc!r} has no port between 1 and 65535") from error


def _addresses(host: str, port: int, resolve: Resolve) -> list[IPv4Address | IPv6Address]:
    """Where a name leads; what it is an alias of may be no provider's either."""
    try:
        found = resolve(host, port, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except (OSError, UnicodeError) as error:
        raise Refused(f"{host} can't be found: {error}; is the name right?") from error
    for _, _, _, canonical, _ in found:
        _refuse_provider(canonical or host, host)
    if not found:
        raise Refused(f"{host} has no address")
    return [ip_address(sockaddr[0].partition("%")[0]) for *_, sockaddr in found]


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _origin(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
