"""The allocator's part in holding no more after weeks."""

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BYTES = 128 * 1024


def give_back_large_blocks() -> None:
    """A large block goes back to the system when it is freed, wherever it lay; glibc's alone, else nothing.

    The GNU allocator starts like this, and gives it up for blocks of a size that was freed once (mallopt(3),
    M_MMAP_THRESHOLD). A dict that messages enter and leave is copied to a new table every few ten thousand: a
    megabyte each time, and the holes add up.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
