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
from mario_agents.imitation.self_imitation import DemonstratedWindows
from mario_agents.ops.gae import gae
from mario_agents.ops.normalizing import normalized, normalized_by_group
from mario_agents.ops.policy_gradient import explained_variance
from mario_agents.replay.storage import Storage
from mario_agents.replay.windows import unrolls
from mario_envkit.game.tiles import level_of


class Rollout(Dataset):
    """So many steps of all environments, then the minibatches of all epochs over them.

    Args:
        config: lengths and discounts.
        learner: what the game would have brought after the last steps is for its model to say.
        spaces: of the environments.
        context: seeds, device and stopwatch.
        demonstrations: of which each minibatch has some beside it, if there are any.
    """

    def __init__(
        self,
        config: PPOConfig,
        learner: PPOLearner,
        spaces: Spaces,
        context: WorkerContext,
        demonstrations: DemonstratedWindows,
    ) -> None:
        self._config, self._learner = config, learner
        self._device, self._stopwatch = context.device, context.stopwatch
        self._shuffling = np.random.default_rng(context.seed_for("minibatches"))
        self._demonstrations = demonstrations
        self._entropy_coef, self._gamma = map(config.scheduled, ("entropy_coef", "gamma"))
        self._storage = Storage(
            config.rollout,
            config.num_envs,
            spaces.obs_shape,
            workers=(context.worker,),
            stacked=config.frame_stack > 1,
            extras={"log_prob": ((), np.float32), "value": ((), np.float32)},
            short_episodes=True,
        )
        shape = (config.steps + 1, config.num_envs)
        self._states = {
            name: np.zeros((*shape, *one), dtype)
            for name, (one, dtype) in learner.model.core.columns().items()
        }
        """What is remembered before each step, and behind the last one."""
        self._is_first = np.zeros((config.steps, config.num_envs), np.bool_)
        """Where that was cleared; the storage, which is emptied, says so of every first step."""
        self._obs = np.zeros((*shape, *spaces.obs_shape), np.uint8)
        self._rollout: dict[str, NDArray[Any]] = {}
        self._value = np.zeros(shape, np.float32)
        self._final_value = np.zeros((config.steps, config.num_envs), np.float32)
        self._stop = False
        self._gauges: dict[str, float] = {}

    def add(self, step: Step, worker: int) -> None:
        """Append a step of all games; the last one of a rollout makes it ready."""
        before = len(self._storage) // self._config.num_envs
        self._is_first[before] = step.is_first
        for name, states in self._states.items():
            if before == 0:
                states[0] = states[-1]
            states[before + 1] = step.extras[name]
        self._storage.add(step, worker)
        if len(self._storage) == self._config.rollout:
            games = np.arange(self._config.num_envs)
            extras = ("log_prob", "value")
            self._rollout = unrolls(
                self._storage, games, self._config.steps, extras=extras, out=self._obs
            )
            self._storage.clear()
            self._evaluate_ends()

    def cut(self, worker: int) -> None:
        """Drop what has been collected: half a rollout is of no use."""
        self._storage.clear()
        self._rollout = {}
        for states in self._states.values():
            states[-1] = 0

    @torch.no_grad()
    def _evaluate_ends(self) -> None:
        """Ask for the values of what no action was chosen on: where the rollout or an episode was
        cut off."""
        rollout = self._rollout
        self._value[:-1] = rollout["value"]
        with self._stopwatch.measure("time_inference"):
            last = {name: states[-1] for name, states in self._states.items()}
            self._value[-1] = self._values(rollout["obs"][-1], last)
            if len(rollout["cut"]):
                step, game = np.divmod(rollout["cut"], self._config.num_envs)
                behind = {name: states[step + 1, game] for name, states in self._states.items()}
                values = self._values(rollout["cut_obs"], behind)
                self._final_value.reshape(-1)[rollout["cut"]] = values

    def _values(
        self, obs: NDArray[np.uint8], columns: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Of observations ``(N, ...)`` that no action is chosen on, and states before them."""
        state = self._learner.model.core.state_of(
            {name: torch.as_tensor(array).to(self._device) for name, array in columns.items()}
        )
        seen = torch.as_tensor(obs).to(self._device)[None]
        goes_on = torch.zeros(seen.shape[:2], dtype=torch.bool, device=self._device)
        values: NDArray[np.float32] = (
            self._learner.evaluate(seen, state, goes_on).value[0].cpu().numpy()
        )
        return values

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """The minibatches of all epochs, in an order that is drawn anew for each.

        They are made of whole sequences of ``T`` steps, each ``(T, B, ...)``, with the states
        ``(B, ...)`` before them; without memory ``T`` is 1.
        """
        if not self._rollout:
            return
        self._stop = False
        learned = self._finish(at)
        flat = {name: array.reshape(-1, *array.shape[2:]) for name, array in learned.items()}
        games, length = self._config.num_envs, self._config.sequence
        first = np.arange(self._config.rollout).reshape(-1, length, games)[:, 0].reshape(-1)
        along = np.arange(length)[:, None] * games
        before = {
            name: states[:-1:length].reshape(-1, *states.shape[2:])
            for name, states in self._states.items()
        }
        size = self._config.batch // length
        for _ in range(self._config.epochs):
            order = self._shuffling.permutation(len(first))
            for start in range(0, len(order), size):
                if self._stop:
                    return
                chosen = order[start : start + size]
                steps = first[chosen] + along
                batch = {name: array[steps] for name, array in flat.items()}
                states = {name: each[chosen] for name, each in before.items()}
                yield {**batch, **states, **self._demonstrations.draw()}

    def _finish(self, at: int) -> dict[str, NDArray[Any]]:
        """Turn what happened into what is learned, each ``(T, N, ...)``."""
        config, value = self._config, self._value
        rollout, self._rollout = self._rollout, {}
        advantage = gae(
            rollout["reward"],
            value,
            self._final_value,
            rollout["terminated"],
            rollout["truncated"],
            self._gamma(at),
            config.gae_lambda,
        )
        target = advantage + value[:-1]
        self._gauges = {"explained_variance": explained_variance(value[:-1], target)}
        if config.normalize_advantage == "rollout":
            advantage = normalized(advantage)
        elif config.normalize_advantage == "level":
            advantage = normalized_by_group(advantage, level_of(self._newest(rollout["obs"][:-1])))
        return {
            "obs": rollout["obs"][:-1],
            "is_first": self._is_first,
            "action": rollout["action"],
            "old_log_prob": rollout["log_prob"],
            "old_value": value[:-1],
            "advantage": np.asarray(advantage, np.float32),
            "value_target": np.asarray(target, np.float32),
            "entropy_coef": np.full(advantage.shape, self._entropy_coef(at), np.float32),
        }

    def _newest(self, obs: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The last picture of each observation."""
        return obs[:, :, -1] if self._config.frame_stack > 1 else obs

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """Stop the epochs of this rollout where the divergence is above ``target_kl``."""
        limit = self._config.target_kl
        if limit is not None and float(measured["approx_kl"]) > limit:
            self._stop = True

    def gauges(self) -> dict[str, float]:
        """The variance of returns that the values explained in the last rollout."""
        return self._gauges

    def state(self) -> dict[str, Any]:
        """The states of the generators that shuffle, and that draw demonstrations."""
        return {"rng": self._shuffling.bit_generator.state, **self._demonstrations.state()}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over :meth:`state`."""
        self._shuffling.bit_generator.state = state["rng"]
        self._demonstrations.restore(state)
