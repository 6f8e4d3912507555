"""The loop of Go-Explore's first phase: return to a place, then explore from there.

Return by loading a machine, do something random from there, remember every new place. Nothing is
known of the levels. Importing this needs the native core; :mod:`mario_envkit.curriculum.search`
checks that first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np

from mario_envkit import _native
from mario_envkit.curriculum.cells import Cell, Cells, Entry, Trails
from mario_envkit.emulator.buttons import Buttons
from mario_envkit.env import MarioEnv
from mario_envkit.game import ram as m
from mario_envkit.game.levels import Level
from mario_envkit.game.state import GameState

_RIGHT, _LEFT, _A, _B = Buttons.RIGHT, Buttons.LEFT, Buttons.A, Buttons.B

# What is held, and how often; anything else once. DOWN enters pipes, UP climbs vines.
_MOVES: dict[int, float] = {
    _RIGHT | _B: 5,
    _RIGHT | _A | _B: 6,
    _RIGHT | _A: 3,
    _RIGHT: 2,
    _A: 1.5,
    _LEFT: 1,
    _LEFT | _A: 1,
    _LEFT | _B: 0.7,
    _LEFT | _A | _B: 0.7,
    Buttons.DOWN: 1.5,
    Buttons.NOOP: 1,
    Buttons.UP: 0.2,
}
_LONGEST_HOLD = 30  # frames; a full jump needs the button for about as long
_HOLDS = 10  # of one expedition
_BUCKET = 16  # pixels, across and up: a block of the game

_AREA, _X, _Y = (GameState._fields.index(name) for name in ("area", "x_pos", "y_pos"))
_ADDRESSES = [m.FLOAT_STATE, m.LOOP_CORRECT, m.LOOP_PASSED]


class Exploration:
    """A search in progress.

    Args:
        level: the stage.
        game, timing, rom, rom_unknown: as for :class:`~mario_envkit.env.MarioEnv`.
        rng: decides everything.
        actions: joypad bytes that may be held; None is those that usually get on.
        frame_skip: frames that moves are multiples of.

    Attributes:
        core, rom_sha256: of the console.
        frames: frames played so far.
        cells: places reached so far.
    """

    def __init__(
        self,
        level: Level,
        game: str,
        timing: str,
        rom: str | os.PathLike[str] | None,
        rom_unknown: str,
        rng: np.random.Generator,
        actions: Sequence[int] | None = None,
        frame_skip: int = 1,
    ) -> None:
        self._rng, self._frame_skip = rng, frame_skip
        moves = _MOVES if actions is None else {byte: _MOVES.get(byte, 1) for byte in actions}
        self._moves = np.array([int(move) for move in moves], np.int32)
        self._sums = np.cumsum(list(moves.values()))
        env = MarioEnv(
            game=game, level=level, backend="native", timing=timing, rom=rom,
            rom_unknown=rom_unknown,
        )  # fmt: skip
        start = env.start_of(level)
        self.core, self.rom_sha256 = start.core, start.rom_sha256
        env.close()
        self._states = np.zeros((_HOLDS, len(GameState._fields)), np.int64)
        self._bytes = np.zeros((_HOLDS, len(_ADDRESSES)), np.uint8)
        self._played = np.zeros(_HOLDS, np.int32)
        self._holds = np.zeros((_HOLDS, 2), np.int32)
        self._explorer = _native.Explorer(
            core=start.core,
            cartridge=_native.Cartridge.parse(env.cartridge.data),
            start=start.data,
            addresses=_ADDRESSES,
            states=self._states,
            bytes=self._bytes,
            frames=self._played,
        )
        self.frames = 0
        self._trails = Trails()
        self.cells = Cells(Entry(saved=0, node=0))

    def expedition(self) -> bytes | None:
        """Return to a cell and play random moves; the actions from the start if that won."""
        explorer, trails = self._explorer, self._trails
        self._draw_moves()
        saved, node = self.cells[self.cells.choose(self._rng)]
        begun = explorer.explore(saved, self._holds)
        self.frames += int(self._played[:begun].sum())
        over = explorer.ending != _native.RUNNING
        played = self._played.tolist()
        buttons = self._holds[:, 0].tolist()
        for row, cell in enumerate(self._cells_of(begun)):
            node = trails.add(node, buttons[row], played[row])
            if over and row == begun - 1:
                return trails.actions(node) if explorer.ending == _native.WON else None
            self._remember(cell, row, node)
        return None

    def _draw_moves(self) -> None:
        """Random moves, short holds as likely as long ones on a logarithmic scale."""
        draws = self._rng.random((2, _HOLDS))
        moves = np.searchsorted(self._sums, draws[0] * self._sums[-1], side="right")
        self._holds[:, 0] = self._moves[moves]
        frames = np.exp(draws[1] * math.log(_LONGEST_HOLD)).astype(np.int32) + 1
        self._holds[:, 1] = -(-frames // self._frame_skip) * self._frame_skip

    def _cells_of(self, rows: int) -> list[Cell]:
        """The cell after each hold."""
        states, (floating, right, passed) = self._states[:rows], self._bytes[:rows].T
        columns = (
            states[:, _AREA],
            states[:, _X] // _BUCKET,
            states[:, _Y] // _BUCKET,
            floating == 0,
            right,
            passed,
        )
        return list(map(Cell, *(column.tolist() for column in columns)))

    def _remember(self, cell: Cell, row: int, node: int) -> None:
        """Keep the machine after hold ``row`` if its cell is new or was reached faster."""
        place = self.cells.find(cell)
        if place is None:
            self.cells.add(cell, Entry(self._explorer.keep(row), node))
            return
        known = self.cells[place]
        if self._trails.length(node) < self._trails.length(known.node):
            self._explorer.forget(known.saved)
            self.cells.replace(place, Entry(self._explorer.keep(row), node))
