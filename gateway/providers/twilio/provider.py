"""Twilio: `twilio://ACCOUNT_SID:AUTH_TOKEN@`, or any server that speaks its API.

Creating a message has no idempotency key and its callback URL is not shown again. So a lost answer is settled by
the callback, or by `find`: the texts between the two numbers since the hand-over, but for those known to be
other messages.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Self

import msgspec
from yarl import URL

from gateway.clock import since_boot, time_of_day
from gateway.core.rules.errors import Kind, consequence
from gateway.providers.base import (
    Accepted,
    BoughtNumber,
    Found,
    InboundText,
    Line,
    Listed,
    OurPhones,
    OutboundText,
    Provider,
    ProviderError,
    Refused,
    Sink,
)
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.inbound_list import InboundList
from gateway.providers.twilio.known import Known, which
from gateway.providers.twilio.media import TwilioMedia
from gateway.providers.twilio.numbers import Numbers
from gateway.providers.twilio.records import AccountState, Lookup, Message, MessagePage
from gateway.providers.twilio.webhooks import RETRIES, STATUS_PATH, status_query
from gateway.providers.twilio.wire import Wire, decoded, pages, query_url, readable

_SHORTEST_VALIDITY_S, _LONGEST_VALIDITY_S = 1, 36_000
_PAGE_SIZE = 1000  # Twilio's most
_TRIES = 3
_OURS = "outbound-api"  # Twilio's own answer to a STOP is an "outbound-reply"
_OTHER_CLOCKS_S = 900.0  # how far apart the clocks of two workers may be
_NEVER_LEFT = frozenset({"failed", "canceled"})

_messages = msgspec.json.Decoder(MessagePage).decode
_message = msgspec.json.Decoder(Message).decode
_lookup = msgspec.json.Decoder(Lookup).decode
_account_state = msgspec.json.Decoder(AccountState).decode


class TwilioProvider(Provider):
    """The way to the carriers through Twilio; callbacks come through the HTTP door, not through `listen`."""

    name = "twilio"

    def __init__(self, account: Account, steady: Callable[[], float] = since_boot) -> None:
        root = f"{account.api_url}/2010-04-01/Accounts/{account.account_sid}"
        self._account = account
        self._wire = Wire(account, steady)
        self._root = root
        self._messages_url = URL(f"{root}/Messages.json", encoded=True)
        self._known = Known()
        self._inbound_list = InboundList(self._wire, self._messages_url)
        self._media = TwilioMedia(account, self._wire)
        self.numbers = Numbers(account, self._wire, root)

    @classmethod
    def from_url(
        cls, url: str, *, public_url: str | None = None, timeout_s: float | None = None, **_parts: object
    ) -> Self:
        """The URL's parts are `Account.from_url`'s; `timeout_s` bounds one request. Raises BadInput."""
        return cls(Account.from_url(url, public_url=public_url, timeout_s=timeout_s))

    def __repr__(self) -> str:
        return f"TwilioProvider({self._wire!r})"

    @property
    def signing_tokens(self) -> tuple[str, ...]:
        """What Twilio may sign webhooks with: two while a token is rotated."""
        return self._account.signing_tokens

    @property
    def find_lags_s(self) -> float:
        """How long `find` may not know yet what Twilio has: its list follows what it does a little later."""
        return self._account.timeout_s

    @property
    def skew_s(self) -> float | None:
        """How far Twilio's clock is ahead of ours, seconds; None while it has told nothing."""
        return self._wire.skew.middle_s

    @property
    def away_since(self) -> float | None:
        return self._wire.away_since

    @property
    def free_calls(self) -> int:
        return self._wire.concurrency.free

    # ------------------------------------------------------------ texts

    async def send(self, text: OutboundText) -> Accepted:
        """POST Messages. One that is born failed was not sent, and no callback would say so."""
        body = await self._wire.post_text(self._messages_url, self._form(text), text.begin_by)
        message = decoded(_message, body)
        self._known.learn(message.sid, text)
        if message.status in _NEVER_LEFT:
            raise Refused(message.code, "failed at once")
        return Accepted(message.sid)

    def _form(self, text: OutboundText) -> list[tuple[str, str]]:
        """The contact's own number even with a Messaging Service: it keeps it (DESIGN, one number)."""
        query = status_query(text.campaign_id, text.message_id, text.attempt)
        validity_s = min(max(int(text.validity_s), _SHORTEST_VALIDITY_S), _LONGEST_VALIDITY_S)
        form = [
            ("To", text.phone),
            ("Body", text.body),
            ("StatusCallback", f"{self._account.public_url}{STATUS_PATH}?{query}{RETRIES}"),
            ("ValidityPeriod", str(validity_s)),
        ]
        if text.media:
            form += [("MediaUrl", url) for url in text.media]
        if text.number_phone:
            form.append(("From", text.number_phone))
        if self._account.messaging_service:
            form.append(("MessagingServiceSid", self._account.messaging_service))
        return form

    async def find(self, text: OutboundText, since: float, others: Collection[str] = ()) -> Found | None:
        """What became of an attempt whose answer was lost; None: it is not in Twilio's list (`find_lags_s`).

        Asks by To and From alone: DateSent would miss a text that still waits in Twilio's queue. A text is looked
        for long before `since`: whoever handed it over may have had another clock. `others` keep older ones out.
        """
        pair = [("To", text.phone), ("From", text.number_phone)]
        texts = [message async for message in self._list([each for each in pair if each[1]])]
        since = math.floor(
            self._wire.skew.earliest(since)
        )  # of Twilio's clock, known from these very answers
        taken = frozenset(others)
        candidates = [
            message
            for message in texts
            if message.direction == _OURS
            and message.created_at >= since - _OTHER_CLOCKS_S
            and message.sid not in taken
        ]
        message = which(candidates, text, self._known, since)
        if message is None:
            return None
        self._known.learn(message.sid, text)
        return message.found()

    async def fetch(self, provider_sid: str) -> Found | None:
        """The state of one message; None when Twilio has no such message (any more)."""
        try:
            url = URL(f"{self._root}/Messages/{provider_sid}.json")
            return decoded(_message, await self._wire.get(url)).found()
        except Refused as error:
            if error.code in (404, 20404):
                return None
            raise

    async def outbound_since(self, number_phone: str, since: float) -> AsyncIterator[Listed]:
        """What became of a number's texts since an instant (Unix seconds), for a reconciliation."""
        await self._learn_its_clock()
        window = [("From", number_phone), ("DateSent>", _instant(self._wire.skew.earliest(since)))]
        async for message in self._list(window):
            if message.direction == _OURS:
                listed = message.listed()
                yield msgspec.structs.replace(listed, at=self._ours(listed.at))

    async def inbound_since(
        self, since: float, until: float | None, our_phones: OurPhones
    ) -> AsyncIterator[InboundText]:
        """People's texts to all numbers of the account: what a lost webhook told nobody."""
        await self._learn_its_clock()
        earliest = self._wire.skew.earliest(since)
        window = [("DateSent>", _instant(earliest))]
        if until is not None:
            window.append(("DateSent<", _instant(self._wire.skew.latest(until) + 1)))
        async for message in self._inbound_list.read(window, earliest, our_phones):
            inbound = message.inbound()
            yield msgspec.structs.replace(inbound, at=self._ours(inbound.at))

    async def fetch_media(self, provider_sid: str, place: int, url: str, most_bytes: int) -> bytes:
        """One of the pictures of a person's text, from Twilio and where it keeps its media, and from nowhere else."""
        return await self._media.fetch(provider_sid, place, url, most_bytes)

    def _ours(self, at: float) -> float:
        """Twilio's time as ours, and never one that is still to come."""
        return min(self._wire.skew.ours(at), time_of_day())

    async def _learn_its_clock(self) -> None:
        """A process that has just started knows nothing of it: the cheapest answer tells. Raises ProviderError."""
        if not self._wire.skew.is_known:
            await self._wire.get(URL(f"{self._root}.json"))

    async def _list(self, filters: list[tuple[str, str]]) -> AsyncIterator[Message]:
        first = query_url(self._messages_url, [*filters, ("PageSize", str(_PAGE_SIZE))])
        async for page in pages(self._wire, first, _messages):
            for message in readable(_message, page.messages):
                yield message

    # ------------------------------------------------------------ numbers

    async def buy(self, campaign_id: int, area_code: str) -> BoughtNumber:
        """Buys a number in an area code ("": anywhere), pointed at our webhook and in the Messaging Service.

        Raises Refused when there is none. Carriers may take hours to know it: until then it ends 30035.
        """
        return await self.numbers.buy(campaign_id, area_code)

    async def bought_for(self, campaign_id: int) -> list[BoughtNumber]:
        """The numbers that `buy` bought for a campaign of this gateway; another's on the same account are not."""
        return await self.numbers.bought_for(campaign_id)

    async def release(self, provider_sid: str) -> None:
        """Gives a number back; one that is gone already is gone."""
        await self.numbers.release(provider_sid)

    async def look_up(self, phones: Sequence[str]) -> list[Line]:
        """Line type and carrier of each phone, in order; "invalid" for one that can't exist. Each costs money.

        Takes at most a quarter of the places, so that a list import doesn't hold up a bank.
        """
        lines: dict[str, Line] = {}
        waiting = iter(dict.fromkeys(phones))
        workers = [
            asyncio.get_running_loop().create_task(self._look_up_each(waiting, lines))
            for _ in range(max(1, min(self._account.concurrency // 4, len(phones))))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return [lines[phone] for phone in phones]

    async def _look_up_each(self, waiting: Iterator[str], lines: dict[str, Line]) -> None:
        for phone in waiting:
            url = URL(f"{self._account.lookups_url}/v2/PhoneNumbers/").joinpath(phone)
            body = await self._read(url.with_query(Fields="line_type_intelligence"))
            lines[phone] = decoded(_lookup, body).line()

    async def _read(self, url: URL) -> bytes:
        """A GET may be repeated: throttled, or its answer lost."""
        for nth in range(_TRIES - 1):
            try:
                return await self._wire.get(url)
            except ProviderError as error:
                if isinstance(error, Refused) and consequence(error.code or 0).kind is not Kind.THROTTLE:
                    raise
                await asyncio.sleep(self._account.pause_s * 2**nth)
        return await self._wire.get(url)

    # ------------------------------------------------------------ life

    async def check(self) -> list[str]:
        """What is wrong at Twilio's side, in words; raises Refused(20003) for wrong credentials."""
        account = decoded(_account_state, await self._wire.get(URL(f"{self._root}.json")))
        wrong = [] if account.status == "active" else [f"the account is {account.status}"]
        return wrong + await self.numbers.check_service()

    def listen(self, sink: Sink) -> None:
        """Nothing to do: webhooks come through the HTTP door, which knows the sink."""

    async def close(self) -> None:
        await self._wire.close()
        await self._media.close()


def _instant(at: float) -> str:
    """As the list's date filters want it; `DateSent>` includes the instant itself."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
