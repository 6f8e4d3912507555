"""Rollouts with the present policy, learned from, then forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.algos.ppo.learner import PPOLearner
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.types import Step
from mario_agents.ops.gae import gae
from mario_agents.ops.policy_gradient import explained_variance
from mario_agents.ops.schedules import linear_schedule


class Rollout(Dataset):
    """So many steps of all environments, then the minibatches of all epochs over them.

    All arrays are made once.

    Args:
        config: lengths and discounts.
        learner: what the game would have brought after the last steps is for its model to say.
        spaces: of the environments.
        context: seeds, device and stopwatch.
    """

    def __init__(
        self, config: PPOConfig, learner: PPOLearner, spaces: Spaces, context: WorkerContext
    ) -> None:
        self._config, self._learner = config, learner
        self._device, self._stopwatch = context.device, context.stopwatch
        self._shuffling = np.random.default_rng(context.seed_for("minibatches"))
        self._entropy_coef = linear_schedule(
            config.entropy_coef, config.entropy_coef_end, config.total_steps
        )
        shape = (config.steps, config.num_envs)
        self._rollout: dict[str, NDArray[Any]] = {
            "obs": np.zeros((*shape, *spaces.obs_shape), np.uint8),
            "action": np.zeros(shape, np.int64),
            "old_log_prob": np.zeros(shape, np.float32),
            "advantage": np.zeros(shape, np.float32),
            "value_target": np.zeros(shape, np.float32),
            "entropy_coef": np.zeros(shape, np.float32),
        }
        self._value = np.zeros((config.steps + 1, config.num_envs), np.float32)
        self._reward = np.zeros(shape, np.float32)
        self._terminated = np.zeros(shape, np.bool_)
        self._truncated = np.zeros(shape, np.bool_)
        self._final_value = np.zeros(shape, np.float32)
        self._final_obs: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._filled, self._stop = 0, False
        self._gauges: dict[str, float] = {}

    def add(self, step: Step, worker: int) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        t, rollout = self._filled, self._rollout
        rollout["obs"][t], rollout["action"][t] = step.obs, step.action
        rollout["old_log_prob"][t] = step.extras["log_prob"]
        self._value[t], self._reward[t] = step.extras["value"], step.reward
        self._terminated[t], self._truncated[t] = step.terminated, step.truncated
        for env in np.flatnonzero(step.truncated).tolist():
            self._final_obs[t, env] = step.final_obs[env].copy()
        self._filled += 1
        if self._filled == self._config.steps:
            self._evaluate_ends(step.final_obs)

    def cut(self, worker: int) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`: half a rollout is of no use."""
        self._filled = 0
        self._final_obs.clear()

    @torch.no_grad()
    def _evaluate_ends(self, last_obs: NDArray[np.uint8]) -> None:
        """Ask for the values of what no action was chosen on: where the rollout or an episode was
        cut off."""
        with self._stopwatch.measure("time_inference"):
            self._value[-1] = self._values(last_obs)
            if self._final_obs:
                values = self._values(np.stack(list(self._final_obs.values())))
                self._final_value[tuple(np.array(list(self._final_obs)).T)] = values
        self._final_obs.clear()

    def _values(self, obs: NDArray[np.uint8]) -> NDArray[np.float32]:
        value = self._learner.evaluate(torch.as_tensor(obs).to(self._device)).value
        values: NDArray[np.float32] = value.cpu().numpy()
        return values

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """See :class:`~mario_agents.core.dataset.Dataset`: the minibatches of all epochs, in an
        order that is drawn anew for each."""
        if self._filled < self._config.steps:
            return
        self._filled, self._stop = 0, False
        self._finish(at)
        arrays = {**self._rollout, "old_value": self._value[:-1]}
        flat = {name: array.reshape(-1, *array.shape[2:]) for name, array in arrays.items()}
        size = self._config.batch
        for _ in range(self._config.epochs):
            order = self._shuffling.permutation(self._config.rollout)
            for start in range(0, len(order), size):
                if self._stop:
                    return
                chosen = order[start : start + size]
                yield {name: array[chosen] for name, array in flat.items()}

    def _finish(self, at: int) -> None:
        """Turn what happened into what is learned."""
        config, rollout, value = self._config, self._rollout, self._value
        advantage = gae(
            self._reward,
            value,
            self._final_value,
            self._terminated,
            self._truncated,
            config.gamma,
            config.gae_lambda,
        )
        rollout["value_target"][:] = advantage + value[:-1]
        if config.normalize_advantage == "rollout":
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        rollout["advantage"][:] = advantage
        rollout["entropy_coef"][:] = self._entropy_coef(at)
        explained = explained_variance(value[:-1], rollout["value_target"])
        self._gauges = {"explained_variance": explained}

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`: stops at ``target_kl``."""
        limit = self._config.target_kl
        if limit is not None and float(measured["approx_kl"]) > limit:
            self._stop = True

    def gauges(self) -> dict[str, float]:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        return self._gauges

    def state(self) -> dict[str, Any]:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        return {"rng": self._shuffling.bit_generator.state}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """See :class:`~mario_agents.core.dataset.Dataset`."""
        self._shuffling.bit_generator.state = state["rng"]
