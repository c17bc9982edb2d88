"""Which Twilio account, where, and how: read from one URL, whose secret no repr and no error shows."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import msgspec

from gateway.core.rules.errors import BadInput

TWILIO_HOST = "api.twilio.com"

_WHERE = "provider.url"
_HOW = "write twilio://ACCOUNT_SID:AUTH_TOKEN@"
_KNOWN = frozenset({"account", "concurrency", "messaging_service", "scheme", "signing_token", "timeout_s"})
_SIDS = {"AC": "an account", "MG": "a Messaging Service"}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The account, its credentials and its addresses. `public_url` is ours, as Twilio reaches it."""

    account_sid: str
    user: str  # the account's sid, or an API key's (SK…)
    secret: str
    api_url: str
    messaging_url: str
    lookups_url: str
    public_url: str
    messaging_service: str | None = None
    concurrency: int = 100
    timeout_s: float = 15.0
    pause_s: float = 0.5  # before a GET is repeated; doubles
    signing_tokens: tuple[str, ...] = ()  # what webhooks may be signed with: two while a token is rotated

    def __repr__(self) -> str:
        return f"Account({self.account_sid} at {self.api_url}, user {self.user[:2]}…)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("account_sid", self.account_sid), ("api_url", self.api_url)]

    @classmethod
    def from_url(cls, url: str, *, public_url: str | None, timeout_s: float | None = None) -> "Account":
        """`twilio://AC…:token@[host[:port]][?scheme=http&messaging_service=MG…&concurrency=…&timeout_s=…]`.

        An API key is `twilio://SK…:secret@?account=AC…&signing_token=…`; `signing_token` may be given twice.
        Raises BadInput.
        """
        parts = _split(url)
        options = _options(parts)
        user, secret = unquote(parts.username or ""), unquote(parts.password or "")
        if not user or not secret:
            raise BadInput("the account or its token is missing", _WHERE, _HOW)
        api_url = _api_url(parts, options)
        service = options.get("messaging_service", [None])[-1]
        return cls(
            account_sid=_sid("AC", options.get("account", [user])[-1]),
            user=user,
            secret=secret,
            api_url=api_url,
            messaging_url=_sibling(api_url, "messaging"),
            lookups_url=_sibling(api_url, "lookups"),
            public_url=_public(public_url),
            messaging_service=None if service is None else _sid("MG", service),
            concurrency=int(_number(options, "concurrency", 100, most=1000)),
            timeout_s=_number(options, "timeout_s", timeout_s or 15.0, most=120),
            signing_tokens=(*([secret] if user.startswith("AC") else []), *options.get("signing_token", [])),
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it checks it
    except ValueError:
        raise BadInput("the provider's URL can't be read", _WHERE, _HOW) from None
    if parts.scheme != "twilio":
        raise BadInput(f"'{parts.scheme}' is not Twilio's scheme", _WHERE, _HOW)
    return parts


def _options(parts: SplitResult) -> dict[str, list[str]]:
    options = parse_qs(parts.query)
    for name in options:
        if name not in _KNOWN:
            raise BadInput(f"unknown option '{name}'", _WHERE, f"known are {', '.join(sorted(_KNOWN))}")
    return options


def _api_url(parts: SplitResult, options: Mapping[str, list[str]]) -> str:
    scheme = options.get("scheme", ["https"])[-1]
    if scheme not in ("http", "https"):
        raise BadInput("scheme is neither http nor https", _WHERE, "leave it out for https")
    host = parts.hostname or TWILIO_HOST
    if scheme == "http" and host.endswith("twilio.com"):
        raise BadInput("the token would go over the network in clear", _WHERE, "leave scheme=http out")
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{parts.port}" if parts.port else f"{scheme}://{host}"


def _sibling(api_url: str, product: str) -> str:
    """Twilio gives each product a host (also per edge and region); any other server serves all on one."""
    if api_url.endswith(".twilio.com"):
        return api_url.replace("://api.", f"://{product}.", 1)
    return api_url


def _sid(kind: str, given: str) -> str:
    if not re.fullmatch(kind + "[0-9a-fA-F]{32}", given):
        raise BadInput(
            f"not the sid of {_SIDS[kind]}", _WHERE, f"it is {kind} and 32 hexadecimal digits; {_HOW}"
        )
    return given


def _number(options: Mapping[str, list[str]], name: str, default: float, *, most: float) -> float:
    try:
        value = float(options.get(name, [str(default)])[-1])
    except ValueError:
        value = -1.0
    if not 1 <= value <= most:
        raise BadInput(f"{name} is not a number from 1 to {most:g}", _WHERE, "correct or leave it out")
    return value


def _public(public_url: str | None) -> str:
    """Twilio refuses callback URLs whose host has an underscore or no name at all (21609)."""
    parts = urlsplit(public_url or "")
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or "_" in host or parts.query or parts.fragment:
        raise BadInput(
            "no address for callbacks" if not public_url else "callbacks can't come to this address",
            "http.public_url",
            "give the address under which the provider reaches the gateway, such as https://texts.example.org",
        )
    return str(public_url).rstrip("/")
