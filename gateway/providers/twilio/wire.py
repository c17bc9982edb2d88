"""One request to Twilio, and which of three ways it failed.

| what happened                                                | raised           | was it carried out? |
|--------------------------------------------------------------|------------------|---------------------|
| its right to begin ended before its first byte was written   | TooLate          | no                  |
| refused connection, DNS, TLS, time-out before the first byte | NotSent          | no                  |
| 429                                                          | Refused(20429)   | no                  |
| 4xx with or without a code, 301, 302, 307, 308               | Refused(code)    | no                  |
| 5xx, 408, 303, a code whose outcome is open                  | AnswerLost(code) | perhaps             |
| read time-out, connection broken after sending, bad answer   | AnswerLost       | perhaps             |
"""

import base64
import functools
import math
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import quote_plus, urlencode

import aiohttp
import msgspec
import structlog
from yarl import URL

from gateway.clock import since_boot, time_of_day
from gateway.core.rules.errors import Kind, Retry, consequence
from gateway.providers.base import AnswerLost, NotSent, ProviderError, Refused, TooLate
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.concurrency import TOO_MANY_REQUESTS, Concurrency
from gateway.providers.twilio.skew import Skew
from gateway.providers.twilio.timed_request import TimedForm, TimedRequest

_log = structlog.get_logger("textbank.twilio")
Form = Sequence[tuple[str, str]]

_CONNECT_S = 5.0
_DROP_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time
_KEPT_OPEN_S = 15.0  # below any server's own limit: a reused connection that just closed loses an answer
_WAITED_FOR = frozenset({Kind.THROTTLE, Kind.QUEUE_FULL, Kind.DAILY_CAP})
_LONGEST_TEXT = 200
_MOST_BYTES = 16 * 2**20  # a page of a thousand texts of 1,600 characters, each escaped
_MOST_PAGES = 10_000
_SLEWED_S = 0.5  # a larger difference means that our time of day was set
_NEXT_PAGE = re.compile(r"/2010-04-01/[!-~]{0,2000}")
_MOST_DIGITS = 9  # of a code, and of a header that counts
_OPEN_STATUSES = frozenset({303, 304})  # "see other" may follow a POST that was carried out
_NO_CONNECTION = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_ESCAPES = {code: quote_plus(chr(code)) for code in range(128)}


class _Trouble(msgspec.Struct):
    """The classic body and RFC 9457's, both with Twilio's `code`."""

    code: int | str | None = None
    message: str | None = None
    detail: str | None = None
    title: str | None = None

    def number(self) -> int | None:
        digits = str(self.code or "")
        is_code = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
        return int(digits) if is_code else None

    def text(self) -> str:
        return masked(self.message or self.detail or self.title or "")


_decode_trouble = msgspec.json.Decoder(_Trouble).decode


class _TooLong(Exception):
    """An answer beyond any list's page."""


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Leaving it unread closes the connection."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise _TooLong
    return bytes(body)


class Wire:
    """One session for all requests. `repr` and errors show neither the secret nor a person's number."""

    def __init__(self, account: Account, steady: Callable[[], float] = since_boot) -> None:
        self._account = account
        self._steady = steady
        self._session: aiohttp.ClientSession | None = None
        self._skew = Skew()
        self._ahead_s = 0.0  # of our time of day before the steady clock, when the skew was learned
        self.away_since: float | None = None  # by `steady`: the first failure since the last answer
        self.concurrency = Concurrency(account.concurrency, patience_s=account.timeout_s / 3)

    def __repr__(self) -> str:
        return f"Wire({self._account!r}, {self.concurrency!r})"

    @property
    def skew(self) -> Skew:
        """Of the provider's clock; forgotten when ours was set."""
        ahead_s = time_of_day() - self._steady()
        if abs(ahead_s - self._ahead_s) > _SLEWED_S:
            self._skew = Skew()
        self._ahead_s = ahead_s
        return self._skew

    async def get(self, url: URL) -> bytes:
        return await self._call("GET", url, None)

    async def post(self, url: URL, form: Form) -> bytes:
        return await self._call("POST", url, self._timed(form, math.inf))

    async def post_text(self, url: URL, form: Form, begin_by: float) -> bytes:
        """A text's own request, begun no later than `begin_by` (`Clock.steady`); raises TooLate beyond."""
        timed = self._timed(form, begin_by)
        timed.raise_if_late()
        return await self._call("POST", url, timed, left_s=begin_by - self._steady())

    async def delete(self, url: URL) -> None:
        await self._call("DELETE", url, None)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _timed(self, form: Form, begin_by: float) -> TimedForm:
        return TimedForm(form_body(form), begin_by, self._steady)

    async def _call(
        self, method: str, url: URL, form: TimedForm | None, left_s: float | None = None
    ) -> bytes:
        """`left_s` is given for texts alone: how long one may wait for its place."""
        is_text = left_s is not None
        await self.concurrency.enter(is_text=is_text, left_s=math.inf if left_s is None else left_s)
        try:
            asked_at = time_of_day()
            status, headers, body = await self._exchange(method, url, form)
            self._learn(status, headers, asked_at)
        finally:
            self.concurrency.leave(is_text=is_text)
        if 200 <= status < 300:
            return body
        raise failure(status, body)

    def _learn(self, status: int, headers: Mapping[str, str], asked_at: float) -> None:
        """What any answer tells beside its content."""
        if (date := headers.get("Date")) is not None:
            self.skew.saw(date, asked_at, time_of_day())
        counted = _count(headers.get("Twilio-Concurrent-Requests"))
        if status == 429:
            self.concurrency.pushed_back(counted, _seconds(headers.get("Retry-After")))
        elif status < 400:
            self.concurrency.went_well(counted)
        if status < 500:
            self.away_since = None
        else:
            self._failed()

    def _failed(self) -> None:
        if self.away_since is None:
            self.away_since = self._steady()

    async def _exchange(
        self, method: str, url: URL, form: TimedForm | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """`from None`: aiohttp's errors quote URLs and headers. A POST is never repeated, by aiohttp neither."""
        session = self._session or self._open()
        try:
            async with session.request(method, url, data=form, allow_redirects=False) as response:
                return response.status, response.headers, await _bounded(response)
        except TooLate:
            raise TooLate(text="the connection came too late") from None
        except _TooLong:
            raise AnswerLost(text="an answer that is too long") from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._failed()
            raise _no_answer(error, form) from None

    def _open(self) -> aiohttp.ClientSession:
        """Opened by the first request, which knows the loop; our gate bounds the connections."""
        account = self._account
        credentials = base64.b64encode(f"{account.user}:{account.secret}".encode()).decode()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_KEPT_OPEN_S,
                ttl_dns_cache=60,
                socket_factory=functools.partial(_forgetting_socket, dead_peer_s=account.timeout_s),
            ),
            timeout=aiohttp.ClientTimeout(
                total=account.timeout_s, connect=min(_CONNECT_S, account.timeout_s)
            ),
            request_class=TimedRequest,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Authorization": f"Basic {credentials}",
                "Accept": "application/json",
                "User-Agent": "textbank",
            },
        )
        return self._session


