"""Buckets: a volunteer claims people to text, sees each text before it goes, and sends it with one press (F177 to F184,
F210, F211, C13, C22, C23).

The server renders and the server decides. A press names the person, the script and the hash of the text that was on the
screen; when that is not what would be sent, nothing is.
"""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.rules.errors import TextbankError
from gateway.core.rules.hours import Shut, verdict
from gateway.core.rules.idempotency import Key
from gateway.core.rules.safeguards import GATEWAY, Kind, Request
from gateway.p2p.bank import Action, TextBank, variables_of
from gateway.p2p.bucket_refusals import ActionOver, BroadcastsGoByThemselves, NoContact
from gateway.p2p.compiled import Compiled, ReadyScript
from gateway.p2p.shared_claims import SharedClaims, Where
from gateway.p2p.shared_looks import SharedLooks
from gateway.p2p.variants import Luck, drawn, luck_of, named
from gateway.pipeline.admission import Admission, Outcome
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import buckets
from gateway.store.buckets import NOBODY, Assigned, Claimed, Standing, Wanted
from gateway.store.database import Database

_SHOWN: Final = 50_000  # texts that this worker put on screens, and remembers
_HASH_BYTES: Final = 8
_MOST_HELD_TOLD: Final = 1_000


class Volunteer(msgspec.Struct, frozen=True):
    """Who texts; `words` are what scripts may say of them, as `first_name`."""

    volunteer_id: int
    words: Mapping[str, str] = {}


class Item(msgspec.Struct, frozen=True, gc=False):
    """A contact of a volunteer's bucket with the text that is about to be sent, its pictures, and the hash of both.

    `revision`: of the conversation with this person; 0: there is none yet.
    """

    contact_id: int
    body: str
    media: tuple[str, ...]
    script: str
    text_hash: str
    first_name: str
    hours_group: str
    revision: int


class Bucket(msgspec.Struct, frozen=True):
    """A volunteer's people in their order; `bucket_id` None: there are none."""

    bucket_id: int | None
    items: list[Item]


class Press(msgspec.Struct, frozen=True, gc=False):
    """What a volunteer had on the screen when they pressed Send."""

    contact_id: int
    script: str
    text_hash: str


class ScriptChanged(TextbankError):
    """The text is another one by now: look at it, and press again."""

    def __init__(self, item: Item) -> None:
        super().__init__(type(self).__doc__)
        self.item = item


class Left(msgspec.Struct, frozen=True):
    """Whom an action has left for one volunteer.

    `free_now` may be claimed at once; `free_later` have their window shut, the first of them until `opens_at` (Unix
    seconds; None: nobody waits for that); `held` are on other volunteers' screens, counted up to a thousand, and come
    back if they are not texted.
    """

    free_now: int
    free_later: int
    opens_at: float | None
    held: int

    @property
    def nobody(self) -> bool:
        """There is nobody whom this volunteer may ever get."""
        return not (self.free_now or self.free_later or self.held)


class _Shown(msgspec.Struct, frozen=True, gc=False):
    """A text on a volunteer's screen, and of which scripts it was made."""

    item: Item
    volunteer_id: int
    carrier: str | None
    texts: Compiled


