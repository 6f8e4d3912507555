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
from torch import Tensor, nn
from torch.nn import functional

from mario_agents.config import NonNegativeFloat, PositiveFloat, PositiveInt, TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.optimizers import adamw
from mario_agents.core.policy import Mode, SeededPolicy
from mario_agents.core.types import Batch, Learner, State, Step
from mario_agents.core.updater import Updater
from mario_agents.runtime.trainer import AlgorithmTrainer
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


class ToyPolicy(SeededPolicy):
    """Takes the action with the best reward when greedy, else any."""

    def __init__(self, model: ToyModel, seed: int, device: torch.device) -> None:
        self.device, self._model = device, model
        super().__init__(seed)

    @torch.no_grad()
    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        """The best action when greedy, else any; nothing is kept of the choice."""
        if mode == "greedy":
            return self._model(obs).argmax(dim=1), {}, state
        actions = self._model.reward.shape[1]
        return torch.randint(actions, (len(obs),), generator=self._rng), {}, state


class ToyDataset(Dataset):
    """Every round is a batch."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._round: list[Step] = []

    def add(self, step: Step, worker: int) -> None:
        """Keep one step of all games."""
        self._round.append(step)

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """One batch of all steps since the last one."""
        time.sleep(self._pause)
        steps, self._round = self._round, []
        if steps:
            names = ("obs", "action", "reward")
            yield {name: np.concatenate([getattr(step, name) for step in steps]) for name in names}


class ToyAlgorithm(Algorithm[ToyConfig, ToyLearner]):
    """Implements :class:`mario_agents.core.algorithm.Algorithm`."""

    shares = ("gradients", "experience")
    config_class = ToyConfig
    metrics = (rolling("loss", "squared error of rewards", headline=True),)

    def env_kwargs(self, config: ToyConfig) -> dict[str, Any]:
        """The corridor."""
        return {"id": CORRIDOR, "length": config.length, "size": 4}

    def learner(self, config: ToyConfig, spaces: Spaces) -> ToyLearner:
        """Rewards that are all zero at first."""
        return ToyLearner(ToyModel(spaces.actions))

    def policy(self, config: ToyConfig, learner: ToyLearner, context: WorkerContext) -> ToyPolicy:
        """What plays with the learner's model."""
        return ToyPolicy(learner.model, context.seed_for("actions"), context.device)

    def collect_steps(self, config: ToyConfig) -> int:
        """Agent steps of a round."""
        return config.collect_steps

    def dataset(
        self, config: ToyConfig, learner: ToyLearner, spaces: Spaces, context: WorkerContext
    ) -> ToyDataset:
        """Where a round becomes a batch."""
        return ToyDataset(config.pause)

    def updater(self, config: ToyConfig, learner: ToyLearner) -> Updater:
        """AdamW, with a learning rate that falls to zero."""
        batches = config.total_steps // config.collect_steps
        packets = max(batches // config.accumulate_grads, 1)
        return Updater.with_cosine(learner, adamw(), lr=config.lr, packets=packets, max_norm=10.0)


TRAINER = AlgorithmTrainer(ToyAlgorithm(), "Learns which action brings which reward in a corridor.")
