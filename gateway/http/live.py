"""Counts while they change, as server-sent events: all of it first, then what is new, once a second at most.

A stream ends with the session or the key that opened it, with the worker, and when its reader does not keep up. Whoever
comes back with the id of the last event gets what has changed since, or all of it.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Final, assert_never

from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.live import ActionTopic, InboxTopic, Topic, topics_of
from gateway.core.bank.permissions import Act, Actor, Reach
from gateway.core.rules.errors import NotNow
from gateway.http.access import Grant
from gateway.http.bodies import asked
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import EVENT_STREAM, Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.shedding import Connection
from gateway.p2p.live import Change, Watcher

MOST_STREAMS: Final = 2_500
"""Of one worker."""
MOST_OF_ONE: Final = 20
"""Of one person, or of one key, at one worker."""
QUIET_S: Final = 15.0
"""After so long without an event a comment says that the stream is alive; as often it is asked who may read it."""
_KNOWN_WITHIN_S: Final = 5.0
_SLOWEST_S: Final = 10.0  # a reader that takes nothing for as long is gone
_AGAIN_MS: Final = 3_000
_HEADERS: Final = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class WhichTopics(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is watched."""

    topics: Annotated[
        str,
        Meta(
            max_length=500,
            description="`inbox` (one's own), `inbox:all`, `action:<id>`; several with commas between them.",
        ),
    ] = "inbox"
    once: Annotated[bool, Meta(description="All of it once, and the stream ends.")] = False


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/events",
        handler="live.stream",
        summary="Counts while they change: a stream of server-sent events.",
        act=Act.READ_CONVERSATIONS,
        tag="results",
        asks=WhichTopics,
        headers={
            "Last-Event-ID": "The id of the last event that was read: what has changed since comes first."
        },
        gives={HTTPStatus.OK: EVENT_STREAM},
        refuses=(404, 422, 429, 503),
    ),
)


class LiveDesk:
    """Opens streams, so many and no more."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._parts = parts
        self._live = parts.live
        self._known_campaigns = known
        self._open: Counter[str] = Counter()

    async def stream(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        campaign = await campaign_of(self._known_campaigns, request, grant)
        wanted = asked(WhichTopics, request)
        topics = topics_of(wanted.topics, grant.actor.user_id)
        _require(grant.actor, topics)
        with self._place(grant.actor.name):
            watcher = self._live.watch(campaign.key, topics, self._version_in(request))
            try:
                await _known(watcher)
                response = web.StreamResponse(headers=_HEADERS)
                await response.prepare(request)
                if request.method != "HEAD":
                    with _noticing(request, watcher):
                        await self._tell(request, response, watcher, once=wanted.once)
            finally:
                self._live.leave(watcher)
        return response

    @contextlib.contextmanager
    def _place(self, who: str) -> Iterator[None]:
        """Raises Refusal: 429 for too many of one, 503 for too many of all, or when the worker stops."""
        if self._open[who] >= MOST_OF_ONE:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, f"{MOST_OF_ONE} streams are open already", Retry_After="5"
            )
        if self._open.total() >= MOST_STREAMS or self._live.closed.is_set():
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "no more streams here: ask again", Retry_After="5")
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

    def _version_in(self, request: web.Request) -> int | None:
        """What the reader knows already; None: nothing, or of another worker."""
        epoch, _, version = request.headers.get("Last-Event-ID", "").partition(".")
        known = epoch == self._live.epoch and version.isascii() and version.isdecimal() and len(version) < 19
        return int(version) if known else None

    async def _tell(
        self, request: web.Request, response: web.StreamResponse, watcher: Watcher, *, once: bool
    ) -> None:
        """Until somebody ends it."""
        time = asyncio.get_running_loop().time
        checked_at = time()
        with contextlib.suppress(ConnectionError, TimeoutError, Refusal):  # the answer has begun: it ends
            await _write(
                request, response, f"retry: {_AGAIN_MS}\n\n".encode() + self._told(watcher.changes())
            )
            while not (once or self._live.closed.is_set()):
                await _woken(watcher)
                await _write(request, response, self._told(watcher.changes()) or b":\n\n")
                if time() - checked_at >= QUIET_S:
                    checked_at = time()
                    with contextlib.suppress(NotNow):  # who may read it is asked again
                        await self._parts.keys.grant(request, Act.READ_CONVERSATIONS)

    def _told(self, changes: Sequence[Change]) -> bytes:
        return b"".join(self._event(each) for each in changes)

    def _event(self, change: Change) -> bytes:
        kind = b"snapshot" if change.is_whole else b"delta"
        place = f"{self._live.epoch}.{change.seen.version}".encode()
        return b"event: %b\nid: %b\ndata: %b\n\n" % (kind, place, change.json)


def _require(actor: Actor, topics: Sequence[Topic]) -> None:
    """Raises Refusal 403 for what the role may not read elsewhere either."""
    for topic in topics:
        match topic:
            case ActionTopic():
                may = actor.reach(Act.EXPORT) is Reach.CAMPAIGN
            case InboxTopic():
                may = topic.volunteer_id is not None or actor.reach(Act.READ_CONVERSATIONS) is Reach.CAMPAIGN
            case _:
                assert_never(topic)
        if not may:
            raise Refusal(HTTPStatus.FORBIDDEN, f"the role {actor.role.value} may not watch {topic}")


@contextlib.contextmanager
def _noticing(request: web.Request, watcher: Watcher) -> Iterator[None]:
    """A reader that goes away wakes its stream, which then can't write and ends."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        yield
        return
    connection.when_lost = watcher.woken.set
    try:
        yield
    finally:
        connection.when_lost = None


async def _known(watcher: Watcher) -> None:
    """Raises NotNow when there is nothing to tell in time."""
    try:
        async with asyncio.timeout(_KNOWN_WITHIN_S):
            await watcher.known()
    except TimeoutError as error:
        raise NotNow("the counts are not ready") from error


async def _woken(watcher: Watcher) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUIET_S):
            await watcher.woken.wait()


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Raises TimeoutError, with the connection cut, for a reader that takes nothing; ConnectionError for one that is
    gone."""
    try:
        async with asyncio.timeout(_SLOWEST_S):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise
