"""Float32 to bfloat16 and back with numpy, in blocks that stay in the processor's cache.

bfloat16 is the upper half of a float32: 8 bits of exponent, 7 of mantissa (relative error up to
2**-8). numpy has no such type, so its bits travel as uint16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 15


def narrow(source: NDArray[np.float32], out: NDArray[np.uint16]) -> None:
    """Round ``source`` to the nearest bfloat16, ties to even, into ``out`` of the same length.

    As torch does it: too large becomes infinite, and NaN stays NaN (0x7FC0).
    """
    bits = source.view(np.uint32)
    scratch = np.empty(min(BLOCK, source.size), dtype=np.uint32)
    for start in range(0, source.size, BLOCK):
        part = bits[start : start + BLOCK]
        rounded = scratch[: part.size]
        # Half of the last place that stays, less one if that place is even already.
        np.right_shift(part, 16, out=rounded)
        np.bitwise_and(rounded, 1, out=rounded)
        np.add(rounded, 0x7FFF, out=rounded)
        np.add(rounded, part, out=rounded)
        np.right_shift(rounded, 16, out=rounded)
        np.copyto(out[start : start + BLOCK], rounded, casting="unsafe")
        nan = np.isnan(source[start : start + BLOCK])
        if nan.any():
            out[start : start + BLOCK][nan] = 0x7FC0


def widen(source: NDArray[np.uint16], out: NDArray[np.float32]) -> None:
    """The float32 values of bfloat16 bits; exact."""
    bits = out.view(np.uint32)
    np.copyto(bits, source)
    np.left_shift(bits, 16, out=bits)
