"""Large blocks go back to the system when they are freed, also after the allocator has learned to keep them."""

import ctypes
import subprocess
import sys

import pytest

_BYTES = 1_000_000
_LOOK = f"""
import ctypes, sys
from simulator.twin.memory import give_back_large_blocks

class Mallinfo2(ctypes.Structure):
    _fields_ = [(f"field{{n}}", ctypes.c_size_t) for n in range(10)]  # the fifth: bytes in blocks of their own

malloc = ctypes.CDLL(None)
malloc.mallinfo2.restype = Mallinfo2
if sys.argv[1] == "given back":
    give_back_large_blocks()
for _ in range(3):
    bytearray({_BYTES})
before = malloc.mallinfo2().field4
held = bytearray({_BYTES})
print(malloc.mallinfo2().field4 - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc alone, from 2.33 on")
@pytest.mark.parametrize("how", ["given back", "as it was"])
def test_large_blocks_are_given_back(how):
    found = subprocess.run([sys.executable, "-c", _LOOK, how], capture_output=True, text=True, check=True)
    assert (int(found.stdout) >= _BYTES) == (how == "given back")
