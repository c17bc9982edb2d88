"""A provider that signs its callbacks as Twilio does, answers as told, and tells when it is handed a text."""

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.providers.base import NO_LIMIT, Accepted, BoughtNumber, Found, Line, OutboundText, Refused, Sink

TOKENS = ("first-token", "second-token")
PATIENCE_S = 20.0  # only a test that would hang meets it


class SigningProvider:
    """`answers` are used up call by call, then every text is accepted. `gate` holds back every answer."""

    name = "twilio"
    find_lags_s = 0.0
    free_calls = NO_LIMIT
    signing_tokens = TOKENS

    def __init__(self) -> None:
        self.answers: deque[Exception] = deque()
        self.taken: list[OutboundText] = []
        self.on_sale: deque[str] = deque()
        self.handed: asyncio.Queue[OutboundText] = asyncio.Queue()
        self.gate: asyncio.Event | None = None
        self.wrong: Sequence[str] | Exception = ()

    async def send(self, text: OutboundText) -> Accepted:
        self.handed.put_nowait(text)
        if self.gate is not None:
            await self.gate.wait()
        if self.answers:
            raise self.answers.popleft()
        self.taken.append(text)
        return Accepted(f"SM{text.message_id:032d}")

    async def next_text(self) -> OutboundText:
        """The next text that is handed over."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.handed.get()

    async def find(self, text: OutboundText, since: float) -> Found | None:
        return None

    async def buy(self, campaign_id: int, area_code: str) -> BoughtNumber:
        if not self.on_sale:
            raise Refused(21422, "sold out")
        phone = self.on_sale.popleft()
        return BoughtNumber(phone, f"PN{phone}")

    async def look_up(self, phones: Sequence[str]) -> list[Line]:
        return [Line("mobile", None) for _ in phones]

    async def check(self) -> Sequence[str]:
        if isinstance(self.wrong, Exception):
            raise self.wrong
        return self.wrong

    def listen(self, sink: Sink) -> None:
        pass

    async def close(self) -> None:
        pass
