"""The people who can be texted: phones, carriers, lines, names. What is true of them, not what they do.

Every trait is drawn by phone number, so a real list gives the same voters in whatever order it comes.
Invented phones are fictitious: see EXCHANGES.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from simulator.model.addresses import Addresses
from simulator.model.carriers import CARRIERS, Carrier, Share
from simulator.model.draws import Draws, Stream

# Exchanges no subscriber has, in the order they are filled: 555, the plant-test codes 958 and 959,
# carrier access 950 (NANPA, Central Office Code Assignment Guidelines). The neighbours of 555 come last:
# only a list of more than 39,000 invented contacts in one area code reaches them.
EXCHANGES = (555, 958, 959, 950, 550, 551, 552, 553, 554, 556, 557, 558, 559)
# Lines 0100-0199 are left to the campaign's own numbers; 1212 and 4334 are directory assistance and taken.
_LINES = np.array([line for line in range(200, 10_000) if line not in {1212, 4334}], dtype=np.int64)
_STRIDE = (
    4099  # a prime that does not divide the number of lines: neighbours on the list are not neighbours here
)
_CHUNK = 8192

FIRST_NAMES = tuple(
    """James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan
    Joseph Jessica Thomas Karen Charles Sarah Daniel Lisa Matthew Nancy Anthony Sandra Mark Ashley Steven
    Emily Andrew Michelle Paul Carol Joshua Amanda Kevin Melissa Brian Deborah Jose Maria Luis Guadalupe
    Carlos Ana Juan Rosa Miguel Carmen DeShawn Keisha Malik Imani Jamal Aaliyah Wei Mei Minh Linh Raj Priya
    Mohammed Fatima José Siobhan""".split()  # noqa: SIM905, a list literal would take a line a name
)
LAST_NAMES = tuple(
    """Smith Johnson Williams Brown Jones Miller Davis Wilson Anderson Thomas Taylor Moore Jackson Martin Lee
    Thompson White Harris Clark Lewis Robinson Walker Young Allen King Wright Scott Hill Green Adams Nelson
    Baker Hall Campbell Mitchell Carter Roberts Garcia Rodriguez Martinez Hernandez Lopez Gonzalez Perez
    Sanchez Ramirez Torres Flores Rivera Gomez Diaz Muñoz Nguyen Tran Patel Kim Chen Wong Washington Jefferson
    Booker O'Brien Kowalski Schmidt""".split()  # noqa: SIM905
)


# Where people go who took their number along: large states in every zone, with ZIP prefixes of their cities.
ELSEWHERE = (
    ("CA", ("900", "941")),
    ("TX", ("750", "770")),
    ("FL", ("331", "328")),
    ("NY", ("100", "112")),
    ("CO", ("802",)),
    ("WA", ("981",)),
)


class Line(IntEnum):
    """What answers at the other end of a phone number."""

    MOBILE = 0
    LANDLINE = 1
    DEAD = 2


class CarrierShares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Share of mobile recipients by carrier; the sum is 1. [A] from the connection counts of late 2025."""

    att: Share = 0.28
    tmobile: Share = 0.33
    verizon: Share = 0.34
    uscellular: Share = 0.01
    regional: Share = 0.01
    voip: Share = 0.03

    def __post_init__(self) -> None:
        if abs(sum(self.in_order()) - 1) > 0.001:
            raise ValueError(f"the carriers' shares sum to {sum(self.in_order()):.3f}, not 1")

    def in_order(self) -> tuple[float, ...]:
        """The shares in the order of CARRIERS."""
        return tuple(getattr(self, name) for name in CARRIERS)


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One state of an invented list: its weight, its area codes (equally likely), its ZIP prefixes."""

    state: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    weight: Annotated[float, Meta(gt=0)]
    area_codes: Annotated[tuple[Annotated[int, Meta(ge=201, le=989)], ...], Meta(min_length=1)]
    zip_prefixes: Annotated[tuple[Annotated[str, Meta(pattern="^[0-9]{3}$")], ...], Meta(min_length=1)]


class PopulationParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of a contact list. Defaults: a cleaned list of cell phones; all [A], none is published."""

    carriers: CarrierShares = CarrierShares()
    landline_share: Share = 0.03  # of contacts; 8 % on a list nobody cleaned [A] -> 30006
    dead_share: Share = 0.02  # of contacts; 6 % on an old list [A] -> 30005
    dead_by_carrier: dict[Carrier, Share] = {}  # of a carrier's numbers, where another share is dead [A]
    reassigned_share: Share = 0.03  # of mobile contacts: somebody else has the number now [A]
    elsewhere_share: Share = 0.10  # of contacts: live in another state than their area code's [S]
    missing_first_name_share: Share = 0.005  # of contacts: the script's fallback name is used [A]
    states: Annotated[tuple[State, ...], Meta(min_length=1)] = (
        State(
            state="PA",
            weight=1.0,
            area_codes=(215, 267, 412, 484, 570, 610, 717, 724, 814),
            zip_prefixes=("152", "171", "183", "191", "194"),
        ),
    )

    def __post_init__(self) -> None:
        if self.landline_share + max(self.dead_share, *self.dead_by_carrier.values(), 0.0) > 1:
            raise ValueError("landline_share and dead_share sum to more than 1")
        codes = [code for state in self.states for code in state.area_codes]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"area code {twice[0]} is named twice")


class TooManyContacts(ValueError):
    """An area code has no fictitious number left for an invented contact."""

    textbank_exit_status = 2


class ContactRow(NamedTuple):
    """One line of a contact list, as a campaign would upload it; `phone` is E.164."""

    phone: str
    first_name: str
    last_name: str
    zip: str
    state: str


class Population:
    """The people behind a contact list. Arrays have one element per person, in the order of the list.

    `phones` int64 (12155550123), `carrier` uint8 (index into CARRIERS), `line` uint8 (Line),
    `reassigned` bool.
    """

    def __init__(self, phones: NDArray[np.int64], draws: Draws, parameters: PopulationParameters) -> None:
        self.phones = np.ascontiguousarray(phones, dtype=np.int64)
        self.parameters = parameters
        carriers = _choices(parameters.carriers.in_order(), draws.stream("population/carrier"), self.phones)
        self.carrier: NDArray[np.uint8] = carriers.astype(np.uint8)
        self.line = _lines(parameters, draws.stream("population/line"), self.phones, self.carrier)
        reassigned = draws.stream("population/reassigned").many(self.phones) < parameters.reassigned_share
        self.reassigned: NDArray[np.bool_] = reassigned & (self.line == Line.MOBILE)
        self._first_name = draws.stream("population/first name")
        self._last_name = draws.stream("population/last name")
        self._missing_name = draws.stream("population/missing name")
        self._zip = draws.stream("population/zip")
        self._elsewhere = draws.stream("population/elsewhere")
        self._homes = [*((each.state, each.zip_prefixes) for each in parameters.states), *ELSEWHERE]
        self._home_of_code = np.full(1000, -1, np.int64)
        for home, state in enumerate(parameters.states):
            self._home_of_code[list(state.area_codes)] = home
        order = np.argsort(self.phones, kind="stable")
        self._order = array("i", order.astype(np.int32).tobytes())
        self._sorted = array("q", self.phones[order].tobytes())

    @classmethod
    def synthetic(cls, parameters: PopulationParameters, count: int, draws: Draws) -> "Population":
        """`count` invented people; the first n are the same whatever the count.

        Raises TooManyContacts if an area code runs out of fictitious numbers (127,000 each).
        """
        return cls(_invented_phones(parameters, count, draws), draws, parameters)

    @classmethod
    def from_phones(
        cls, phones: NDArray[np.int64], draws: Draws, parameters: PopulationParameters
    ) -> "Population":
        """The people behind a real list; of a phone that comes twice, index_of names the first."""
        return cls(phones, draws, parameters)

    def __len__(self) -> int:
        return len(self._order)

    def __repr__(self) -> str:
        lines = np.bincount(self.line, minlength=3)
        return (
            f"Population({len(self):,} people: {lines[0]:,} mobile, {lines[1]:,} landline, {lines[2]:,} dead)"
        )

    def index_of(self, phone: int) -> int:
        """The person behind a phone (12155550123), or -1."""
        place = bisect_left(self._sorted, phone)
        if place < len(self._sorted) and self._sorted[place] == phone:
            return self._order[place]
        return -1

    def first_name(self, index: int) -> str:
        """The first name on the list; empty for a few."""
        phone = int(self.phones[index])
        if self._missing_name(phone) < self.parameters.missing_first_name_share:
            return ""
        return FIRST_NAMES[int(self._first_name(phone) * len(FIRST_NAMES))]

    def last_name(self, index: int) -> str:
        return LAST_NAMES[int(self._last_name(int(self.phones[index])) * len(LAST_NAMES))]

    def addresses(self) -> Addresses:
        """Where everybody lives, as it stands on the list."""
        order = np.argsort(self.phones, kind="stable")
        return Addresses(self.phones[order], self._places(self.phones[order]), self._known_places())

    def _places(self, phones: NDArray[np.int64]) -> NDArray[np.int32]:
        """Each person's place in `_known_places`; -1 if the scenario does not name the area code.

        Nearly everybody lives in the area code's state, some in one of ELSEWHERE.
        """
        home = self._home_of_code[phones // 10_000_000 % 1000]
        luck, share = self._elsewhere.many(phones), self.parameters.elsewhere_share
        moved = (luck < share) & (home >= 0)
        away = (luck[moved] / share * len(ELSEWHERE)).astype(np.int64) if share else home[moved]
        home[moved] = len(self.parameters.states) + away
        sizes = np.array([100 * len(prefixes) for _, prefixes in self._homes])
        begins = np.cumsum(sizes) - sizes
        place = begins[home] + (self._zip.many(phones) * sizes[home]).astype(np.int64)
        found: NDArray[np.int32] = np.where(home >= 0, place, -1).astype(np.int32)
        return found

    def _known_places(self) -> list[tuple[str, str]]:
        return [
            (f"{prefix}{number:02d}", state)
            for state, prefixes in self._homes
            for prefix in prefixes
            for number in range(100)
        ]

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[ContactRow]:
        """The list as a campaign would upload it, people `start` to `stop`."""
        last = len(self) if stop is None else min(stop, len(self))
        for begin in range(start, last, _CHUNK):
            yield from self._chunk(begin, min(begin + _CHUNK, last))

    def name_codes(
        self, begin: int = 0, end: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """First and last names of people `begin` to `end`, as places in FIRST_NAMES (one beyond: none) and LAST_NAMES."""
        phones = self.phones[begin:end]
        first = (self._first_name.many(phones) * len(FIRST_NAMES)).astype(np.int32)
        first[self._missing_name.many(phones) < self.parameters.missing_first_name_share] = len(FIRST_NAMES)
        return first, (self._last_name.many(phones) * len(LAST_NAMES)).astype(np.int32)

    def _chunk(self, begin: int, end: int) -> Iterator[ContactRow]:
        phones = self.phones[begin:end]
        first, last = self.name_codes(begin, end)
        names = (*FIRST_NAMES, "")
        places = (*self._known_places(), ("", ""))  # the last: not known
        for phone, given, family, place in zip(
            phones.tolist(), first.tolist(), last.tolist(), self._places(phones).tolist(), strict=True
        ):
            yield ContactRow(f"+{phone}", names[given], LAST_NAMES[family], *places[place])


def _choices(shares: tuple[float, ...], stream: Stream, who: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of `who` an index into `shares`, which need not sum to exactly 1."""
    limits = np.cumsum(shares)
    picked = np.searchsorted(limits / limits[-1], stream.many(who), side="right")
    index: NDArray[np.int64] = np.minimum(picked, len(shares) - 1)
    return index


