"""Look-ups of a list's phones: line type and carrier, asked of the provider only when nobody knows them yet."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from gateway.clock import Clock
from gateway.providers.base import Line
from gateway.store import look_ups
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.look_ups import LookedUp

LookUp = Callable[[Sequence[str]], Awaitable[list[Line]]]
"""Line type and carrier of each phone (E.164), in order."""

_SLICE = 500  # answers that are kept together: a list that breaks off has not paid in vain


async def with_lines(contacts: Sequence[ContactRow], look_up: LookUp) -> list[ContactRow]:
    """The contacts with what a look-up knows of their phones."""
    lines = await look_up([contact.phone for contact in contacts])
    return [
        msgspec.structs.replace(contact, line_type=line.line_type, carrier=line.carrier)
        for contact, line in zip(contacts, lines, strict=True)
    ]


class RememberedLookUps:
    """A provider's look-ups, each answer kept and good for `max_age_s`; contacts already there learn of it too."""

    def __init__(self, database: Database, clock: Clock, look_up: LookUp, *, max_age_s: float) -> None:
        self._database = database
        self._clock = clock
        self._look_up = look_up
        self._max_age_s = max_age_s

    async def look_up(self, phones: Sequence[str]) -> list[Line]:
        """Line type and carrier of each phone, in order; raises ProviderError."""
        lines: dict[str, Line] = {}
        distinct = list(dict.fromkeys(phones))
        for start in range(0, len(distinct), _SLICE):
            lines |= await self._some(distinct[start : start + _SLICE])
        return [lines[phone] for phone in phones]

    async def _some(self, phones: Sequence[str]) -> dict[str, Line]:
        now = self._clock.now()
        known = await look_ups.load(self._database, phones, now - self._max_age_s)
        missing = [phone for phone in phones if phone not in known]
        answers = await self._look_up(missing) if missing else []
        found = [
            LookedUp(phone, line.line_type, line.carrier)
            for phone, line in zip(missing, answers, strict=True)
        ]
        if found:
            await look_ups.save(self._database, found, now)
        lines = [*known.values(), *found]
        await look_ups.tell_contacts(self._database, lines)
        return {each.phone: Line(each.line_type, each.carrier) for each in lines}
