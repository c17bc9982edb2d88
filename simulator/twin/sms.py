"""/2010-04-01/Accounts/{AC}/Messages: create, fetch, list, redact, cancel, delete, media, feedback."""

import mimetypes
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import urlsplit

from simulator.model.messages import is_us_number
from simulator.twin.accounts import Account, Message, OwnedNumber, Service
from simulator.twin.errors import TEXTS, ApiError
from simulator.twin.forms import Form
from simulator.twin.wire import Page, date_2010, instant, is_url, phone_of, smart
from simulator.twin.world import API_VERSION, AccountsWorld

_LONGEST_BODY = 1600
_MOST_MEDIA = 10
_LONGEST_VALIDITY_S = 36_000
_SOONEST_S, _LATEST_S = 900.0, 35 * 86_400.0  # of a scheduled message
_FINAL = frozenset({"sent", "delivered", "undelivered", "failed", "canceled", "received"})

_MAGIC = 15_005_550_000
_MAGIC_FROM = {_MAGIC + 1: 21212, _MAGIC + 7: 21606, _MAGIC + 8: 21611}
_MAGIC_FROM_GOOD = _MAGIC + 6
_MAGIC_TO = {_MAGIC + 1: 21211, _MAGIC + 2: 21612, _MAGIC + 3: 21408, _MAGIC + 4: 21610, _MAGIC + 9: 21614}


