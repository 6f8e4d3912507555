"""``python -m tests.native.fuzz``: two million random inputs under sanitizers.

AddressSanitizer and UndefinedBehaviorSanitizer watch frames with random buttons, random writes to
RAM, and damaged, truncated and random snapshots and cartridge images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.native.drivers import SANITIZED, build_fuzz_driver, fuzz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        driver = build_fuzz_driver(Path(folder), SANITIZED)
        start = time.perf_counter()
        print(fuzz([str(driver)], options.seed, options.inputs), end="")
    print(f"nothing found in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
