"""What Twilio sends to us: the signature that proves it, status callbacks and people's texts. Pure functions."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import parse_qs, urlsplit, urlunsplit

from gateway.core.rules.errors import BadInput
from gateway.providers.base import InboundText, Media, StatusReport
from gateway.providers.twilio import base64_body

STATUS_PATH = "/webhooks/twilio/status"
INBOUND_PATH = "/webhooks/twilio/inbound"

RETRIES = "#rc=5&rp=all"
"""Connection overrides: by default Twilio tries again only after a failed connect, and only once."""

Form = Mapping[str, str] | Sequence[tuple[str, str]]
"""Names and values as they came: blank values kept, a repeated name in several pairs (a multi-dict will do)."""

LONGEST_SID = 64  # Twilio's have 34 characters
LONGEST_ADDRESS = 64  # a number, a short code or a name
LONGEST_BODY = 4_000  # characters; Twilio's most is 1,600
MOST_ATTEMPTS = 32_767  # what the books can hold
MOST_MEDIA = 10  # of a text; Twilio's most
LONGEST_URL = 1_000
LARGEST_CODE = 999_999  # Twilio's have five digits

_DEFAULT_PORTS = {"https": 443, "http": 80}
_WHERE = "Twilio webhook"


def signature(url: str, form: Form, token: str) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the URL as Twilio called it, then each name and distinct value, sorted.

    `url` is the public one, from our configuration, without a fragment.
    """
    signed = url + "".join(name + value for name, value in sorted(set(_pairs(form))))
    return b64encode(hmac.digest(token.encode(), signed.encode("utf-8", "surrogateescape"), "sha1")).decode()


def is_signed(url: str, form: Form, given: str, tokens: Iterable[str], *, body: bytes | None = None) -> bool:
    """Whether one of the account's tokens signed this; the URL's port may be spelled out or not.

    A body that is no form (JSON) is signed through `bodySHA256` in the URL's query: give it as `body`, and
    an empty form.
    """
    if body is not None and not _is_body(url, body):
        return False
    tokens = [token for token in tokens if token]
    return any(
        hmac.compare_digest(
            signature(spelled, form, token).encode(), given.encode("utf-8", "surrogateescape")
        )
        for spelled in _spellings(url)
        for token in tokens
    )


def status_report(form: Mapping[str, str], query: Mapping[str, str], *, at: float = 0.0) -> StatusReport:
    """A status callback; whose it is stands in the query of the URL that we handed out.

    Twilio gives no instant, so `at` is when it came. Raises BadInput when it is not about a message of ours.
    """
    status = form.get("MessageStatus") or form.get("SmsStatus") or ""
    if not status:
        raise BadInput("a status callback without MessageStatus", _WHERE, "ignore it")
    return StatusReport(
        campaign_id=_reference(query, "c"),
        message_id=_reference(query, "m"),
        attempt=_reference(query, "a", MOST_ATTEMPTS),
        status=status,
        code=_code(form.get("ErrorCode")),
        at=at,
        provider_sid=_short_sid(form),
    )


def inbound_text(form: Mapping[str, str], *, at: float = 0.0) -> InboundText:
    """A person's text; `at` is when it came. Raises BadInput.

    Base64 reads as what it encodes. A sid that can't be one is exchanged for a digest of the text: what a person says is kept, their STOP too.
    """
    phone, number_phone = form.get("From", ""), form.get("To", "")
    if not 0 < len(phone) <= LONGEST_ADDRESS or not 0 < len(number_phone) <= LONGEST_ADDRESS:
        raise BadInput("an inbound text without From or To", _WHERE, "ignore it")
    body = form.get("Body", "")
    text = base64_body.said(body)[:LONGEST_BODY] if body.strip() else ""
    sid = _sid(form)
    if len(sid) > LONGEST_SID:
        sid = "odd-" + hashlib.sha256(f"{sid}\n{phone}\n{number_phone}\n{body}".encode()).hexdigest()[:40]
    return InboundText(sid, phone, number_phone, text, at, _media(form))


def status_query(campaign_id: int, message_id: int, attempt: int) -> str:
    """The query of a status callback's URL; `status_report` reads it back."""
    return f"c={campaign_id}&m={message_id}&a={attempt}"


def _pairs(form: Form) -> Iterable[tuple[str, str]]:
    return form.items() if isinstance(form, Mapping) else form


def _spellings(url: str) -> Iterable[str]:
    """The URL, then with its default port added, or without its port."""
    yield url
    parts = urlsplit(url)
    bare, _, port = parts.netloc.rpartition(":")
    if port.isdigit() and bare:
        yield urlunsplit(parts._replace(netloc=bare))
    elif parts.scheme in _DEFAULT_PORTS:
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc}:{_DEFAULT_PORTS[parts.scheme]}"))


def _is_body(url: str, body: bytes) -> bool:
    claimed = parse_qs(urlsplit(url).query).get("bodySHA256", [""])[-1]
    return hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), claimed.encode())


def _reference(query: Mapping[str, str], name: str, most: int = 10**18) -> int:
    value = query.get(name, "")
    if not (value.isascii() and value.isdigit() and len(value) <= 18 and int(value) <= most):
        raise BadInput(f"a status callback without its reference '{name}'", _WHERE, "ignore it")
    return int(value)


def _sid(form: Mapping[str, str]) -> str:
    sid = form.get("MessageSid") or form.get("SmsSid") or form.get("SmsMessageSid") or ""
    if not sid:
        raise BadInput("a webhook without MessageSid", _WHERE, "ignore it")
    return sid


def _short_sid(form: Mapping[str, str]) -> str:
    sid = _sid(form)
    if len(sid) > LONGEST_SID:
        raise BadInput("a webhook whose MessageSid can't be one", _WHERE, "ignore it")
    return sid


def _code(given: str | None) -> int | None:
    """ErrorCode is missing, blank or 0 when there is none; what can't be a code is none."""
    if not given or len(given) > 10 or not (given.isascii() and given.isdigit()):
        return None
    code = int(given)
    return code if 0 < code <= LARGEST_CODE else None


def _media(form: Mapping[str, str]) -> tuple[Media, ...]:
    """What came with the text; an address that can't be one has to be asked for."""
    return tuple(
        Media(
            _short(form.get(f"MediaUrl{n}", ""), LONGEST_URL),
            _short(form.get(f"MediaContentType{n}", ""), 100),
        )
        for n in range(media_count(form.get("NumMedia", "0")))
    )


def media_count(given: str) -> int:
    """How many pictures a text says that it has, as far as that can be true."""
    is_count = given.isascii() and given.isdigit() and len(given) < 10
    return min(int(given), MOST_MEDIA) if is_count else 0


def _short(text: str, most: int) -> str:
    return text if len(text) <= most and text.isascii() and text.isprintable() else ""
