"""REINFORCE (Williams, 1992) for mario-agents: a whole trainer, with workers, resume and all."""

import dataclasses

import numpy as np
import torch
from torch import nn

from mario_agents.acting.episodes import EpisodeTracker, StepInfo
from mario_agents.config import Fraction, PositiveFloat, PositiveInt, TrainConfig
from mario_agents.core.algorithm import Algorithm
from mario_agents.core.experience import Experience
from mario_agents.core.optimizers import adamw
from mario_agents.core.types import Learner
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.nn.encoders import NatureEncoder
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.ops.schedules import cosine_with_warmup
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_agents.telemetry.episodes import CollectResult
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


class ReinforceExperience(Experience):
    def __init__(self, config, envs, model, context):
        self.config, self.envs, self.context = config, envs, context
        self.policy = ReinforcePolicy(model, context.seed_for("actions"), context.device)
        self.obs = np.array(envs.reset(seed=context.seed_for("games"))[0])
        self.tracker = EpisodeTracker(envs.num_envs)

    def collect(self, step):
        collected, self.steps = CollectResult(), []
        for _ in range(self.config.rollout):
            with self.context.stopwatch.measure("time_inference"):
                action = self.policy.act(self.obs, greedy=False)
            obs, reward, terminated, truncated, infos = self.envs.step(action)
            ended = terminated | truncated
            info = StepInfo(infos, ended)
            # A lost life ends what earlier actions are praised for, even if the game goes on.
            self.steps.append((self.obs, action, reward, ended | info.get("life_lost", False)))
            self.tracker.step(reward, ended, truncated, info, collected)
            self.obs = np.array(obs)
        return collected

    def batches(self):
        gain, gains = 0.0, []
        for _, _, reward, ended in reversed(self.steps):
            gain = reward + self.config.gamma * np.where(ended, 0.0, gain)
            gains.insert(0, gain)
        yield {
            "obs": np.concatenate([step[0] for step in self.steps]),
            "action": np.concatenate([step[1] for step in self.steps]),
            "gain": np.concatenate(gains).astype(np.float32),
        }


class ReinforcePolicy:  # a mario_envkit.plugins.Policy
    def __init__(self, model, seed, device):
        self.model, self.device = model.to(device), device
        self.rng = torch.Generator(device).manual_seed(seed)

    def reset(self, num_envs):
        pass

    @torch.no_grad()
    def act(self, observations, *, greedy):
        logits = self.model(torch.from_numpy(np.array(observations)).to(self.device))
        if greedy:
            return logits.argmax(1).cpu().numpy()
        return logits.softmax(1).multinomial(1, generator=self.rng).squeeze(1).cpu().numpy()


class ReinforceAlgorithm(Algorithm):
    config_class = ReinforceConfig
    metrics = (  # what is shown beside returns, deaths and flags
        rolling("loss", "policy loss", headline=True),
        rolling("entropy", "entropy of the policy, in nats", headline=True),
    )

    def learner(self, config, spaces):
        torch.manual_seed(config.seed)
        encoder = NatureEncoder(spaces.obs_shape)
        return ReinforceLearner(nn.Sequential(encoder, nn.Linear(encoder.features, spaces.actions)))

    def experience(self, config, envs, learner, context):
        return ReinforceExperience(config, envs, learner.model, context)

    def updater(self, config, learner):
        packets = max(config.total_steps // (config.rollout * config.num_envs), 1)
        lr = cosine_with_warmup(config.lr, 0.0, warmup=0, total=packets)
        clip = clip_by_global_norm(0.5)
        return Updater(
            learner, adamw(), ParameterGroup(learner.model.parameters(), lr=lr, clip=clip)
        )

    def policy(self, config, learner, device):
        return ReinforcePolicy(learner.model, config.seed, device)


TRAINER = AlgorithmTrainer(ReinforceAlgorithm(), "REINFORCE: the policy gradient at its simplest.")
