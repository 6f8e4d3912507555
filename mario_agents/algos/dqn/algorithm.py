"""What double DQN is made of, for the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor, nn

from mario_agents.acting.actor import Actor
from mario_agents.acting.replay_experience import ReplayExperience
from mario_agents.algos.dqn.config import DDQNConfig
from mario_agents.algos.dqn.learner import DDQNLearner
from mario_agents.algos.dqn.metrics import METRICS
from mario_agents.algos.dqn.networks import DoubleDQN, QNetwork
from mario_agents.algos.dqn.policy import DDQNPolicy
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.optimizers import adamw
from mario_agents.core.updater import ParameterGroup, Updater
from mario_agents.nn.device import resolve_device
from mario_agents.nn.registry import build_encoder, choose_network
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.ops.schedules import apex_epsilon, cosine_with_warmup, linear_schedule
from mario_agents.replay.buffer import UniformReplay
from mario_agents.replay.prioritized import PrioritizedReplay


class DDQNAlgorithm:
    """Implements :class:`mario_agents.core.algorithm.Algorithm`."""

    config_class = DDQNConfig
    metrics = METRICS

    def env_kwargs(self, config: DDQNConfig) -> dict[str, Any]:
        """See :class:`~mario_agents.core.algorithm.Algorithm`."""
        return config.env_kwargs()

    def learner(self, config: DDQNConfig, spaces: Spaces) -> DDQNLearner:
        """See :class:`~mario_agents.core.algorithm.Algorithm`."""
        device = resolve_device(config.device).type
        name = choose_network(config.network, config.observation, device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            encoder = build_encoder(
                name, spaces.obs_shape, config.hidden, observation=config.observation
            )
            network = QNetwork(
                encoder,
                spaces.actions,
                hidden=config.hidden,
                q_scale=config.q_scale,
                precision=config.precision,
            )
        return DDQNLearner(DoubleDQN(network), tau=config.tau, huber=config.huber)

    def experience(
        self,
        config: DDQNConfig,
        envs: VectorEnv[Any, Any, Any],
        learner: DDQNLearner,
        context: WorkerContext,
    ) -> ReplayExperience:
        """See :class:`~mario_agents.core.algorithm.Algorithm`."""
        spaces = Spaces.of(envs)
        sizes = config.replay
        replay = build_replay(config, spaces, context.seed_for("replay"))
        collector = Actor(
            envs,
            learner.model,
            replay,
            seed=context.seed_for("games"),
            rng=torch.Generator().manual_seed(context.seed_for("actions")),
            device=context.device,
            stopwatch=context.stopwatch,
        )
        return ReplayExperience(
            collector,
            replay,
            epsilon=exploration(config, context),
            batch_size=sizes.batch,
            collect_steps=config.collect_steps,
            learning_starts=sizes.learning_starts,
            train_every=config.train_every,
            beta=linear_schedule(config.per_beta, 1.0, config.total_steps),
            save_replay=config.save_replay,
        )

    def updater(self, config: DDQNConfig, learner: DDQNLearner) -> Updater:
        """See :class:`~mario_agents.core.algorithm.Algorithm`."""
        lr = cosine_with_warmup(
            config.lr, config.lr_end, warmup=config.lr_warmup, total=config.total_packets
        )
        clip = clip_by_global_norm(config.max_grad_norm)
        everything = ParameterGroup(learner.model.parameters(), lr=lr, clip=clip)
        return Updater(learner, adamw(weight_decay=config.weight_decay), everything)

    def player(self, learner: DDQNLearner) -> nn.Module:
        """See :class:`~mario_agents.core.algorithm.Algorithm`: the target network.

        It is a moving average of the online one, which is another player after each few updates.
        """
        return learner.model.target

    def policy(self, config: DDQNConfig, learner: DDQNLearner, device: torch.device) -> DDQNPolicy:
        """See :class:`~mario_agents.core.algorithm.Algorithm`."""
        network = self.player(learner)
        return DDQNPolicy(network, epsilon=config.eval_epsilon, seed=config.seed, device=device)


def build_replay(config: DDQNConfig, spaces: Spaces, seed: int) -> UniformReplay:
    """The replay buffer of a configuration."""
    shape = (config.replay.buffer, config.num_envs, spaces.obs_shape)
    rng = np.random.default_rng(seed)
    n_step, gamma = config.n_step, config.gamma
    if not config.prioritized:
        return UniformReplay(*shape, n_step=n_step, gamma=gamma, rng=rng)
    alpha, beta = config.per_alpha, config.per_beta
    return PrioritizedReplay(*shape, n_step=n_step, gamma=gamma, rng=rng, alpha=alpha, beta=beta)


def exploration(config: DDQNConfig, context: WorkerContext) -> Callable[[int], float | Tensor]:
    """Epsilon by the run's agent steps, see ``DDQNConfig.exploration``."""
    if config.exploration == "linear":
        return linear_schedule(config.epsilon_start, config.epsilon_end, config.epsilon_decay)
    first = context.worker * config.num_envs
    total = context.workers * config.num_envs
    mine = torch.tensor([apex_epsilon(first + env, total) for env in range(config.num_envs)])
    return lambda step: mine
