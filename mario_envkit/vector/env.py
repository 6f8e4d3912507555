"""Many games at once: a Gymnasium vector environment over the native core's pool of threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mario_envkit.arguments import as_bool, as_int, check_keywords
from mario_envkit.emulator.picture import Picture
from mario_envkit.env import MarioEnv
from mario_envkit.errors import CallOrderError, OptionError, ResetRequired
from mario_envkit.game.actions import resolve_actions
from mario_envkit.game.levels import Level
from mario_envkit.game.rules import GameStuck
from mario_envkit.game.start import RESET_OPTIONS, read_options
from mario_envkit.registration import make_mario
from mario_envkit.step_lock import StepLock
from mario_envkit.vector.chance import Chances
from mario_envkit.vector.changes import ChangingGames
from mario_envkit.vector.cores import available_cores
from mario_envkit.vector.hooks import VectorHooks
from mario_envkit.vector.options import (
    check_native,
    check_no_window,
    for_single,
    parse_autoreset_mode,
    parse_mask,
    parse_seeds,
    schedules_of,
    with_defaults,
)
from mario_envkit.wrappers.episode import draw_noops

if TYPE_CHECKING:
    from mario_envkit.vector.pool import GamePool, Unfinished

Observations = NDArray[np.uint8]

MOST_ENVS = 65_536
Step = tuple[
    Observations, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]


class MarioVectorEnv(ChangingGames):
    """``num_envs`` games in one process, stepped by native threads.

    Observations, rewards, terminations, truncations and infos are those of
    ``gymnasium.vector.SyncVectorEnv`` over single environments with the same keyword arguments,
    bit for bit, at a fraction of the cost: skip, drawing, resize, stack, rules and rewards run in
    the native core, without the GIL.

    ``step_async(actions)`` and ``step_wait()`` are the two halves of ``step``: in between the games
    run while Python does something else.

    Observations are ``(num_envs, *single)`` uint8, where ``single`` is ``(stack, height, width)``
    for grey, ``(stack, height, width, 3)`` for RGB, ``(stack, 16, 16)`` for "tiles" and
    ``(stack, 2048)`` for "ram"; a stack of 1 adds no axis.

    ``copy.deepcopy`` and pickle carry every game as it is; the copy has threads of its own.

    Args:
        num_envs: how many games.
        levels: one level or schedule for each environment, instead of ``level``; a schedule given
            here several times is shared, while ``level=schedule`` gives each its own copy.
        max_episode_steps: steps after which an episode is truncated; None is no limit.
        autoreset_mode: when a finished episode begins anew, see Gymnasium's ``AutoresetMode``.
        num_threads: threads to step with; None takes the cores that this process may use.
        copy: False returns the same observation array again and again, overwritten by each step.
        kwargs: see :func:`~mario_envkit.registration.make_mario` and
            :class:`~mario_envkit.env.MarioEnv`.

    Attributes:
        hooks: what is built into this vector, see :class:`~mario_envkit.vector.hooks.VectorHooks`.
        pool: the games in the native core.
        single: such a single environment, which is never played.
        schedules, levels: each game's schedule, and in which level its episode began; None is the
            full game.
        chances: all chance of the games: random starts, sticky actions and frames, blank pictures.
        over: ``(num_envs,)`` bool, whose episode is over.

    Raises:
        BackendUnavailable: if the native core is not installed, or another backend is asked for.
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        levels: Sequence[Any] | None = None,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        num_threads: int | None = None,
        copy: bool = True,
        **kwargs: Any,
    ) -> None:
        check_keywords(kwargs, type(self), MarioVectorEnv, make_mario, MarioEnv, but=("picture",))
        check_native(kwargs.pop("backend", None))
        self.num_envs = as_int("num_envs", num_envs, least=1, most=MOST_ENVS)
        threads = available_cores() if num_threads is None else num_threads
        self.num_threads = min(self.num_envs, as_int("num_threads", threads, least=1))
        if max_episode_steps is not None:
            max_episode_steps = as_int("max_episode_steps", max_episode_steps, least=1)
        autoreset_mode = parse_autoreset_mode(autoreset_mode)
        self.copy = as_bool("copy", copy)
        check_no_window(kwargs.get("render_mode"))
        self._options = with_defaults(kwargs)
        # The single environment knows all the options, resolves them and reports what is wrong.
        # Snapshots read its texts.
        single = {**for_single(kwargs, self.num_envs), "numeric_info": False}
        self.single = make_mario(backend="native", **single)
        self._game: MarioEnv = self.single.unwrapped  # type: ignore[assignment]
        self.numeric_info = self._options["numeric_info"]
        self._set_spaces(autoreset_mode)
        self.schedules = schedules_of(levels, self._game, self.num_envs)
        joypad = np.array(resolve_actions(self._options["actions"]), np.int32)
        self.chances = Chances(self.num_envs, self._options, joypad)
        self.levels: list[Level | None] = [None] * self.num_envs

        from mario_envkit.vector.pool import GamePool  # needs the native core

        self._pool: GamePool | None = GamePool(
            self._game,
            self._options,
            self.num_envs,
            self.num_threads,
            max_episode_steps,
            self.single_observation_space.shape or (),
        )
        self._observations = np.zeros(self.observation_space.shape or (), np.uint8)
        self.over = np.zeros(self.num_envs, np.bool_)
        self._process = os.getpid()
        self.step_lock = StepLock()
        self.hooks = VectorHooks()
        self._waiting = False
        self._begun = False  # whether all environments have been reset
        self._ready = False  # whether all can be stepped: not after a failure

    # -- setting up --------------------------------------------------------------------------

    def _set_spaces(self, autoreset_mode: AutoresetMode) -> None:
        single = self.single
        self.metadata = {**single.metadata, "autoreset_mode": autoreset_mode}
        self.autoreset_mode = autoreset_mode
        self.render_mode = self._game.render_mode
        self._set_observation_space()
        self.single_action_space = single.action_space
        self.action_space = batch_space(single.action_space, self.num_envs)

    # -- Gymnasium ---------------------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin episodes.

        Args:
            seed: environment ``i`` gets ``seed + i``, or ``seed[i]``; None goes on with the
                random numbers it has.
            options: ``level`` overrides the schedules for this one episode; ``reset_mask``
                ``(num_envs,)`` bool resets some environments only.

        Raises:
            LevelError: for a level that the game does not have.
            OptionError: for seeds or a mask that do not fit.
            CallOrderError: between ``step_async()`` and ``step_wait()``, and while another thread
                steps or resets the games.
        """
        pool = self._begin()
        try:
            return self._reset(pool, seed, options)
        finally:
            self.step_lock.end()

    def _reset(
        self,
        pool: GamePool,
        seed: int | Sequence[int | None] | None,
        options: dict[str, Any] | None,
    ) -> tuple[Observations, dict[str, Any]]:
        if self._waiting:
            raise CallOrderError("step_wait() must come before reset().")
        options = read_options(options, self._game.game, (*RESET_OPTIONS, "reset_mask"))
        mask = parse_mask(options.get("reset_mask"), self.num_envs)
        if not self._begun and not mask.all():
            raise ResetRequired(
                "The first reset() must be one of all environments: leave the reset_mask away."
            )
        seeds = parse_seeds(seed, self.num_envs)
        if options.get("start") is not None:
            raise OptionError(
                "options['start'] is for single environments; give the vector options['level'], or "
                "nothing."
            )
        chosen = options.get("level")
        self._ready = False
        pool.order_keep()
        for i in np.flatnonzero(mask).tolist():  # first of all, as some may share a schedule
            if seeds[i] is not None:
                self.schedules[i].restart()
        for i in np.flatnonzero(mask).tolist():
            self._begin_episode(i, seeds[i], options)
        out = self._next_observations()
        self._finish_resets(pool.run(out), out, chosen)
        self.over &= ~mask
        self._ready = self._begun = True
        return out, self._infos(None if mask.all() else mask)

    def step(self, actions: Any) -> Step:
        """Take ``actions[i]`` in environment ``i``.

        Args:
            actions: ``(num_envs,)`` integers.

        Returns:
            ``(observations, rewards, terminations, truncations, infos)``.

        Raises:
            OptionError: for actions that do not exist.
            GameStuck: if a game's RAM was written to from outside, and it cannot go on. After a
                reset of that game (``reset_mask``) the others do; episodes of theirs that ended in
                this step begin anew in the next one.
            CallOrderError: between ``step_async()`` and ``step_wait()``, and while another thread
                steps or resets the games.
        """
        pool = self._begin()
        try:
            self._order_steps(pool, actions)
            out = self._next_observations()
            return self._finish_step(lambda: pool.run(out), out)
        finally:
            self.step_lock.end()

    def step_async(self, actions: Any) -> None:
        """Begin a step; :meth:`step_wait` ends it. In between the games run."""
        pool = self._begin()
        try:
            self._order_steps(pool, actions)
            self._pending = self._next_observations()
            pool.start(self._pending)
            self._waiting = True
        finally:
            self.step_lock.end()

    def step_wait(self) -> Step:
        """What :meth:`step` returns, for the step that :meth:`step_async` began."""
        pool = self._begin()
        try:
            if not self._waiting:
                raise CallOrderError("step_async() must come before step_wait().")
            self._waiting = False
            return self._finish_step(pool.wait, self._pending)
        finally:
            self.step_lock.end()

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """The pictures, each ``(240, 256, 3)`` uint8, for ``render_mode="rgb_array"``.

        Waits for a step, be it one of another thread or one that ``step_async()`` began.
        """
        pool = self.pool
        if self.render_mode != "rgb_array":
            return None
        pictures = np.empty((self.num_envs, *Picture().shape), np.uint8)
        with self.step_lock:
            for i, picture in enumerate(pictures):
                pool.picture(i, picture)
        return tuple(pictures)

    # -- what the environments are to do -----------------------------------------------------

    def _begin_episode(
        self, i: int, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> None:
        if not self.hooks.replace_reset(i, seed, options):
            self.chances.reset(i, seed)
            self._order_reset(i, (options or {}).get("level"))
            if not self.hooks.replace_start(i, seed, options):
                return
        self.pool.order_keep(i)

    def _order_reset(self, i: int, chosen: Any, noops: int | None = None) -> None:
        rng = self.chances.games[i].np_random
        level = self.schedules[i].next(rng, chosen)
        if noops is None:
            noop_max = self._options["noop_max"]
            noops = draw_noops(rng, noop_max) if noop_max else 0
        self.levels[i] = level
        self.chances.release(i)
        self.pool.order_reset(i, level, noops)

    def _order_steps(self, pool: GamePool, actions: Any) -> None:
        over = self.over.nonzero()[0].tolist()
        self._check_steppable(over)
        orders = self.chances.order(actions, self.over)
        self._ready = False
        pool.order_step(orders)
        for i in over:
            self._begin_episode(i)

    def _check_steppable(self, over: list[int]) -> None:
        if self._waiting:
            raise CallOrderError("step_wait() must come before the next step.")
        if not self._ready:
            raise ResetRequired(
                "There are no episodes to step: none were begun yet, or a step failed; call "
                "reset() first."
            )
        if over and self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetRequired(
                f"The episodes of the environments {over} are over; with autoreset disabled call "
                "reset(options={'reset_mask': ...}) first."
            )

    # -- what came of it ---------------------------------------------------------------------

    def _next_observations(self) -> Observations:
        return np.empty_like(self._observations) if self.copy else self._observations

    def _results(self, unfinished: Unfinished, out: Observations) -> Step:
        self._finish_resets(unfinished, out)
        rewards, terminated, truncated = self._outcomes()
        self.hooks.after_step(out, terminated, truncated)
        self._ready = True
        over = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and over.any():
            final = self._endings(over, out)
            self.over = np.zeros_like(over)  # a restored state can be one that was over
            self._restart(over, out)
            self.over = np.zeros_like(over)
            return out, rewards, terminated, truncated, {**final, **self._infos()}
        self.over = over
        return out, rewards, terminated, truncated, self._infos()

    def _finish_step(self, carry_out: Callable[[], Unfinished], out: Observations) -> Step:
        """The results; if a game is stuck, at least know which episodes are over."""
        try:
            return self._results(carry_out(), out)
        except GameStuck:
            _, terminated, truncated = self.pool.results()
            self.over = terminated | truncated
            raise

    def _outcomes(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Rewards, terminations and truncations; the schedules hear of the levels that ended."""
        pool = self.pool
        rewards, terminated, truncated = pool.results()
        for i in terminated.nonzero()[0].tolist():
            self.schedules[i].end(success=pool.succeeded(i))
        return rewards, terminated, truncated

    def _infos(self, only: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        infos = self.pool.infos.make(only)
        self.hooks.extend_infos(infos, only)
        return infos

    def _endings(self, over: NDArray[np.bool_], out: Observations) -> dict[str, Any]:
        """How the finished episodes ended, as infos."""
        last = np.full(self.num_envs, None, object)
        for i in np.flatnonzero(over).tolist():
            last[i] = out[i].copy()
        final = {"final_obs": last, "final_info": self._infos(only=over)}
        final["_final_obs"], final["_final_info"] = over.copy(), over.copy()
        return final

    def _restart(self, over: NDArray[np.bool_], out: Observations) -> None:
        """Begin the finished episodes anew within the step."""
        pool = self.pool
        self._ready = False
        pool.order_skip()
        for i in np.flatnonzero(over).tolist():
            self._begin_episode(i)
        self._finish_resets(pool.run(out), out)
        self._ready = True

    def _finish_resets(self, unfinished: Unfinished, out: Observations, chosen: Any = None) -> None:
        """Where a no-op ended an episode, begin another and do the rest of the no-ops."""
        pool = self.pool
        while True:
            self.chances.hide(pool, out, unfinished)
            if not unfinished:
                break
            pool.order_skip()
            for i, noops in unfinished:
                self._order_reset(i, chosen, noops)
            unfinished = pool.run(out)
        self.hooks.after_resets()
