"""Recorded games that tests play: how they end is known.

* ``smb-8-4-*.json``, ``lost_levels-4-4-*.json``: runs of ``mario-envkit solve`` to the last axe.
* ``warp-1-2.txt``: leaves 1-2 by its warp zone, for 2-1, in console timing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mario_envkit.curriculum.runs import Run
from mario_envkit.env import MarioEnv
from mario_envkit.game.levels import Level

HERE = Path(__file__).parent

LAST_STAGES = {"smb": Level(8, 4), "lost_levels": Level(4, 4)}

ZONE = 0x06D6
"""``WarpZoneControl``: which row of the game's table the warp zone on the screen uses."""
TO_36_1 = 1
"""The row of 4-2, whose outer pipes lead to "world 36": the Minus World."""


def last_run(game: str, timing: str) -> Run:
    """A run of a game's last stage."""
    return Run.load(HERE / f"{game}-{LAST_STAGES[game]}-{timing}.json")


def warp_run() -> list[int]:
    """Joypad bytes, one a frame, the last of which enters the pipe from 1-2 to 2-1."""
    text = (HERE / "warp-1-2.txt").read_text()
    words = " ".join(line for line in text.splitlines() if not line.startswith("#")).split()
    pairs = (map(int, word.split("x")) for word in words)
    return [byte for byte, count in pairs for _ in range(count)]


def begin_late(
    monkeypatch: pytest.MonkeyPatch,
    start: Level | None,
    stage: Level,
    actions: list[int] | bytes,
    **pokes: int,
) -> None:
    """Let episodes of ``start`` (None: the full game) begin after ``actions`` in ``stage``.

    ``pokes`` are bytes of RAM that are written then, by their names in ``game.ram``. Single
    environments and vectors alike.
    """
    from mario_envkit.game import ram as m

    true_start = MarioEnv.start_of

    def start_of(self: MarioEnv, level: Level | None) -> object:
        if level == start and level not in self._starts:
            full = MarioEnv(self.game, "full", timing=self.emulator.core.rpartition("/")[2])
            full.draw = False
            full._starts[None] = true_start(full, stage)
            full.reset()
            for byte in actions:
                full.step(byte)
            for name, value in pokes.items():
                full.emulator.ram[getattr(m, name)] = value
            self._starts[level] = full.emulator.save()
            full.close()
        return true_start(self, level)

    monkeypatch.setattr(MarioEnv, "start_of", start_of)
