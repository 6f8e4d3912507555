"""The parts of PPO."""

from __future__ import annotations

from torch import Tensor

from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.algos.ppo.dataset import Rollout
from mario_agents.algos.ppo.learner import PPOLearner
from mario_agents.algos.ppo.metrics import METRICS
from mario_agents.algos.ppo.policy import PPOPolicy
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.optimizers import adamw
from mario_agents.core.updater import Updater
from mario_agents.imitation.self_imitation import DemonstratedWindows
from mario_agents.nn.actor_critic import build_actor_critic
from mario_agents.nn.init import seeded
from mario_agents.ops.schedules import by_packets


class PPOAlgorithm(Algorithm[PPOConfig, PPOLearner]):
    """Proximal policy optimization, see the README of this package."""

    config_class = PPOConfig
    metrics = METRICS
    imitates = "policy"

    def learner(self, config: PPOConfig, spaces: Spaces) -> PPOLearner:
        """An actor-critic network, initialised by the seed alone."""
        with seeded(config.seed):
            model = build_actor_critic(config, spaces.obs_shape, spaces.actions)
        return PPOLearner(model, config)

    def policy(self, config: PPOConfig, learner: PPOLearner, context: WorkerContext) -> PPOPolicy:
        """Actions sampled from the network's distribution; the best one when greedy."""
        return PPOPolicy(learner, seed=context.seed_for("actions"), device=context.device)

    def collect_steps(self, config: PPOConfig) -> int:
        """The length of a rollout, over all environments."""
        return config.rollout

    def dataset(
        self, config: PPOConfig, learner: PPOLearner, spaces: Spaces, context: WorkerContext
    ) -> Rollout:
        """Rollouts, each learned from for a few epochs, perhaps with demonstrations beside."""
        shown = DemonstratedWindows(config, context, self.env_kwargs(config))
        return Rollout(config, learner, spaces, context, shown)

    def keeps_demonstrations(self, config: PPOConfig) -> bool:
        """For self-imitation."""
        return config.demo_windows > 0

    def updater(self, config: PPOConfig, learner: PPOLearner) -> Updater:
        """AdamW with one learning rate for all, which falls by half a cosine, or as its schedule
        says."""
        if (lr := config.schedules.get("lr")) is not None:
            rate = by_packets(lr, packets=config.total_packets, total_steps=config.total_steps)
            return Updater.with_rate(learner, adamw(), lr=rate, max_norm=config.max_grad_norm)
        return Updater.with_cosine(
            learner,
            adamw(),
            lr=config.lr,
            lr_end=config.lr_end,
            warmup=config.lr_warmup,
            packets=config.total_packets,
            max_norm=config.max_grad_norm,
        )

    def policy_value(
        self, learner: PPOLearner, obs: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Those of the network, which remembers nothing at first."""
        return learner.policy_value(obs, is_first)
