"""People beyond the list: whatever US phone an application texts, somebody is there.

A stranger has a mobile whose carrier is drawn by the phone number, and behaves as the scenario's people do; the
list's people keep their landlines and dead numbers.
"""

from array import array
from bisect import bisect_right
from itertools import accumulate
from typing import Any, cast

from simulator.model.draws import Draws
from simulator.model.people import People
from simulator.model.population import Line, Population, PopulationParameters


class OpenPopulation:
    """A list's people, and strangers who join when they are first heard of. Traits are columns that grow."""

    def __init__(self, listed: Population, draws: Draws, parameters: PopulationParameters) -> None:
        self.listed = listed
        self.phones = listed.phones
        self.carrier = listed.carrier
        self.line = listed.line
        self.carriers = bytearray(listed.carrier.tobytes())
        self.lines = bytearray(listed.line.tobytes())
        self.texts = array("L", bytes(array("L").itemsize * len(listed)))
        self.texts_from = array("I", bytes(array("I").itemsize * len(listed)))
        self.strangers = array("q")
        self._index: dict[int, int] = {}
        self._luck = draws.stream("population/carrier")
        limits = list(accumulate(parameters.carriers.in_order()))
        self._limits = [limit / limits[-1] for limit in limits]

    def __len__(self) -> int:
        return len(self.listed)

    def index_of(self, phone: int) -> int:
        """Who is behind a phone, or -1 when nobody has heard of it."""
        index = self.listed.index_of(phone)
        return index if index >= 0 else self._index.get(phone, -1)

    def admit(self, phone: int) -> int:
        """Who is behind a phone; a stranger joins."""
        index = self._index.get(phone)
        if index is not None:
            return index
        index = self.listed.index_of(phone)
        return index if index >= 0 else self._join(phone)

    def _join(self, phone: int) -> int:
        index = self._index[phone] = len(self.carriers)
        self.strangers.append(phone)
        self.carriers.append(min(bisect_right(self._limits, self._luck(phone)), len(self._limits) - 1))
        self.lines.append(Line.MOBILE)
        self.texts.append(0)
        self.texts_from.append(0)
        return index


class OpenPeople(People):
    """What the list's people and the strangers do with a text."""

    def __init__(self, population: OpenPopulation, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._open = population
        self._growing = bytearray(self._plans)
        self._plans = cast(bytes, self._growing)  # only ever indexed

    def received(self, index: int, phone: int, sender: int, body: str, nth: int, at: float) -> None:
        if index >= len(self._state):
            self._meet_strangers()
        super().received(index, phone, sender, body, nth, at)

    def _meet_strangers(self) -> None:
        known = len(self._state) - len(self._open.listed)
        for phone in self._open.strangers[known:]:
            self._growing.append(bisect_right(self._limits, self._plan_luck(phone)))
            self._state.append(0)
            self._texts.append(0)
