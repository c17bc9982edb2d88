"""What people watch while it changes: counts of actions and of inboxes, looked at once a second however many watch.

Each look reads what is watched and nothing else, and while nobody watches there is none. What has changed since a
watcher's last look is worked out from what was seen then: a slow watcher has fewer and larger changes, never a queue.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.bank.inbox import Filter
from gateway.core.bank.live import ActionTopic, InboxTopic, Numbers, Topic, changed, numbers_of
from gateway.core.rules.campaign import CampaignKey
from gateway.store import counts, events, inbox
from gateway.store.database import Database
from gateway.store.events import EventPlace
from gateway.store.troubles import DatabaseAway

_log = structlog.get_logger("textbank.live")
EVERY_S: Final = 1.0
_ALL_ANEW_S: Final = 15.0  # also what no event tells of is seen by then
_REMEMBERED: Final = 60  # changes of a topic
_FORGOTTEN_S: Final = 120.0  # so long a topic that nobody watches is kept for those who come back
_WOKEN_AT_ONCE: Final = 50
_BUSY_TRIES: Final = 3
_BUSY_S: Final = 0.05
_NONE: Final[dict[str, int]] = {each.value: 0 for each in Filter}


class Seen(msgspec.Struct, frozen=True):
    """A topic's numbers as of a version; what happened in the `behind_s` before `at` may not be in them."""

    version: int
    at: float
    behind_s: float
    numbers: Numbers


class _Told(msgspec.Struct, frozen=True):
    topic: str
    at: float
    behind_s: float
    counts: Numbers


class Change(msgspec.Struct, frozen=True, dict=True):
    """What watchers are told of a topic: all its numbers, or those that are others than they know."""

    topic: Topic
    is_whole: bool
    seen: Seen
    numbers: Numbers

    @cached_property
    def json(self) -> bytes:
        """The same words for thousands of watchers, put together once."""
        told = _Told(str(self.topic), self.seen.at, round(self.seen.behind_s, 3), self.numbers)
        return msgspec.json.encode(told)


