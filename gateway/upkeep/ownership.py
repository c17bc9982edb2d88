"""Ownership: which campaigns this worker dispatches, and until when it may trust that it does.

A worker beats in one statement, which also reads the other workers' beats and the campaigns that concern it. A beat
that stands still for long enough, by the observer's own steady clock, is a dead worker's: each of the others takes
its share of what that one owned. A worker trusts itself for a shorter time than the others wait, and whatever it
claims carries its token, so one that was frozen claims nothing when it wakes.

Shares are rendezvous hashing over the living. A campaign of another one's is asked for, and given up by its owner
when its road is drained: so only who can take it up gets it, and a newcomer asks only once it has lived for a while.
"""

import asyncio
import contextlib
import math
import os
import socket
from collections.abc import Callable, Iterable, Sequence

import structlog

from gateway.clock import Clock
from gateway.core.sending.workers import TRUSTED_BEATS, Roster, share_of
from gateway.metrics import Metrics
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.dispatch import Dispatch
from gateway.store import ownership
from gateway.store.database import Database
from gateway.store.notices import Subject
from gateway.store.ownership import FencingToken, Look, OwnedRow, Taken
from gateway.store.troubles import DatabaseAway
from gateway.upkeep.adoption import Adoptions, Settle

_log = structlog.get_logger("gateway.ownership")
_LOAD_EVERY_S = 30.0  # campaigns that another worker changed, when its word of it was lost
_SHARE_EVERY_S = 10.0
_SETTLED_S = 5.0  # so long a newcomer has lived before it asks for its share
_ORPHANED_S = 10.0  # so long a campaign is left to the worker whose share it is
_MOVES_AT_ONCE = 16
_AGAIN_S = 1.0
_SOONEST_S = 0.2  # between two rounds, however often somebody asks for one


Tell = Callable[[Subject, Iterable[int]], None]


