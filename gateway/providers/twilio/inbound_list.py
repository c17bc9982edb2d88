"""People's texts of a stretch of time, from a list that holds our own as well.

Twilio's list of an account knows no direction. As a rule one page of it is all there is. On a busy night it is page
after page of our own texts; then each number's own list is far shorter, unless the numbers are very many.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
from yarl import URL

from gateway.providers.base import OurPhones
from gateway.providers.twilio.records import Message, MessagePage
from gateway.providers.twilio.wire import Form, Wire, decoded, pages, query_url, readable

_PAGE_SIZE = 1000  # Twilio's most
_NUMBERS_A_PAGE = 20  # a page of the account costs about as much as so many numbers' lists
_AT_ONCE = 8
_INBOUND = "inbound"

_page = msgspec.json.Decoder(MessagePage).decode
_message = msgspec.json.Decoder(Message).decode


class InboundList:
    """Reads with GETs alone; raises ProviderError."""

    def __init__(self, wire: Wire, messages_url: URL) -> None:
        self._wire = wire
        self._url = messages_url

    async def read(self, window: Form, since: float, our_phones: OurPhones) -> AsyncIterator[Message]:
        """The inbound messages of a window that begins at `since`, by Twilio's clock; none twice, in any order."""
        first = decoded(_page, await self._wire.get(self._page_url(window)))
        messages = list(readable(_message, first.messages))
        seen = {message.sid for message in messages}
        for message in messages:
            if message.direction == _INBOUND:
                yield message
        if first.next_page_uri is None:
            return
        phones = await our_phones()
        rest = self._of_numbers(window, phones)
        if len(phones) > _NUMBERS_A_PAGE * _pages_left(messages, since):
            rest = self._of_account(window)
        async for message in rest:
            if message.direction == _INBOUND and message.sid not in seen:
                yield message

    async def _of_account(self, window: Form) -> AsyncIterator[Message]:
        async for page in pages(self._wire, self._page_url(window), _page):
            for message in readable(_message, page.messages):
                yield message

    async def _of_numbers(self, window: Form, phones: Sequence[str]) -> AsyncIterator[Message]:
        for start in range(0, len(phones), _AT_ONCE):
            some = phones[start : start + _AT_ONCE]
            for texts in await asyncio.gather(*(self._of_number(window, phone) for phone in some)):
                for message in texts:
                    yield message

    async def _of_number(self, window: Form, phone: str) -> list[Message]:
        return [message async for message in self._of_account([("To", phone), *window])]

    def _page_url(self, window: Form) -> URL:
        return query_url(self._url, [*window, ("PageSize", str(_PAGE_SIZE))])


def _pages_left(newest: Sequence[Message], since: float) -> float:
    """How many pages the account's list is likely to have, judged by the stretch of time of its first page."""
    times = [message.created_at for message in newest if message.created_at < float("inf")]
    if not times:
        return 1.0
    return (max(times) - since) / max(1.0, max(times) - min(times))
