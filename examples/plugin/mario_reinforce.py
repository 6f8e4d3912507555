"""REINFORCE (Williams, 1992) for mario-agents: a whole trainer, with workers, resume and all."""

import dataclasses

import numpy as np
import torch
from torch import nn

from mario_agents.config import Fraction, PositiveFloat, PositiveInt, TrainConfig
from mario_agents.core.algorithm import Algorithm
from mario_agents.core.dataset import Dataset
from mario_agents.core.optimizers import adamw
from mario_agents.core.policy import SeededPolicy
from mario_agents.core.types import Learner
from mario_agents.core.updater import Updater
from mario_agents.nn.encoders import NatureEncoder
from mario_agents.nn.init import seeded
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_agents.telemetry.schema import rolling


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinforceConfig(TrainConfig):  # a field and its help: an option of the command line
    lr: PositiveFloat = 3e-4
    """Learning rate."""
    gamma: Fraction = 0.9
    """Discount for each agent step."""
    rollout: PositiveInt = 64
    """Agent steps of each environment in a batch."""
    synchronous: bool = True
    """Workers wait for one another: these gradients are of use only to the policy that played."""


class ReinforceLearner(Learner):
    def __init__(self, model):
        self.model = model

    def compute_loss(self, batch):
        policy = torch.distributions.Categorical(logits=self.model(batch["obs"]))
        gain = batch["gain"]
        advantage = (gain - gain.mean()) / (gain.std() + 1e-6)
        entropy = policy.entropy().mean()
        loss = -(policy.log_prob(batch["action"]) * advantage).mean() - 0.01 * entropy
        return loss, {"loss": loss.detach(), "entropy": entropy.detach()}


class ReinforcePolicy(SeededPolicy):
    def __init__(self, model, seed, device):
        super().__init__(seed)
        self.model, self.device = model, device

    def act(self, obs, state, is_first, *, mode, step):
        logits = self.model(obs).cpu()
        if mode == "greedy":
            return logits.argmax(1), {}, state
        return logits.softmax(1).multinomial(1, generator=self._rng).squeeze(1), {}, state


class ReinforceDataset(Dataset):
    def __init__(self, gamma):
        self.gamma, self.steps = gamma, []

    def add(self, step, worker):
        self.steps.append(step)

    def batches(self, at):
        gain, gains = 0.0, []
        for step in reversed(self.steps):
            gain = step.reward + self.gamma * np.where(step.terminated | step.truncated, 0.0, gain)
            gains.insert(0, gain)
        batch = {name: np.concatenate([getattr(step, name) for step in self.steps])
                 for name in ("obs", "action")}  # fmt: skip
        self.steps = []
        yield {**batch, "gain": np.concatenate(gains).astype(np.float32)}


class ReinforceAlgorithm(Algorithm):
    config_class = ReinforceConfig
    metrics = (  # what is shown beside returns, deaths and flags
        rolling("loss", "policy loss", headline=True),
        rolling("entropy", "entropy of the policy, in nats", headline=True),
    )

    def learner(self, config, spaces):
        with seeded(config.seed):
            encoder = NatureEncoder(spaces.obs_shape)
            head = nn.Linear(encoder.features, spaces.actions)
        return ReinforceLearner(nn.Sequential(encoder, head))

    def policy(self, config, learner, context):
        return ReinforcePolicy(learner.model, context.seed_for("actions"), context.device)

    def collect_steps(self, config):
        return config.rollout * config.num_envs

    def dataset(self, config, learner, spaces, context):
        return ReinforceDataset(config.gamma)

    def updater(self, config, learner):
        packets = max(config.total_steps // (config.rollout * config.num_envs), 1)
        return Updater.with_cosine(learner, adamw(), lr=config.lr, packets=packets, max_norm=0.5)


TRAINER = AlgorithmTrainer(ReinforceAlgorithm(), "REINFORCE: the policy gradient at its simplest.")
