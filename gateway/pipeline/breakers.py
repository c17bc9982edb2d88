"""Breakers carried out: their figures looked at, moved by these or by a person, and in force on every worker.

What an open one holds are first texts of one script to one carrier (store/first_texts.py); replies go on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import TextbankError
from gateway.core.sending.breakers import Breaker, Pair, Reason, State, Tally, elsewhere, moves
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import audit_log, breakers, campaigns, user_notices, users
from gateway.store.database import Database, Statements
from gateway.store.ids import Ids
from gateway.store.rows import as_json
from gateway.store.user_notices import UserNotice
from gateway.store.users import MemberFilter

_log = structlog.get_logger("textbank.breakers")
_MOST_ADMINS: Final = 200

ByHand = Literal["open", "resume", "switch_off"]
"""First texts wait; they go, and figures begin anew; they go, whatever the figures will say."""
_BY_HAND: Final[Mapping[ByHand, tuple[State, Reason]]] = {
    "open": (State.OPEN, Reason.BY_HAND),
    "resume": (State.CLOSED, Reason.NONE),
    "switch_off": (State.OFF, Reason.BY_HAND),
}
_ACTS: Final = {
    State.CLOSED: "breaker resumed",
    State.WARNED: "breaker warned",
    State.OPEN: "breaker opened",
    State.OFF: "breaker switched off",
}
_WHY: Final = {
    Reason.FILTERED: "{filtered} of its {finals} texts there were filtered",
    Reason.OPT_OUTS: "{opt_outs} of {delivered} people there opted out",
    Reason.SILENT: "{delivered} texts count as delivered there, and only {replies} people answered, far fewer than elsewhere",
}

Decide = Callable[[Mapping[Pair, Breaker], Mapping[Pair, Tally]], Iterable[Breaker]]


class NoPair(TextbankError):
    """No first text of this script was ever meant for this carrier."""

    def __init__(self) -> None:
        super().__init__("no first text of this script was ever meant for this carrier")


class Seen(NamedTuple):
    """A pair's breaker, what was counted since its figures began anew, and of the same script at all other carriers."""

    breaker: Breaker
    own: Tally
    elsewhere: Tally