def _lines(
    parameters: PopulationParameters, stream: Stream, phones: NDArray[np.int64], carrier: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A dead number is dead and a landline a landline; a bigger share only adds to them."""
    luck = stream.many(phones)
    line = np.full(len(phones), Line.MOBILE, dtype=np.uint8)
    line[luck < parameters.landline_share] = Line.LANDLINE
    dead = np.array([parameters.dead_by_carrier.get(name, parameters.dead_share) for name in CARRIERS])
    line[luck >= 1 - dead[carrier]] = Line.DEAD
    return line


def _invented_phones(parameters: PopulationParameters, count: int, draws: Draws) -> NDArray[np.int64]:
    """Distinct fictitious phones: state by weight, area code evenly, then the next free line."""
    weights = [state.weight / len(state.area_codes) for state in parameters.states for _ in state.area_codes]
    codes = np.array([code for state in parameters.states for code in state.area_codes], dtype=np.int64)
    who = np.arange(count, dtype=np.int64)
    area_codes = codes[_choices(tuple(weights), draws.stream("population/area code"), who)]
    ranks = _ranks(area_codes)
    capacity = len(EXCHANGES) * len(_LINES)
    if count and int(ranks.max()) >= capacity:
        raise TooManyContacts(
            f"too many contacts: {count:,}; an area code holds {capacity:,}, so name more area codes"
        )
    exchanges = np.array(EXCHANGES, dtype=np.int64)[ranks // len(_LINES)]
    lines = _LINES[(ranks * _STRIDE + area_codes) % len(_LINES)]
    phones: NDArray[np.int64] = ((1000 + area_codes) * 1000 + exchanges) * 10_000 + lines
    return phones


def _ranks(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each element, how many equal ones come before it."""
    order = np.argsort(values, kind="stable")
    grouped = values[order]
    starts = (
        np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]]) if len(values) else np.zeros(0, np.int64)
    )
    lengths = np.diff(np.r_[starts, len(values)])
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values)) - np.repeat(starts, lengths)
    return ranks
