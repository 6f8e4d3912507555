"""``python -m tests.benchmarks``: all benchmarks, one table after another."""

from __future__ import annotations

import argparse

from tests.benchmarks import (
    dashboard,
    emulator,
    environment,
    networks,
    parallel,
    replay,
    snapshots,
    tiles,
    training,
    vector,
)

BENCHMARKS = {
    "dashboard": dashboard.main,
    "emulator": emulator.main,
    "environment": environment.main,
    "networks": networks.main,
    "parallel": parallel.main,
    "replay": replay.main,
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
    chosen, options = parser.parse_known_args()
    if options:
        if chosen.names != ["networks"]:
            parser.error(f"only networks, alone, takes options: {' '.join(options)}")
        networks.main(options)
        return
    for name in chosen.names or BENCHMARKS:
        print(f"== {name}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
