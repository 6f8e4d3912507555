"""Stable-Baselines3: one native vector instead of a Python object for each game.

::

    from mario_envkit.integrations.sb3 import make_vec_env

    model = PPO("CnnPolicy", make_vec_env("MarioTrain-v0", 16, level="1-1", reward="progress"))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from mario_envkit.arguments import as_int, as_seed
from mario_envkit.errors import OptionError
from mario_envkit.game.endings import is_success
from mario_envkit.vector import MarioVectorEnv
from mario_envkit.vector.env import MOST_ENVS
from mario_envkit.vector.infos import row_of, rows_of

_RARE = ("final_obs", "final_info", "life_lost_obs", "life_lost_info")
"""Read only where an episode ends."""


def make_vec_env(
    env_id: str, n_envs: int = 1, seed: int | None = None, *, monitor: bool = True, **kwargs: Any
) -> VecEnv:
    """What ``stable_baselines3.common.env_util.make_vec_env`` makes, over the native vector.

    Args:
        env_id: one of ours, such as "MarioTrain-v0" or "MarioSnapshot-v0".
        n_envs: how many games.
        seed: of the first reset; game ``i`` gets ``seed + i``.
        monitor: wrap it in ``VecMonitor``, which puts returns and lengths of episodes into infos.
        kwargs: what the id takes as a vector; ``level=...`` and so on.

    Raises:
        OptionError: for an id that is not ours.
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """
    entry_point = gymnasium.spec(env_id).vector_entry_point
    maker = load_env_creator(entry_point) if isinstance(entry_point, str) else None
    if not isinstance(maker, type) or not issubclass(maker, MarioVectorEnv):
        raise OptionError(f"env_id={env_id!r} is no environment of ours; use SB3's make_vec_env.")
    seed, n_envs = as_seed(seed), as_int("n_envs", n_envs, least=1, most=MOST_ENVS)
    kwargs["autoreset_mode"] = AutoresetMode.SAME_STEP
    envs: Any = gymnasium.make_vec(env_id, num_envs=n_envs, **kwargs)
    made: VecEnv = MarioVecEnv(envs)
    if seed is not None:
        made.seed(seed)
    return VecMonitor(made) if monitor else made


class MarioVecEnv(VecEnv):
    """A native vector as Stable-Baselines3 sees it.

    What ``DummyVecEnv`` over single environments says, bit for bit. Beyond that:

    * A lost life ends an episode here even where the game goes on from a snapshot
      (``restore="in_episode"``): ``dones`` is True, ``terminal_observation`` and the info are those
      of the death, and the observation is the restored one. The library knows of no other way to
      cut the sum of rewards.
    * Where an episode ends its info has ``is_success``, which SB3 logs as ``success_rate``.

    Observations are uint8 arrays of their own, rewards float32.

    Args:
        envs: with SAME_STEP autoreset.

    Raises:
        OptionError: if its autoreset mode is another.
    """

    def __init__(self, envs: MarioVectorEnv) -> None:
        if envs.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise OptionError(
                f"autoreset_mode={envs.autoreset_mode.value!r} is not how Stable-Baselines3 steps; "
                "make the vector with autoreset_mode='SameStep'."
            )
        if envs.numeric_info:
            raise OptionError(
                "numeric_info=True is for libraries that store infos; Stable-Baselines3 gets along "
                "with texts: leave it out."
            )
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> NDArray[np.uint8]:
        """Begin episodes; uses up what ``seed()`` and ``set_options()`` were given.

        Raises:
            OptionError: for options that differ between the games.
        """
        options = self._options[0]
        if any(other != options for other in self._options):
            raise OptionError(
                "set_options() gave the games different options; the native vector takes the same "
                "for all: give different levels with levels=[...] when you make it."
            )
        observations, infos = self.envs.reset(seed=self._seeds, options=options)
        self.reset_infos = rows_of(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray[np.integer[Any]]) -> None:
        """Begin a step; the games run until :meth:`step_wait`."""
        self.envs.step_async(np.asarray(actions))

    def step_wait(
        self,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """The end of the step: observations, rewards, dones, infos."""
        observations, rewards, terminated, truncated, batched = self.envs.step_wait()
        infos = rows_of(batched, self.num_envs, leave_out=_RARE)
        dones, by_limit = terminated | truncated, truncated & ~terminated
        for i in np.flatnonzero(dones).tolist():
            self.reset_infos[i], last = infos[i], batched["final_info"]
            if _went_on(last)[i]:
                infos[i], by_limit[i] = _at_death(last, i), False
            else:
                infos[i] = _ended(row_of(last, i, leave_out=_RARE), batched["final_obs"][i])
        went_on = _went_on(batched)
        for i in np.flatnonzero(went_on).tolist():
            self.reset_infos[i], infos[i] = infos[i], _at_death(batched, i)
        for info, limited in zip(infos, by_limit.tolist(), strict=True):
            info["TimeLimit.truncated"] = limited
        return observations, rewards.astype(np.float32), dones | went_on, infos

    def close(self) -> None:
        """Close the games. Closing twice is harmless."""
        self.envs.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """The pictures ``(240, 256, 3)`` uint8, with ``render_mode="rgb_array"``."""
        return self.envs.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """What each game has: see :meth:`mario_envkit.MarioVectorEnv.call`."""
        return self._of_some(self.envs.get_attr(attr_name), indices)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Not possible: raises what :meth:`mario_envkit.MarioVectorEnv.set_attr` does."""
        self.envs.set_attr(attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """See :meth:`mario_envkit.MarioVectorEnv.call`."""
        return self._of_some(self.envs.call(method_name, *method_args, **kwargs), indices)

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """Whether a single environment with the same arguments has such a wrapper."""
        answer = is_wrapped(self.envs.single, wrapper_class)
        return self._of_some([answer] * self.num_envs, indices)

    def _of_some(self, each: Sequence[Any], indices: VecEnvIndices) -> list[Any]:
        return [each[i] for i in self._get_indices(indices)]


def _went_on(infos: dict[str, Any]) -> NDArray[np.bool_]:
    """Where a life was lost and the game went on from a snapshot, within the step."""
    went_on: NDArray[np.bool_] = infos["life_lost"] & infos["snapshot_restored"]
    return went_on


def _at_death(infos: dict[str, Any], i: int) -> dict[str, Any]:
    """The info of the death after which game ``i`` went on."""
    info = {**row_of(infos["life_lost_info"], i), "snapshot_restored": True}
    return _ended(info, infos["life_lost_obs"][i].copy())


def _ended(info: dict[str, Any], observation: NDArray[np.uint8]) -> dict[str, Any]:
    """The last info of an episode, as SB3 has it."""
    info["terminal_observation"] = observation
    info["is_success"] = bool(is_success(info["ending"]))
    return info
