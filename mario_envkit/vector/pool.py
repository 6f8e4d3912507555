"""The native core's pool of games, with the arrays through which it is spoken to.

Importing this needs the native core; :mod:`mario_envkit.vector` checks that first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from mario_envkit import _native
from mario_envkit.emulator.native import observer_for
from mario_envkit.emulator.protocol import RAM_SIZE
from mario_envkit.env import MarioEnv
from mario_envkit.errors import EmulatorClosed, SnapshotMismatch
from mario_envkit.game.endings import ENDINGS, is_success
from mario_envkit.game.levels import WORLDS, Level
from mario_envkit.game.rewards import Memory, RewardFunction
from mario_envkit.game.rules import GameStuck
from mario_envkit.game.state import GameState
from mario_envkit.vector.infos import (
    ENDING_ROW,
    FLAG_ROWS,
    INT_ROWS,
    TERMINATED_ROW,
    TROUBLE_ROW,
    TRUNCATED_ROW,
    InfoMaker,
)
from mario_envkit.vector.open_games import CLOSED
from mario_envkit.vector.reward import BatchedReward, compile_reward, only_stalls

_WHAT, _VALUE = 0, 1  # columns of the orders
_ALL = slice(None)
_SAVED_PROGRESS = 13  # kProgressFields in native/env_saves.hpp
_SAVED_MEMORY = 2  # kMemoryFields

_NO_STATE = GameState(*(0,) * 10, *(False,) * 9)


class _Closed:
    def __getattr__(self, name: str) -> NoReturn:
        raise EmulatorClosed(CLOSED)


_CLOSED = _Closed()


class SavedGame(NamedTuple):
    """A game of the pool, between two steps.

    Attributes:
        machine: as in ``Snapshot.data``.
        progress: world and stage of the episode, zeros in the full game; frames since the level
            began; world and stage in which they count, whether its flag was seen, stages cleared;
            of the stall limit world, stage and area, best x, steps without anything new; steps
            since the episode began.
        memory: what the reward remembers.
        stack: the observation.
    """

    machine: bytes
    progress: tuple[int, ...]
    memory: tuple[Memory, ...]
    stack: NDArray[np.uint8]


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
        shape: of an observation, stacked.

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
        shape: tuple[int, ...],
    ) -> None:
        self._arguments = game, options, num_envs, num_threads, max_episode_steps, shape
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
        self.infos = InfoMaker(
            self._ints, self._flags, self._doubles, terms, options["numeric_info"]
        )
        native_reward = compiled or only_stalls(function)
        self._memory_shape = len(native_reward.terms), _SAVED_MEMORY
        self._first_memory = function.start(_NO_STATE)
        self._stack_shape = shape
        self._game = game
        self._starts: dict[Level | None, int] = {}
        spec = _spec(game, options, max_episode_steps)
        spec.set_reward(*native_reward)
        self._pool = _native.EnvPool(
            core=game.emulator.core,
            cartridge=_native.Cartridge.parse(game.cartridge.data),
            spec=spec,
            num_threads=num_threads,
            orders=self._orders,
            ints=self._ints,
            flags=flags,
            doubles=self._doubles,
            history=history,
            history_used=used,
        )

    # -- copies ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, between two steps: the games, and what they last said."""
        return {
            "arguments": self._arguments,
            "games": [self.save(env) for env in range(self._orders.shape[0])],
            "batched": None if self._batched is None else self._batched.memory,
            "ints": self._ints,
            "flags": self._flags,
            "doubles": self._doubles,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the pool anew, with threads of its own, and put the games into it."""
        GamePool.__init__(self, *state["arguments"])
        for env, game in enumerate(state["games"]):
            self._put(env, game.machine, game.progress, game.memory)
            self.show(env, game.stack)
        if self._batched is not None:
            self._batched.memory = state["batched"]
        self._ints[:], self._flags[:] = state["ints"], state["flags"]
        self._doubles[:] = state["doubles"]

    def close(self) -> None:
        """End the threads and free the machines, whoever still has this object."""
        self._pool = cast(_native.EnvPool, _CLOSED)

    # -- orders ------------------------------------------------------------------------------

    def order_keep(self, env: int | slice = _ALL) -> None:
        """Nobody does anything, or ``env`` does not, but observations are written."""
        self._orders[env, _WHAT] = _native.KEEP

    def order_skip(self) -> None:
        """Nobody does anything."""
        self._orders[:, _WHAT] = _native.SKIP

    def order_step(self, buttons: NDArray[np.int32]) -> None:
        """Everybody makes a step, holding ``buttons`` ``(num_envs,)``, joypad bytes or what
        :class:`~mario_envkit.vector.chance.StickyFrames` makes of them."""
        self._orders[:, _WHAT] = _native.STEP
        self._orders[:, _VALUE] = buttons

    def order_reset(self, env: int, level: Level | None, noops: int) -> None:
        """``env`` begins an episode in ``level`` (None: the full game) with some no-ops."""
        if level not in self._starts:
            start = self._game.start_of(level)
            self._starts[level] = self._pool.add_start(start.data, *(level or (0, 0)))
        self._orders[env] = self._starts[level], noops

    def ordered(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Who begins an episode, and who makes a step, each ``(num_envs,)``."""
        what = self._orders[:, _WHAT]
        return what >= 0, what == _native.STEP

    def set_reward(self, function: RewardFunction) -> None:
        """Pay by other weights of the same terms, from the next step on."""
        if self._batched is not None:
            self._batched.reweight(function)
            self._pool.set_reward(*only_stalls(function))
        elif (compiled := compile_reward(function)) is not None:
            self._pool.set_reward(*compiled)

    # -- carrying them out -------------------------------------------------------------------

    def run(self, observations: NDArray[np.uint8]) -> Unfinished:
        """Carry out the orders; observations are written to ``observations``.

        Raises:
            GameStuck: if games cannot go on. Their results say that they have terminated; those of
                the others are what came of their orders.
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
            started, stepped = self.ordered()
            self._batched.update(started=started, stepped=stepped)
        if not troubled:
            return []
        trouble = self._ints[TROUBLE_ROW].tolist()
        self._ints[TROUBLE_ROW] = 0
        stuck = [env for env, left in enumerate(trouble) if left < 0]
        if stuck:
            # Nor does anything come of the episodes that were beginning.
            self._flags[TERMINATED_ROW, np.flatnonzero(trouble)] = True
            raise GameStuck.in_vector(stuck)
        return [(env, left - 1) for env, left in enumerate(trouble) if left]

    # -- results -----------------------------------------------------------------------------

    def results(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Copies of rewards, terminations and truncations."""
        flags = self._flags.copy()
        return self._doubles[0].copy(), flags[TERMINATED_ROW], flags[TRUNCATED_ROW]

    def succeeded(self, env: int) -> bool:
        """Whether a game's last step ended the episode with success."""
        return bool(is_success(ENDINGS[self._ints[ENDING_ROW, env]]))

    def show(self, env: int, observation: NDArray[np.uint8]) -> None:
        """After :meth:`load`: what is seen, stacked."""
        self._pool.show(env, np.ascontiguousarray(observation))

    def restart_at(self, env: int, observation: NDArray[np.uint8], info: dict[str, Any]) -> None:
        """After :meth:`load`: its observation, and the info of the step that ended there."""
        self.show(env, observation)
        self.infos.put(env, info)
        self._doubles[0, env] = 0.0
        self._flags[[TERMINATED_ROW, TRUNCATED_ROW], env] = False

    def watch(self, low: NDArray[np.int64], width: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Ask for a look-out: one array ``(num_envs,)``, kept up to date from now on.

        It is True where the last step or reset set a flag, or led a number outside the range from
        ``low`` to ``low + width``, both included; both are ``(INT_ROWS, num_envs)`` and may be
        changed between steps.
        """
        outside = np.zeros(self._ints.shape[1], np.uint8)
        self._pool.watch(low, width, outside)
        return outside.view(np.bool_)

    # -- a game as a value -------------------------------------------------------------------

    def save(self, env: int) -> SavedGame:
        """One game, between two steps."""
        stack = np.empty(self._stack_shape, np.uint8)
        progress = np.empty(_SAVED_PROGRESS, np.int64)
        kept = np.empty(self._memory_shape, np.int64)
        machine = self._pool.save(env, progress, kept, stack)
        if self._batched is not None:
            memory = self._batched.save(env)
        else:
            # Of the types that they have in a single environment.
            memory = tuple(
                tuple(type(first)(value) for first, value in zip(firsts, values, strict=False))
                for firsts, values in zip(self._first_memory, kept.tolist(), strict=True)
            )
        return SavedGame(machine, tuple(progress.tolist()), memory, stack)

    def load(
        self, env: int, machine: bytes, progress: Sequence[int], memory: tuple[Memory, ...]
    ) -> None:
        """Let one game be what was saved, but for observations, which :meth:`show` or
        :meth:`restart_at` must put back.

        Raises:
            SnapshotMismatch: if it is no machine; the game is left as it was.
        """
        self._put(env, machine, progress, memory)
        if self._batched is not None:
            self._batched.load(env, memory)

    def _put(
        self, env: int, machine: bytes, progress: Sequence[int], memory: tuple[Memory, ...]
    ) -> None:
        """:meth:`load`, but for rewards that are worked out in Python."""
        kept = np.zeros(self._memory_shape, np.int64)
        if self._batched is None:
            for row, values in zip(kept, memory, strict=True):
                row[: len(values)] = values
        problem = self._pool.load(env, machine, np.array(progress, np.int64), kept)
        if problem:
            raise SnapshotMismatch(
                f"The snapshot cannot be loaded: {problem}; use another copy or take it again."
            )

    def ram(self, env: int) -> NDArray[np.uint8]:
        """A copy of one game's 2,048 bytes of work RAM."""
        ram = np.empty(RAM_SIZE, np.uint8)
        self._pool.ram(env, ram)
        return ram

    def picture(self, env: int, out: NDArray[np.uint8]) -> None:
        """Write the picture of one game to ``out``, ``(240, 256, 3)`` uint8 RGB."""
        self._pool.screen(env, out)


def _spec(
    game: MarioEnv, options: dict[str, Any], max_episode_steps: int | None
) -> _native.EnvSpec:
    spec = _native.EnvSpec()
    spec.frame_skip = options["frame_skip"]
    spec.max_pool = options["max_pool"]
    spec.observes = getattr(_native.Observes, options["observation"])
    spec.show_buttons = options["show_buttons"]
    spec.show_level = options["show_level"]
    spec.frame_stack = options["frame_stack"]
    spec.stall_limit = options["stall_limit"] or 0
    spec.max_episode_steps = max_episode_steps or 0
    spec.last_world = WORLDS[game.game]
    spec.end_on_exit = game.end_on_exit
    spec.set_picture(observer_for(game.picture))
    return spec
