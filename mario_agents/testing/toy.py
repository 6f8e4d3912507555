"""An algorithm small enough to read at a glance: which reward does each action bring?

In the corridor the best next reward leads to the flag, so that the toy truly learns to get there.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mario_agents.acting.episodes import EpisodeTracker, StepInfo
from mario_agents.config import NonNegativeFloat, PositiveFloat, PositiveInt, TrainConfig
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.dataset import NumpyBatch
from mario_agents.core.optimizers import adamw
from mario_agents.core.types import Batch, Learner
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.ops.schedules import cosine_with_warmup
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_agents.telemetry.episodes import CollectResult
from mario_agents.telemetry.schema import rolling
from mario_agents.testing.corridor import CORRIDOR


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyConfig(TrainConfig):
    """Options of the toy."""

    lr: PositiveFloat = 0.05
    """Learning rate."""
    collect_steps: PositiveInt = 64
    """Agent steps in a round, which is then one batch."""
    length: PositiveInt = 5
    """Places of the corridor."""
    pause: NonNegativeFloat = 0.0
    """Seconds that a round takes longer."""


class ToyModel(nn.Module):
    """A reward for each brightness (the context) and action."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.reward = nn.Parameter(torch.zeros(256, actions))

    def forward(self, obs: Tensor) -> Tensor:
        return self.reward[obs[:, -1, 0, 0].long()]


class ToyLearner(Learner):
    """Learns the rewards."""

    model: ToyModel

    def __init__(self, model: ToyModel) -> None:
        self.model = model

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Squared error of the predicted reward."""
        predicted = self.model(batch["obs"]).gather(1, batch["action"][:, None]).squeeze(1)
        loss = functional.mse_loss(predicted, batch["reward"])
        return loss, {"loss": loss.detach()}


class ToyExperience:
    """Plays at random; every round is a batch. Implements
    :class:`mario_agents.core.experience.Experience`."""

    def __init__(self, config: ToyConfig, envs: VectorEnv[Any, Any, Any], seed: int) -> None:
        self._config, self._envs = config, envs
        self._rng = np.random.default_rng(seed)
        self._obs = np.array(envs.reset(seed=seed)[0])
        self._books = EpisodeTracker(envs.num_envs)
        self._round: list[dict[str, NDArray[Any]]] = []

    def collect(self, step: int) -> CollectResult:
        """See :class:`mario_agents.core.experience.Experience`."""
        collected = CollectResult()
        time.sleep(self._config.pause)
        while collected.steps < self._config.collect_steps:
            action = self._rng.integers(3, size=self._envs.num_envs)
            obs, reward, terminated, truncated, infos = self._envs.step(action)
            reward = reward.astype(np.float32)
            self._round.append({"obs": self._obs, "action": action, "reward": reward})
            self._obs = np.array(obs)
            ended = terminated | truncated
            self._books.step(reward, ended, truncated, StepInfo(infos, ended), collected)
        return collected

    def batches(self) -> Iterator[NumpyBatch]:
        """See :class:`mario_agents.core.experience.Experience`."""
        steps, self._round = self._round, []
        if steps:
            yield {name: np.concatenate([step[name] for step in steps]) for name in steps[0]}

    def feedback(self, batch: NumpyBatch, measured: Mapping[str, Tensor]) -> None:
        """Nothing to learn from that."""

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`mario_agents.core.experience.Experience`."""
        return {}

    def state(self) -> dict[str, Any]:
        """See :class:`mario_agents.core.experience.Experience`."""
        return {"rng": self._rng.bit_generator.state}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """See :class:`mario_agents.core.experience.Experience`."""
        self._rng.bit_generator.state = state["rng"]


class ToyPolicy:
    """Takes the action with the best reward. Implements :class:`mario_envkit.plugins.Policy`."""

    def __init__(self, model: ToyModel, seed: int, device: torch.device) -> None:
        self._model, self._device = model.to(device), device
        self._rng = np.random.default_rng(seed)

    def reset(self, num_envs: int) -> None:
        """Nothing is remembered."""

    @torch.no_grad()
    def act(self, observations: NDArray[Any], *, greedy: bool) -> NDArray[np.int64]:
        """See :class:`mario_envkit.plugins.Policy`."""
        reward = self._model(torch.from_numpy(np.array(observations)).to(self._device))
        best = reward.argmax(dim=1).cpu().numpy()
        return best if greedy else self._rng.integers(reward.shape[1], size=len(best))


class ToyAlgorithm:
    """Implements :class:`mario_agents.core.algorithm.Algorithm`."""

    config_class = ToyConfig
    metrics = (rolling("loss", "squared error of rewards", headline=True),)

    def env_kwargs(self, config: ToyConfig) -> dict[str, Any]:
        """The corridor."""
        return {"id": CORRIDOR, "length": config.length, "size": 4}

    def learner(self, config: ToyConfig, spaces: Spaces) -> ToyLearner:
        """See :class:`mario_agents.core.algorithm.Algorithm`."""
        return ToyLearner(ToyModel(spaces.actions))

    def experience(
        self,
        config: ToyConfig,
        envs: VectorEnv[Any, Any, Any],
        learner: ToyLearner,
        context: WorkerContext,
    ) -> ToyExperience:
        """See :class:`mario_agents.core.algorithm.Algorithm`."""
        return ToyExperience(config, envs, context.seed_for("games"))

    def updater(self, config: ToyConfig, learner: ToyLearner) -> Updater:
        """See :class:`mario_agents.core.algorithm.Algorithm`."""
        packets = max(config.total_steps // config.collect_steps, 1)
        lr = cosine_with_warmup(config.lr, 0.0, warmup=0, total=packets)
        clip = clip_by_global_norm(10.0)
        return Updater(
            learner, adamw(), ParameterGroup(learner.model.parameters(), lr=lr, clip=clip)
        )

    def player(self, learner: ToyLearner) -> nn.Module:
        """See :class:`mario_agents.core.algorithm.Algorithm`."""
        return learner.model

    def policy(self, config: ToyConfig, learner: ToyLearner, device: torch.device) -> ToyPolicy:
        """See :class:`mario_agents.core.algorithm.Algorithm`."""
        return ToyPolicy(learner.model, config.seed, device)


TRAINER = AlgorithmTrainer(ToyAlgorithm(), "Learns which action brings which reward in a corridor.")
