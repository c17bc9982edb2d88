"""What we tell other systems of a campaign, how it is signed, where it may go, and when a failure is tried again.

Signatures are those of Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and
`webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`, the key being the bytes of a secret `whsec_…`.
Any of its libraries verifies them.
"""

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.core.rules.errors import BadInput

Topic = Literal["delivered", "replied", "opted_out", "tagged", "reported", "notice", "limit", "test"]
TOPICS: Final[tuple[Topic, ...]] = (
    "delivered",
    "replied",
    "opted_out",
    "tagged",
    "reported",
    "notice",
    "limit",
)
"""What an endpoint may ask for; a `test` comes only when somebody asks for one."""

Kind = Literal["webhook", "van"]
"""Plain webhooks, or the API of VAN (EveryAction)."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how each begins
SECRET_BYTES: Final = 32
MOST_ENDPOINTS: Final = 10
"""Of one campaign."""
LONGEST_URL: Final = 2000

GIVE_UP_S: Final = 72 * 3600.0
"""After so long a delivery that nobody took is parked, and an endpoint that took nothing is switched off."""
_FIRST_RETRY_S: Final = 5.0
_LONGEST_RETRY_S: Final = 4 * 3600.0
_LONGEST_REST_S: Final = 300.0
_FAILURES_TO_REST: Final = 5
_MOST_DOUBLINGS: Final = 40


# ---------------------------------------------------------------- signatures


def secret_of(random: bytes) -> str:
    """A new secret from bytes that nobody can guess."""
    return SECRET_PREFIX + base64.b64encode(random).decode()


def signature(secret: str, delivery: str, timestamp: int, body: bytes) -> str:
    """`v1,…` over a delivery's id, the Unix second at which it is sent, and its body."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{delivery}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(secrets: Sequence[str], delivery: str, timestamp: int, body: bytes) -> dict[str, str]:
    """What goes with a delivery: one signature a secret, so that a secret can be changed without a gap."""
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(each, delivery, timestamp, body) for each in secrets),
    }


# ---------------------------------------------------------------- where to

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """Networks as settings have them: `10.1.0.0/16, fd00::/8`. Raises BadInput."""
    try:
        return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise BadInput(str(error), "webhooks.allowed_networks", "write networks as 10.1.0.0/16") from error


def may_go_to(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether what we send may go to this IP address: a public one, or one within the networks that were allowed.

    An IPv6 address that stands for an IPv4 one is judged by that (mapped, 6to4, Teredo, NAT64).
    """
    try:
        given = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if is_allowed(address, allowed):
        return True
    return all(_is_public(each) for each in _meant(given))


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether an IP address is within networks that were allowed on purpose."""
    given = ipaddress.ip_address(address.partition("%")[0])
    return any(given.version == each.version and given in each for each in allowed)


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _meant(address: Address) -> Iterator[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    found = [each for each in inner if each is not None]
    yield from found or [address]


def url_fault(url: str, *, is_plain_allowed: bool) -> str | None:
    """Why nothing can be sent to a URL; None: it has the shape of one. Where its name leads is seen when it is used."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "this is no address; write it as https://crm.example.org/hooks"
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        return f"an address has at most {LONGEST_URL} characters, without blanks"
    if parts.scheme != "https" and not (is_plain_allowed and parts.scheme == "http"):
        return "only https:// is allowed"
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment:
        return "write it as https://crm.example.org/hooks, without a user, a password or a #"
    return "this port can't be" if port == 0 else None


# ---------------------------------------------------------------- when


def retry_s(attempts: int, spread: float) -> float:
    """How long a delivery waits that has failed so many times; `spread` in [0, 1) keeps many from coming at once.

    5 s, 10 s, 20 s … to four hours, each up to a half longer.
    """
    base = min(_FIRST_RETRY_S * 2.0 ** min(max(attempts, 1) - 1, _MOST_DOUBLINGS), _LONGEST_RETRY_S)
    return base * (1 + 0.5 * spread)


def spread_of(number: int) -> float:
    """A number in [0, 1) that differs between neighbours, the same each time."""
    return (number * 2654435769 % 2**32) / 2.0**32


def rest_s(failures: int) -> float:
    """How long an endpoint is left alone after so many failures in a row, at most five minutes; 0: not yet.

    What waits for it then loses no attempts, and the first delivery after the rest is a probe.
    """
    beyond = failures - _FAILURES_TO_REST
    if beyond < 0:
        return 0.0
    return min(_FIRST_RETRY_S * 2.0 ** min(beyond, _MOST_DOUBLINGS), _LONGEST_REST_S)


# ---------------------------------------------------------------- VAN's settings

VanId = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class SurveyAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer to one of VAN's survey questions."""

    question_id: VanId
    response_id: VanId


class VanSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a campaign's tags and fields are written down in VAN.

    `activist_codes`: by a tag's name. `survey_answers`: by a field's slug, then its value. `person_field`: the contacts'
    field that has their VAN id; whoever has none is looked up by phone. `contact_type_id`: VAN's number for texting.
    The result codes say what came of it: nothing is written for an event without one of these.
    """

    activist_codes: dict[str, VanId] = {}
    survey_answers: dict[str, dict[str, SurveyAnswer]] = {}
    replied_result_id: VanId | None = None
    opted_out_result_id: VanId | None = None
    reported_result_id: VanId | None = None
    contact_type_id: VanId = 37
    input_type_id: VanId = 11
    person_field: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "van_id"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint is told: the body of a delivery. `at` in Unix seconds; `data` by topic (docs/reference/webhooks.md)."""

    type: Topic
    at: float
    campaign_id: int
    data: Mapping[str, object]


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery on its way: where to, what for (JSON text), and what signs it. `word` names it, at each attempt alike."""

    word: str
    kind: str
    url: str
    topic: str
    body: str
    secrets: Sequence[str]
    van: str | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt; `why` in words where it was not taken.

    `is_gone`: the endpoint wants to be told nothing any more. `wait_s`: it asks not to be tried before. `is_final`: this
    delivery will never be taken, whatever else is.
    """

    is_taken: bool
    status: int | None = None
    why: str | None = None
    is_gone: bool = False
    is_final: bool = False
    wait_s: float = 0.0
