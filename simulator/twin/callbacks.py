"""Webhooks over real HTTP: signed, tried again as the URL's fragment says, and the TwiML that comes back.

The market decides when a webhook sets out, twice or never; this decides what a failing receiver gets to see.
"""

import asyncio
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from hmac import digest
from typing import NamedTuple
from urllib.parse import parse_qsl, quote_plus, urljoin

import msgspec
from yarl import URL

from simulator.twin.posts import Answer, CannotConnect, NoAnswer, Posts
from simulator.twin.twiml import BadTwiml, Redirect, Reply, twiml_of
from simulator.twin.wire import is_url

_TOTAL_MS = 15_000
_LARGEST_ANSWER = 64 * 1024
_ALERTS_KEPT = 200
_FIRST_PAUSE_S = 0.25  # doubled at each further try; five fit into the 15 s
_POLICIES = frozenset({"4xx", "5xx", "ct", "rt", "all"})
_XML_TYPES = ("text/xml", "application/xml")
_MOST_REDIRECTS = 30


class Overrides(msgspec.Struct, frozen=True):
    """Connection overrides of a webhook URL, Twilio's defaults without any: times in seconds."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    retries: int = 1
    policies: frozenset[str] = frozenset({"ct"})

    def tries_again(self, failure: str) -> bool:
        """Whether a failure ("4xx", "5xx", "ct", "rt") is worth another try."""
        return "all" in self.policies or failure in self.policies


class Receiver(msgspec.Struct, frozen=True):
    """Who gets webhooks: the URL without its query, and how patiently it is called."""

    url: URL
    path: str
    host: str
    tag: str
    overrides: Overrides


class Target(NamedTuple):
    """Where one webhook goes: the URL as called and signed, its path with the query, and to whom."""

    signed: str
    path: str
    receiver: Receiver


def target_of(url: str) -> Target:
    """The parts of a URL; what an override says badly counts as not said."""
    address, _, fragment = url.partition("#")
    base, mark, query = address.partition("?")
    receiver = _receiver(base, fragment)
    return Target(address, f"{receiver.path}{mark}{query}", receiver)


@lru_cache(maxsize=4096)
def _receiver(base: str, fragment: str) -> Receiver:
    given = dict(parse_qsl(fragment))
    policies = frozenset(given.get("rp", "ct").split(",")) & _POLICIES
    overrides = Overrides(
        connect_s=_within(given.get("ct"), 100, 10_000, 5_000) / 1000,
        read_s=_within(given.get("rt"), 100, _TOTAL_MS, _TOTAL_MS) / 1000,
        total_s=_within(given.get("tt"), 100, _TOTAL_MS, _TOTAL_MS) / 1000,
        retries=_within(given.get("rc"), 0, 5, 1),
        policies=policies or frozenset({"ct"}),
    )
    url = URL(base, encoded=True)
    tag = blake2b(base.encode(), digest_size=6).hexdigest()
    return Receiver(url, url.raw_path or "/", url.raw_authority.rpartition("@")[2], tag, overrides)


def _within(text: str | None, least: int, most: int, default: int) -> int:
    if text is None or not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        return default
    return int(text)


def signature(url: str, parameters: dict[str, str], token: str) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the URL and the sorted parameters, base64."""
    text = url + "".join([name + value for name, value in sorted(parameters.items())])
    return b64encode(digest(token.encode(), text.encode(), "sha1")).decode()


class Counts(msgspec.Struct):
    """What became of the webhooks."""

    delivered: int = 0
    retried: int = 0
    failed: int = 0
    outstanding: int = 0


class Alert(msgspec.Struct, frozen=True):
    """A line of the debugger: a webhook that failed, or an answer that can't be read."""

    code: int
    url: str
    text: str


class _Failed(Exception):
    """One try came to nothing: "ct", "rt", "4xx" or "5xx"."""

    def __init__(self, failure: str, text: str) -> None:
        super().__init__(f"{failure}: {text}")
        self.failure = failure