class Buckets:
    """Claims and presses, over admission and the store."""

    def __init__(
        self, database: Database, campaigns: Campaigns, admission: Admission, clock: Clock, bank: TextBank
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._admission = admission
        self._clock = clock
        self._bank = bank
        self._shown: OrderedDict[tuple[int, int, int], _Shown] = OrderedDict()
        self._anew: set[asyncio.Task[Outcome]] = set()
        self._claims = SharedClaims(self._claim)
        self._standings = SharedLooks[Standing]()

    def close(self) -> None:
        """Stops at once: presses that are still being looked at were not acknowledged, and claims not answered."""
        self._claims.close()
        for task in self._anew:
            task.cancel()

    async def require_action(self, campaign_id: int, action_id: int) -> None:
        """Raises BadInput unless there is such an action, and it is published."""
        await self._bank.action(campaign_id, action_id)

    # ------------------------------------------------------------ whom

    async def take(
        self,
        campaign_id: int,
        action_id: int,
        volunteer: Volunteer,
        *,
        after: int | None = None,
        size: int | None = None,
    ) -> Bucket:
        """Start (F178), or with `after`, the bucket that was finished, Text Again (F179); pressed twice as good as once.

        Start gives what the volunteer has and has not pressed yet, or else a new bucket.
        """
        known = after
        if after is None:
            mine, known = await self._mine(campaign_id, action_id, volunteer)
            if mine.items:
                return mine
        bucket = await self.claim(campaign_id, action_id, volunteer, known=known, size=size)
        while bucket.bucket_id is not None and not bucket.items:  # all of it was pressed on another screen
            bucket = await self.claim(campaign_id, action_id, volunteer, known=bucket.bucket_id, size=size)
        return bucket

    async def mine(self, campaign_id: int, action_id: int, volunteer: Volunteer) -> Bucket:
        """What the volunteer has and has not pressed yet, in the order in which it was given."""
        return (await self._mine(campaign_id, action_id, volunteer))[0]

    async def claim(
        self,
        campaign_id: int,
        action_id: int,
        volunteer: Volunteer,
        *,
        known: int | None,
        size: int | None = None,
        luck: Luck | None = None,
    ) -> Bucket:
        """The bucket after the `known` one: people whose lawful window is open, their texts rendered (F179).

        The repeat of a claim gives the same bucket: one that is newer than the known one is given again. `size` None:
        what the action says, or else the campaign (F180).
        """
        campaign, action = self._campaigns[campaign_id], await self._bank.action(campaign_id, action_id)
        if (action.texts.settings.kind == "broadcast") is not (volunteer.volunteer_id == GATEWAY):
            raise BroadcastsGoByThemselves
        size = size or action.texts.settings.bucket_size or campaign.settings.bucket_size
        whose = volunteer.volunteer_id
        if known is not None:
            known = await buckets.finish(self._database, campaign.key, action_id, whose, known)
        claimed = await self._claims.claim((campaign_id, action_id), Wanted(whose, known, size))
        ids = claimed.contact_ids
        people = await self._about(campaign, action_id, ids, whose, just_given=claimed.is_new)
        if not claimed.is_new:
            people = [each for each in people if _is_on(each, volunteer)]
        return Bucket(claimed.bucket_id, self._show(action, volunteer, people, luck))

    async def _claim(self, where: Where, wanted: list[Wanted]) -> list[Claimed]:
        campaign, action = self._campaigns[where[0]], await self._bank.action(*where)
        now = self._clock.now()
        open_groups = self._bank.open_groups(*where, now, "initial")
        if not open_groups:
            return [NOBODY] * len(wanted)
        return await buckets.claim(
            self._database,
            campaign.key,
            action.action_id,
            wanted,
            open_groups=open_groups,
            now=now,
            look_at=now + campaign.settings.idle_bucket_s,
            fronts=action.fronts,
        )

    async def done(
        self,
        campaign_id: int,
        action_id: int,
        volunteer: Volunteer,
        contact_ids: Sequence[int] | None = None,
    ) -> int:
        """The volunteer stops (F211): of these contacts, or of all, those not texted yet are for others again.

        Returns how many. Whoever names them leaves out the presses that are still under way.
        """
        key = self._campaigns[campaign_id].key
        who, now = (key, action_id, volunteer.volunteer_id), self._clock.now()
        if contact_ids is None:
            freed = await buckets.give_back(self._database, *who, now)
        else:
            freed = await buckets.release(self._database, *who, contact_ids, now)
        self.given_back(campaign_id, [(action_id, contact_id) for contact_id in freed])
        return len(freed)

    def given_back(self, campaign_id: int, freed: Sequence[tuple[int, int]]) -> None:
        """Contacts are for others again, each with its action before it: nobody has them on a screen."""
        for action_id in {action_id for action_id, _ in freed}:
            self._bank.freed(campaign_id, action_id)
        for action_id, contact_id in freed:
            self._shown.pop((campaign_id, action_id, contact_id), None)
            self._admission.forget(campaign_id, contact_id, action_id)

    async def left(self, campaign_id: int, action_id: int, volunteer_id: int) -> Left:
        """Whom there is still for a volunteer (F162, F184)."""
        campaign = self._campaigns[campaign_id]
        await self._bank.action(campaign_id, action_id)
        now = self._clock.now()
        standing = await self._standings.look(
            (campaign_id, action_id), lambda: buckets.standing(self._database, campaign.key, action_id)
        )
        free = standing.free_for(volunteer_id)
        verdicts = {group: verdict(now, campaign.settings.hours, group) for group in free}
        shut = {group: each.opens_at for group, each in verdicts.items() if isinstance(each, Shut)}
        later = {group: at for group, at in shut.items() if at < math.inf}
        return Left(
            free_now=sum(count for group, count in free.items() if group not in shut),
            free_later=sum(free[group] for group in later),
            opens_at=min(later.values(), default=None),
            held=min(standing.held_from(volunteer_id), _MOST_HELD_TOLD),
        )

    # ------------------------------------------------------------ presses

    def send(
        self,
        campaign_id: int,
        action_id: int,
        volunteer: Volunteer,
        press: Press,
        *,
        key: Key | None = None,
    ) -> "asyncio.Future[Outcome]":
        """One press of Send; the future is done when its outcome is durable.

        It raises ScriptChanged, with the text as it is now, when that is not what was pressed, and ActionOver for an
        action that was archived: nothing was sent. A
        contact that is not the volunteer's ends in 1303 (F059), one that was texted in 1304 (F060). With a key a
        repeat has the first one's outcome, whatever has changed meanwhile. May raise what `Admission.submit` does.
        """
        shown = self._shown.get((campaign_id, action_id, press.contact_id))
        if shown is not None and self._is_current(campaign_id, action_id, volunteer, press, shown):
            return self._submit(campaign_id, action_id, volunteer, press, shown.item, key)
        anew = asyncio.ensure_future(self._send_anew(campaign_id, action_id, volunteer, press, key))
        self._anew.add(anew)
        anew.add_done_callback(self._anew.discard)
        return anew

    def _is_current(
        self, campaign_id: int, action_id: int, volunteer: Volunteer, press: Press, shown: _Shown
    ) -> bool:
        """Whether the text that this worker put on the volunteer's screen is what was pressed, of today's scripts, and not
        one that has to wait."""
        return (
            not self._campaigns[campaign_id].holds(action_id, shown.carrier, press.script)
            and shown.item.text_hash == press.text_hash
            and shown.item.script == press.script
            and shown.volunteer_id == volunteer.volunteer_id
            and self._bank.is_current(campaign_id, action_id, shown.texts)
        )

    def _submit(
        self,
        campaign_id: int,
        action_id: int,
        volunteer: Volunteer,
        press: Press,
        item: Item,
        key: Key | None,
    ) -> "asyncio.Future[Outcome]":
        request = Request(
            campaign_id=campaign_id,
            contact_id=press.contact_id,
            kind=Kind.INITIAL,
            body=item.body,
            action_id=action_id,
            sender_id=volunteer.volunteer_id,
            media=item.media,
        )
        pressed = None if key is None else _parameters(action_id, volunteer, press)
        return self._admission.submit(request, script=item.script, key=key, asked=pressed, assignee_only=True)

    async def _send_anew(
        self, campaign_id: int, action_id: int, volunteer: Volunteer, press: Press, key: Key | None
    ) -> Outcome:
        """A press on what this worker has not shown, or not so: it is read and rendered first."""
        if key is not None:
            first = await self._admission.first_outcome(
                campaign_id, key, _parameters(action_id, volunteer, press)
            )
            if first is not None:
                return first
        campaign = self._campaigns[campaign_id]
        action = await self._bank.action(campaign_id, action_id)
        if action.texts.action.archived_at is not None:
            raise ActionOver
        [person] = await self._about(campaign, action_id, [press.contact_id], volunteer.volunteer_id)
        if person.known.phone is None:
            raise NoContact(press.contact_id)
        item = _item(named(campaign, action, press.script, person), volunteer, person)
        if _is_on(person, volunteer) and (item.script, item.text_hash) != (press.script, press.text_hash):
            self._remember(action, volunteer, person, item)
            raise ScriptChanged(item)
        return await self._submit(campaign_id, action_id, volunteer, press, item, key)

    # ------------------------------------------------------------ what is on a screen

    async def _mine(
        self, campaign_id: int, action_id: int, volunteer: Volunteer
    ) -> tuple[Bucket, int | None]:
        """The volunteer's bucket, and the newest that there is."""
        campaign, action = self._campaigns[campaign_id], await self._bank.action(campaign_id, action_id)
        newest, contact_ids = await buckets.mine(
            self._database, campaign.key, action_id, volunteer.volunteer_id
        )
        people = await self._about(campaign, action_id, contact_ids, volunteer.volunteer_id)
        people = [each for each in people if _is_on(each, volunteer)]
        items = self._show(action, volunteer, people, None)
        return Bucket(newest if items else None, items), newest

    async def _about(
        self,
        campaign: Campaign,
        action_id: int,
        contact_ids: Sequence[int],
        volunteer_id: int,
        *,
        just_given: bool = False,
    ) -> list[Assigned]:
        people = await buckets.about(
            self._database,
            campaign.key,
            action_id,
            contact_ids,
            opt_out_scope=campaign.opt_out_scope,
            texts_since=self._admission.texts_since(campaign.campaign_id),
            given_to=volunteer_id if just_given else None,
        )
        if (
            volunteer_id != GATEWAY
        ):  # what a broadcast needs to know of them besides is read when it is decided
            self._admission.remember(campaign.campaign_id, action_id, [each.known for each in people])
        return people

    def _show(
        self, action: Action, volunteer: Volunteer, people: Sequence[Assigned], luck: Luck | None
    ) -> list[Item]:
        campaign, luck = self._campaigns[action.campaign_id], luck or luck_of(action)
        items = [_item(drawn(campaign, action, each, luck), volunteer, each) for each in people]
        if volunteer.volunteer_id != GATEWAY:
            for item, person in zip(items, people, strict=True):
                self._remember(action, volunteer, person, item)
        return items

    def _remember(self, action: Action, volunteer: Volunteer, person: Assigned, item: Item) -> None:
        shown = _Shown(item, volunteer.volunteer_id, person.known.carrier, action.texts)
        self._shown[action.campaign_id, action.action_id, item.contact_id] = shown
        if len(self._shown) > _SHOWN:
            self._shown.popitem(last=False)


def _is_on(person: Assigned, volunteer: Volunteer) -> bool:
    """Whether the person is on the volunteer's screen: theirs, and not texted."""
    assignee_id = GATEWAY if person.known.assignee_id is None else person.known.assignee_id
    return assignee_id == volunteer.volunteer_id and not person.known.already_sent


def _item(script: ReadyScript, volunteer: Volunteer, person: Assigned) -> Item:
    known = person.known
    sender = None if volunteer.volunteer_id == GATEWAY else volunteer.words
    body = script.render(variables_of(person), sender=sender, contact_id=known.contact_id)
    return Item(
        known.contact_id,
        body,
        script.media,
        script.name,
        text_hash(body, script.media),
        person.first_name,
        known.hours_group,
        known.revision,
    )


def text_hash(text: str, media: Sequence[str] = ()) -> str:
    """Of a text as it was on the screen, with the addresses of its pictures: 16 hexadecimal digits."""
    shown = "\n".join((text, *media)) if media else text
    return hashlib.blake2b(shown.encode(), digest_size=_HASH_BYTES).hexdigest()


def _parameters(action_id: int, volunteer: Volunteer, press: Press) -> object:
    """What a press asks for: its key stands for that."""
    return ("press", action_id, volunteer.volunteer_id, press.contact_id, press.script, press.text_hash)
