"""The volunteers' phones: their side of the real text bank, and a log of who was given whom."""

import asyncio
from array import array
from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import inf
from typing import NamedTuple, TypeVar

import simpy

from gateway.app import Gateway
from gateway.core.bank.labels import Marks
from gateway.core.bank.permissions import Actor, Role
from gateway.core.rules.lifecycle import State
from gateway.p2p.buckets import Item, Press, ScriptChanged, Volunteer
from gateway.p2p.inbox import Answer, NoConversation
from gateway.pipeline.admission import ConversationChanged, Outcome
from gateway.store.conversations import Attention
from simulator.audit.figures import Presses
from simulator.model.draws import Draws
from simulator.model.ledger import Table
from simulator.model.volunteers import Waiting
from simulator.model.wording import key_of
from simulator.rehearsal.loop import VirtualLoop

OWN_TAKE_OVER_S = 3600.0  # a texting volunteer answers for others after an hour (rivals: 60-90 min)
DESK_TAKE_OVER_S = 600.0
INBOX_LIMIT = 20
_SAME_TEXT = 1001
WITNESSED_STATES = tuple(State)

Value = TypeVar("Value")


class _Dropped(Exception):
    """The gateway is down, or crashed before it answered."""


class _Press(NamedTuple):
    """A press of Send that waits to be acknowledged."""

    volunteer: int
    item: Item
    at: float


class ClientLog:
    """What volunteers saw and did: contacts given and taken back, each press of Send with its answer, each look at the
    inbox with what it showed, and whom they marked as opted out. Times in seconds of the world.
    """

    def __init__(self) -> None:
        self.claims = Table("at:d volunteer:i contact:q change:b")
        self.empty_claims = Table("at:d volunteer:i")
        # `took_s` since the first press; `response` is the canned response that was pressed; -1: a first text, of which
        # `variant` was on the screen
        self.acknowledgements = Table(
            "message_id:q at:d took_s:f volunteer:i contact:q response:b variant:B state:B"
        )
        self.looks = Table("asked_at:d at:d volunteer:i shown:B")
        self.shown = Table("at:d contact:q text:I volunteer:i")  # the key of the words
        self.marks = Table("asked_at:d at:d contact:q")  # at inf: nobody answered
        self.marking: set[tuple[float, int]] = set()  # asked for when, and whom: no answer yet
        self.errors = Table("contact:q")  # presses that ended in an error
        # presses of which nobody knows whether they were taken
        self.unsure_presses = Table("at:d volunteer:i contact:q response:b variant:B")
        self.pressed = 0
        self.blocked = 0
        self.first_error = ""

    def holds(self, at: float, volunteer: int, contact_id: int, change: int) -> None:
        """+1: the volunteer has the contact; -1: no more."""
        self.claims.append(at, volunteer, contact_id, change)

    def acknowledged(
        self,
        at: float,
        volunteer: int,
        contact_id: int,
        outcome: Outcome,
        *,
        pressed_at: float,
        response: int = -1,
        variant: int = 0,
    ) -> None:
        state = WITNESSED_STATES.index(outcome.state)
        self.acknowledgements.append(
            outcome.message_id, at, at - pressed_at, volunteer, contact_id, response, variant, state
        )
        self.blocked += outcome.state is State.BLOCKED

    def looked(self, asked_at: float, at: float, volunteer: int, found: Sequence[Attention]) -> None:
        """A look at the inbox, and what it put on the volunteer's screen."""
        self.looks.append(asked_at, at, volunteer, len(found))
        for each in found:
            self.shown.append(at, each.contact_id, key_of(each.body), volunteer)

    def marked(self, asked_at: float, at: float, contact_id: int) -> None:
        """A volunteer marked a person as opted out."""
        self.marking.discard((asked_at, contact_id))
        self.marks.append(asked_at, at, contact_id)

    def unsure(self, at: float, volunteer: int, contact_id: int, response: int, variant: int = 0) -> None:
        """Send was pressed, and what came of it is not known."""
        self.unsure_presses.append(at, volunteer, contact_id, response, variant)

    def refused(
        self,
        at: float,
        volunteer: int,
        contact_id: int,
        error: BaseException,
        response: int = -1,
        variant: int = 0,
    ) -> None:
        """A press of Send ended in an error, which is a defect of the gateway; its text may go out all the same."""
        self.unsure(at, volunteer, contact_id, response, variant)
        self.errors.append(contact_id)
        self.first_error = self.first_error or f"{type(error).__name__}: {error}"


