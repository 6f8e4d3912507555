"""From bfloat16 to float32 with numpy, in blocks that stay in the processor's cache.

bfloat16 is the upper half of a float32: 8 bits of exponent, 7 of mantissa (relative error up to
2**-8). numpy has no such type, so its bits travel as uint16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 15


def widen(source: NDArray[np.uint16], out: NDArray[np.float32]) -> None:
    """The float32 values of bfloat16 bits; exact."""
    bits = out.view(np.uint32)
    np.copyto(bits, source)
    np.left_shift(bits, 16, out=bits)
