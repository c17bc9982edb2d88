"""One market behind many API accounts: how an account's message enters the model, and how the model's word leaves.

Everything here runs inside the model, at its present moment: callers come through `pump.act`.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import simpy

from simulator.model.draws import Draws
from simulator.model.ledger import STATUSES, number_of, sid_of
from simulator.model.market import InboundEvent, StatusEvent
from simulator.model.messages import MarketRefusal, Submission
from simulator.model.population import Population
from simulator.model.scenario import Scenario
from simulator.twin.account_market import AccountLedger, AccountMarket, LiveFaults
from simulator.twin.accounts import Account, Message, OwnedNumber, Service
from simulator.twin.callbacks import Callbacks
from simulator.twin.errors import TEXTS, ApiError
from simulator.twin.loops import ReplyLoops
from simulator.twin.media_addresses import content_type_of, named, own_url
from simulator.twin.pump import Pump
from simulator.twin.strangers import OpenPeople, OpenPopulation
from simulator.twin.twiml import Reply
from simulator.twin.wire import dialled, is_url, segments

API_VERSION = "2010-04-01"
_CHOSEN_S = 0.1  # seconds until a service has chosen a sender and says "queued" [A]
_INBOUND = 1 << 127
_SCHEDULED = 1 << 126
_OURS = re.compile(r"[?&]c=(\d{1,18})&m=(\d{1,18})(?:&a=(\d{1,9}))?")
_NOBODYS = (-1, -1, -1)
_STATUS_INDEX = {status: index for index, status in enumerate(STATUSES)}
_KEYWORD_REPLIES = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


class AccountsWorld:
    """The model, the accounts in front of it, and the webhooks between the two."""

    def __init__(
        self,
        scenario: Scenario,
        accounts: Sequence[Account],
        loop: asyncio.AbstractEventLoop,
        *,
        start_at: float,
        contacts: int,
        seed: int = 1,
        speed: float = 1.0,
    ) -> None:
        self.scenario = scenario
        self.start_at = start_at
        self.env = simpy.Environment()
        self.draws = Draws(seed)
        self.ledger = AccountLedger(scenario.carriers)
        self.faults = LiveFaults(scenario.faults, self.draws, scenario.duration_s)
        self._build_market(contacts)
        self.pump = Pump(self.env, loop, speed)
        self.callbacks = Callbacks(loop)
        self.accounts = {account.sid: account for account in accounts}
        self.owners: dict[int, tuple[Account, OwnedNumber]] = {}
        self._outbound: dict[int, Message] = {}  # in memory, by their number in the ledger
        self._state_by_area_code = {
            code: state.state for state in scenario.population.states for code in state.area_codes
        }
        self._campaigns = 0
        self._scheduled = 0
        self._loops = ReplyLoops()
        self.origin = ""  # of the server, as an application reaches it
        for account in accounts:
            account.campaign = self.new_campaign()
            account.messages.filed = self._filed

    def _build_market(self, contacts: int) -> None:
        scenario = self.scenario
        listed = Population.synthetic(scenario.population, contacts, self.draws)
        self.population = OpenPopulation(listed, self.draws, scenario.population)
        self.market = AccountMarket(
            self.env,
            scenario.market(),
            start_at=self.start_at,
            population=self.population,
            draws=self.draws,
            ledger=self.ledger,
            faults=self.faults,
        )
        self.people = OpenPeople(
            self.population,
            self.env,
            scenario.people,
            listed,
            self.draws,
            send=self.market.text_from_person,
            complain=self.market.complaint,
            stop_wave_share=self.faults.stop_wave_share,
        )
        self.market.people = self.people
        self.market.on_status = self._status
        self.market.on_inbound = self._inbound
        self.market.keywords.on_keyword = self._answer_keyword
        self.ledger.on_receive = self._receive

    def new_campaign(self, *, toll_free: bool = False) -> int:
        """A campaign with the scenario's registration; one brand, so T-Mobile's cap is shared."""
        self._campaigns += 1
        registration = self.scenario.campaign.registration()
        if toll_free:  # 3 segments/s for each number [S]
            registration = type(registration)(3.0, dict.fromkeys(("att", "tmobile", "verizon"), 3.0))
        self.market.register(self._campaigns, registration)
        return self._campaigns

    def own(self, account: Account, phone: int, *, friendly_name: str = "", campaign: int = 0) -> OwnedNumber:
        """Enter a number the market has sold, or one that the account brings along."""
        now = self.env.now
        home = campaign or account.campaign
        holding = self.market.inventory.holding(phone)
        sid = holding.number.sid if holding is not None else self.market.own(phone, home).sid
        number = OwnedNumber(sid, phone, f"+{phone}", friendly_name, now, now, home)
        account.numbers[sid] = number
        account.by_phone[phone] = number
        self.owners[phone] = (account, number)
        return number

    # ------------------------------------------------------------ out

    def send(self, message: Message, number: OwnedNumber | None, validity_s: float) -> None:
        """Hand a message to the market. Raises ApiError where Twilio refuses at once."""
        if message.media:
            message.segments = 1  # a picture is one, whatever its text
        code = 0
        if number is None:
            code = 21704
        elif self.market.is_banned(number.phone):
            code = 21606
        holding = self.market.inventory.holding(message.sender)
        ours = _OURS.search(message.callback)
        submission = Submission(
            to=message.to,
            sender=message.sender,
            campaign=holding.campaign if holding is not None else message.account.campaign,
            segments=message.segments,
            body=message.body,
            body_key=crc32(message.body.encode("utf-8", "replace")),
            validity_s=validity_s,
            reference=(int(ours[1]), int(ours[2]), int(ours[3] or 0)) if ours else _NOBODYS,
            handed_at=self.env.now,
            pictures=len(message.media),
        )
        try:
            message.n = self.market.place(submission, in_service=message.service is not None, code=code)
        except MarketRefusal as refusal:
            raise ApiError(refusal.code) from None
        if not message.sid:
            message.sid = sid_of(message.n)
            if message.media:
                message.sid = f"MM{message.sid[2:]}"
        self._outbound[message.n] = message
        account = message.account
        (account.sent_pictures if message.media else account.sent).count(message.segments)
        if message.service is not None and number is not None and message.callback:
            self.env.timeout(_CHOSEN_S, message).callbacks.append(self._chosen)

    def schedule(self, message: Message, delay_s: float, validity_s: float) -> None:
        """Send a message later, unless it is cancelled until then."""
        message.sid = f"{'MM' if message.media else 'SM'}{_SCHEDULED + self._scheduled:032x}"
        message.status = "scheduled"
        self._scheduled += 1
        self.env.timeout(delay_s, (message, validity_s)).callbacks.append(self._send_scheduled)

    def _send_scheduled(self, event: Any) -> None:
        message, validity_s = event.value
        if message.status != "scheduled" or message.deleted:
            return
        number = self.choose(message.service, message.to)
        message.sender = number.phone if number else 0
        message.status = ""
        self.send(message, number, validity_s)

    def choose(self, service: Service, to: int) -> OwnedNumber | None:
        """A service's sender for a recipient: the one it had, else of its area code, else in turn."""
        if service.sticky_sender:
            number = service.sticky.get(to)
            if number is not None and number.service is service and not self.market.is_banned(number.phone):
                return number
        pool = service.by_area_code.get(0)
        if not pool:
            return None
        if service.area_code_geomatch:
            pool = service.by_area_code.get(to // 10_000_000 % 1000) or pool
        number = pool[service.sent % len(pool)]
        service.sent += 1
        if service.sticky_sender:
            service.sticky[to] = number
        return number

    def _chosen(self, event: Any) -> None:
        self._report(event.value, "queued", 0)

    def _status(self, event: StatusEvent) -> None:
        n = number_of(event.sid)
        assert n is not None
        message = self.outbound(n)
        if message.callback:
            self._report(message, event.status, event.code)

    def outbound(self, n: int) -> Message:
        """An outbound message by its number in the ledger."""
        message = self._outbound.get(n)
        if message is None:
            found = (account.messages.numbered(n) for account in self.accounts.values())
            message = next(each for each in found if each is not None)
        return message

    def recent(self) -> Iterator[Message]:
        """The outbound messages that are in memory, newest first."""
        return reversed(self._outbound.values())

    def _filed(self, messages: list[Message]) -> None:
        for message in messages:
            self._outbound.pop(message.n, None)

    def report_cancelled(self, message: Message) -> None:
        """The callback of a message that was cancelled before its time."""
        if message.callback:
            self._report(message, "canceled", 0)

    def _report(self, message: Message, status: str, code: int) -> None:
        account = message.account
        parameters = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "AccountSid": account.sid,
            "From": f"+{message.sender}" if message.sender else "",
            "To": f"+{message.to}",
            "MessageStatus": status,
            "SmsStatus": status,
            "ApiVersion": API_VERSION,
        }
        if message.service is not None:
            parameters["MessagingServiceSid"] = message.service.sid
        if code:
            parameters["ErrorCode"] = str(code)
            parameters["ErrorMessage"] = TEXTS.get(code, "")
        if status in {"delivered", "undelivered"}:
            done = datetime.fromtimestamp(self.start_at + self.env.now, UTC)
            parameters["RawDlrDoneDate"] = done.strftime("%y%m%d%H%M")
        known = _STATUS_INDEX.get(status)
        acknowledge = self.ledger.acknowledged.append
        self.callbacks.post(
            message.callback,
            parameters,
            account.token,
            done=lambda: (
                acknowledge(message.n, self.pump.now, known, code)
                if known is not None and message.n >= 0
                else None
            ),
        )

    def state(self, message: Message) -> tuple[str, int]:
        """The present word about a message: status and code."""
        if message.status:
            return message.status, message.code
        status, code = self.ledger.state(message.n)
        return STATUSES[status], code

    # ------------------------------------------------------------ in

    def _receive(self, n: int, at: float, person: int, number: int, text: str, count: int) -> None:
        """A person's text has reached one of our numbers."""
        owner = self.owners.get(number)
        if owner is None or (owner[1].service is not None and not _inbound_url(owner[1])[0]):
            return  # a service without a webhook drops what comes in
        account, owned = owner
        sid = f"SM{_INBOUND + n:032x}"
        message = Message(-1, sid, account, "inbound", person, number, text, count, at, service=owned.service)
        message.status = "received"
        message.media = tuple(own_url(each) for each in self.ledger.pictures.get(n, ()))
        account.messages.add(message)
        account.received.count(count)

    def _inbound(self, event: InboundEvent) -> None:
        n = int(event.sid.removeprefix("SM"), base=16) - _INBOUND
        found = (account.messages.find(event.sid) for account in self.accounts.values())
        message = next((each for each in found if each is not None), None)  # a dropped text is nobody's
        if message is None:
            return
        number = message.account.by_phone.get(message.to)
        url, method = _inbound_url(number) if number is not None else ("", "POST")
        if number is None or not url:
            return
        self.callbacks.post(
            url,
            self._inbound_parameters(message),
            message.account.token,
            method=method,
            fallback=_fallback_url(number),
            answered=lambda replies: self.pump.act(self._answer, message, replies),
            done=lambda: self.ledger.inbound_acknowledged.append(n, self.pump.now),
        )

    def _inbound_parameters(self, message: Message) -> dict[str, str]:
        parameters = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsMessageSid": message.sid,
            "AccountSid": message.account.sid,
            "From": f"+{message.sender}",
            "To": f"+{message.to}",
            "Body": message.body,
            "NumMedia": str(len(message.media)),
            "NumSegments": str(message.segments),
            "SmsStatus": "received",
            "ApiVersion": API_VERSION,
        }
        if message.service is not None:
            parameters["MessagingServiceSid"] = message.service.sid
        for nth, (media_sid, url) in enumerate(named(message)):
            base = f"{self.origin}{message.account.base}/Messages/{message.sid}"
            parameters[f"MediaUrl{nth}"] = f"{base}/Media/{media_sid}"
            parameters[f"MediaContentType{nth}"] = content_type_of(url)
        for side, phone in (("From", message.sender), ("To", message.to)):
            parameters[f"{side}City"] = ""
            parameters[f"{side}State"] = self.state_of(phone)
            parameters[f"{side}Zip"] = ""
            parameters[f"{side}Country"] = "US"
        return parameters

    def state_of(self, phone: int) -> str:
        """The state of an area code the scenario names, else empty."""
        return self._state_by_area_code.get(phone // 10_000_000 % 1000, "")

    def _answer(self, message: Message, replies: list[Reply]) -> None:
        """The messages of a webhook's TwiML."""
        for reply in replies:
            try:
                self._reply(message, reply)
            except ApiError as error:
                self.callbacks.alert(error.code, message.sid, error.text)

    def _reply(self, heard: Message, reply: Reply) -> None:
        account = heard.account
        to = dialled(reply.to) if reply.to else heard.sender
        sender = dialled(reply.sender) if reply.sender else heard.to
        if to is None:
            raise ApiError(21211)
        number = account.by_phone.get(sender or 0)
        if number is None:
            raise ApiError(21606)
        if not reply.body and not reply.media:
            raise ApiError(21619)
        callback = reply.callback if is_url(reply.callback) else ""
        message = self.draft(account, number.phone, to, reply.body, direction="outbound-reply")
        message.callback, message.media = callback, reply.media
        if self._loops.holds(number.phone, to, self.env.now):
            self._fail_loop(message)
            return
        self.send(message, number, 36_000.0)
        account.messages.add(message)

    def _fail_loop(self, message: Message) -> None:
        """An answer in a loop of answers: failed, free, and never in the market."""
        account = message.account
        message.sid = account.make_sid("SM", f"loop {len(account.messages)}")
        message.status, message.code, message.changed_at = "failed", 14107, self.env.now
        account.messages.add(message)
        if message.callback:
            self._report(message, "failed", 14107)

    def draft(
        self, account: Account, sender: int, to: int, body: str, *, direction: str = "outbound-api"
    ) -> Message:
        """A message of ours that nobody has seen yet."""
        return Message(
            -1,
            "",
            account,
            direction,
            sender,
            to,
            body,
            segments(body),
            self.env.now,
        )

    def _answer_keyword(self, person: int, number: int, word: str) -> None:
        """The provider's own answer to a keyword: free, no callbacks, and past every block."""
        owner = self.owners.get(number)
        if owner is None:
            return
        account = owner[0]
        message = self.draft(account, number, person, _KEYWORD_REPLIES[word], direction="outbound-reply")
        message.sid = account.make_sid("SM", f"keyword {len(account.messages)}")
        message.status, message.changed_at = "delivered", self.env.now
        account.messages.add(message)


def _inbound_url(number: OwnedNumber) -> tuple[str, str]:
    """Where texts to a number are posted, and how; empty for nowhere."""
    service = number.service
    if service is not None and not service.use_inbound_webhook_on_number:
        return service.inbound_request_url or "", service.inbound_method
    return number.settings.get("sms_url", ""), number.settings.get("sms_method", "POST")


def _fallback_url(number: OwnedNumber) -> tuple[str, str]:
    service = number.service
    if service is not None and not service.use_inbound_webhook_on_number:
        return service.fallback_url or "", service.fallback_method
    return number.settings.get("sms_fallback_url", ""), number.settings.get("sms_fallback_method", "POST")
