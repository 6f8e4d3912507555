"""``python -m tests.benchmarks.fusions``: choose the sequences of instructions that run as one.

Plays all worlds, and merges the two neighbours that follow each other most often, again and again.
Writes ``mario_envkit/native/fusions.inc``; install the package again to build with it.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

from mario_envkit.emulator.rom import find_rom
from mario_envkit.env import MarioEnv
from mario_envkit.game.levels import Level

SOURCES = Path(__file__).parents[2] / "mario_envkit" / "native"
TABLE = SOURCES / "fusions.inc"
LONGEST, MERGES = 4, 250
RAREST = 0.0003
"""Sequences that start less often than this, of all instructions, are left out."""

Sequence = tuple[str, ...]


def trace() -> dict[Sequence, int]:
    """Opcodes that ran without a jump between them, and how often."""
    game = MarioEnv(backend="native")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "trace_driver"
        left_out = ("bindings.cpp", "driver.cpp", "timing_console.cpp", "timing_nes_py.cpp")
        sources = [path for path in SOURCES.glob("*.cpp") if not path.name.endswith(left_out)]
        driver = Path(__file__).with_name("trace_driver.cpp")
        flags = ["-std=c++17", "-O2", f"-I{SOURCES}", "-pthread"]
        subprocess.run(["c++", *flags, "-o", program, driver, *sources], check=True)
        starts = []
        for world in range(1, 9):
            starts.append(Path(folder) / str(world))
            starts[-1].write_bytes(game.start_of(Level(world, 1 + world % 4)).data)
        command = [program, find_rom().path, *starts]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {tuple(opcodes): int(count) for count, *opcodes in lines}


def split(run: Sequence, table: set[Sequence]) -> list[Sequence]:
    """The jumps that a run takes: at each place the longest sequence of the table."""
    parts = []
    while run:
        length = next(n for n in range(LONGEST, 0, -1) if n == 1 or run[:n] in table)
        parts.append(run[:length])
        run = run[length:]
    return parts


def choose(runs: dict[Sequence, int]) -> list[Sequence]:
    """The sequences that save most jumps."""
    table: set[Sequence] = set()
    total = sum(len(run) * count for run, count in runs.items())
    for _ in range(MERGES):
        pairs: Counter[Sequence] = Counter()
        for run, count in runs.items():
            for one, other in pairwise(split(run, table)):
                if len(one) + len(other) <= LONGEST:
                    pairs[one + other] += count
        table.add(pairs.most_common(1)[0][0])
    used: Counter[Sequence] = Counter()
    for run, count in runs.items():
        for part in split(run, table):
            used[part] += count
    chosen = {sequence for sequence in table if used[sequence] > RAREST * total}
    jumps = sum(count * len(split(run, chosen)) for run, count in runs.items())
    print(f"{len(chosen)} sequences; {jumps / total:.3f} jumps an instruction")
    return sorted(chosen, key=lambda sequence: (len(sequence), sequence))


def main() -> None:
    chosen = choose(trace())
    comment = [line for line in TABLE.read_text().splitlines() if line.startswith("//")]
    lines = [f"MARIO_FUSE_{len(sequence)}({', '.join(sequence)})" for sequence in chosen]
    TABLE.write_text("\n".join([*comment, "", *lines, ""]))


if __name__ == "__main__":
    main()