class Watched:
    """A topic of a campaign, what was seen of it last, and who waits for the next."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.seen: deque[Seen] = deque(maxlen=_REMEMBERED)
        self.watchers: set[Watcher] = set()
        self.is_known = asyncio.Event()
        self.left_at = 0.0
        self._changes: dict[int | None, Change] = {}

    def saw(self, seen: Seen) -> bool:
        """Whether anything is other than before."""
        if self.seen and self.seen[-1].numbers == seen.numbers:
            self.is_known.set()
            return False
        self.seen.append(seen)
        self._changes.clear()
        self.is_known.set()
        return True

    def since(self, version: int | None) -> Change | None:
        """What has changed since a version (None: nothing is known); None when nothing has."""
        last = self.seen[-1]
        if version is not None and version >= last.version:
            return None
        if version not in self._changes:
            self._changes[version] = self._change(version, last)
        return self._changes[version]

    def _change(self, version: int | None, last: Seen) -> Change:
        before = [each for each in self.seen if version is not None and each.version <= version]
        if not before:
            return Change(self.topic, True, last, last.numbers)
        return Change(self.topic, False, last, changed(before[-1].numbers, last.numbers))


class Watcher:
    """Somebody who watches some topics of a campaign. `version`: of the last change that they have been told."""

    def __init__(self, watched: Sequence[Watched], version: int | None) -> None:
        self._watched = watched
        self._versions: dict[Topic, int | None] = {each.topic: version for each in watched}
        self.woken = asyncio.Event()

    async def known(self) -> None:
        """Until there is something to tell of every topic."""
        for each in self._watched:
            await each.is_known.wait()

    def changes(self) -> list[Change]:
        """What is new to the watcher, who is taken to know it from now on."""
        self.woken.clear()
        found = [each.since(self._versions[each.topic]) for each in self._watched]
        changes = [each for each in found if each is not None]
        for each in changes:
            self._versions[each.topic] = each.seen.version
        return changes


class _Campaign:
    """What is watched of a campaign, and up to where its journal was read."""

    def __init__(self, key: CampaignKey) -> None:
        self.key = key
        self.watched: dict[Topic, Watched] = {}
        self.place: EventPlace | None = None
        self.all_at = 0.0


class Live:
    """Of one worker. A version is a place in what this worker saw: `epoch` says which worker, and since which start."""

    def __init__(self, database: Database, clock: Clock, epoch: str) -> None:
        self._database = database
        self._clock = clock
        self._campaigns: dict[int, _Campaign] = {}
        self._version = 0
        self._is_new = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self.epoch = epoch
        self.closed = asyncio.Event()

    def watch(self, key: CampaignKey, topics: Iterable[Topic], version: int | None) -> Watcher:
        """Begins; the caller ends with `leave`."""
        campaign = self._campaigns.setdefault(key.campaign_id, _Campaign(key))
        watched = [campaign.watched.setdefault(topic, Watched(topic)) for topic in topics]
        watcher = Watcher(watched, version)
        for each in watched:
            if not each.watchers:
                each.is_known.clear()  # what was seen then is old
            each.watchers.add(watcher)
        self._is_new.set()
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._run(), name="live")
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Nobody looks for this watcher any more."""
        for each in watcher._watched:
            each.watchers.discard(watcher)
            each.left_at = self._clock.steady()

    async def close(self) -> None:
        """Whoever watches is told that it is over."""
        self.closed.set()
        for campaign in self._campaigns.values():
            for watched in campaign.watched.values():
                for watcher in watched.watchers:
                    watcher.woken.set()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    # ------------------------------------------------------------ looking

    async def _run(self) -> None:
        """While anybody watches: all once a second, and what is new to us at once."""
        look_at = self._clock.steady()
        while self._forget():
            is_due = self._clock.steady() >= look_at
            if is_due:
                look_at = self._clock.steady() + EVERY_S
            self._is_new.clear()
            for campaign in list(self._campaigns.values()):
                await self._look_safely(campaign, is_due=is_due)
            try:
                async with asyncio.timeout(max(0.0, look_at - self._clock.steady())):
                    await self._is_new.wait()
            except TimeoutError:
                pass
        self._looking = None

    async def _look_safely(self, campaign: _Campaign, *, is_due: bool) -> None:
        try:
            await self._look(campaign, is_due=is_due)
        except DatabaseAway:
            pass
        except Exception:  # noqa: BLE001 - the next look may do better
            _log.exception("a look at what is watched failed", campaign_id=campaign.key.campaign_id)

    async def _look(self, campaign: _Campaign, *, is_due: bool) -> None:
        wanted = [
            each
            for each in campaign.watched.values()
            if each.watchers and (is_due or not each.is_known.is_set())
        ]
        if wanted:
            actions = [each for each in wanted if isinstance(each.topic, ActionTopic)]
            inboxes = [each for each in wanted if isinstance(each.topic, InboxTopic)]
            self._version += 1
            if inboxes and is_due:
                touched = await self._touched(campaign)
                inboxes = [each for each in inboxes if _concerns(each, touched)]
            fresh = await self._actions(campaign, actions) + await self._inboxes(campaign, inboxes)
            await self._wake(fresh)

    async def _wake(self, fresh: Sequence[Watched]) -> None:
        """A few at a time: thousands at once would hold up everybody else."""
        woken = list({watcher: None for watched in fresh for watcher in watched.watchers})
        for first in range(0, len(woken), _WOKEN_AT_ONCE):
            for watcher in woken[first : first + _WOKEN_AT_ONCE]:
                watcher.woken.set()
            await asyncio.sleep(0)

    def _forget(self) -> bool:
        """Drops what nobody has watched for long; whether anything is left."""
        old = self._clock.steady() - _FORGOTTEN_S
        for campaign_id, campaign in list(self._campaigns.items()):
            for topic, watched in list(campaign.watched.items()):
                if not watched.watchers and watched.left_at < old:
                    del campaign.watched[topic]
            if not campaign.watched:
                del self._campaigns[campaign_id]
        return bool(self._campaigns)

    async def _actions(self, campaign: _Campaign, wanted: Sequence[Watched]) -> list[Watched]:
        if not wanted:
            return []
        for _ in range(_BUSY_TRIES):
            if await counts.catch_up(self._database, campaign.key, self._clock.now()):
                break
            await asyncio.sleep(_BUSY_S)  # somebody else is counting
        ids = [each.topic.action_id for each in wanted if isinstance(each.topic, ActionTopic)]
        found = await counts.read_all(self._database, campaign.key, ids, self._clock.now())
        if found is None:
            return []
        lines = defaultdict(list)
        for row in found.rows:
            lines[ActionTopic(row.action_id)].append(row)
        return [
            each
            for each in wanted
            if self._saw(each, numbers_of(lines[each.topic]), found.behind_s)  # type: ignore[index]
        ]

    async def _inboxes(self, campaign: _Campaign, wanted: Sequence[Watched]) -> list[Watched]:
        if not wanted:
            return []
        ids = {each.topic.volunteer_id for each in wanted if isinstance(each.topic, InboxTopic)}
        found: dict[int | None, Mapping[Filter, int]] = {}
        if None in ids:
            found[None] = await inbox.counts(self._database, campaign.key, volunteer_id=None, action_id=None)
        if own := sorted(each for each in ids if each is not None):
            of_each = await inbox.counts_of_each(self._database, campaign.key, own)
            found.update(of_each.items())
        return [each for each in wanted if self._saw(each, _inbox_numbers(each, found), 0.0)]

    def _saw(self, watched: Watched, numbers: Numbers, behind_s: float) -> bool:
        return watched.saw(Seen(self._version, self._clock.now(), behind_s, numbers))

    async def _touched(self, campaign: _Campaign) -> set[int | None] | None:
        """Whose conversations may have changed since the last look; None: anybody's."""
        now = self._clock.steady()
        if campaign.place is None or now >= campaign.all_at:
            campaign.all_at = now + _ALL_ANEW_S
            campaign.place = await events.end(self._database)
            return None
        campaign.place, touched = await events.touched(self._database, campaign.key, campaign.place)
        return touched


def _concerns(watched: Watched, touched: set[int | None] | None) -> bool:
    """Whether its numbers may be others now."""
    assert isinstance(watched.topic, InboxTopic)
    if touched is None or not watched.is_known.is_set():
        return True
    volunteer_id = watched.topic.volunteer_id
    return bool(touched) if volunteer_id is None else volunteer_id in touched


def _inbox_numbers(watched: Watched, found: Mapping[int | None, Mapping[Filter, int]]) -> dict[str, int]:
    assert isinstance(watched.topic, InboxTopic)
    numbers = found.get(watched.topic.volunteer_id, {})
    return _NONE | {each.value: number for each, number in numbers.items()}
