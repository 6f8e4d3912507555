"""The parts of IMPALA and A3C."""

from __future__ import annotations

from torch import Tensor

from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.impala.dataset import ImpalaUnrolls
from mario_agents.algos.impala.learner import ImpalaLearner
from mario_agents.algos.impala.metrics import METRICS
from mario_agents.algos.impala.policy import ImpalaPolicy
from mario_agents.config import Share
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.optimizers import adamw, rmsprop
from mario_agents.core.updater import Updater
from mario_agents.imitation.self_imitation import DemonstratedWindows
from mario_agents.nn.actor_critic import build_actor_critic
from mario_agents.nn.init import seeded


class ImpalaAlgorithm(Algorithm[ImpalaConfig, ImpalaLearner]):
    """Actor-critic with V-trace on unrolls, see the README of this package."""

    config_class = ImpalaConfig
    metrics = METRICS
    imitates = "policy"
    shares: tuple[Share, ...] = ("experience", "gradients")

    def learner(self, config: ImpalaConfig, spaces: Spaces) -> ImpalaLearner:
        """An actor-critic network, initialised by the seed alone."""
        with seeded(config.seed):
            noise_sigma = config.noise_sigma if config.noisy else None
            model = build_actor_critic(
                config, spaces.obs_shape, spaces.actions, noise_sigma=noise_sigma
            )
        return ImpalaLearner(model, config)

    def policy(
        self, config: ImpalaConfig, learner: ImpalaLearner, context: WorkerContext
    ) -> ImpalaPolicy:
        """Actions sampled from the network's distribution; the best one when greedy."""
        return ImpalaPolicy(learner, seed=context.seed_for("actions"), device=context.device)

    def collect_steps(self, config: ImpalaConfig) -> int:
        """An unroll of each environment."""
        return config.rollout_steps * config.num_envs

    def dataset(
        self, config: ImpalaConfig, learner: ImpalaLearner, spaces: Spaces, context: WorkerContext
    ) -> ImpalaUnrolls:
        """Unrolls, each learned from once when it is new, and old ones beside them, perhaps with
        demonstrations."""
        shown = DemonstratedWindows(config, context, self.env_kwargs(config))
        return ImpalaUnrolls(config, learner.model, spaces, context, shown)

    def keeps_demonstrations(self, config: ImpalaConfig) -> bool:
        """For self-imitation."""
        return config.demo_windows > 0

    def updater(self, config: ImpalaConfig, learner: ImpalaLearner) -> Updater:
        """One learning rate for all, which falls by half a cosine."""
        adam = config.optimizer == "adamw"
        return Updater.with_cosine(
            learner,
            adamw(weight_decay=config.weight_decay) if adam else rmsprop(),
            lr=config.lr,
            lr_end=config.lr_end,
            warmup=config.lr_warmup,
            packets=config.total_packets,
            max_norm=config.clip_grad,
        )

    def policy_value(
        self, learner: ImpalaLearner, obs: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Those of the network without noise, which remembers nothing at first."""
        return learner.policy_value(obs, is_first)


class A3CAlgorithm(ImpalaAlgorithm):
    """The same, whose workers share gradients if nothing else is said."""

    shares = ("gradients", "experience")