class Callbacks:
    """Sends webhooks; `answered(context, replies)` gets the TwiML of an inbound one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.counts = Counts()
        self.alerts: deque[Alert] = deque(maxlen=_ALERTS_KEPT)
        self.alert_codes: Counter[int] = Counter()
        self._loop = loop
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._nth = 0
        self._posts = Posts(loop, _LARGEST_ANSWER)

    async def close(self) -> None:
        """What is on its way is given up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._posts.close()

    def alert(self, code: int, url: str, text: str) -> None:
        self.alerts.append(Alert(code, url, text))
        self.alert_codes[code] += 1

    def post(
        self,
        url: str,
        parameters: dict[str, str],
        token: str,
        *,
        method: str = "POST",
        fallback: tuple[str, str] = ("", "POST"),
        answered: Callable[[list[Reply]], object] | None = None,
        done: Callable[[], object] | None = None,
    ) -> None:
        """Send one webhook and return at once; to `fallback` (URL, method) when the first receiver fails.

        `answered` gets the TwiML that comes back, `done` is called once a receiver has said yes.
        """
        self._nth += 1
        nth = self._nth
        self.counts.outstanding += 1
        work = self._deliver(nth, url, parameters, token, method, fallback, answered, done)
        self._tasks[nth] = self._loop.create_task(work)

    async def _deliver(
        self,
        nth: int,
        url: str,
        parameters: dict[str, str],
        token: str,
        method: str,
        fallback: tuple[str, str],
        answered: Callable[[list[Reply]], object] | None,
        done: Callable[[], object] | None,
    ) -> None:
        try:
            failure = await self._bring(nth, url, parameters, token, method, answered)
            if failure and fallback[0]:
                more = {**parameters, "ErrorCode": str(failure), "ErrorUrl": target_of(url).signed}
                failure = await self._bring(nth, fallback[0], more, token, fallback[1], answered)
            if failure:
                self.counts.failed += 1
            else:
                self.counts.delivered += 1
                if done is not None:
                    done()
        finally:
            self.counts.outstanding -= 1
            del self._tasks[nth]

    async def _bring(
        self,
        nth: int,
        url: str,
        parameters: dict[str, str],
        token: str,
        method: str,
        answered: Callable[[list[Reply]], object] | None,
        redirects: int = 0,
    ) -> int:
        """All tries at one receiver, and at those it sends us on to; 0 or the debugger's code."""
        target = target_of(url)
        overrides = target.receiver.overrides
        ends_at = self._loop.time() + overrides.total_s
        for nth_try in range(overrides.retries + 1):
            try:
                answer = await self._try(nth, target, parameters, token, method, ends_at)
            except _Failed as failed:
                pause_s = _FIRST_PAUSE_S * 2**nth_try
                last = nth_try == overrides.retries or self._loop.time() + pause_s >= ends_at
                if last or not overrides.tries_again(failed.failure):
                    code = 11205 if failed.failure == "ct" else 11200
                    self.alert(code, target.signed, str(failed))
                    return code
                self.counts.retried += 1
                await asyncio.sleep(pause_s)
                continue
            if answered is None or not answer.content.strip():
                return 0
            goes_on = self._read_answer(target.signed, answer.content_type, answer.content, answered)
            if goes_on is None:
                return 0
            if redirects == _MOST_REDIRECTS:
                self.alert(14107, target.signed, "a loop of redirects")
                return 0
            there = urljoin(target.signed, goes_on.url)
            if not is_url(there):
                self.alert(11100, target.signed, f"Invalid URL format: {there[:100]}")
                return 0
            return await self._bring(nth, there, parameters, token, goes_on.method, answered, redirects + 1)
        return 11200

    async def _try(
        self, nth: int, target: Target, parameters: dict[str, str], token: str, method: str, ends_at: float
    ) -> Answer:
        request = _request(nth, target, parameters, token, method)
        overrides = target.receiver.overrides
        left_s = max(0.001, ends_at - self._loop.time())
        try:
            answer = await self._posts.send(
                target.receiver.url,
                request,
                connect_s=min(overrides.connect_s, left_s),
                read_s=min(overrides.read_s, left_s),
            )
        except CannotConnect as error:
            raise _Failed("ct", str(error)) from error
        except NoAnswer as error:
            raise _Failed("rt", str(error)) from error
        if answer.status >= 300:
            raise _Failed("5xx" if answer.status >= 500 else "4xx", f"HTTP {answer.status}")
        return answer

    def _read_answer(
        self, url: str, content_type: str, content: bytes, answered: Callable[[list[Reply]], object]
    ) -> Redirect | None:
        """Hands the messages on; where the rest is to be had, if it is elsewhere."""
        if len(content) > _LARGEST_ANSWER:
            self.alert(11750, url, "TwiML response body too large")
        elif content_type == "text/plain":
            answered([Reply(content.decode("utf-8", "replace"))])
        elif content_type not in _XML_TYPES:
            self.alert(12300, url, f"Invalid Content-Type: {content_type}")
        else:
            try:
                twiml = twiml_of(content)
            except BadTwiml as error:
                self.alert(12100, url, str(error))
                return None
            for verb in twiml.unknown:
                self.alert(14110, url, f"Invalid verb for a message: <{verb}>")
            if twiml.replies:
                answered(list(twiml.replies))
            return twiml.redirect
        return None


def _request(nth: int, target: Target, parameters: dict[str, str], token: str, method: str) -> bytes:
    """The whole request, signed; by GET the parameters are in the URL and not signed apart."""
    encoded = "&".join([f"{name}={_encoded(value)}" for name, value in parameters.items()])
    path, body = target.path, encoded
    if method == "GET":
        separator = "&" if "?" in target.signed else "?"
        path, body = f"{path}{separator}{encoded}", ""
        given = signature(f"{target.signed}{separator}{encoded}", {}, token)
    else:
        given = signature(target.signed, parameters, token)
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {target.receiver.host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
        f"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
        f"X-Twilio-Signature: {given}\r\nI-Twilio-Idempotency-Token: {nth:08x}-{target.receiver.tag}\r\n\r\n{body}"
    ).encode("ascii", "replace")


def _encoded(value: str) -> str:
    """As quote_plus says, quicker for what is most often sent: identifiers and phones."""
    if value.isalnum() and value.isascii():
        return value
    return (
        f"%2B{value[1:]}"
        if value[:1] == "+" and value[1:].isalnum() and value.isascii()
        else quote_plus(value)
    )
