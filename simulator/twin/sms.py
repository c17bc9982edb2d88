"""/2010-04-01/Accounts/{AC}/Messages: create, fetch, list, redact, cancel, delete, feedback."""

from collections.abc import Iterable, Iterator
from itertools import islice

from simulator.twin import create_call
from simulator.twin.accounts import Account, Message, OwnedNumber
from simulator.twin.errors import TEXTS, ApiError
from simulator.twin.forms import Form
from simulator.twin.wire import Page, date_2010, dialled, period
from simulator.twin.world import API_VERSION, AccountsWorld

_FINAL = frozenset({"sent", "delivered", "undelivered", "failed", "canceled", "received"})
_NOT_YET_SENT = frozenset({"scheduled", "canceled"})


class Messages:
    """The messages of every account."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    # ------------------------------------------------------------ create

    def create(self, account: Account, form: Form) -> dict[str, object]:
        """POST: 201, or ApiError with nothing sent."""
        world = self._world
        asked = create_call.read(account, form, world.start_at + world.env.now)
        message = world.draft(account, asked.sender, asked.to, asked.body)
        message.service, message.media, message.callback = asked.service, asked.media, asked.callback
        if account.is_test:
            message.sid = account.make_sid("SM", f"test {world.env.now!r} {message.to}")
            message.status = "queued"
            return self.show(message)
        if asked.send_at is not None:
            delay_s = asked.send_at - world.start_at - world.env.now
            world.schedule(message, delay_s, asked.validity_s)
            account.messages.add(message)
            return self.show(message)
        number = self._sender(account, message)
        world.send(message, number, asked.validity_s)
        account.messages.add(message)
        shown = self.show(message)
        if message.service is not None:  # the sender is chosen a moment later
            shown.update({"status": "accepted", "num_segments": "0", "from": None})
        return shown

    def _sender(self, account: Account, message: Message) -> OwnedNumber | None:
        if message.sender:
            return account.by_phone[message.sender]
        assert message.service is not None
        number = self._world.choose(message.service, message.to)
        message.sender = number.phone if number is not None else 0
        return number

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

    def feedback(self, account: Account, sid: str, form: Form) -> dict[str, object]:
        """Taken in, and of no consequence."""
        message = self.find(account, sid)
        outcome = form.choice("Outcome", ("confirmed", "unconfirmed"), "confirmed", code=20001)
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
        after, before = period(form, "DateSent")
        for message in account.messages.newest(to_phone, from_phone):
            sent_at = self._world.start_at + (self._sent_at(message) or message.created_at)
            if (
                not message.deleted
                and (to_phone is None or message.to == to_phone)
                and (from_phone is None or message.sender == from_phone)
                and after <= sent_at < before
            ):
                yield message

    # ------------------------------------------------------------ as JSON

    def _sent_at(self, message: Message) -> float:
        if message.n >= 0:
            return self._world.ledger.sent_at[message.n]
        if message.status in _NOT_YET_SENT:
            return 0.0
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
            "num_segments": "0" if status in _NOT_YET_SENT else str(message.segments),
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
        if status not in {"sent", "delivered", "undelivered", "received"}:
            return None
        if message.n < 0 and message.direction != "inbound":
            return None  # an answer to a keyword is free
        prices = self._world.scenario.carriers
        return f"{-message.segments * (prices.base_mms_usd if message.media else prices.base_usd):.5f}"


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
    return dialled(text) or 0
