"""The numbers on sale, by area code: finite, fictitious, always in the same order.

A number is area code + 555 + line: 0100-0199 first (reserved for fiction), then the other 555 lines but the
two in real use; where the population fills an area code's 555 lines, neighbouring exchanges follow.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated

import msgspec

from simulator.model.carriers import Seconds, Share
from simulator.model.draws import Lognormal

TOLL_FREE = ("800", "833", "844", "855", "866", "877", "888")
"""The area codes of toll-free numbers."""

_IN_USE = frozenset({1212, 4334})  # directory assistance and a relay service
_EXCHANGES = (555, 550, 551, 552, 553, 554, 556, 557, 558, 559)

Count = Annotated[int, msgspec.Meta(ge=0)]


class InventoryParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All assumptions [A]: providers publish neither stocks nor lags."""

    stock_per_area_code: Count = 200  # numbers on sale per area code [A]
    anywhere: tuple[str, ...] = ("215", "312", "404", "602", "702", "704")  # for buyers without a wish [A]
    scarce: dict[str, Count] = msgspec.field(default_factory=dict)  # area code -> numbers on sale [A]
    purchase_lag_s: Seconds = 1.5  # seconds from the request to the answer [A]
    provisioning_lag_s: Seconds = 60.0  # median seconds until carriers know it; before that 30035 [A]
    provisioning_p99_s: Seconds = (
        600.0  # the slowest in a hundred; not above the median: each takes the median [A]
    )
    lookup_error_share: Share = 0.01  # lookups that answer the wrong line type [A]

    def provisioning(self) -> Lognormal | None:
        """How long numbers take to get known, drawn anew for each; None: always `provisioning_lag_s`."""
        median_s, p99_s = self.provisioning_lag_s, self.provisioning_p99_s
        return Lognormal(median_s, p99_s) if 0 < median_s < p99_s else None


class Number(msgspec.Struct, frozen=True, gc=False):
    """A number bought: `phone` as an int, `sid` the provider's id of it."""

    phone: int
    sid: str


class Holding(msgspec.Struct, gc=False):
    """A number of ours: its campaign, when it may send, and that it was the `nth` we got."""

    number: Number
    campaign: int
    ready_at: float
    nth: int


class Inventory:
    """Sells each number once, and knows whose it is; what is given back is not sold again."""

    def __init__(
        self,
        parameters: InventoryParameters,
        taken: Callable[[int], bool],
        luck: Callable[[int], float] = lambda _phone: 0.5,
    ) -> None:
        self._parameters = parameters
        self._taken = taken
        self._luck = luck
        self._provisioning = parameters.provisioning()
        self._left: dict[str, int] = {}
        self._lines: dict[str, Iterator[int]] = {}
        self._holdings: dict[int, Holding] = {}
        self._held = 0

    def in_stock(self, area_code: str) -> int:
        """How many numbers of an area code are on sale; 0 for what is no area code."""
        if not is_area_code(area_code):
            return 0
        stock = self._parameters.scarce.get(area_code, self._parameters.stock_per_area_code)
        return self._left.setdefault(area_code, stock)

    def on_sale(self, area_code: str, most: int = 50) -> list[int]:
        """The next numbers a purchase in this area code would bring, without taking them."""
        lines = (
            (line for line in _lines(int(area_code)) if self._free(line))
            if self.in_stock(area_code)
            else iter(())
        )
        return list(islice(lines, min(most, self.in_stock(area_code))))

    def take(self, area_code: str, campaign: int, ready_at: float) -> Number | None:
        """Sell the next number of an area code ("" for any) to a campaign; None when it is sold out."""
        for candidate in (area_code,) if area_code else self._parameters.anywhere:
            phone = self._next_phone(candidate)
            if phone is not None:
                self._left[candidate] -= 1
                return self.own(phone, campaign, ready_at)
        return None

    def sell(self, phone: int, campaign: int, ready_at: float = 0.0) -> Number | None:
        """Sell one certain number; None when it is not on sale, or not any more."""
        area_code = str(phone // 10_000_000 % 1000)
        if phone not in self.on_sale(area_code, self.in_stock(area_code)):
            return None
        self._left[area_code] -= 1
        return self.own(phone, campaign, ready_at)

    def own(self, phone: int, campaign: int, ready_at: float = 0.0) -> Number:
        """Enter a number as ours, bought here or brought along."""
        number = Number(phone, number_sid(phone))
        self._holdings[phone] = Holding(number, campaign, ready_at, self._held)
        self._held += 1
        return number

    def holding(self, phone: int) -> Holding | None:
        """Whose number this is; None when it is not ours."""
        return self._holdings.get(phone)

    def introduce(self, phone: int, now: float) -> None:
        """Carriers learn of a number that was just sold, or put into another campaign; until then its texts end 30035."""
        holding = self._holdings[phone]
        lag_s = self._parameters.provisioning_lag_s
        holding.ready_at = now + (self._provisioning.at(self._luck(phone)) if self._provisioning else lag_s)

    def of_campaign(self, campaign: int) -> list[Number]:
        """The numbers a campaign holds, in the order in which it got them."""
        return [each.number for each in self._holdings.values() if each.campaign == campaign]

    def give_back(self, phone: int) -> Holding | None:
        """Release a number; None when it is not ours."""
        return self._holdings.pop(phone, None)

    def _next_phone(self, area_code: str) -> int | None:
        if not self.in_stock(area_code):
            return None
        lines = self._lines.get(area_code)
        if lines is None:
            lines = self._lines[area_code] = _lines(int(area_code))
        phone = next((line for line in lines if self._free(line)), None)
        if phone is None:
            self._left[area_code] = 0
        return phone

    def _free(self, phone: int) -> bool:
        return phone not in self._holdings and not self._taken(phone)


def number_sid(phone: int) -> str:
    """The provider's id of a number: PN and 32 hexadecimal digits."""
    return f"PN{phone:032x}"


def is_toll_free(phone: int) -> bool:
    """Whether a US number is toll-free."""
    return str(phone)[1:4] in TOLL_FREE


def is_area_code(text: str) -> bool:
    """Three digits NXX, not N11 (North American Numbering Plan)."""
    return len(text) == 3 and text.isascii() and text.isdigit() and text[0] >= "2" and text[1:] != "11"


def _lines(area_code: int) -> Iterator[int]:
    first = (10_000_000_000 + area_code * 10_000_000) + 5_550_000
    yield from range(first + 100, first + 200)
    for exchange in _EXCHANGES:
        block = 10_000_000_000 + area_code * 10_000_000 + exchange * 10_000
        start = 200 if exchange == 555 else 0
        yield from (block + line for line in range(start, 10_000) if exchange != 555 or line not in _IN_USE)
