"""Webhooks over real HTTP: signed, tried again as the URL's fragment says, and the TwiML that comes back.

The market decides when a webhook sets out, twice or never; this decides what a failing receiver gets to see.
"""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urljoin

import msgspec

from simulator.twin.posts import Answer, CannotConnect, NoAnswer, Posts
from simulator.twin.twiml import BadTwiml, Redirect, Reply, twiml_of
from simulator.twin.webhook_request import Target, signed_request, target_of
from simulator.twin.wire import is_url

_LARGEST_ANSWER = 64 * 1024
_ALERTS_KEPT = 200
_FIRST_PAUSE_S = 0.25  # doubled at each further try; five fit into the 15 s
_XML_TYPES = ("text/xml", "application/xml", "text/html")  # error 11206
_CREDENTIALS = re.compile("//[^/?#]*@")
_MOST_DOCUMENTS = 50  # of one text from a person, <Redirect> to <Redirect> (error 14106)
_MOST_HTTP_REDIRECTS = 10  # [A]; Twilio does not say how many
_AS_A_GET = frozenset({301, 302, 303})  # as a browser does
_FOLLOWED = _AS_A_GET | {307}  # error 11216


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
    """One try came to nothing: "ct", "rt", "3xx", "4xx" or "5xx", and the debugger's code."""

    def __init__(self, failure: str, text: str, code: int = 11200) -> None:
        super().__init__(f"{failure}: {text}")
        self.failure = failure
        self.code = code


class _Last(NamedTuple):
    """What a receiver answered in the end, and where: redirects may have led to another address."""

    answer: Answer
    url: str


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
        """A line of the debugger, which everybody may read: without the address's credentials."""
        self.alerts.append(Alert(code, _CREDENTIALS.sub("//", url), text))
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
        documents: int = 1,
    ) -> int:
        """All tries at one receiver, and at those it sends us on to; 0 or the debugger's code."""
        target = target_of(url)
        overrides = target.receiver.overrides
        ends_at = self._loop.time() + overrides.total_s
        for nth_try in range(overrides.retries + 1):
            try:
                last = await self._try(nth, target, parameters, token, method, ends_at)
            except _Failed as failed:
                pause_s = _FIRST_PAUSE_S * 2**nth_try
                is_last = nth_try == overrides.retries or self._loop.time() + pause_s >= ends_at
                if is_last or not overrides.tries_again(failed.failure):
                    self.alert(failed.code, target.signed, str(failed))
                    return failed.code
                self.counts.retried += 1
                await asyncio.sleep(pause_s)
                continue
            if answered is None or not last.answer.content.strip():
                return 0
            goes_on = self._read_answer(last.url, last.answer, answered)
            if goes_on is None:
                return 0
            if documents == _MOST_DOCUMENTS:
                self.alert(14106, last.url, "Document retrieval limit reached")
                return 0
            there = urljoin(last.url, goes_on.url)
            if not is_url(there):
                self.alert(11100, last.url, f"Invalid URL format: {there[:100]}")
                return 0
            return await self._bring(nth, there, parameters, token, goes_on.method, answered, documents + 1)
        return 11200

    async def _try(
        self, nth: int, target: Target, parameters: dict[str, str], token: str, method: str, ends_at: float
    ) -> _Last:
        """One try: the request, and those that HTTP itself sends us on to. Raises _Failed."""
        for _ in range(_MOST_HTTP_REDIRECTS + 1):
            answer = await self._ask(nth, target, parameters, token, method, ends_at)
            if answer.status < 300:
                return _Last(answer, target.signed)
            if answer.status >= 400:
                raise _Failed("5xx" if answer.status >= 500 else "4xx", f"HTTP {answer.status}")
            there = urljoin(target.signed, answer.location)
            if answer.status not in _FOLLOWED or not answer.location or not is_url(there):
                raise _Failed("3xx", f"HTTP {answer.status} to {answer.location[:100]!r}", 11216)
            target = target_of(there, target.receiver.tag)
            method = "GET" if answer.status in _AS_A_GET else method
        raise _Failed("3xx", "HTTP too many redirects", 11215)

    async def _ask(
        self, nth: int, target: Target, parameters: dict[str, str], token: str, method: str, ends_at: float
    ) -> Answer:
        """One request; one more with the address's credentials where they are asked for.

        Twilio sends none before a 401 (twilio.com/docs/usage/security#http-authentication).
        """
        answer = await self._send(target, signed_request(nth, target, parameters, token, method), ends_at)
        if answer.status == 401 and answer.challenge and target.receiver.credentials is not None:
            again = signed_request(nth, target, parameters, token, method, challenge=answer.challenge)
            answer = await self._send(target, again, ends_at)
        return answer

    async def _send(self, target: Target, request: bytes, ends_at: float) -> Answer:
        overrides = target.receiver.overrides
        left_s = max(0.001, ends_at - self._loop.time())
        try:
            return await self._posts.send(
                target.receiver.url,
                request,
                connect_s=min(overrides.connect_s, left_s),
                read_s=min(overrides.read_s, left_s),
            )
        except CannotConnect as error:
            raise _Failed("ct", str(error), 11205) from error
        except NoAnswer as error:
            raise _Failed("rt", str(error)) from error

    def _read_answer(
        self, url: str, answer: Answer, answered: Callable[[list[Reply]], object]
    ) -> Redirect | None:
        """Hands the messages on; where the rest is to be had, if it is elsewhere."""
        content, content_type = answer.content, answer.content_type
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