class Breakers:
    """Of all campaigns that a worker knows."""

    def __init__(self, database: Database, known: Campaigns, clock: Clock) -> None:
        self._database = database
        self._known = known
        self._clock = clock
        self._ids = Ids(database)

    async def show(self, key: CampaignKey) -> list[Seen]:
        """Every pair to which a first text was meant, or whose breaker was moved."""
        tallies = await breakers.tallies(self._database, key)
        known = await breakers.read(self._database, key)
        pairs = sorted(tallies.keys() | known.keys())
        return [_seen(known.get(pair) or Breaker(pair=pair), tallies) for pair in pairs]

    async def look(self, campaign: Campaign) -> Mapping[Pair, Breaker]:
        """Moves what the figures move; the breakers as they stand then. Raises DatabaseAway."""
        tallies = await breakers.tallies(self._database, campaign.key)
        known = await breakers.read(self._database, campaign.key)
        policy, now = campaign.settings.breakers, self._clock.now()
        if not list(moves(known, tallies, policy, now)):
            return known
        moved = await self._move(
            campaign, lambda known, tallies: moves(known, tallies, policy, now), tells=True
        )
        return {**known, **{each.pair: each for each in moved}}

    async def put(self, campaign: Campaign, pair: Pair, act: ByHand, who: str) -> Seen:
        """A person's word, in force at the answer and on every worker within two seconds. Raises NoPair."""
        now, (state, reason) = self._clock.now(), _BY_HAND[act]
        seen: list[Seen] = []

        def decide(known: Mapping[Pair, Breaker], tallies: Mapping[Pair, Tally]) -> Iterable[Breaker]:
            if pair not in tallies and pair not in known:
                raise NoPair
            before = known.get(pair) or Breaker(pair=pair)
            base = tallies.get(pair, Tally()) if state is State.CLOSED else before.base
            after = Breaker(pair=pair, state=state, reason=reason, since=now, who=who, base=base)
            stands = before if before.state is state and state is not State.CLOSED else after
            seen.append(_seen(stands, tallies))
            return () if stands is before else (after,)

        await self._move(campaign, decide)
        return seen[-1]

    async def _move(self, campaign: Campaign, decide: Decide, *, tells: bool = False) -> Sequence[Breaker]:
        """`tells`: admins are told; of what a person does the audit log tells."""
        admins = await self._admins(campaign) if tells else []
        async with self._database.transaction() as transaction:
            stands = await campaigns.locked(transaction, campaign.key)
            known = await breakers.read(transaction, campaign.key)
            tallies = await breakers.tallies(transaction, campaign.key)
            moved = list(decide(known, tallies))
            if not moved:
                return ()
            await breakers.move(transaction, campaign.key, moved, self._clock.now())
            for each in moved:
                await self._note(transaction, campaign.key, known.get(each.pair), _seen(each, tallies))
            told = [_seen(each, tallies) for each in moved] if tells else []
            await user_notices.tell(transaction, campaign.key, _notices(told, admins, self._clock.now()))
        opens = any(each.state is State.OPEN for each in moved)
        if opens or stands.held_pairs:
            await self._known.take_up_first_texts(campaign.key, self._clock.now(), pauses=opens)
        return moved

    async def _admins(self, campaign: Campaign) -> list[tuple[int, int]]:
        """Each with an id for a notice: made before the transaction, which must not wait for another."""
        wanted = MemberFilter(role="admin", active=True)
        found = await users.members(self._database, campaign.key, wanted, after=0, limit=_MOST_ADMINS)
        ids = await self._ids.take(len(found))
        return [(admin.user_id, notice_id) for admin, notice_id in zip(found, ids, strict=True)]

    async def _note(
        self, transaction: Statements, key: CampaignKey, before: Breaker | None, after: Seen
    ) -> None:
        """Into the audit log, with the figures of the moment."""
        breaker = after.breaker
        pair = breaker.pair._asdict()
        stood = {**pair, "state": State.CLOSED if before is None else before.state}
        stands = {**pair, "state": breaker.state, "reason": breaker.reason, "figures": after.own}
        who, now = breaker.who, self._clock.now()
        await audit_log.write(
            transaction, key, now, who, _ACTS[breaker.state], before=as_json(stood), after=as_json(stands)
        )
        _log.warning(
            "a breaker moved", campaign_id=key.campaign_id, who=who, **{**stands, "figures": after.own.all()}
        )


def _seen(breaker: Breaker, tallies: Mapping[Pair, Tally]) -> Seen:
    own = tallies.get(breaker.pair, Tally()).since(breaker.base)
    return Seen(breaker, own, elsewhere(breaker.pair, tallies))


def _notices(moved: Sequence[Seen], admins: Sequence[tuple[int, int]], now: float) -> list[UserNotice]:
    """One for each admin about all of them. Of opt-outs alone nobody is told that texts go on: the results say so."""
    told = [
        each
        for each in moved
        if each.breaker.state is State.OPEN or each.breaker.reason is not Reason.OPT_OUTS
    ]
    if not told:
        return []
    waits = any(each.breaker.state is State.OPEN for each in told)
    title = "First texts of a script wait for a carrier" if waits else "A carrier may be filtering a script"
    body = " ".join(_sentence(each) for each in told)
    about = {"action_id": told[0].breaker.pair.action_id}
    return [
        UserNotice(
            notice_id=notice_id, user_id=user_id, kind="breaker", title=title, body=body, about=about, at=now
        )
        for user_id, notice_id in admins
    ]


def _sentence(seen: Seen) -> str:
    pair, state = seen.breaker.pair, seen.breaker.state
    figures = msgspec.structs.asdict(seen.own)
    why = _WHY[seen.breaker.reason].format(**figures)
    does = "First texts wait, replies go on." if state is State.OPEN else "Texts go on."
    return f'Script "{pair.script}" at {pair.carrier or "carriers that nobody knows"}: {why}. {does}'