class Ownership:
    """`beat_s` 0: this is the only worker of its database; all campaigns are its own from the start. It beats for nobody,
    and nobody's word can be lost: a round begins only when something has happened here."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        dispatch: Dispatch,
        clock: Clock,
        metrics: Metrics,
        *,
        settle: Settle,
        tell: Tell,
        holds_lock: Callable[[], bool],
        beat_s: float,
        due_every_s: float,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._dispatch = dispatch
        self._clock = clock
        self._metrics = metrics
        self._settle_left = settle
        self._tell = tell
        self._holds_lock = holds_lock
        self._is_alone = beat_s == 0
        self._beat_s = beat_s
        self._round_every_s = math.inf if self._is_alone else beat_s
        self._load_every_s = math.inf if self._is_alone else _LOAD_EVERY_S
        self._due_every_s = math.inf if self._is_alone else due_every_s
        self._adoptions = Adoptions(
            campaigns, dispatch, clock, metrics, give_up=self._hand_back, settle=self._settle
        )
        self._roster = Roster(0, beat_s)
        self._beats = 0
        self._tokens: dict[int, FencingToken] = {}  # of what is ours, from its taking to its giving up
        self._releases: dict[int, asyncio.Task[None]] = {}
        self._waited: dict[int, None] = {}  # the books say why these wait; taken up, it is not so any more
        self._free_since: dict[int, float] = {}
        self._started_at = self._load_at = self._share_at = self._due_at = 0.0
        self._try_at = math.inf  # by Clock.steady: when one that waits is tried again
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.worker_id = 0
        dispatch.ended = self._road_ended
        if not self._is_alone:
            dispatch.trusted_until = 0.0

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Gets an id and takes what is free; adoption goes on in the background. Raises DatabaseAway."""
        self.worker_id = await ownership.new_worker_id(self._database)
        self._roster = Roster(self.worker_id, self._beat_s)
        now = self._clock.steady()
        self._started_at = now
        self._load_at, self._due_at = now + self._load_every_s, now + self._due_every_s
        self._share_at = now + _SETTLED_S
        await self._round()
        if self._is_alone:
            known = (*self._campaigns.ids(), *self._campaigns.unreadable)
            await self._take([each for each in known if each not in self._tokens], None)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="ownership")

    async def adopted(self) -> None:
        """Until no adoption is under way."""
        await self._adoptions.done()

    async def adopt(self, campaign_id: int) -> None:
        """A campaign that is new: its road begins now, if it is this worker's share; else its owner is told."""
        if self._stopping or campaign_id in self._tokens:
            return
        if share_of(campaign_id, self._roster.living()) != self.worker_id:
            self._tell(Subject.OWNER, [campaign_id])
            return
        try:
            async with self._turn:
                if campaign_id not in self._tokens:
                    await self._take([campaign_id], self._roster.dead())
        except DatabaseAway:
            self.look_now()  # it is in the books, and is found there
        await self._adoptions.opened(campaign_id)

    def look_now(self) -> None:
        """Something has changed: the next round begins soon."""
        self._woken.set()

    def read_again(self) -> None:
        """Campaigns have changed: they are read in the next round, which begins soon."""
        self._load_at = 0.0
        self.look_now()

    def look_at_everything(self) -> None:
        """Other workers' words may have been lost."""
        self._due_at = 0.0
        self.read_again()

    async def stop(self) -> None:
        """Takes nothing more; what is being taken up breaks off, what is being given up ends. May be repeated."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._adoptions.stop()
        if self._releases:
            await asyncio.wait(list(self._releases.values()))

    def look(self) -> None:
        """Brings the gauges up to date."""
        self._metrics.owned(len(self._dispatch.roads), len(self._adoptions.waiting))

    async def leave(self) -> None:
        """Leaves all campaigns to the others, whose roads must have ended. Raises DatabaseAway."""
        await ownership.leave(self._database, self.worker_id)
        if self._tokens:
            self._tell(Subject.OWNER, self._tokens)
        self._tokens.clear()

    def close(self) -> None:
        """Stops at once, as a crash would."""
        for task in (self._task, *self._releases.values()):
            if task is not None:
                task.cancel()
        self._adoptions.close()

    # ------------------------------------------------------------ rounds

    async def _run(self) -> None:
        while True:
            await self._rest()
            try:
                await self._round()
            except DatabaseAway:
                pass
            except Exception:  # noqa: BLE001 - a defect must not leave campaigns without an owner for good
                _log.exception("a round of ownership failed")

    async def _rest(self) -> None:
        rest_s = min(
            self._round_every_s,
            max(_AGAIN_S, self._try_at - self._clock.steady()),
            self._beat_s / 8 if self._roster.doubts() else math.inf,
        )
        await asyncio.sleep(_SOONEST_S)
        limit_s = None if rest_s == math.inf else max(0.0, rest_s - _SOONEST_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._woken.wait()
        self._woken.clear()

    async def _round(self) -> None:
        """One beat, and what follows from what it saw. Raises DatabaseAway."""
        async with self._turn:
            began_at, held = self._clock.steady(), dict(self._tokens)
            validity = self._dispatch.hand_over.look_validity
            look_valid_s = validity.to_tell(began_at)
            self._beats += 1
            look = await ownership.beat(
                self._database,
                self.worker_id,
                _name(),
                self._beats,
                self._clock.now(),
                self._roster.dead(),
                holds_lock=self._holds_lock(),
                look_valid_s=look_valid_s,
            )
            if not self._is_alone:
                validity.told(look_valid_s)
            self._trust(began_at)
            dead = self._roster.dead()
            self._roster.saw(self._clock.steady(), look.beats, look.unlocked)
            if self._roster.dead() != dead:
                self.look_now()  # at what they owned
            self._drop_lost(held, look)
            unheld = [each for each in look.owned if not self._is_in_hand(each)]
            await self._know([*look.free, *(each.campaign_id for each in unheld)])
            await self._take_unheld(unheld)
            await self._take_free(look.free)
            self._release_wanted(look.owned)
            self._try_at = self._adoptions.next_try_at([*look.free, *(each.campaign_id for each in unheld)])
        await self._now_and_then()

    def _trust(self, began_at: float) -> None:
        if self._is_alone:
            return
        was_trusted = self._dispatch.is_trusted
        self._dispatch.trusted_until = began_at + TRUSTED_BEATS * self._beat_s
        if not was_trusted and self._dispatch.is_trusted:
            self._dispatch.wake()

    async def _know(self, campaign_ids: Sequence[int]) -> None:
        """Campaigns that another worker made."""
        if any(each not in self._campaigns for each in campaign_ids if self._adoptions.may_try(each)):
            await self._load()

    async def _load(self) -> None:
        await self._campaigns.load()
        self._load_at = self._clock.steady() + self._load_every_s

    async def _now_and_then(self) -> None:
        now = self._clock.steady()
        if now >= self._load_at:
            await self._load()
        if now >= self._due_at:
            self._due_at = now + self._due_every_s
            await self._remind()
        if now >= self._share_at:
            self._share_at = now + _SHARE_EVERY_S
            await self._ask_for_share()

    async def _remind(self) -> None:
        """Roads that rest are told of what is due: it came through another worker whose word was lost."""
        until = self._clock.now() + self._dispatch.options.horizon_s
        for campaign_id in await ownership.with_due(self._database, self.worker_id, until):
            self._dispatch.remind(campaign_id)

    # ------------------------------------------------------------ taking

    async def _take(self, campaign_ids: Sequence[int], dead: Sequence[int] | None) -> None:
        if not campaign_ids:
            return
        for taken in await ownership.take(self._database, self.worker_id, campaign_ids, dead):
            self._has_taken(taken)

    def _has_taken(self, taken: Taken) -> None:
        token = FencingToken(self.worker_id, taken.epoch)
        self._tokens[taken.campaign_id] = token
        self._free_since.pop(taken.campaign_id, None)
        if taken.waited_because is not None:
            self._waited[taken.campaign_id] = None
        _log.info(
            "campaign taken over",
            campaign_id=taken.campaign_id,
            from_worker=taken.before,
            to_worker=self.worker_id,
            epoch=taken.epoch,
            why="it had no owner" if taken.before is None else "its owner is dead",
        )
        self._adoptions.take_up(taken.campaign_id, token)

    async def _take_free(self, free: Sequence[int]) -> None:
        """Our share of what has no living owner, and what nobody took whose share it is."""
        now, living = self._clock.steady(), self._roster.living()
        self._free_since = {each: self._free_since.get(each, now) for each in free}
        orphaned_at = now - _ORPHANED_S
        mine = [
            each
            for each, since in self._free_since.items()
            if (since <= orphaned_at or share_of(each, living) == self.worker_id) and self._may_take(each)
        ]
        dead = self._roster.dead()
        await self._take(mine, dead)
        if dead:
            await ownership.forget(self._database, dead)

    async def _settle(self, campaign_id: int) -> None:
        if campaign_id in self._waited:
            await ownership.taken_up(self._database, campaign_id)
            del self._waited[campaign_id]
        await self._settle_left(campaign_id)

    def _may_take(self, campaign_id: int) -> bool:
        return campaign_id not in self._tokens and self._adoptions.may_try(campaign_id)

    def _is_in_hand(self, row: OwnedRow) -> bool:
        token = self._tokens.get(row.campaign_id)
        if token is None or token.epoch < row.epoch:
            return False
        return (
            token.epoch > row.epoch  # taken since that look
            or row.campaign_id in self._releases
            or self._adoptions.is_opening(row.campaign_id)
            or self._dispatch.token_of(row.campaign_id) == token
        )

    async def _take_unheld(self, rows: Sequence[OwnedRow]) -> None:
        """Ours by the books and not in hand: the answer to our taking was lost, or a road of ours has ended."""
        living = self._roster.living()
        for each in rows:
            self._tokens.pop(each.campaign_id, None)
        mine = [each for each in rows if share_of(each.campaign_id, living) == self.worker_id]
        await self._take([each.campaign_id for each in mine if self._may_take(each.campaign_id)], [])
        for each in rows:
            if each not in mine and each.campaign_id not in self._tokens:
                token = FencingToken(self.worker_id, each.epoch)
                await ownership.give_up(self._database, each.campaign_id, token)

    # ------------------------------------------------------------ losing and giving up

    def _drop_lost(self, held: dict[int, FencingToken], look: Look) -> None:
        """What another worker owns by now: its road ends at once."""
        epochs = {each.campaign_id: each.epoch for each in look.owned}
        for campaign_id, token in held.items():
            is_ours_still = epochs.get(campaign_id) == token.epoch
            if (
                not is_ours_still
                and self._tokens.get(campaign_id) == token
                and campaign_id not in self._releases
            ):
                self._lose(campaign_id, "another worker took it over")

    def _lose(self, campaign_id: int, why: str) -> None:
        token = self._tokens.pop(campaign_id)
        _log.warning(
            "campaign lost", campaign_id=campaign_id, from_worker=self.worker_id, epoch=token.epoch, why=why
        )
        self._dispatch.drop(campaign_id)

    def _road_ended(self, campaign_id: int, token: FencingToken, why: str) -> None:
        """A road has ended by itself: its token was refused, or it met a defect."""
        if self._tokens.get(campaign_id) == token:
            self._lose(campaign_id, why)
            self.look_now()

    async def _hand_back(self, campaign_id: int, token: FencingToken, why: str) -> None:
        """It can't be taken up here: the books say why, and whoever can may have it."""
        if self._tokens.get(campaign_id) == token:
            del self._tokens[campaign_id]
        try:
            await ownership.give_up(self._database, campaign_id, token, waits_because=why)
        except Exception as error:  # noqa: BLE001 - the next round finds it in the books
            _log.warning("campaign can't be given back", campaign_id=campaign_id, why=str(error))
        self.look_now()  # at when it is tried again

    async def _ask_for_share(self) -> None:
        living = self._roster.living()
        others = [each for each in living if each != self.worker_id]
        if not others:
            return
        mine: Iterable[int] = (
            each
            for each in await ownership.owned_by(self._database, others)
            if share_of(each, living) == self.worker_id
            and each in self._campaigns
            and each not in self._adoptions.waiting
        )
        some = list(mine)[:_MOVES_AT_ONCE]
        if some:
            await ownership.ask_for(self._database, self.worker_id, some)
            self._tell(Subject.OWNER, some)

    def _release_wanted(self, owned: Sequence[OwnedRow]) -> None:
        living = self._roster.living()
        for each in owned:
            if len(self._releases) >= _MOVES_AT_ONCE:
                return
            if (
                each.wanted_by in living
                and share_of(each.campaign_id, living) == each.wanted_by
                and each.campaign_id in self._dispatch.roads
                and each.campaign_id not in self._releases
                and (token := self._tokens.get(each.campaign_id)) is not None
            ):
                release = self._release(each.campaign_id, token, each.wanted_by)
                self._releases[each.campaign_id] = asyncio.get_running_loop().create_task(release)

    async def _release(self, campaign_id: int, token: FencingToken, to: int) -> None:
        """Drains the one road and leaves its campaign to the worker whose share it is."""
        try:
            await self._dispatch.close_road(campaign_id)
            await ownership.give_up(self._database, campaign_id, token)
        except Exception as error:  # noqa: BLE001 - the next round finds it in the books
            _log.warning("campaign can't be given up yet", campaign_id=campaign_id, why=str(error))
        self._dispatch.drop(campaign_id)
        self._tokens.pop(campaign_id, None)
        del self._releases[campaign_id]
        self._tell(Subject.OWNER, [campaign_id])
        _log.info(
            "campaign given up",
            campaign_id=campaign_id,
            from_worker=self.worker_id,
            to_worker=to,
            epoch=token.epoch,
            why="it is another worker's share",
        )


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
