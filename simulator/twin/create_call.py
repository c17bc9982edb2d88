"""What a create call of a message asks for, everything about it checked but whether it can be sent."""

import msgspec

from simulator.model.messages import is_us_number
from simulator.twin.accounts import Account, Service
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.wire import dialled, instant, is_url, smart

LONGEST_VALIDITY_S = 36_000
_LONGEST_BODY = 1600
_MOST_MEDIA = 10
_MOST_ATTEMPTS = 1000
_SOONEST_S, _LATEST_S = 300.0, 35 * 86_400.0  # of a scheduled message (error 35115)

MAGIC = 15_005_550_000
"""Test credentials know their phones by these (twilio.com/docs/iam/test-credentials)."""

_MAGIC_FROM = {MAGIC + 1: 21212, MAGIC + 7: 21606, MAGIC + 8: 21611}
_MAGIC_FROM_GOOD = MAGIC + 6
_MAGIC_TO = {MAGIC + 1: 21211, MAGIC + 2: 21612, MAGIC + 3: 21408, MAGIC + 4: 21610, MAGIC + 9: 21614}

_CHOICES = {  # values that have no effect here, and the error of any other
    "RiskCheck": (("enable", "disable"), 20422),
    "ContentRetention": (("retain", "discard"), 30029),
    "AddressRetention": (("retain", "obfuscate"), 30030),
    "TrafficType": (("free",), 20422),
}
_FLAGS = ("ProvideFeedback", "ForceDelivery", "SendAsMms", "ShortenUrls")
_NO_EFFECT = {*_CHOICES, *_FLAGS, "Attempt", "MaxPrice"}


class Request(msgspec.Struct, frozen=True):
    """A message as asked for; `sender` is 0 where the service is to choose, times in seconds.

    `send_at` is in Unix seconds, None for now.
    """

    to: int
    sender: int
    service: Service | None
    body: str
    media: tuple[str, ...]
    callback: str
    validity_s: float
    send_at: float | None


def read(account: Account, form: Form, now: float) -> Request:
    """The request of a form, at `now` in Unix seconds. Raises ApiError."""
    to = _to(account, form.text("To"))
    service = _service(account, form)
    sender = _from(account, form, service)
    if sender == to:
        raise ApiError(21266)
    body, media = _content(form)
    _check_the_rest(form)
    return Request(
        to=to,
        sender=sender,
        service=service,
        body=smart(body) if form.flag("SmartEncoded", _is_smart(service)) else body,
        media=media,
        callback=_callback(form, service),
        validity_s=_validity_s(form, service),
        send_at=_send_at(form, service, now),
    )


def _is_smart(service: Service | None) -> bool:
    return service is not None and service.smart_encoding


def _to(account: Account, text: str) -> int:
    if not text:
        raise ApiError(21604)
    phone = dialled(text)
    if phone is None:
        raise ApiError(21211, f"Invalid 'To' Phone Number: {text[:20]}")
    if account.is_test and phone in _MAGIC_TO:
        raise ApiError(_MAGIC_TO[phone])
    if not str(phone).startswith("1"):
        raise ApiError(21408)
    if not is_us_number(phone):
        raise ApiError(21211, f"Invalid 'To' Phone Number: {text[:20]}")
    return phone


def _is_service(sid: str) -> bool:
    return len(sid) == 34 and sid.startswith("MG")


def _service(account: Account, form: Form) -> Service | None:
    """The service asked for, by its own parameter or in the place of a number (error 35118)."""
    sender = form.text("From")
    sid = form.text("MessagingServiceSid") or (sender if _is_service(sender) else "")
    if not sid:
        return None
    service = account.services.get(sid)
    if service is None:
        raise ApiError(21701 if _is_service(sid) else 21705)
    return service


def _from(account: Account, form: Form, service: Service | None) -> int:
    """The sender asked for; 0 leaves it to the service."""
    text = form.text("From")
    if service is not None and text in ("", service.sid):
        return 0
    if not text:
        raise ApiError(21603)
    phone = dialled(text)
    if account.is_test:
        if phone is None or phone in _MAGIC_FROM:
            raise ApiError(_MAGIC_FROM.get(phone or 0, 21212))
        if phone != _MAGIC_FROM_GOOD:
            raise ApiError(21606)
        return phone
    if phone is None:
        raise ApiError(21212, f"Invalid 'From' Phone Number: {text[:20]}")
    number = account.by_phone.get(phone)
    if number is None:
        raise ApiError(21606)
    if service is not None and number.service is not service:
        raise ApiError(21711)
    return phone


def _content(form: Form) -> tuple[str, tuple[str, ...]]:
    body, media = form.text("Body"), tuple(form.several("MediaUrl"))
    if form.text("ContentSid"):
        raise ApiError(21655)  # nobody has a template here
    if form.text("ContentVariables"):
        raise ApiError(21654)
    if len(media) > _MOST_MEDIA:
        raise ApiError(21623)
    if not all(map(is_url, media)):
        raise ApiError(21620)
    if not body and not media:
        raise ApiError(21619)
    if not media and body.isspace():
        raise ApiError(21618)
    if len(body) > _LONGEST_BODY:
        raise ApiError(21617)
    return body, media


def _check_the_rest(form: Form) -> None:
    """What is taken and has no effect must all the same be one of the values that there are."""
    if _NO_EFFECT.isdisjoint(form.values):
        return
    for name, (allowed, code) in _CHOICES.items():
        form.choice(name, allowed, code=code)
    for name in _FLAGS:
        form.flag(name, False)
    if not 1 <= form.whole("Attempt", 1) <= _MOST_ATTEMPTS:
        raise ApiError(20422, "Attempt is a whole number from 1")
    if not form.text("MaxPrice", "0").replace(".", "", 1).isdecimal():
        raise ApiError(21627)


def _callback(form: Form, service: Service | None) -> str:
    callback = form.text("StatusCallback")
    if callback and not is_url(callback):
        raise ApiError(21609)
    return callback or (service.status_callback if service is not None else None) or ""


def _validity_s(form: Form, service: Service | None) -> float:
    most = service.validity_period if service is not None else LONGEST_VALIDITY_S
    validity_s = form.whole("ValidityPeriod", most, code=21624)
    if not 1 <= validity_s <= LONGEST_VALIDITY_S:
        raise ApiError(21624)
    return float(validity_s)


def _send_at(form: Form, service: Service | None, now: float) -> float | None:
    """When a message is to be sent, in Unix seconds; None for now."""
    kind, given = form.text("ScheduleType"), form.text("SendAt")
    if not kind and not given:
        return None
    if not kind:
        raise ApiError(35119)
    if kind != "fixed":
        raise ApiError(35126)
    if service is None:
        raise ApiError(35118)
    if not given:
        raise ApiError(35111)
    at, _ = instant(given, code=35114)
    if not _SOONEST_S - 1 <= at - now <= _LATEST_S:
        raise ApiError(35114)
    return at
