"""The people of a load test: fictitious lines of area codes whose zone is known here, and nowhere else looked up."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

EASTERN, CENTRAL = "America/New_York", "America/Chicago"
ZONES: Final = {
    **dict.fromkeys((215, 267, 412, 484, 570, 610, 717, 724, 814, 248, 313, 517, 586, 734, 810), EASTERN),
    **dict.fromkeys((252, 336, 704, 828, 910, 919, 980, 229, 404, 478, 678, 706, 770, 912), EASTERN),
    **dict.fromkeys((312, 414, 608, 612, 651, 713, 773, 816), CENTRAL),
}
"""The zone in which all of an area code lies."""

NAMES: Final = ("Maria", "John", "Aisha", "Li", "Ann", "Jesus", "Olga", "Sam", "Priya", "Bob")
_IN_USE: Final = (1212, 4334)
MOST: Final = len(ZONES) * 9_898


def contacts(count: int) -> Iterator[dict[str, str]]:
    """So many rows for `POST …/contacts`; raises ValueError beyond MOST."""
    if count > MOST:
        raise ValueError(f"there are {MOST:,} people for a load test, not {count:,}: take fewer contacts")
    lines = (f"+1{code}555{line:04d}" for line in range(9_900) if line not in _IN_USE for code in ZONES)
    for nth, phone in enumerate(islice(lines, count)):
        yield {"phone": phone, "first_name": NAMES[nth % len(NAMES)]}


def zone_of(phone: int) -> str | None:
    """Where a phone of ours is, as the carrier's ledger writes it (1 and ten digits)."""
    return ZONES.get(phone // 10_000_000 % 1000)
