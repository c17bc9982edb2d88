"""Text these again: people whom a code stopped become a contact list, for an action of its own (N16).

Only codes after which the text certainly did not reach the phone are taken. Who has left, is held by a failure that still
counts (1204, 1205), was reached after all or may still be is left out, and told; so is who stands on an earlier list of the
action: two lists would become two texts. The safeguards look again at each send.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.core.bank.results import may_text_again
from gateway.core.rules.errors import BadInput, TextbankError
from gateway.p2p.results import NoResults
from gateway.pipeline.campaigns import Campaign
from gateway.store import audit_log, contact_lists, results, text_again
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.text_again import Stopped

LOOK_AT: Final = 2_000
_STATEMENT_S: Final = 30.0
_JOIN_AT_ONCE: Final = 5_000


class ListNameTaken(TextbankError):
    """The campaign has a contact list of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a contact list named '{name}' already: give another name")


class TextedAgain(msgspec.Struct, frozen=True, kw_only=True):
    """How many people the list has, and how many were left out because of what: `listed` are on an earlier list of those
    to be texted again. `list_id` None: it was only counted."""

    list_id: int | None
    people: int
    opted_out: int
    held: int
    reached: int
    gone: int
    listed: int


class TextAgain:
    """Makes lists of people whom a code stopped. `now` tells Unix seconds."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._ids = Ids(database)

    async def make_list(
        self, who: str, campaign: Campaign, action_id: int, codes: Sequence[int], name: str, *, dry_run: bool
    ) -> TextedAgain:
        """Raises NoResults; ListNameTaken; BadInput for a code after which nobody may be texted again."""
        if await results.beside(self._database, campaign.key, action_id) is None:
            raise NoResults(action_id)
        _check(codes)
        taken = await contact_lists.by_name(self._database, campaign.key, name)
        if taken is not None and not dry_run:
            raise ListNameTaken(name)
        found = await self._stopped(campaign, action_id, codes)
        people = sorted(each.contact_id for each in found.values() if _why_not(each) is None)
        list_id, count = None, len(people)
        if not dry_run:
            list_id, count = await self._store(who, campaign, action_id, codes, name, people)
        why_not = [_why_not(each) for each in found.values()]
        return TextedAgain(
            list_id=list_id,
            people=count,
            opted_out=why_not.count("opted_out"),
            held=why_not.count("held"),
            reached=why_not.count("reached"),
            gone=why_not.count("gone"),
            listed=why_not.count("listed") + len(people) - count,
        )

    async def _stopped(self, campaign: Campaign, action_id: int, codes: Sequence[int]) -> dict[int, Stopped]:
        """Everybody whom one of the codes stopped, each once."""
        found: dict[int, Stopped] = {}
        after_id: int | None = 0
        async with self._database.patient(_STATEMENT_S) as patient:
            while after_id is not None:
                piece = await text_again.piece(
                    patient,
                    campaign.key,
                    campaign.opt_out_scope,
                    action_id,
                    codes,
                    self._now(),
                    after_id=after_id,
                    look_at=LOOK_AT,
                )
                found.update({each.contact_id: each for each in piece.stopped})
                after_id = piece.last_id
        return found

    async def _store(
        self,
        who: str,
        campaign: Campaign,
        action_id: int,
        codes: Sequence[int],
        name: str,
        people: Sequence[int],
    ) -> tuple[int, int]:
        """The list and how many it has: whom another list has taken meanwhile, it has not."""
        [list_id] = await self._ids.take(1)
        now, what = self._now(), {"list_id": list_id, "action_id": action_id, "codes": sorted(codes)}
        count = 0
        async with self._database.transaction() as transaction:
            await text_again.take_turns(transaction, campaign.key, action_id)
            if not await contact_lists.make(transaction, campaign.key, list_id, name, now):
                raise ListNameTaken(name)
            for begin in range(0, len(people), _JOIN_AT_ONCE):
                some = people[begin : begin + _JOIN_AT_ONCE]
                count += await text_again.join(transaction, campaign.key, list_id, some, action_id)
            await text_again.belongs_to(transaction, campaign.key, list_id, action_id)
            await contact_lists.grow(transaction, campaign.key, list_id, count)
            told = msgspec.json.encode(what | {"people": count}).decode()
            await audit_log.write(transaction, campaign.key, now, who, "text again", after=told)
        return list_id, count


def _why_not(stopped: Stopped) -> str | None:
    """Why somebody is left out; None: they may be texted again."""
    if stopped.is_gone:
        return "gone"
    if stopped.opted_out:
        return "opted_out"
    if stopped.has_it:
        return "reached"
    if stopped.is_listed:
        return "listed"
    return "held" if stopped.is_held else None


def _check(codes: Sequence[int]) -> None:
    for code in codes:
        if not may_text_again(code):
            raise BadInput(
                f"after code {code} nobody may be texted again", "codes", "leave it out, and read its cure"
            )
