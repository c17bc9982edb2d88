"""The volunteers' phones: their side of the real text bank, and a witness of who was given whom."""

from array import array
from asyncio import Future
from collections.abc import Callable, Sequence

import simpy

from gateway.core.lifecycle import State
from gateway.p2p.bank import Item, TextBank
from gateway.pipeline.admission import Outcome
from gateway.store.conversations import Attention
from simulator.draws import Draws
from simulator.loop import VirtualLoop
from simulator.volunteers import Waiting

_OWN_TAKE_OVER_S = 3600.0  # a texting volunteer answers for others after an hour (rivals: 60-90 min)
_DESK_TAKE_OVER_S = 600.0
_INBOX_LIMIT = 10
_SAME_TEXT = 1001
WITNESSED_STATES = tuple(State)


class Witness:
    """What volunteers saw: contacts given and taken back, and the answer to each press of Send."""

    def __init__(self) -> None:
        self.claim_at = array("d")
        self.claim_volunteer = array("i")
        self.claim_contact = array("q")
        self.claim_change = array("b")
        self.message_id = array("q")
        self.message_state = array("B")
        self.pressed = 0

    def holds(self, at: float, volunteer: int, contact_id: int, change: int) -> None:
        """+1: the volunteer has the contact; -1: no more."""
        self.claim_at.append(at)
        self.claim_volunteer.append(volunteer)
        self.claim_contact.append(contact_id)
        self.claim_change.append(change)

    def acknowledged(self, outcome: Outcome) -> None:
        self.message_id.append(outcome.message_id)
        self.message_state.append(WITNESSED_STATES.index(outcome.state))


class BankOfVolunteers:
    """Implements `simulator.volunteers.Bank` over a TextBank; `texting` volunteers text, the rest answer."""

    def __init__(
        self,
        loop: VirtualLoop,
        bank: Callable[[], TextBank],
        draws: Draws,
        *,
        campaign_id: int,
        action_id: int,
        contacts: int,
        bucket: int,
        first_names: Sequence[str],
        first_name_of: Callable[[int], str],
    ) -> None:
        self._loop = loop
        self._bank = bank  # the gateway may crash and come back: always the one that lives
        self._campaign_id = campaign_id
        self._action_id = action_id
        self._bucket = bucket
        self._senders = [{"first_name": name} for name in first_names]
        self._first_name_of = first_name_of
        self._script_luck = draws.stream("bank/script")
        self._holder = array("i", [-1]) * (contacts + 1)
        self._free = contacts
        self.texting = 0
        self.off_duty: set[int] = set()
        self.witness = Witness()
        self.opt_outs_manual = 0

    @property
    def finished(self) -> bool:
        return self._free <= 0

    # ------------------------------------------------------------ buckets

    def claim(self, volunteer: int) -> simpy.Event:
        return self._loop.event_of(self._claim(volunteer))

    async def _claim(self, volunteer: int) -> list[Item]:
        items = await self._bank().claim(
            self._campaign_id,
            self._action_id,
            volunteer,
            self._senders[volunteer % len(self._senders)],
            size=self._bucket,
            luck=self._script_luck,
        )
        for item in items:
            self._hold(item.contact_id, volunteer)
        self._free -= len(items)
        return items

    def release(self, volunteer: int, items: Sequence[object]) -> simpy.Event:
        return self._loop.event_of(self._release(volunteer, [i for i in items if isinstance(i, Item)]))

    async def _release(self, volunteer: int, items: Sequence[Item]) -> int:
        self.off_duty.add(volunteer)
        if not items:
            return 0
        freed = await self._bank().release(self._campaign_id, self._action_id, volunteer, items)
        for item in items:
            self._hold(item.contact_id, -1)
        self._free += freed
        return freed

    def _hold(self, contact_id: int, volunteer: int) -> None:
        """Writes down that a contact changes hands (-1: nobody's)."""
        now = self._loop.time()
        before = self._holder[contact_id]
        if before == volunteer:
            return
        if before >= 0:
            self.witness.holds(now, before, contact_id, -1)
        if volunteer >= 0:
            self.witness.holds(now, volunteer, contact_id, 1)
        self._holder[contact_id] = volunteer

    # ------------------------------------------------------------ texts

    def send(self, volunteer: int, item: object) -> None:
        assert isinstance(item, Item)
        self.witness.pressed += 1
        sent = self._bank().send(self._campaign_id, self._action_id, volunteer, item)
        sent.add_done_callback(self._acknowledge)

    def _acknowledge(self, sent: "Future[Outcome]") -> None:
        if not sent.cancelled():
            self.witness.acknowledged(sent.result())

    def inbox(self, volunteer: int) -> simpy.Event:
        return self._loop.event_of(self._inbox(volunteer))

    async def _inbox(self, volunteer: int) -> list[Waiting]:
        at_desk = volunteer >= self.texting
        found = await self._bank().inbox(
            self._campaign_id,
            self._action_id,
            volunteer,
            take_over_s=_DESK_TAKE_OVER_S if at_desk else _OWN_TAKE_OVER_S,
            limit=_INBOX_LIMIT,
        )
        for each in found:
            self._hold(each.contact_id, volunteer)
        return [_waiting(each) for each in found]

    def answer(self, volunteer: int, waiting: Waiting, response: int) -> simpy.Event:
        return self._loop.event_of(self._answer(volunteer, waiting, response))

    async def _answer(self, volunteer: int, waiting: Waiting, response: int) -> bool:
        contact_id = _contact_of(waiting)
        self.witness.pressed += 1
        outcome = await self._bank().answer(
            self._campaign_id,
            self._action_id,
            volunteer,
            contact_id,
            response,
            {"first_name": self._first_name_of(contact_id - 1)},
        )
        self.witness.acknowledged(outcome)
        if outcome.code == _SAME_TEXT:  # the answer was given before: nothing more to say
            await self._bank().report(self._campaign_id, contact_id)
            return True
        return outcome.admitted

    def opt_out(self, volunteer: int, waiting: Waiting) -> simpy.Event:
        return self._loop.event_of(self._opt_out(_contact_of(waiting)))

    async def _opt_out(self, contact_id: int) -> bool:
        self.opt_outs_manual += await self._bank().opt_out(self._campaign_id, contact_id)
        return True


def _waiting(attention: Attention) -> Waiting:
    return Waiting(attention.contact_id, attention.body, attention.suggests_opt_out, attention.wrong_number)


def _contact_of(waiting: Waiting) -> int:
    assert isinstance(waiting.conversation, int)
    return waiting.conversation
