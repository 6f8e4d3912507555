"""The long run: ``python -m tests.lockstep`` (about 15 minutes on one core).

Names choose parts of it: ``python -m tests.lockstep nes-py stages lost-levels cynes stable-retro``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

from tests.lockstep.references import LOST_LEVELS, VANILLA, ReferenceMissingError
from tests.lockstep.runs import (
    Outcome,
    against_cynes,
    against_nes_py,
    against_stable_retro,
    all_ok,
)


def _stages() -> Iterator[Outcome]:
    for number in range(32):
        stage = (number // 4 + 1, number % 4 + 1)
        yield against_nes_py(VANILLA, 900, seed=number, pictures_every=10, stage=stage)


PARTS: dict[str, Callable[[], Iterable[Outcome]]] = {
    "nes-py": lambda: [against_nes_py(VANILLA, 40_000, seed=1, pictures_every=10)],
    "stages": _stages,
    "lost-levels": lambda: [against_nes_py(LOST_LEVELS, 12_000, seed=2, pictures_every=10)],
    "cynes": lambda: [against_cynes(VANILLA, 24_000, seed=3)],
    "stable-retro": lambda: [against_stable_retro(VANILLA, 26_000, seed=4)],
}


def main(names: list[str]) -> int:
    good = True
    for name in names or list(PARTS):
        try:
            good &= all_ok(PARTS[name]())
        except ReferenceMissingError as missing:
            print(f"{name}: not run, because this is not installed: {missing}", flush=True)
            good &= not names
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
