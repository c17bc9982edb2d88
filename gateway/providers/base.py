"""What a provider is to the gateway: a protocol, its records, and three ways to fail.

The three failures differ in what may follow: `Refused` and `NotSent` certainly sent nothing,
`AnswerLost` may have, and is settled by a callback or by asking, never by sending again.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from gateway.core.rules.errors import TextbankError

NO_LIMIT = 1_000_000
"""The free calls of a provider that takes any number at once."""


class OutboundText(msgspec.Struct, frozen=True, gc=False):
    """One attempt to hand a text over; (campaign, message, attempt) comes back in every callback.

    `validity_s` bounds the provider's own queue, so that it can't pass the end of the lawful window. `begin_by` is
    the end of our right to begin the call, in seconds of `Clock.steady`: past it the provider raises NotSent.
    """

    campaign_id: int
    message_id: int
    attempt: int
    phone: str
    number_phone: str
    body: str
    segments: int
    validity_s: float
    media: Sequence[str] | None = None  # addresses of pictures; with one it is an MMS
    answers_opt_out: bool = False  # the confirmation of an opt-out, which the opt-out does not stop
    begin_by: float = math.inf


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The provider has the text and answered with its id."""

    provider_sid: str


class StatusReport(msgspec.Struct, frozen=True, gc=False):
    """A status callback; `status` is the provider's word, `at` when it happened (Unix seconds)."""

    campaign_id: int
    message_id: int
    attempt: int
    status: str
    code: int | None
    at: float
    provider_sid: str


class Media(msgspec.Struct, frozen=True, gc=False):
    """A picture, or something else, that came with a person's text; nothing of it was fetched.

    `url` "": its address has to be asked for. `media_type`: as the provider says; "": it did not.
    """

    url: str = ""
    media_type: str = ""


class InboundText(msgspec.Struct, frozen=True, gc=False):
    """A person's text to one of our numbers."""

    provider_sid: str
    phone: str
    number_phone: str
    body: str
    at: float
    media: tuple[Media, ...] = ()


class BoughtNumber(msgspec.Struct, frozen=True):
    """A number that is ours now and registered for the campaign."""

    phone: str
    provider_sid: str


class Line(msgspec.Struct, frozen=True, gc=False):
    """What a look-up knows: Twilio's line type, and one of our carrier names or None."""

    line_type: str
    carrier: str | None


class Found(msgspec.Struct, frozen=True):
    """What the provider knows of an attempt whose answer was lost."""

    provider_sid: str
    status: str
    code: int | None


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One of our texts as the provider's own list shows it; `at` is its last change (Unix seconds)."""

    provider_sid: str
    phone: str
    status: str
    code: int | None
    at: float


class ProviderError(TextbankError):
    """A call that did not succeed; `code` is the provider's, None when it gave none."""

    def __init__(self, code: int | None = None, text: str = "") -> None:
        super().__init__(text or (f"provider code {code}" if code else type(self).__name__))
        self.code = code


class Refused(ProviderError):
    """The provider refused it: nothing was sent, and the code says whether another try may help."""


class NotSent(ProviderError):
    """The request never reached the provider: nothing was sent."""


class TooLate(NotSent):
    """Our right to begin the call (`OutboundText.begin_by`) ended before it could begin: nothing was sent."""


class AnswerLost(ProviderError):
    """The request may have been carried out; perhaps never beats perhaps twice."""


class Sink(Protocol):
    """Where a provider's callbacks go; each future is done when its report is durable."""

    def status(self, report: StatusReport) -> "asyncio.Future[None]": ...

    def inbound(self, text: InboundText) -> "asyncio.Future[None]": ...


class Provider(Protocol):
    """A way to the carriers; `name` is its own in the metrics."""

    name: str

    @property
    def find_lags_s(self) -> float:
        """How long after a text `find` may not know of it yet, seconds."""
        ...

    @property
    def free_calls(self) -> int:
        """How many texts could be handed over at once now: no more need be claimed; `NO_LIMIT` without one."""
        ...

    async def send(self, text: OutboundText) -> Accepted:
        """Hands one text over; raises Refused, NotSent (TooLate when `begin_by` has passed) or AnswerLost."""
        ...

    async def find(self, text: OutboundText, since: float, others: Collection[str] = ()) -> Found | None:
        """What became of an attempt whose answer was lost; None: never arrived, or not long enough ago.

        `others`: ids of the provider's that the books know to be other texts to this person.
        """
        ...

    async def buy(self, campaign_id: int, area_code: str) -> BoughtNumber:
        """Buys and registers a number in an area code ("": anywhere); raises Refused when there is none."""
        ...

    async def look_up(self, phones: Sequence[str]) -> list[Line]:
        """Line type and carrier of each phone, in order."""
        ...

    def listen(self, sink: Sink) -> None:
        """Callbacks go to `sink` from now on."""
        ...

    async def close(self) -> None: ...


OurPhones = Callable[[], Awaitable[Sequence[str]]]
"""Reads the numbers that somebody may have texted; asked for only when they are needed."""


@runtime_checkable
class History(Protocol):
    """A provider that can be asked what went over its wires: what lost callbacks told nobody."""

    @property
    def away_since(self) -> float | None:
        """Since when the provider can't be reached, seconds of `Clock.steady`; None: it answers, or nobody asked."""
        ...

    @property
    def skew_s(self) -> float | None:
        """How far the provider's clock is ahead of ours, seconds; None while it has not told."""
        ...

    def inbound_since(
        self, since: float, until: float | None, our_phones: OurPhones
    ) -> AsyncIterator[InboundText]:
        """People's texts to all numbers of the account, newest first; Unix seconds, `until` None: to the last.

        `our_phones` tells the numbers that matter, for a provider to which each of them is asked for more cheaply.
        """
        ...

    def outbound_since(self, number_phone: str, since: float) -> AsyncIterator[Listed]:
        """What became of a number's texts since an instant."""
        ...

    async def fetch(self, provider_sid: str) -> Found | None:
        """One of our texts; None when the provider has no such text (any more)."""
        ...


@runtime_checkable
class MediaSource(Protocol):
    """A provider that keeps what came with people's texts, and hands it out."""

    async def fetch_media(self, provider_sid: str, place: int, url: str, most_bytes: int) -> bytes:
        """One of the pictures of a person's text, its address as it came or "": from the provider itself, or from where
        it keeps its media, and from nowhere else. Raises Refused when there is none, or one of more than `most_bytes`;
        NotSent or AnswerLost when it may be there another time."""
        ...


@runtime_checkable
class Stock(Protocol):
    """A provider that remembers what it sold us for which campaign."""

    async def bought_for(self, campaign_id: int) -> list[BoughtNumber]:
        """The numbers that were bought for a campaign and point at us, ready to be used; raises ProviderError."""
        ...


class ProviderFactory(Protocol):
    """What an entry point of the group `textbank.providers` is: URL -> Provider."""

    def __call__(self, url: str, **parts: Any) -> Provider: ...