def _forgetting_socket(address: tuple[Any, ...], dead_peer_s: float) -> socket.socket:
    """Drops at its close, and at our death, what the peer has not acknowledged, and after `dead_peer_s` by itself.

    The kernel would go on sending for minutes after an outage, when we have asked and been told that it never came.
    """
    line = socket.socket(*address[:3])
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_AT_CLOSE)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(dead_peer_s * 1000))
    return line


class Page(Protocol):
    """A page of a 2010 list."""

    @property
    def next_page_uri(self) -> str | None: ...


Record = TypeVar("Record")
PageRecord = TypeVar("PageRecord", bound=Page)


def decoded(decode: Callable[[bytes], Record], body: bytes) -> Record:
    """A good answer's record; one that can't be read leaves open what was done."""
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise AnswerLost(text="an answer that can't be read") from None


def readable(decode: Callable[[bytes], Record], raws: Sequence[msgspec.Raw]) -> Iterator[Record]:
    """A list's records: one that can't be read harms no other."""
    for raw in raws:
        try:
            yield decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            _log.warning("a record in the provider's list can't be read")


def form_body(form: Form) -> bytes:
    """As `urlencode` writes it, three times as fast: names are plain, and most values are ASCII."""
    return "&".join([f"{name}={_encoded(value)}" for name, value in form]).encode("ascii")


def _encoded(value: str) -> str:
    if value.isascii():
        return value if value.isalnum() else value.translate(_ESCAPES)
    return quote_plus(value)


def query_url(url: URL, query: Form) -> URL:
    """Twilio's filters have names such as `DateSent>`, and phones a plus sign: all percent-encoded."""
    return URL(f"{url}?{urlencode(query)}", encoded=True)


async def pages(wire: Wire, first: URL, decode: Callable[[bytes], PageRecord]) -> AsyncIterator[PageRecord]:
    """All pages of a 2010 list. The next one's address is a path: our credentials go to no other host."""
    url: URL | None = first
    for _ in range(_MOST_PAGES):
        if url is None:
            return
        page = decoded(decode, await wire.get(url))
        yield page
        following = page.next_page_uri
        if following is not None and not _NEXT_PAGE.fullmatch(following):
            raise AnswerLost(text="a next page elsewhere")
        url = None if following is None else URL(f"{first.origin()}{following}", encoded=True)
    raise AnswerLost(text="a list without end")


def _no_answer(error: Exception, form: TimedForm | None) -> ProviderError:
    """What it means that no answer came; a POST whose first byte was not written was not carried out."""
    name = type(error).__name__
    if isinstance(error, _NO_CONNECTION):
        return NotSent(text=f"no connection ({name})")
    if form is None or form.has_begun:
        return AnswerLost(text=f"no answer ({name})")
    return (
        TooLate(text="stopped just before the wire") if form.is_late() else NotSent(text=f"not sent ({name})")
    )


def failure(status: int, body: bytes) -> ProviderError:
    """What an answer without success means; the catalogue says whether a code leaves the outcome open."""
    try:
        trouble = _decode_trouble(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        trouble = _Trouble()
    code, text = trouble.number(), trouble.text()
    if status == 429:
        known = code is not None and consequence(code).kind in _WAITED_FOR
        return Refused(code if known else TOO_MANY_REQUESTS, text)
    code = code or status
    if (
        status >= 500
        or status in _OPEN_STATUSES
        or status < 300
        or consequence(code).retry is Retry.RECONCILE
    ):
        return AnswerLost(code, text)
    return Refused(code, text)


def masked(text: str) -> str:
    """Long runs of digits, as in phone numbers, but for their last four; one line, not too long."""
    return re.sub(r"\d{7,}", lambda run: f"…{run[0][-4:]}", " ".join(text.split()))[:_LONGEST_TEXT]


def _seconds(header: str | None) -> float:
    """Retry-After in seconds; its other form, a date, is not honoured."""
    return float(_count(header) or 0)


def _count(header: str | None) -> int | None:
    is_count = header is not None and header.isascii() and header.isdigit() and len(header) <= _MOST_DIGITS
    return int(header) if header is not None and is_count else None