class Messages:
    """The messages of every account."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    # ------------------------------------------------------------ create

    def create(self, account: Account, form: Form) -> dict[str, object]:
        """POST: 201, or ApiError with nothing sent."""
        message, validity_s = self._draft(account, form)
        world = self._world
        if account.is_test:
            message.sid = account.make_sid("SM", f"test {world.env.now!r} {message.to}")
            message.status = "queued"
            return self.show(message)
        service = message.service
        if form.text("ScheduleType"):
            world.schedule(message, self._delay_s(form, service), validity_s)
            account.messages.add(message)
            return self.show(message)
        number = self._sender(account, message)
        world.send(message, number, validity_s)
        account.messages.add(message)
        shown = self.show(message)
        if service is not None:  # the sender is chosen a moment later
            shown.update({"status": "accepted", "num_segments": "0", "from": None})
        return shown

    def _draft(self, account: Account, form: Form) -> tuple[Message, float]:
        """The message as asked for, everything about it checked but who sends it."""
        to = _to(account, form.text("To"))
        service = _service(account, form.text("MessagingServiceSid"))
        sender = _from(account, form, service)
        if sender == to:
            raise ApiError(21266)
        body, media = _content(form)
        if form.flag("SmartEncoded", service is not None and service.smart_encoding):
            body = smart(body)
        callback = form.text("StatusCallback")
        if callback and not is_url(callback):
            raise ApiError(21609)
        if not callback and service is not None:
            callback = service.status_callback or ""
        most = service.validity_period if service is not None else _LONGEST_VALIDITY_S
        validity_s = form.whole("ValidityPeriod", most, code=21624)
        if not 1 <= validity_s <= _LONGEST_VALIDITY_S:
            raise ApiError(21624)
        message = self._world.draft(account, sender, to, body)
        message.service, message.media, message.callback = service, media, callback
        return message, float(validity_s)

    def _sender(self, account: Account, message: Message) -> OwnedNumber | None:
        if message.sender:
            return account.by_phone[message.sender]
        assert message.service is not None
        number = self._world.choose(message.service, message.to)
        message.sender = number.phone if number is not None else 0
        return number

    def _delay_s(self, form: Form, service: Service | None) -> float:
        if service is None:
            raise ApiError(35118)
        if form.text("ScheduleType") != "fixed" or not form.text("SendAt"):
            raise ApiError(35111)
        at, _ = instant(form.text("SendAt"), code=35114)
        delay_s = at - self._world.start_at - self._world.env.now
        if not _SOONEST_S - 1 <= delay_s <= _LATEST_S:
            raise ApiError(35114)
        return delay_s

    # ------------------------------------------------------------ one message

    def find(self, account: Account, sid: str) -> Message:
        message = account.messages.find(sid)
        if message is None or message.deleted:
            raise ApiError(20404, f"The requested resource {account.base}/Messages/{sid}.json was not found")
        return message

    def update(self, account: Account, sid: str, form: Form) -> dict[str, object]:
        """Redact (`Body=`) or cancel (`Status=canceled`)."""
        message = self.find(account, sid)
        body, status = form.optional("Body"), form.optional("Status")
        if (body is None) == (status is None) or (status or "canceled") != "canceled" or body:
            raise ApiError(30400)
        if status is not None:
            self._cancel(message)
        else:
            self._must_be_final(message)
            message.body = ""
            message.changed_at = self._world.env.now
            account.messages.keep(message)
        return self.show(message)

    def _cancel(self, message: Message) -> None:
        """Only what is still scheduled can be cancelled (error 30409)."""
        if message.status != "scheduled":
            raise ApiError(30409)
        message.status = "canceled"
        message.changed_at = self._world.env.now
        self._world.report_cancelled(message)

    def delete(self, account: Account, sid: str) -> None:
        message = self.find(account, sid)
        self._must_be_final(message)
        message.deleted = True
        message.body = ""
        account.messages.keep(message)

    def _must_be_final(self, message: Message) -> None:
        if self._world.state(message)[0] not in _FINAL:
            raise ApiError(20009)

    def media(self, account: Account, sid: str) -> list[dict[str, object]]:
        """The media of a message."""
        message = self.find(account, sid)
        created = date_2010(self._world.start_at + message.created_at)
        named = [(account.make_sid("ME", f"{sid} {nth} {url}"), url) for nth, url in enumerate(message.media)]
        return [
            {
                "sid": media_sid,
                "account_sid": account.sid,
                "parent_sid": sid,
                "content_type": _content_type(url),
                "date_created": created,
                "date_updated": created,
                "uri": f"{account.base}/Messages/{sid}/Media/{media_sid}.json",
            }
            for media_sid, url in named
        ]

    def feedback(self, account: Account, sid: str, form: Form) -> dict[str, object]:
        """Taken in, and of no consequence."""
        message = self.find(account, sid)
        outcome = form.text("Outcome", "confirmed")
        if outcome not in {"confirmed", "unconfirmed"}:
            raise ApiError(20001)
        date = date_2010(self._world.start_at + self._world.env.now)
        return {
            "account_sid": account.sid,
            "message_sid": message.sid,
            "outcome": outcome,
            "date_created": date,
            "date_updated": date,
            "uri": f"{account.base}/Messages/{sid}/Feedback.json",
        }

    # ------------------------------------------------------------ the list

    def page(self, account: Account, form: Form) -> dict[str, object]:
        """Newest first; a page token pins the place, whatever has come since."""
        page = Page(form)
        found = list(islice(_older(account, page, self._matching(account, form)), page.size + 1))
        shown = found[: page.size]
        more = f"PA{shown[-1].sid}" if len(found) > page.size else ""
        return page.body_2010(
            f"{account.base}/Messages.json", "messages", [self.show(message) for message in shown], more=more
        )

    def _matching(self, account: Account, form: Form) -> Iterator[Message]:
        to, sender = form.optional("To"), form.optional("From")
        from_phone, to_phone = _wanted(sender), _wanted(to)
        after, before = self._dates(form)
        for message in account.messages.newest(to_phone, from_phone):
            sent_at = self._world.start_at + (self._sent_at(message) or message.created_at)
            if (
                not message.deleted
                and (to_phone is None or message.to == to_phone)
                and (from_phone is None or message.sender == from_phone)
                and after <= sent_at < before
            ):
                yield message

    def _dates(self, form: Form) -> tuple[float, float]:
        """From when until when, of DateSent, DateSent> and DateSent<: days or instants."""
        after, before = float("-inf"), float("inf")
        if day := form.text("DateSent"):
            at, whole = instant(day)
            after, before = at, at + (86_400 if whole else 1)
        if least := form.text("DateSent>"):
            after = max(after, instant(least)[0])
        if most := form.text("DateSent<"):
            at, whole = instant(most)
            before = min(before, at + (86_400 if whole else 1))
        return after, before

    # ------------------------------------------------------------ as JSON

    def _sent_at(self, message: Message) -> float:
        if message.n >= 0:
            return self._world.ledger.sent_at[message.n]
        return message.created_at if message.direction == "inbound" else message.changed_at

    def show(self, message: Message) -> dict[str, object]:
        """The resource."""
        world, n = self._world, message.n
        start_at = world.start_at
        status, code = world.state(message)
        sent_at = self._sent_at(message)
        ended_at = world.ledger.ended_at[n] if n >= 0 else 0.0
        base = f"{message.account.base}/Messages/{message.sid}"
        return {
            "sid": message.sid,
            "account_sid": message.account.sid,
            "api_version": API_VERSION,
            "body": message.body,
            "direction": message.direction,
            "from": f"+{message.sender}" if message.sender else None,
            "to": f"+{message.to}",
            "messaging_service_sid": message.service.sid if message.service is not None else None,
            "status": status,
            "num_segments": str(message.segments),
            "num_media": str(len(message.media)),
            "price": self._price(message, status),
            "price_unit": "USD",
            "error_code": code or None,
            "error_message": TEXTS.get(code) if code else None,
            "date_created": date_2010(start_at + message.created_at),
            "date_updated": date_2010(
                start_at + max(message.created_at, sent_at, ended_at, message.changed_at)
            ),
            "date_sent": date_2010(start_at + sent_at) if sent_at else None,
            "uri": f"{base}.json",
            "subresource_uris": {"media": f"{base}/Media.json", "feedback": f"{base}/Feedback.json"},
        }

    def _price(self, message: Message, status: str) -> str | None:
        """Twilio's own price; carrier fees are charged apart."""
        if status not in {"sent", "delivered", "undelivered", "received"} or message.sid.startswith("MM"):
            return None
        if message.n < 0 and message.direction != "inbound":
            return None  # an answer to a keyword is free
        return f"{-message.segments * self._world.scenario.carriers.base_usd:.5f}"


