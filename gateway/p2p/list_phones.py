"""The phones a list has had so far: each number once, with the line it first stood on, in few bytes."""

from array import array

LINE_BITS = 30
LINE_MASK = (1 << LINE_BITS) - 1
FIRST_SLOTS = 1 << 12
# Knuth's multiplicative hashing: neighbouring numbers of an exchange land far apart.
MULTIPLIER = 0x9E3779B97F4A7C15
WORD_MASK = (1 << 64) - 1


class SeenPhones:
    """An open-addressing table of national numbers (below 2^34) and lines (below 2^30), one 64-bit word each.

    At most 32 bytes a number right after it grew, 16 when full; a set of ints takes about 100.
    """

    def __init__(self) -> None:
        self._shift = 64 - (FIRST_SLOTS.bit_length() - 1)
        self._slots = array("Q", bytes(8 * FIRST_SLOTS))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def claim(self, number: int, line: int) -> int:
        """0 when the number is new (it is noted with its 1-based line), else the line it was first claimed with."""
        slots, last = self._slots, len(self._slots) - 1
        slot = (number * MULTIPLIER & WORD_MASK) >> self._shift
        while entry := slots[slot]:
            if entry >> LINE_BITS == number:
                return entry & LINE_MASK
            slot = (slot + 1) & last
        slots[slot] = number << LINE_BITS | min(line, LINE_MASK)
        self._count += 1
        if self._count * 2 > len(slots):
            self._grow()
        return 0

    def _grow(self) -> None:
        entries = self._slots
        self._slots = array("Q", bytes(16 * len(entries)))
        self._shift -= 1
        slots, last, shift = self._slots, len(self._slots) - 1, self._shift
        for entry in entries:
            if entry:
                slot = ((entry >> LINE_BITS) * MULTIPLIER & WORD_MASK) >> shift
                while slots[slot]:
                    slot = (slot + 1) & last
                slots[slot] = entry