class BankOfVolunteers:
    """Implements `simulator.model.volunteers.Bank` over a gateway's text bank; `texting` volunteers text, the rest answer."""

    def __init__(
        self,
        loop: VirtualLoop,
        gateway: Callable[[], Gateway | None],
        draws: Draws,
        *,
        campaign_id: int,
        action_id: int,
        contacts: int,
        bucket: int,
        first_names: Sequence[str],
    ) -> None:
        self._loop = loop
        self._living = gateway  # the gateway may crash and come back: the one that lives, or none
        self._unsent: list[_Press] = []
        self._unreleased: list[tuple[int, Sequence[Item]]] = []
        # Who waits for the gateway to come back.
        self._away: list[asyncio.Future[None]] = []
        self._campaign_id = campaign_id
        self._action_id = action_id
        self._bucket = bucket
        self._first_names = first_names
        self._volunteers: dict[int, Volunteer] = {}
        self._newest: dict[
            int, int | None
        ] = {}  # of each volunteer the last bucket that their phone has seen
        self._script_luck = draws.stream("bank/script")
        self._holder = array("i", [-1]) * (contacts + 1)
        self._free = contacts
        self.texting = 0
        self.client_log = ClientLog()
        self.opt_outs_manual = 0

    @property
    def finished(self) -> bool:
        return self._free <= 0

    # ------------------------------------------------------------ buckets

    def claim(self, volunteer: int) -> simpy.Event:
        return self._loop.event_of(self._claim(volunteer))

    async def _claim(self, volunteer: int) -> list[Item]:
        """While the gateway is away the phone waits, and then asks again: a claim whose answer got lost is given again."""
        while True:
            try:
                return await self._claim_now(volunteer)
            except _Dropped:
                back: asyncio.Future[None] = self._loop.create_future()
                self._away.append(back)
                await back

    async def _claim_now(self, volunteer: int) -> list[Item]:
        asked_at = self._loop.time()
        bucket = await _answered(
            self._gateway().buckets.claim(
                self._campaign_id,
                self._action_id,
                self._volunteer(volunteer),
                known=self._newest.get(volunteer),
                size=self._bucket,
                luck=self._script_luck,
            )
        )
        for item in bucket.items:
            self._given(item.contact_id, volunteer)
        self._free -= len(bucket.items)
        if bucket.items:
            self._newest[volunteer] = bucket.bucket_id
        else:
            self.client_log.empty_claims.append(asked_at, volunteer)
        return bucket.items

    def _volunteer(self, number: int) -> Volunteer:
        if number not in self._volunteers:
            words = {"first_name": self._first_names[number % len(self._first_names)]}
            self._volunteers[number] = Volunteer(number, words)
        return self._volunteers[number]

    def release(self, volunteer: int, items: Sequence[object]) -> simpy.Event:
        return self._loop.event_of(self._release(volunteer, [i for i in items if isinstance(i, Item)]))

    async def _release(self, volunteer: int, items: Sequence[Item]) -> int:
        if not items:
            return 0
        for item in items:  # before the gateway knows: it must not give them to others earlier
            self._given_back(item.contact_id)
        try:
            freed = await _answered(
                self._gateway().buckets.done(
                    self._campaign_id,
                    self._action_id,
                    self._volunteer(volunteer),
                    [item.contact_id for item in items],
                )
            )
        except _Dropped:
            self._unreleased.append((volunteer, items))
            return 0
        self._free += freed
        return freed

    def _given(self, contact_id: int, volunteer: int) -> None:
        """The gateway gave a contact to a volunteer, whoever had it before: two holders are the auditor's to see."""
        if self._holder[contact_id] != volunteer:
            self.client_log.holds(self._loop.time(), volunteer, contact_id, 1)
            self._holder[contact_id] = volunteer

    def _given_back(self, contact_id: int) -> None:
        holder = self._holder[contact_id]
        if holder >= 0:
            self.client_log.holds(self._loop.time(), holder, contact_id, -1)
            self._holder[contact_id] = -1

    def _taken_over(self, contact_id: int, volunteer: int) -> None:
        """The inbox hands a conversation on; who had it has it no more."""
        if self._holder[contact_id] != volunteer:
            self._given_back(contact_id)
            self._given(contact_id, volunteer)

    # ------------------------------------------------------------ texts

    def send(self, volunteer: int, item: object) -> None:
        assert isinstance(item, Item)
        self.client_log.pressed += 1
        self._send(_Press(volunteer, item, self._loop.time()))

    def _send(self, press: _Press) -> None:
        gateway = self._living()
        if gateway is None:
            self._unsent.append(press)
            return
        item = press.item
        sent = gateway.buckets.send(
            self._campaign_id,
            self._action_id,
            self._volunteer(press.volunteer),
            Press(item.contact_id, item.script, item.text_hash),
        )
        sent.add_done_callback(partial(self._acknowledge, press))

    def _acknowledge(self, press: _Press, sent: "Future[Outcome]") -> None:
        contact_id = press.item.contact_id
        if sent.cancelled():  # the gateway crashed before it was durable
            self._unsent.append(press)
        elif isinstance(error := sent.exception(), ScriptChanged):  # seen, and pressed anew
            self._send(press._replace(item=error.item))
        elif error is not None:
            self.client_log.refused(
                self._loop.time(), press.volunteer, contact_id, error, variant=_variant_of(press.item)
            )
        else:
            self.client_log.acknowledged(
                self._loop.time(),
                press.volunteer,
                contact_id,
                sent.result(),
                pressed_at=press.at,
                variant=_variant_of(press.item),
            )

    def reconnect(self) -> None:
        """The gateway is back: what nobody answered is pressed again, as the volunteers' phones do by themselves."""
        unsent, self._unsent = self._unsent, []
        for press in unsent:
            self._send(press)
        unreleased, self._unreleased = self._unreleased, []
        for volunteer, items in unreleased:
            self.release(volunteer, items)
        away, self._away = self._away, []
        for waiting in away:
            waiting.set_result(None)

    def presses(self) -> Presses:
        """What became of the presses without an acknowledgement; asked for when the day is over."""
        return Presses(len(self._unsent), len(self.client_log.errors), self.client_log.first_error)

    def _gateway(self) -> Gateway:
        gateway = self._living()
        if gateway is None:
            raise _Dropped
        return gateway

    def inbox(self, volunteer: int) -> simpy.Event:
        return self._loop.event_of(self._inbox(volunteer))

    async def _inbox(self, volunteer: int) -> list[Waiting]:
        at_desk = volunteer >= self.texting
        asked_at = self._loop.time()
        try:
            found = await _answered(
                self._gateway().bank.inbox(
                    self._campaign_id,
                    self._action_id,
                    volunteer,
                    take_over_s=DESK_TAKE_OVER_S if at_desk else OWN_TAKE_OVER_S,
                    limit=INBOX_LIMIT,
                )
            )
        except _Dropped:
            return []
        self.client_log.looked(asked_at, self._loop.time(), volunteer, found)
        for each in found:
            self._taken_over(each.contact_id, volunteer)
        return [_waiting(each) for each in found]

    def answer(self, volunteer: int, waiting: Waiting, response: int) -> simpy.Event:
        return self._loop.event_of(self._answer(volunteer, waiting, response))

    async def _answer(self, volunteer: int, waiting: Waiting, response: int) -> bool:
        contact_id = _contact_of(waiting)
        self.client_log.pressed += 1
        try:
            return await self._answer_now(volunteer, waiting, response)
        except _Dropped:  # the conversation still waits, for this volunteer or another
            self.client_log.unsure(self._loop.time(), volunteer, contact_id, response)
            return False
        except (
            ConversationChanged,
            NoConversation,
        ):  # nothing was sent: there is more to read, or it is another's
            self.client_log.pressed -= 1
            return False
        except Exception as error:  # noqa: BLE001 - the volunteer sees an error page and goes on
            self.client_log.refused(self._loop.time(), volunteer, contact_id, error, response)
            return False

    async def _answer_now(self, volunteer: int, waiting: Waiting, response: int) -> bool:
        pressed_at, contact_id = self._loop.time(), _contact_of(waiting)
        entered = await _answered(
            self._gateway().inbox.answer(
                Actor(Role.VOLUNTEER, user_id=volunteer),
                self._campaign_id,
                contact_id,
                Answer(revision=_revision_of(waiting), response=f"response-{response + 1}"),
            )
        )
        outcome = await _answered(entered)
        self.client_log.acknowledged(
            self._loop.time(), volunteer, contact_id, outcome, pressed_at=pressed_at, response=response
        )
        if outcome.code == _SAME_TEXT:  # the answer was given before: nothing more to say
            return await self._report(volunteer, waiting)
        return outcome.admitted

    async def _report(self, volunteer: int, waiting: Waiting) -> bool:
        """There is nothing more to say: it is reported, which closes what was to be answered (C9).

        The thread is read once more for it, as a phone does after an answer.
        """
        where = Actor(Role.VOLUNTEER, user_id=volunteer), self._campaign_id, _contact_of(waiting)
        try:
            thread = await _answered(self._gateway().inbox.thread(*where, None, 1))
            revision = thread.conversation.revision
            await _answered(self._gateway().reports.file(*where, Marks(), revision=revision))
        except (ConversationChanged, NoConversation):  # there is more to read, or it is another's
            return False
        return True

    def opt_out(self, volunteer: int, waiting: Waiting) -> simpy.Event:
        return self._loop.event_of(self._opt_out(volunteer, _contact_of(waiting)))

    async def _opt_out(self, volunteer: int, contact_id: int) -> bool:
        asked_at, actor = self._loop.time(), Actor(Role.VOLUNTEER, user_id=volunteer)
        self.client_log.marking.add((asked_at, contact_id))
        try:
            self.opt_outs_manual += await _answered(
                self._gateway().inbox.opt_out(actor, self._campaign_id, contact_id)
            )
        except NoConversation:  # another's by now: whoever has it does it
            self.client_log.marking.discard((asked_at, contact_id))
            return False
        except _Dropped:  # still in the inbox: whoever looks next does it
            self.client_log.marked(asked_at, inf, contact_id)
            return False
        self.client_log.marked(asked_at, self._loop.time(), contact_id)
        return True


async def _answered(work: Awaitable[Value]) -> Value:
    """What the gateway says; raises _Dropped when it crashed meanwhile. Our own end stays a cancellation."""
    try:
        return await work
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise _Dropped from None


def _variant_of(item: Item) -> int:
    """Which of the action's first texts was on the screen, from 0: they are called `initial-1` and so on."""
    return int(item.script.rpartition("-")[2]) - 1


class _OnScreen(Waiting, frozen=True):
    """A conversation as the inbox showed it, of this revision: it travels with the answer."""

    revision: int = 0


def _waiting(attention: Attention) -> _OnScreen:
    return _OnScreen(
        attention.contact_id,
        attention.body,
        attention.suggests_opt_out,
        attention.wrong_number,
        attention.known.revision,
    )


def _contact_of(waiting: Waiting) -> int:
    assert isinstance(waiting.conversation, int)
    return waiting.conversation


def _revision_of(waiting: Waiting) -> int:
    assert isinstance(waiting, _OnScreen)
    return waiting.revision
