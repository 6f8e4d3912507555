"""Stepping environments with a model and remembering what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from mario_agents.api import Model, ReplayBuffer


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode that has ended.

    Attributes:
        env: number of the environment.
        level: where it ended, such as "1-1".
        reward: its return, undiscounted.
        length: agent steps.
        x_pos, best_x: where Mario was at the end, and the farthest he came in that level; pixels.
        flags: levels cleared.
        truncated: ended by a limit, not by the game.
    """

    env: int
    level: str
    reward: float
    length: int
    x_pos: int
    best_x: int
    flags: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Death:
    """A life lost, whether or not the episode went on: where, and why ("enemy", "pit"...)."""

    level: str
    x_pos: int
    cause: str


@dataclass(slots=True)
class Collected:
    """What one call of :meth:`Collector.collect` brought."""

    steps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    gauges: dict[str, float] = field(default_factory=dict)


class StepInfo:
    """``info`` by environment, where an ended episode's is found in ``final_info``."""

    def __init__(self, infos: Mapping[str, Any], ended: NDArray[np.bool_]) -> None:
        self._infos, self._ended = infos, ended
        self._final: Mapping[str, Any] = infos.get("final_info", {})

    def get(self, key: str, default: Any) -> NDArray[Any]:
        """``(num_envs,)`` values; ``default`` where an environment does not give the key."""
        kind = object if isinstance(default, str) else type(default)
        values = np.full(self._ended.shape, default, dtype=kind)
        for source, where in ((self._infos, ~self._ended), (self._final, self._ended)):
            if key in source:
                where = where & source.get(f"_{key}", True)
                values[where] = source[key][where]
        return values


class Collector:
    """Fills a replay buffer with epsilon-greedy steps.

    A lost life ends the sum of rewards like the end of an episode does, even where the game goes on
    from a snapshot (``info["life_lost"]``).

    Args:
        envs: with SAME_STEP autoreset, so that every step is a transition.
        model: chooses actions; lives on ``device``.
        replay: where the transitions go.
        seed: of the environments.
        rng: draws the random actions (on the CPU); its state is the caller's to save.
        device: where the model is.
    """

    def __init__(
        self,
        envs: VectorEnv[Any, Any, Any],
        model: Model,
        replay: ReplayBuffer,
        *,
        seed: int,
        rng: torch.Generator,
        device: torch.device,
    ) -> None:
        self.envs, self.model, self.replay = envs, model, replay
        self.rng, self.device = rng, device
        count = envs.num_envs
        self._obs = np.array(envs.reset(seed=seed)[0])
        self._reward = np.zeros(count)
        self._length = np.zeros(count, dtype=np.int64)
        self._best_x = np.zeros(count, dtype=np.int64)
        self._flags = np.zeros(count, dtype=np.int64)
        self._at_flag = np.zeros(count, dtype=np.bool_)
        self._level = np.full(count, "", dtype=object)

    def collect(self, steps: int, epsilon: float | torch.Tensor) -> Collected:
        """Make at least ``steps`` agent steps, counted over all environments."""
        collected = Collected()
        while collected.steps < steps:
            self._step(epsilon, collected)
        return collected

    def _step(self, epsilon: float | torch.Tensor, collected: Collected) -> None:
        obs = torch.from_numpy(self._obs).to(self.device)
        action = self.model.select_action(obs, epsilon, self.rng).cpu().numpy()
        obs_next, reward, terminated, truncated, infos = self.envs.step(action)
        ended = terminated | truncated
        info = StepInfo(infos, ended)
        life_lost = info.get("life_lost", False)
        # The environment may use its array again for the next step.
        obs_next = np.array(obs_next)
        self.replay.add(
            self._obs,
            action,
            np.asarray(reward, dtype=np.float32),
            terminated | life_lost,
            truncated & ~life_lost,
            _final_obs(obs_next, infos),
        )
        self._obs = obs_next
        collected.steps += self.envs.num_envs
        self._account(reward, ended, truncated, info, collected)

    def _account(
        self,
        reward: NDArray[Any],
        ended: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: StepInfo,
        collected: Collected,
    ) -> None:
        """Keep the books of the running episodes, and close those of the ended ones."""
        x_pos, level = info.get("x_pos", 0), info.get("level", "")
        cause = info.get("death_cause", "")
        self._reward += reward
        self._length += 1
        # x starts anew in another level.
        self._best_x = np.where(level == self._level, np.maximum(self._best_x, x_pos), x_pos)
        self._level = level
        # The flag may stay up for several steps of one full game.
        at_flag = info.get("flag_get", False)
        self._flags += at_flag & ~self._at_flag
        self._at_flag = at_flag
        for env in np.flatnonzero(info.get("died", False) | info.get("life_lost", False)):
            collected.deaths.append(Death(str(level[env]), int(x_pos[env]), str(cause[env])))
        for env in np.flatnonzero(ended):
            collected.episodes.append(
                Episode(
                    env=int(env),
                    level=str(level[env]),
                    reward=float(self._reward[env]),
                    length=int(self._length[env]),
                    x_pos=int(x_pos[env]),
                    best_x=int(self._best_x[env]),
                    flags=int(self._flags[env]),
                    truncated=bool(truncated[env]),
                )
            )
        for books in (self._reward, self._length, self._best_x, self._flags, self._at_flag):
            books[ended] = 0
        self._level[ended] = ""


def _final_obs(obs_next: NDArray[np.uint8], infos: Mapping[str, Any]) -> NDArray[np.uint8]:
    """The observations after a step, before any reset or restored snapshot."""
    if "final_obs" not in infos:
        return obs_next
    final: NDArray[np.uint8] = obs_next.copy()
    for env in np.flatnonzero(infos["_final_obs"]):
        final[env] = infos["final_obs"][env]
    return final
