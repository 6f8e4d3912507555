"""A replay memory that keeps everything as it came: slow, plain, and the measure of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Step:
    obs: np.ndarray
    action: int
    reward: float
    terminated: bool
    truncated: bool
    final_obs: np.ndarray


@dataclass
class NaiveReplay:
    """Lists of steps, one list for each environment."""

    num_envs: int
    n_step: int
    gamma: float
    steps: list[list[Step]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = [[] for _ in range(self.num_envs)]

    def add(self, obs, action, reward, terminated, truncated, final_obs) -> None:
        for env, history in enumerate(self.steps):
            if history:
                last = history[-1]
                ended = last.terminated or last.truncated
                if not ended and not np.array_equal(last.final_obs, obs[env]):
                    last.truncated = True
            history.append(
                Step(
                    obs[env].copy(),
                    int(action[env]),
                    float(reward[env]),
                    bool(terminated[env]),
                    bool(truncated[env]),
                    final_obs[env].copy(),
                )
            )

    def transition(self, index: int) -> dict[str, Any]:
        t, env = divmod(index, self.num_envs)
        history = self.steps[env]
        total, discount, last = 0.0, 1.0, history[t]
        for last in history[t : t + self.n_step]:
            total += discount * last.reward
            discount *= self.gamma
            if last.terminated:
                discount = 0.0
            if last.terminated or last.truncated:
                break
        return {
            "obs": history[t].obs,
            "action": history[t].action,
            "reward": total,
            "discount": discount,
            "next_obs": last.final_obs,
        }
