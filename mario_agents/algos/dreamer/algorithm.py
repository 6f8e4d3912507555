"""The parts of Dreamer."""

from __future__ import annotations

from functools import partial

from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.dataset import DreamerReplay
from mario_agents.algos.dreamer.learner import DreamerLearner
from mario_agents.algos.dreamer.metrics import METRICS
from mario_agents.algos.dreamer.networks import build_model
from mario_agents.algos.dreamer.policy import DreamerPolicy
from mario_agents.algos.dreamer.sizes import SIZES
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.optimizers import laprop
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.imitation.kept import with_demonstrations
from mario_agents.nn.init import seeded
from mario_agents.ops.clipping import clip_adaptively
from mario_agents.ops.schedules import cosine_with_warmup
from mario_agents.replay.with_demonstrations import WithDemonstrations


class DreamerAlgorithm(Algorithm[DreamerConfig, DreamerLearner]):
    """DreamerV3, see the README of this package."""

    config_class = DreamerConfig
    shares = ("gradients", "experience")
    metrics = METRICS
    imitates = "replay"

    def learner(self, config: DreamerConfig, spaces: Spaces) -> DreamerLearner:
        """World model, actor and critic, initialised by the seed alone."""
        with seeded(config.seed):
            return DreamerLearner(build_model(config, spaces), config)

    def policy(
        self, config: DreamerConfig, learner: DreamerLearner, context: WorkerContext
    ) -> DreamerPolicy:
        """The actor, on the states of the world model."""
        return DreamerPolicy(
            learner.model,
            uniform=config.uniform,
            seed=context.seed_for("actions"),
            device=context.device,
        )

    def collect_steps(self, config: DreamerConfig) -> int:
        """A worker's agent steps between two rounds of batches."""
        return config.collect_steps

    def dataset(
        self,
        config: DreamerConfig,
        learner: DreamerLearner,
        spaces: Spaces,
        context: WorkerContext,
    ) -> DreamerReplay | WithDemonstrations:
        """A replay buffer of sequences, perhaps with demonstrations beside them."""
        return with_demonstrations(
            partial(DreamerReplay, config, spaces, context),
            *(context, config, self.env_kwargs(config), spaces.obs_shape),
            batch_size=config.batch_size,
            extras=SIZES[config.size].state_columns,
        )

    def updater(self, config: DreamerConfig, learner: DreamerLearner) -> Updater:
        """LaProp with one learning rate for all, which stays after the warm-up."""
        lr = cosine_with_warmup(config.lr, config.lr, warmup=config.lr_warmup, total=1)
        clip = clip_adaptively(config.clip)
        everything = ParameterGroup(learner.model.parameters(), lr=lr, clip=clip)
        return Updater(learner, laprop(), everything)
