"""The native core's pool of games, with the arrays through which it is spoken to.

Importing this needs the native core; :mod:`mario_envkit.vector` checks that first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit import _native
from mario_envkit.emulator.native import observer_for
from mario_envkit.emulator.rom import find_rom
from mario_envkit.env import MarioEnv
from mario_envkit.game.levels import Level
from mario_envkit.game.rules import GameStuck
from mario_envkit.game.state import GameState
from mario_envkit.vector.infos import (
    DIED_ROW,
    FLAG_GET_ROW,
    FLAG_ROWS,
    INT_ROWS,
    TERMINATED_ROW,
    TROUBLE_ROW,
    TRUNCATED_ROW,
    InfoMaker,
)
from mario_envkit.vector.reward import NO_REWARD, BatchedReward, compile_reward

_WHAT, _VALUE = 0, 1  # columns of the orders

Unfinished = list[tuple[int, int]]
"""Resets whose no-ops ended the episode: the environment, and how many no-ops are left to do."""


class GamePool:
    """Games that are given orders and then all carried out together, by native threads.

    Orders stay as they are until they are replaced. Random numbers are the caller's business.

    Args:
        game: a single environment on the native console: cartridge, picture, reward, starts.
        options: all keyword arguments of an environment.
        num_envs: how many games.
        num_threads: how many threads.
        max_episode_steps: None is no limit.

    Attributes:
        infos: makes Gymnasium's infos of what happened last.
    """

    def __init__(
        self,
        game: MarioEnv,
        options: dict[str, Any],
        num_envs: int,
        num_threads: int,
        max_episode_steps: int | None,
    ) -> None:
        function = game.reward_function
        terms = [term.name for term in function.terms]
        compiled = compile_reward(function)
        rows = 0 if compiled else max(options["frame_skip"], options["noop_max"] + 1)
        history = np.zeros((num_envs, rows, len(GameState._fields)), np.int64)
        used = np.zeros(num_envs, np.int32)
        self._orders = np.zeros((num_envs, 2), np.int32)
        self._ints = np.zeros((INT_ROWS, num_envs), np.int64)
        flags = np.zeros((FLAG_ROWS, num_envs), np.uint8)
        self._flags = flags.view(np.bool_)
        self._doubles = np.zeros((1 + len(terms), num_envs))
        self._batched = None if compiled else BatchedReward(function, history, used, self._doubles)
        self.infos = InfoMaker(self._ints, self._flags, self._doubles, terms)
        self._game = game
        self._starts: dict[Level | None, int] = {}
        spec = _spec(game, options, max_episode_steps)
        spec.set_reward(*(compiled or NO_REWARD))
        rom = find_rom(game.game, options["rom_variant"], options["rom"])
        self._pool = _native.EnvPool(
            core=game.emulator.core,
            cartridge=_native.Cartridge.parse(rom.data),
            spec=spec,
            num_threads=num_threads,
            orders=self._orders,
            ints=self._ints,
            flags=flags,
            doubles=self._doubles,
            history=history,
            history_used=used,
        )

    # -- orders ------------------------------------------------------------------------------

    def order_keep(self) -> None:
        """Nobody does anything, but all observations are written."""
        self._orders[:, _WHAT] = _native.KEEP

    def order_skip(self) -> None:
        """Nobody does anything."""
        self._orders[:, _WHAT] = _native.SKIP

    def order_step(self, buttons: NDArray[np.int32]) -> None:
        """Everybody makes a step, holding ``buttons`` ``(num_envs,)``."""
        self._orders[:, _WHAT] = _native.STEP
        self._orders[:, _VALUE] = buttons

    def order_reset(self, env: int, level: Level | None, noops: int) -> None:
        """``env`` begins an episode in ``level`` (None: the full game) with some no-ops."""
        if level not in self._starts:
            start = self._game.start_of(level)
            self._starts[level] = self._pool.add_start(start.data, level is not None)
        self._orders[env] = self._starts[level], noops

    # -- carrying them out -------------------------------------------------------------------

    def run(self, observations: NDArray[np.uint8]) -> Unfinished:
        """Carry out the orders; observations are written to ``observations``.

        Raises:
            GameStuck: if a game cannot go on.
        """
        return self._settle(self._pool.run(observations))

    def start(self, observations: NDArray[np.uint8]) -> None:
        """Begin to carry out the orders; :meth:`wait` must follow."""
        self._pool.start(observations)

    def wait(self) -> Unfinished:
        """The end of what :meth:`start` began; see :meth:`run`."""
        return self._settle(self._pool.wait())

    def _settle(self, troubled: int) -> Unfinished:
        if self._batched is not None:
            what = self._orders[:, _WHAT]
            self._batched.update(started=what >= 0, stepped=what == _native.STEP)
        if not troubled:
            return []
        trouble = self._ints[TROUBLE_ROW].tolist()
        self._ints[TROUBLE_ROW] = 0
        if min(trouble) < 0:
            raise GameStuck.unplayable()
        return [(env, left - 1) for env, left in enumerate(trouble) if left]

    # -- results -----------------------------------------------------------------------------

    def results(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Copies of rewards, terminations and truncations."""
        flags = self._flags.copy()
        return self._doubles[0].copy(), flags[TERMINATED_ROW], flags[TRUNCATED_ROW]

    def completed(self, env: int) -> bool:
        """Whether a game's last step reached the flag, alive."""
        return bool(self._flags[FLAG_GET_ROW, env] and not self._flags[DIED_ROW, env])

    def picture(self, env: int, out: NDArray[np.uint8]) -> None:
        """Write the picture of one game to ``out``, ``(240, 256, 3)`` uint8 RGB."""
        self._pool.screen(env, out)


def _spec(
    game: MarioEnv, options: dict[str, Any], max_episode_steps: int | None
) -> _native.EnvSpec:
    spec = _native.EnvSpec()
    spec.frame_skip = options["frame_skip"]
    spec.max_pool = bool(options["max_pool"])
    spec.of_ram = options["observation"] == "ram"
    spec.frame_stack = options["frame_stack"]
    spec.stall_limit = options["stall_limit"] or 0
    spec.max_episode_steps = max_episode_steps or 0
    spec.set_picture(observer_for(game.picture))
    return spec
