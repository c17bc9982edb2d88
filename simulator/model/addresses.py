"""Where people live, as a contact list says: a ZIP and a state by phone."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray


class Addresses(msgspec.Struct, frozen=True):
    """`phones` ascending, with the place of each person's address in `known`: (ZIP, state), "" where not known."""

    phones: NDArray[np.int64]
    place: NDArray[np.int32]
    known: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, by_phone: Mapping[int, tuple[str, str]]) -> "Addresses":
        """A few, by hand."""
        phones = np.array(sorted(by_phone), np.int64)
        return cls(
            phones, np.arange(len(phones), dtype=np.int32), [by_phone[phone] for phone in sorted(by_phone)]
        )

    def places_of(self, phones: NDArray[np.int64]) -> NDArray[np.int64]:
        """Each person's place in `known`; -1 for somebody without an address."""
        if not len(self.phones):
            return np.full(len(phones), -1, np.int64)
        at = np.minimum(np.searchsorted(self.phones, phones), len(self.phones) - 1)
        found: NDArray[np.int64] = np.where(self.phones[at] == phones, self.place[at], -1).astype(np.int64)
        return found


NO_ADDRESSES = Addresses.of({})
