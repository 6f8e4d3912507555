"""The parts of double DQN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from mario_agents.algos.dqn.config import DDQNConfig
from mario_agents.algos.dqn.learner import DDQNLearner
from mario_agents.algos.dqn.metrics import METRICS
from mario_agents.algos.dqn.networks import DoubleDQN, QNetwork
from mario_agents.algos.dqn.policy import DQNPolicy
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.optimizers import adamw
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.nn.registry import build_encoder
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.ops.schedules import apex_epsilon, cosine_with_warmup, linear_schedule
from mario_agents.replay.selectors import PrioritizedSelector, Selector, UniformSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import TransitionReplay


class DDQNAlgorithm(Algorithm[DDQNConfig, DDQNLearner]):
    """Double DQN, see the README of this package."""

    shares = ("gradients", "experience")
    config_class = DDQNConfig
    metrics = METRICS

    def learner(self, config: DDQNConfig, spaces: Spaces) -> DDQNLearner:
        """Online and target network, initialised by the seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            encoder = build_encoder(
                config.network,
                spaces.obs_shape,
                config.hidden,
                observation=config.observation,
                device=config.device,
            )
            network = QNetwork(
                encoder,
                spaces.actions,
                hidden=config.hidden,
                q_scale=config.q_scale,
                precision=config.precision,
            )
        return DDQNLearner(DoubleDQN(network), tau=config.tau, huber=config.huber)

    def policy(self, config: DDQNConfig, learner: DDQNLearner, context: WorkerContext) -> DQNPolicy:
        """Epsilon-greedy play, with epsilon as ``exploration`` says."""
        return DQNPolicy(
            learner.model,
            epsilon=exploration(config, context),
            eval_epsilon=config.eval_epsilon,
            seed=context.seed_for("actions"),
            device=context.device,
        )

    def collect_steps(self, config: DDQNConfig) -> int:
        """A worker's agent steps between two rounds of batches."""
        return config.collect_steps

    def dataset(
        self, config: DDQNConfig, learner: DDQNLearner, spaces: Spaces, context: WorkerContext
    ) -> TransitionReplay:
        """A replay buffer of n-step transitions, uniform or prioritized."""
        sizes = config.replay
        storage = Storage(
            sizes.buffer,
            config.num_envs,
            spaces.obs_shape,
            workers=context.shards,
            stacked=config.frame_stack > 1,
        )
        return TransitionReplay(
            storage,
            build_selector(config, storage, context.seed_for("replay")),
            n_step=config.n_step,
            gamma=config.gamma,
            batch_size=sizes.batch,
            learning_starts=sizes.learning_starts,
            train_every=config.train_every,
            save=config.save_replay,
            error_buffer=config.error_buffer or 8 * config.collect_steps,
        )

    def updater(self, config: DDQNConfig, learner: DDQNLearner) -> Updater:
        """AdamW with one learning rate for all, which falls by half a cosine."""
        lr = cosine_with_warmup(
            config.lr, config.lr_end, warmup=config.lr_warmup, total=config.total_packets
        )
        clip = clip_by_global_norm(config.max_grad_norm)
        everything = ParameterGroup(learner.model.parameters(), lr=lr, clip=clip)
        return Updater(learner, adamw(weight_decay=config.weight_decay), everything)

    def player(self, learner: DDQNLearner) -> nn.Module:
        """The target network."""
        return learner.model.target


def build_selector(config: DDQNConfig, storage: Storage, seed: int) -> Selector:
    """What draws from the replay buffer of a configuration."""
    rng = np.random.default_rng(seed)
    if not config.prioritized:
        return UniformSelector(storage, rng)
    beta = linear_schedule(config.per_beta, 1.0, config.total_steps)
    return PrioritizedSelector(storage, rng, alpha=config.per_alpha, beta=beta)


def exploration(config: DDQNConfig, context: WorkerContext) -> Callable[[int], float | Tensor]:
    """Epsilon by the run's agent steps, see ``DDQNConfig.exploration``."""
    if config.exploration == "linear":
        return linear_schedule(config.epsilon_start, config.epsilon_end, config.epsilon_decay)
    first = context.worker * config.num_envs
    total = context.workers * config.num_envs
    mine = torch.tensor([apex_epsilon(first + env, total) for env in range(config.num_envs)])
    return lambda step: mine