def _to(account: Account, text: str) -> int:
    if not text:
        raise ApiError(21604)
    phone = phone_of(text)
    if phone is None:
        raise ApiError(21211, f"Invalid 'To' Phone Number: {text[:20]}")
    if account.is_test and phone in _MAGIC_TO:
        raise ApiError(_MAGIC_TO[phone])
    if not text.startswith("+1"):
        raise ApiError(21408)
    if not is_us_number(phone):
        raise ApiError(21211, f"Invalid 'To' Phone Number: {text[:20]}")
    return phone


def _service(account: Account, sid: str) -> Service | None:
    if not sid:
        return None
    service = account.services.get(sid)
    if service is None:
        raise ApiError(21701 if len(sid) == 34 and sid.startswith("MG") else 21705)
    return service


def _from(account: Account, form: Form, service: Service | None) -> int:
    """The sender asked for; 0 leaves it to the service."""
    text = form.text("From")
    if not text:
        if service is None:
            raise ApiError(21603)
        return 0
    phone = phone_of(text)
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


def _content_type(url: str) -> str:
    """As the end of the URL's path says: nothing is ever fetched."""
    return mimetypes.guess_type(urlsplit(url).path)[0] or "image/jpeg"


def _older(account: Account, page: Page, messages: Iterable[Message]) -> Iterator[Message]:
    """What comes after the message that the token names, else after the pages before."""
    if not page.token:
        return islice(messages, page.number * page.size, None)
    last = account.messages.find(page.token.removeprefix("PA"))
    if last is None:
        raise ApiError(20422, "Invalid PageToken")
    place = last.place
    return (message for message in messages if message.place < place)


def _wanted(text: str | None) -> int | None:
    """The phone of a filter: none without one, nobody's for what is no phone."""
    if not text:
        return None
    return phone_of(text) or 0
