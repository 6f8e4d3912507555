"""A recurrent trainer in one file: advantage actor-critic (Mnih et al., 2016) with a GRU."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mario_agents.config import Fraction, PositiveFloat, PositiveInt, TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.optimizers import adamw
from mario_agents.core.policy import Mode, SeededPolicy
from mario_agents.core.types import Batch, Learner, State, clear_state
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.nn.flat import BytesEncoder
from mario_agents.nn.init import seeded
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.ops.policy_gradient import (
    action_log_prob,
    categorical_entropy,
    sample_categorical,
)
from mario_agents.replay.storage import Storage
from mario_agents.replay.unroll_queue import UnrollQueue
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_agents.telemetry.schema import rolling
from tests.agents.cue_game import CUE


# The options: a field and the string below it are an option of the command line with its help.
@dataclasses.dataclass(frozen=True, kw_only=True)
class CueConfig(TrainConfig):
    """Options of the trainer."""

    num_envs: PositiveInt = 16
    """Environments that a worker steps together."""
    synchronous: bool = True
    """Workers wait for one another: these gradients are of use only to the policy that played."""
    lr: PositiveFloat = 1e-2
    """Learning rate."""
    gamma: Fraction = 0.95
    """Discount for each agent step."""
    entropy_coef: Fraction = 0.01
    """Reward for undecided action choices."""
    unroll: PositiveInt = 8
    """Steps of each environment in a batch, through which gradients flow back."""
    hidden: PositiveInt = 32
    """Width of the network, and of what it remembers."""
    memory: bool = True
    """Without it what the network remembers is cleared before every step."""


class CueModel(nn.Module):
    """An encoder, a GRU and two heads."""

    def __init__(self, spaces: Spaces, hidden: int, memory: bool) -> None:
        super().__init__()
        self.hidden, self.memory = hidden, memory
        self.encoder = BytesEncoder(spaces.obs_shape, hidden)
        self.core = nn.GRUCell(hidden, hidden)
        self.policy, self.value = nn.Linear(hidden, spaces.actions), nn.Linear(hidden, 1)

    def forward(self, obs: Tensor, state: State, is_first: Tensor) -> tuple[Tensor, Tensor, State]:
        """Logits ``(B, actions)``, values ``(B,)`` and the next state of ``B`` games."""
        state = clear_state(state, is_first if self.memory else torch.ones_like(is_first))
        state = self.core(self.encoder(obs), state)
        return self.policy(state), self.value(state).squeeze(1), state


class CueLearner(Learner):
    """The loss of a batch of unrolls."""

    def __init__(self, model: CueModel, config: CueConfig) -> None:
        self.model, self.config = model, config

    def compute_loss(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        # Through the unroll as in play, with the present weights; only its first state was stored.
        state, logits, value = batch["state"], [], []
        for obs, is_first in zip(batch["obs"][:-1], batch["is_first"], strict=True):
            step_logits, step_value, state = self.model(obs, state, is_first)
            logits.append(step_logits)
            value.append(step_value)
        # This game is never truncated; one that is bootstraps from the values of batch["cut_obs"].
        ended = batch["terminated"] | batch["truncated"]
        with torch.no_grad():
            _, future, _ = self.model(batch["obs"][-1], state, torch.zeros_like(ended[-1]))
            returns = []
            for reward, over in zip(batch["reward"].flip(0), ended.flip(0), strict=True):
                future = reward + self.config.gamma * torch.where(over, 0.0, future)
                returns.append(future)
        target, values = torch.stack(returns[::-1]).flatten(), torch.stack(value).flatten()
        flat = torch.stack(logits).flatten(0, 1)
        log_prob = action_log_prob(flat, batch["action"].flatten())
        policy_loss = -(log_prob * (target - values.detach())).mean()
        value_loss = functional.mse_loss(values, target)
        entropy = categorical_entropy(flat).mean()
        loss = policy_loss + 0.5 * value_loss - self.config.entropy_coef * entropy
        return loss, {"loss": loss.detach(), "entropy": entropy.detach()}


class CuePolicy(SeededPolicy):
    """What plays; keeps the state before each step, so that an unroll can begin with it."""

    def __init__(self, model: CueModel, seed: int, device: torch.device) -> None:
        super().__init__(seed)
        self.model, self.device = model, device

    def initial(self, n: int) -> State:
        return torch.zeros(n, self.model.hidden, device=self.device)

    @torch.no_grad()
    def act(
        self, obs: Tensor, state: State, is_first: Tensor, *, mode: Mode, step: int
    ) -> tuple[Tensor, dict[str, Tensor], State]:
        logits, _, after = self.model(obs, state, is_first)
        greedy = mode == "greedy"
        action = logits.argmax(dim=1) if greedy else sample_categorical(logits, self._rng)
        return action, {"state": state}, after


class CueAlgorithm(Algorithm[CueConfig, CueLearner]):
    """How the parts are made."""

    config_class = CueConfig
    metrics = (  # what is shown beside returns, deaths and flags
        rolling("loss", "loss", headline=True),
        rolling("entropy", "entropy of the policy in nats"),
    )

    def env_kwargs(self, config: CueConfig) -> dict[str, Any]:
        return {"id": CUE}  # left out, Super Mario Bros by the options of the run

    def learner(self, config: CueConfig, spaces: Spaces) -> CueLearner:
        with seeded(config.seed):
            return CueLearner(CueModel(spaces, config.hidden, config.memory), config)

    def policy(self, config: CueConfig, learner: CueLearner, context: WorkerContext) -> CuePolicy:
        return CuePolicy(learner.model, context.seed_for("actions"), context.device)

    def collect_steps(self, config: CueConfig) -> int:
        return config.unroll * config.num_envs

    def dataset(
        self, config: CueConfig, learner: CueLearner, spaces: Spaces, context: WorkerContext
    ) -> UnrollQueue:
        storage = Storage(
            self.collect_steps(config),  # a round, which is then one batch
            config.num_envs,
            spaces.obs_shape,
            workers=(context.worker,),
            stacked=False,
            short_episodes=True,
        )
        return UnrollQueue(
            storage,
            np.random.default_rng(context.seed_for("unrolls")),
            length=config.unroll,
            batch_size=config.num_envs,
            initial={"state": ((config.hidden,), np.float32)},  # what the policy keeps
        )

    def updater(self, config: CueConfig, learner: CueLearner) -> Updater:
        parameters = learner.model.parameters()
        group = ParameterGroup(parameters, lr=lambda _: config.lr, clip=clip_by_global_norm(1.0))
        return Updater(learner, adamw(), group)


TRAINER = AlgorithmTrainer(CueAlgorithm(), "Actor-critic with a network that remembers.")
