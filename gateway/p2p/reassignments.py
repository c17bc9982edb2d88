"""Contacts that change hands, many at once: counted first, moved in pieces, told of, and undone (F190 to F198).

Whoever had a contact before has it no longer from the moment in which its piece is moved: its revision is another one,
so that what they are about to send is refused, and the thread is as if it were not there (F193).
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.assignment import MOST_MOVED, UNDO_S, Split, split, to_creators
from gateway.core.bank.permissions import Act, Actor
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadFields, BadInput, TextbankError
from gateway.p2p import whose
from gateway.p2p.actions import NoAction
from gateway.p2p.bank import TextBank
from gateway.p2p.cursors import AtPlace, before, page_of
from gateway.p2p.preferences import person
from gateway.p2p.user_lists import MOST_MEMBERS
from gateway.pipeline.admission import ConversationChanged
from gateway.pipeline.campaigns import Campaigns
from gateway.store import (
    abuse,
    audit_log,
    campaign_actions,
    creators,
    reassigned,
    reassignments,
    threads,
    user_lists,
    user_notices,
)
from gateway.store.database import Connection, Database
from gateway.store.ids import Ids
from gateway.store.inbox import Conversation
from gateway.store.reassignments import Begun, Found, Move, Scope, Undone
from gateway.store.rows import as_json
from gateway.store.user_notices import UserNotice

__all__ = [
    "Foreseen",
    "NoReassignment",
    "Reassigned",
    "ReassignmentPage",
    "Reassignments",
    "Scope",
    "Target",
    "TooLate",
    "Undone",
]

_AT_ONCE: Final = (
    500  # contacts of a transaction: others wait for one of them for some ten milliseconds at most
)
_TOLD_SHARES: Final = 100


class NoReassignment(TextbankError):
    """The campaign has no such reassignment."""

    def __init__(self, reassignment_id: int) -> None:
        super().__init__(f"the campaign has no reassignment {reassignment_id}")


class TooLate(TextbankError):
    """It was undone already, or is older than a day."""

    def __init__(self) -> None:
        super().__init__("this was undone already, or is older than a day")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets the contacts: a person, the active people of a list, split at random, or each action's creator."""

    user_id: int | None = None
    user_list_id: int | None = None
    creators: bool = False


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What a reassignment does, or would do: contacts that move, of them those that wait for an answer and those whom
    nobody has texted, those that nobody of the target may have, and how many each person gets."""

    contacts: int
    waiting: int
    untexted: int
    left: int
    shares: dict[int, int]


class Reassigned(msgspec.Struct, frozen=True, kw_only=True):
    """A reassignment; times in Unix seconds. `undo_until` None: it was undone, or is too old."""

    reassignment_id: int
    at: float
    who: str
    moved: int
    is_done: bool
    undone_at: float | None
    undo_until: float | None


class ReassignmentPage(msgspec.Struct, frozen=True):
    """Reassignments, the newest first, and the cursor of those before them."""

    rows: list[Reassigned]
    next: str | None


class _Plan(msgspec.Struct, frozen=True):
    found: dict[int, Found]
    split: Split

    def foreseen(self) -> Foreseen:
        moved = [self.found[contact_id] for contact_id, _ in self.split.pairs]
        return Foreseen(
            contacts=len(moved),
            waiting=sum(each.waits for each in moved),
            untexted=sum(each.untexted for each in moved),
            left=len(self.split.left),
            shares=self.split.shares,
        )


class Reassignments:
    """Who has whom, changed."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, bank: TextBank) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._bank = bank
        self._ids = Ids(database)

    # ---------------------------------------------------------------- moved

    async def foresee(self, campaign_id: int, scope: Scope, target: Target) -> Foreseen:
        """What it would do now; nothing is changed. Raises BadFields, and BadInput for too much at once."""
        plan = await self._plan(self._campaigns[campaign_id].key, scope, target, seed=0)
        return plan.foreseen()

    async def move(
        self, actor: Actor, campaign_id: int, scope: Scope, target: Target, key: str | None = None
    ) -> tuple[Reassigned, Foreseen]:
        """Moves them, and tells whoever got some. With a key a repeat goes on where the first was broken off, or has
        what became of it.

        Raises BadFields, and BadInput for too much at once and for a key that was used for another one.
        """
        campaign, hashed, now = self._campaigns[campaign_id], _hash_of(scope, target), self._clock.now()
        first = (
            None if key is None else await reassignments.by_key(self._database, campaign.key, actor.name, key)
        )
        if first is not None and first.result is not None and first.request_hash == hashed:
            return _as_first_told(first)  # whatever has become of it, and of whom it names, since
        [fresh_id] = await self._ids.take(1)
        plan = await self._plan(campaign.key, scope, target, seed=fresh_id)  # what can't be is refused before
        begun = await reassignments.begin(
            self._database, campaign.key, fresh_id, actor.name, now, key, hashed
        )
        if begun.request_hash != hashed:
            raise BadInput("it was used for another reassignment", "Idempotency-Key", "give each its own")
        if begun.reassignment_id != fresh_id:
            plan = await self._plan(campaign.key, scope, target, seed=begun.reassignment_id)
            plan = await self._with_moved(campaign.key, begun, plan)
        if begun.result is None:
            await self._carry_out(actor, campaign_id, begun, scope, plan)
        ended = await reassignments.show(self._database, campaign.key, begun.reassignment_id)
        assert ended is not None  # it was begun
        assert ended.result is not None  # and carried out
        return _as_first_told(ended)

    async def hand_back(self, actor: Actor, campaign_id: int, action_id: int) -> Reassigned:
        """All of a volunteer's own threads and contacts of an action go to its creator, who is told (F196, F197).

        Raises NoPerson for an API key, NoAction.
        """
        scope, key = Scope(from_id=person(actor), action_id=action_id), self._campaigns[campaign_id].key
        if await campaign_actions.find(self._database, key, action_id) is None:
            raise NoAction(action_id)
        return (await self.move(actor, campaign_id, scope, Target(creators=True)))[0]

    async def hand_back_one(
        self, actor: Actor, campaign_id: int, contact_id: int, revision: int
    ) -> Conversation:
        """One thread goes to its action's creator, who is told (F195, F197).

        Raises NoConversation, ConversationChanged, and BadInput: there is nobody to give it to, or nobody who may have it.
        """
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        conversation = await whose.own(self._database, campaign, actor, Act.ANSWER, contact_id)
        user_id = await self._creator(campaign.key, conversation.action_id)
        if await abuse.was_reported_by(self._database, campaign.key, contact_id, user_id):
            raise BadInput(
                "whoever made its action reported this person for abuse",
                "campaign",
                "hand it over to another",
            )
        [notice_id] = await self._ids.take(1)
        notice = UserNotice(
            notice_id=notice_id,
            user_id=user_id,
            kind="handed_over",
            title="A conversation was handed to you",
            body="",
            about={"contact_id": contact_id},
            at=now,
        )
        async with self._database.transaction() as transaction:
            moved = await threads.hand_over(transaction, campaign.key, contact_id, revision, user_id, now)
            if not moved:
                raise ConversationChanged
            await user_notices.tell(transaction, campaign.key, [notice])
        self._bank.changed_hands(campaign_id)
        return await whose.now(self._database, campaign, contact_id)

    async def to_staff(
        self,
        actor: Actor,
        campaign_id: int,
        conversation: Conversation,
        staff: Sequence[int],
        *,
        but: int,
        along: Callable[[Connection], Awaitable[None]],
    ) -> None:
        """A person, in every action, becomes the creator's of the last one, or else some other staff's (F126); why is
        written `along` with it."""
        key, now = self._campaigns[campaign_id].key, self._clock.now()
        creator = await self._creator(key, conversation.action_id)
        to = next((each for each in (creator, *staff) if each != but), creator)
        scope = Scope(contact_ids=(conversation.contact_id,))
        [reassignment_id] = await self._ids.take(1)
        begun = await reassignments.begin(
            self._database, key, reassignment_id, actor.name, now, None, _hash_of(scope, Target(user_id=to))
        )
        moves = [Move(conversation.contact_id, to)]
        await reassignments.move(self._database, key, begun, scope, moves, now, along=along)
        self._bank.changed_hands(campaign_id)

    async def _creator(self, key: CampaignKey, action_id: int | None) -> int:
        found = await creators.creators(self._database, key, [action_id] if action_id else [])
        user_id = next(iter(found.values()), None) or await creators.an_admin(self._database, key)
        if user_id is None:
            raise BadInput("the campaign has no admin to hand over to", "campaign", "make somebody admin")
        return user_id

    async def _carry_out(
        self, actor: Actor, campaign_id: int, begun: Begun, scope: Scope, plan: _Plan
    ) -> None:
        key = self._campaigns[campaign_id].key
        await reassignments.forget(self._database, key, begun.at - 2 * UNDO_S)
        moves = [Move(contact_id, user_id) for contact_id, user_id in plan.split.pairs]
        for piece in _pieces(moves):
            await reassignments.move(self._database, key, begun, scope, piece, self._clock.now())
        self._bank.changed_hands(campaign_id)
        await self._tell(actor, key, begun, scope, plan)

    async def _tell(self, actor: Actor, key: CampaignKey, begun: Begun, scope: Scope, plan: _Plan) -> None:
        """In one transaction with its end, so that nobody is told twice."""
        shares, now = plan.split.shares, self._clock.now()
        told = dict(list(shares.items())[:_TOLD_SHARES])
        notices = [
            UserNotice(
                notice_id=notice_id,
                user_id=user_id,
                kind="reassigned",
                title="Contacts were handed to you",
                body=f"{shares[user_id]} contacts are yours now.",
                about={"reassignment_id": begun.reassignment_id, "contacts": shares[user_id]},
                at=now,
            )
            for notice_id, user_id in zip(await self._ids.take(len(shares)), sorted(shares), strict=True)
        ]
        async with self._database.transaction() as transaction:
            moved = await reassignments.done(
                transaction, key, begun.reassignment_id, as_json(plan.foreseen())
            )
            if moved is None:
                return
            after = {"reassignment_id": begun.reassignment_id, "moved": moved, "shares": told}
            lines = {"before": as_json(_told(scope)), "after": as_json(after)}
            await audit_log.write(transaction, key, now, actor.name, "contacts reassigned", **lines)
            if moved:
                await user_notices.tell(transaction, key, notices)

    # ---------------------------------------------------------------- foreseen

    async def _plan(self, key: CampaignKey, scope: Scope, target: Target, *, seed: int) -> _Plan:
        people = await self._people(key, scope, target)
        found = {
            each.contact_id: each
            for each in await reassignments.find(self._database, key, scope, MOST_MOVED + 1)
        }
        if len(found) > MOST_MOVED:
            raise BadInput(
                f"more than {MOST_MOVED} contacts are meant", "scope", "narrow it, by list or action"
            )
        barred = await reassignments.barred(self._database, key, list(found))
        if target.creators:
            actions = {each.contact_id: each.action_id or scope.action_id for each in found.values()}
            known = await creators.creators(
                self._database, key, sorted({each for each in actions.values() if each})
            )
            otherwise = await creators.an_admin(self._database, key)
            return _Plan(found, to_creators(actions, known, otherwise, barred))
        volunteers = set(people) - await user_lists.staff(self._database, key, people)
        for each in found.values():
            if each.staff_only:
                barred.setdefault(each.contact_id, set()).update(volunteers)
        return _Plan(found, split(list(found), people, seed, barred))

    async def _with_moved(self, key: CampaignKey, begun: Begun, plan: _Plan) -> _Plan:
        """The whole of one that was broken off: a scope may mean no more whom it has moved already."""
        moved = await reassigned.so_far(self._database, key, begun.reassignment_id)
        scope = Scope(contact_ids=tuple(moved))
        known = await reassignments.find(self._database, key, scope, len(moved)) if moved else []
        found = {**plan.found, **{each.contact_id: each for each in known}}
        pairs = dict(plan.split.pairs) | {each.contact_id: moved[each.contact_id] for each in known}
        return _Plan(found, msgspec.structs.replace(plan.split, pairs=sorted(pairs.items())))

    async def _people(self, key: CampaignKey, scope: Scope, target: Target) -> list[int]:
        """Whom the target names. Raises BadFields."""
        faults = list(_faults(scope, target))
        if faults:
            raise BadFields(faults)
        if target.user_list_id is not None:
            listed = await user_lists.everybody(self._database, key, target.user_list_id, MOST_MEMBERS)
            people, where = [each for each in listed if each != scope.from_id], "to_user_list_id"
        else:
            wanted = [] if target.user_id is None else [target.user_id]
            people, where = sorted(await user_lists.active(self._database, key, wanted)), "to_user_id"
        if not people and not target.creators:
            raise BadFields([(where, "nobody who is active in the campaign is meant")])
        return people

    # ---------------------------------------------------------------- undone

    async def page(self, campaign_id: int, cursor: str | None, limit: int) -> ReassignmentPage:
        """At most `limit`, the newest first. Raises BadInput for a cursor of another list."""
        key, now = self._campaigns[campaign_id].key, self._clock.now()
        rows = await reassignments.page(self._database, key, before(cursor), limit + 1)
        shown, after = page_of(rows, limit, lambda each: AtPlace(each.at, each.reassignment_id))
        return ReassignmentPage([_view(each, now) for each in shown], after)

    async def undo(self, actor: Actor, campaign_id: int, reassignment_id: int) -> Undone:
        """Each contact to which nothing has happened since goes back to whoever had it; the others stay, and are told.

        Raises NoReassignment and TooLate.
        """
        key, now = self._campaigns[campaign_id].key, self._clock.now()
        async with self._database.transaction() as transaction:
            begun = await reassignments.show(transaction, key, reassignment_id)
            if begun is None:
                raise NoReassignment(reassignment_id)
            if now > begun.at + UNDO_S or not await reassignments.close(
                transaction, key, reassignment_id, now
            ):
                raise TooLate
            after = as_json({"reassignment_id": reassignment_id})
            await audit_log.write(transaction, key, now, actor.name, "reassignment undone", after=after)
        undone = await reassignments.undo(self._database, key, reassignment_id, now)
        self._bank.changed_hands(campaign_id)
        return undone


