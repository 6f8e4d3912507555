"""A worker's experience for PPO: rollouts with the present policy, learned from, then forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.acting.episodes import EpisodeTracker, StepInfo
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.algos.ppo.learner import PPOLearner
from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.dataset import NumpyBatch
from mario_agents.ops.gae import gae
from mario_agents.ops.policy_gradient import (
    action_log_prob,
    explained_variance,
    sample_categorical,
)
from mario_agents.ops.schedules import linear_schedule
from mario_agents.telemetry.episodes import CollectResult


class RolloutExperience:
    """Implements :class:`mario_agents.core.experience.Experience` for on-policy learning.

    All arrays are made once. A lost life ends the sum of rewards like the end of an episode does,
    even where the game goes on from a snapshot (``info["life_lost"]``).

    Args:
        config: lengths and discounts.
        envs: with SAME_STEP autoreset, so that every step is a transition.
        learner: its model plays.
        place: seeds, device and stopwatch.
    """

    def __init__(
        self,
        config: PPOConfig,
        envs: VectorEnv[Any, Any, Any],
        learner: PPOLearner,
        context: WorkerContext,
    ) -> None:
        self._config, self._envs, self._learner = config, envs, learner
        self._device, self._stopwatch = context.device, context.stopwatch
        self._sampling = torch.Generator().manual_seed(context.seed_for("actions"))
        self._shuffling = np.random.default_rng(context.seed_for("minibatches"))
        self._entropy_coef: Callable[[int], float] = linear_schedule(
            config.entropy_coef, config.entropy_coef_end, config.total_steps
        )
        self._obs = np.array(envs.reset(seed=context.seed_for("games"))[0])
        self._books = EpisodeTracker(envs.num_envs)
        steps, shape = config.steps, (config.steps, envs.num_envs)
        self._rollout: dict[str, NDArray[Any]] = {
            "obs": np.zeros((*shape, *self._obs.shape[1:]), np.uint8),
            "action": np.zeros(shape, np.int64),
            "old_log_prob": np.zeros(shape, np.float32),
            "advantage": np.zeros(shape, np.float32),
            "value_target": np.zeros(shape, np.float32),
            "entropy_coef": np.zeros(shape, np.float32),
        }
        self._value = np.zeros((steps + 1, envs.num_envs), np.float32)
        self._reward = np.zeros(shape, np.float32)
        self._terminated = np.zeros(shape, np.bool_)
        self._truncated = np.zeros(shape, np.bool_)
        self._final_value = np.zeros(shape, np.float32)
        self._fresh = self._stop = False

    def collect(self, step: int) -> CollectResult:
        """See :class:`~mario_agents.core.experience.Experience`: play one rollout."""
        collected = CollectResult()
        final_obs: dict[tuple[int, int], NDArray[np.uint8]] = {}
        for t in range(self._config.steps):
            self._step(t, collected, final_obs)
        self._final_value[:] = 0.0
        with self._stopwatch.measure("time_inference"):
            self._value[-1] = self._judge(self._obs)[1].numpy()
            if final_obs:
                values = self._judge(np.stack(list(final_obs.values())))[1].numpy()
                self._final_value[tuple(np.array(list(final_obs)).T)] = values
        self._finish(step)
        value, target = self._value[:-1], self._rollout["value_target"]
        collected.gauges = {"explained_variance": explained_variance(value, target)}
        return collected

    def _step(
        self,
        t: int,
        collected: CollectResult,
        final_obs: dict[tuple[int, int], NDArray[np.uint8]],
    ) -> None:
        """Step ``t`` of a rollout; adds the last observations of truncated episodes."""
        rollout = self._rollout
        with self._stopwatch.measure("time_inference"):
            logits, value = self._judge(self._obs)
            action = sample_categorical(logits, self._sampling)
            log_prob = action_log_prob(logits, action)
        # Before the step: the environment may use its array again for the next observations.
        rollout["obs"][t] = self._obs
        rollout["action"][t] = action.numpy()
        rollout["old_log_prob"][t] = log_prob.numpy()
        self._value[t] = value.numpy()
        self._obs, reward, terminated, truncated, infos = self._envs.step(rollout["action"][t])
        info = StepInfo(infos, terminated | truncated)
        life_lost = info.get("life_lost", False)
        self._reward[t] = reward
        self._terminated[t] = terminated | life_lost
        self._truncated[t] = truncated & ~self._terminated[t]
        for env in np.flatnonzero(self._truncated[t]).tolist():
            final_obs[t, env] = np.array(infos["final_obs"][env])
        self._books.step(reward, terminated | truncated, truncated, info, collected)

    @torch.no_grad()
    def _judge(self, obs: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Logits and values of observations, on the CPU."""
        logits, value = self._learner.evaluate(torch.as_tensor(obs).to(self._device))
        return logits.cpu(), value.cpu()

    def _finish(self, step: int) -> None:
        """Turn what happened into what is learned."""
        config, rollout = self._config, self._rollout
        advantage = gae(
            self._reward,
            self._value,
            self._final_value,
            self._terminated,
            self._truncated,
            config.gamma,
            config.gae_lambda,
        )
        rollout["value_target"][:] = advantage + self._value[:-1]
        if config.normalize_advantage == "rollout":
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        rollout["advantage"][:] = advantage
        rollout["entropy_coef"][:] = self._entropy_coef(step)
        self._fresh, self._stop = True, False

    def batches(self) -> Iterator[NumpyBatch]:
        """See :class:`~mario_agents.core.experience.Experience`: the minibatches of all epochs,
        in an order that is drawn anew for each."""
        if not self._fresh:
            return
        self._fresh = False
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

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """See :class:`~mario_agents.core.experience.Experience`: stops at ``target_kl``."""
        limit = self._config.target_kl
        if limit is not None and float(measured["approx_kl"]) > limit:
            self._stop = True

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`~mario_agents.core.experience.Experience`."""
        return {"rng.actions": self._sampling.get_state()}

    def state(self) -> dict[str, Any]:
        """See :class:`~mario_agents.core.experience.Experience`."""
        return {"minibatch_rng": self._shuffling.bit_generator.state}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """See :class:`~mario_agents.core.experience.Experience`; the games begin anew."""
        self._sampling.set_state(tensors["rng.actions"])
        self._shuffling.bit_generator.state = state["minibatch_rng"]
