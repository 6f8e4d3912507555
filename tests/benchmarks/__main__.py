"""``python -m tests.benchmarks``: all benchmarks, one table after another."""

from __future__ import annotations

import argparse

from tests.benchmarks import (
    dashboard,
    emulator,
    environment,
    parallel,
    snapshots,
    tiles,
    training,
    vector,
)

BENCHMARKS = {
    "dashboard": dashboard.main,
    "emulator": emulator.main,
    "environment": environment.main,
    "parallel": parallel.main,
    "snapshots": snapshots.main,
    "tiles": tiles.main,
    "training": training.main,
    "vector": vector.main,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {sorted(BENCHMARKS)}; default all"
    )
    for name in parser.parse_args().names or BENCHMARKS:
        print(f"== {name}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