def _faults(scope: Scope, target: Target) -> list[tuple[str, str]]:
    faults = []
    if scope == Scope():
        faults.append(
            ("scope", "say which contacts: from_user_id, contact_ids, list_id, tag_id or action_id")
        )
    if [target.user_id is not None, target.user_list_id is not None, target.creators].count(True) != 1:
        faults.append(("to_user_id", "give one of to_user_id, to_user_list_id and to_creators"))
    if target.user_id is not None and target.user_id == scope.from_id:
        faults.append(("to_user_id", "they have them already"))
    return faults


def _hash_of(scope: Scope, target: Target) -> int:
    digest = hashlib.blake2b(msgspec.json.encode((scope, target)), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _pieces(moves: Sequence[Move]) -> list[list[Move]]:
    return [list(moves[begin : begin + _AT_ONCE]) for begin in range(0, len(moves), _AT_ONCE)]


def _as_first_told(begun: Begun) -> tuple[Reassigned, Foreseen]:
    """As it was answered when all was moved."""
    assert begun.result is not None
    first = msgspec.structs.replace(begun, undone_at=None)
    return _view(first, begun.at), msgspec.json.decode(begun.result, type=Foreseen)


def _view(begun: Begun, now: float) -> Reassigned:
    until = begun.at + UNDO_S
    return Reassigned(
        reassignment_id=begun.reassignment_id,
        at=begun.at,
        who=begun.who,
        moved=begun.moved,
        is_done=begun.result is not None,
        undone_at=begun.undone_at,
        undo_until=until if begun.undone_at is None and now <= until else None,
    )


def _told(scope: Scope) -> dict[str, object]:
    """Of chosen contacts how many, not which: the reassignment knows."""
    told = {name: value for name, value in msgspec.structs.asdict(scope).items() if value}
    if scope.contact_ids:
        told["contact_ids"] = len(scope.contact_ids)
    return told
