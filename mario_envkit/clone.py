"""``clone_state`` and ``restore_state``, for planners: any moment of a game, as often as wanted.

``copy.deepcopy(env)`` makes a second environment, which costs milliseconds; here one environment
goes back and forth between moments, which costs microseconds on the native console::

    root = mario_envkit.clone_state(env)
    for action in range(env.action_space.n):
        _, reward, terminated, _, _ = env.step(action)
        mario_envkit.restore_state(env, root)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from mario_envkit.arguments import as_bool, as_env
from mario_envkit.copies import CONTEXT, EnvState, check_state
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.snapshots.context import Context

__all__ = ["EnvState", "clone_state", "restore_state"]


def clone_state(env: gymnasium.Env[Any, Any], include_rng: bool = True) -> EnvState:
    """The state of ``env``, from its console to its outermost wrapper, as a value.

    After :func:`restore_state` the same actions lead to the same observations, rewards,
    terminations, truncations and infos as after this call, bit for bit. That includes the frame
    stack, what the reward remembers, the action that a sticky joypad repeats, limits, the schedule
    of levels and, of ``MarioSnapshot-v0``, all that practice remembers in memory (neither an
    archive nor hotspots that were given to it or are in files). A state that was taken after the
    end of an episode is one in which that is over.

    Args:
        env: a game of ours in wrappers that can be saved, which :class:`Context` of
            :mod:`mario_envkit.snapshots` knows; ``env.unwrapped.clone_state()`` leaves them out.
        include_rng: keep the state of the random generator, ``env.np_random``, too: then sticky
            actions repeat themselves after every restore, and a planner knows what luck it will
            have. With False a restore leaves the generator as it is, so that every attempt has its
            own luck.

    Raises:
        ResetRequired: before the first ``reset()``.
        OptionError: if there is no game of ours in ``env``, or a wrapper that cannot be saved, and
            for an ``include_rng`` that is neither True nor False.
    """
    include_rng = as_bool("include_rng", include_rng)
    context, game = _context(env), env.unwrapped
    assert isinstance(game, MarioEnv)
    with game.step_lock:
        state = EnvState(context.save(), game._levels.save(), game._playing)
    return state if include_rng else replace(state, saved=replace(state.saved, noise=()))


def restore_state(env: gymnasium.Env[Any, Any], state: EnvState) -> None:
    """Let ``env`` be where it was when ``state`` was taken.

    It returns nothing: keep the observation beside the state. A state may be restored as often as
    wanted, and into another environment that was made with the same arguments, which need not have
    been reset. The random generator is restored if the state has one.

    Args:
        env: the environment.
        state: of :func:`clone_state`, for this stack of wrappers.

    Raises:
        SnapshotMismatch: if the state is of another kind of environment; ``env`` stays as it is.
        OptionError: if it is no such state.
        CallOrderError: while another thread steps or resets the environment.
    """
    context, game = _context(env), env.unwrapped
    assert isinstance(game, MarioEnv)
    game.step_lock.begin()
    try:
        context.load(check_state(state).saved, noise=bool(state.saved.noise))
        game._levels.load(state.schedule)
        game._playing = state.playing
    finally:
        game.step_lock.end()


def _context(env: gymnasium.Env[Any, Any]) -> Context:
    """The context of ``env``, made once."""
    if isinstance(env, VectorEnv):
        raise OptionError(
            f"{env} is a vector; MarioVectorEnv has clone_state() and restore_state() of its own, "
            "and of another vector its environments are cloned one by one."
        )
    context: Context | None = vars(as_env("env", env)).get(CONTEXT)
    if context is None:
        if not isinstance(env.unwrapped, MarioEnv):
            raise OptionError(
                f"{env.unwrapped} is not a game of mario-envkit, and cannot be cloned; give one "
                "of its environments."
            )
        context = vars(env)[CONTEXT] = Context(env)
    return context
