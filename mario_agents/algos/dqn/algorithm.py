"""The parts of double DQN for two trainers, which differ in who explores how, and what is drawn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mario_agents.algos.dqn.config import ApexConfig, DDQNConfig, DQNConfig
from mario_agents.algos.dqn.learner import DDQNLearner
from mario_agents.algos.dqn.metrics import APEX_METRICS, METRICS
from mario_agents.algos.dqn.networks import DoubleDQN, QNetwork
from mario_agents.algos.dqn.policy import DQNPolicy
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.optimizers import adamw
from mario_agents.core.updater import Updater
from mario_agents.imitation.kept import with_demonstrations
from mario_agents.nn.init import seeded
from mario_agents.nn.registry import configured_encoder
from mario_agents.ops.schedules import apex_epsilon, linear_schedule
from mario_agents.replay.selectors import PrioritizedSelector, Selector, UniformSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import TransitionReplay, ValueErrors
from mario_agents.replay.with_demonstrations import WithDemonstrations

ConfigT = TypeVar("ConfigT", bound=DQNConfig)


class DQNAlgorithm(Algorithm[ConfigT, DDQNLearner]):
    """What ``ddqn`` and ``apex`` have in common, see the README of this package."""

    imitates = "replay"

    def learner(self, config: ConfigT, spaces: Spaces) -> DDQNLearner:
        """Online and target network, initialised by the seed alone."""
        with seeded(config.seed):
            network = QNetwork(
                configured_encoder(config, spaces.obs_shape),
                spaces.actions,
                hidden=config.hidden,
                q_scale=config.q_scale,
                precision=config.precision,
            )
        return DDQNLearner(
            DoubleDQN(network),
            tau=config.tau,
            huber=config.huber,
            demo_margin=config.demo_margin,
            demo_coef=config.demo_coef,
        )

    def collect_steps(self, config: ConfigT) -> int:
        """A worker's agent steps between two rounds of batches."""
        return config.collect_steps

    def dataset(
        self, config: ConfigT, learner: DDQNLearner, spaces: Spaces, context: WorkerContext
    ) -> TransitionReplay | WithDemonstrations:
        """A replay buffer of n-step transitions, perhaps with demonstrations beside them."""

        def replay(batch_size: int, demonstrations: Storage | None) -> TransitionReplay:
            if demonstrations is not None:
                return self._replay(config, demonstrations, context, "demonstrations", batch_size)
            storage = Storage(
                config.replay.buffer,
                config.num_envs,
                spaces.obs_shape,
                workers=context.shards,
                stacked=config.frame_stack > 1,
                extras=config.EXTRAS,
            )
            return self._replay(config, storage, context, "replay", batch_size)

        return with_demonstrations(
            replay,
            *(context, config, self.env_kwargs(config), spaces.obs_shape),
            batch_size=config.replay.batch,
        )

    def _replay(
        self,
        config: ConfigT,
        storage: Storage,
        context: WorkerContext,
        purpose: str,
        batch_size: int,
    ) -> TransitionReplay:
        return TransitionReplay(
            storage,
            self.selector(config, storage, np.random.default_rng(context.seed_for(purpose))),
            n_step=config.n_step,
            gamma=config.scheduled("gamma"),
            batch_size=batch_size,
            learning_starts=config.replay.learning_starts,
            train_every=config.train_every,
            save=config.save_replay,
            error_buffer=config.error_buffer or 8 * config.collect_steps,
        )

    @abstractmethod
    def selector(self, config: ConfigT, storage: Storage, rng: np.random.Generator) -> Selector:
        """What draws from the replay buffer."""

    def updater(self, config: ConfigT, learner: DDQNLearner) -> Updater:
        """AdamW with one learning rate for all, which falls by half a cosine."""
        return Updater.with_cosine(
            learner,
            adamw(weight_decay=config.weight_decay),
            lr=config.lr,
            lr_end=config.lr_end,
            warmup=config.lr_warmup,
            packets=config.total_packets,
            max_norm=config.max_grad_norm,
        )

    def player(self, learner: DDQNLearner) -> nn.Module:
        """The target network."""
        return learner.model.target

    def begin_with(self, learner: DDQNLearner, weights: Mapping[str, Tensor]) -> None:
        """Both networks have them."""
        learner.model.online.load_state_dict(weights)
        learner.model.target.load_state_dict(weights)


class DDQNAlgorithm(DQNAlgorithm[DDQNConfig]):
    """Double DQN: uniform or prioritized replay, one falling epsilon or many fixed ones."""

    config_class = DDQNConfig
    shares = DDQNConfig.SHARES
    metrics = METRICS

    def policy(self, config: DDQNConfig, learner: DDQNLearner, context: WorkerContext) -> DQNPolicy:
        """Epsilon-greedy play, with epsilon as ``config.exploration`` says."""
        falling = linear_schedule(config.epsilon_first, config.epsilon_end, config.epsilon_decay)
        fixed = fixed_epsilons(config.num_envs, context) if config.exploration == "apex" else None
        return DQNPolicy(
            learner.model,
            epsilon=(lambda step: fixed.epsilon) if fixed else falling,
            eval_epsilon=config.eval_epsilon,
            seed=context.seed_for("actions"),
            device=context.device,
            shown=fixed.shown if fixed else None,
        )

    def selector(self, config: DDQNConfig, storage: Storage, rng: np.random.Generator) -> Selector:
        """All alike, or by the errors that the learner measured."""
        if not config.prioritized:
            return UniformSelector(storage, rng)
        beta = linear_schedule(config.per_beta, 1.0, config.beta_steps)
        return PrioritizedSelector(storage, rng, alpha=config.per_alpha, beta=beta)


class ApexAlgorithm(DQNAlgorithm[ApexConfig]):
    """Ape-X: prioritized replay of what many games play, each of which explores by its own share;
    priorities come with the steps."""

    config_class = ApexConfig
    shares = ApexConfig.SHARES
    metrics = APEX_METRICS

    def policy(self, config: ApexConfig, learner: DDQNLearner, context: WorkerContext) -> DQNPolicy:
        """Epsilon-greedy play, with an epsilon for each game."""
        fixed = fixed_epsilons(config.num_envs, context, config.epsilon_base, config.epsilon_alpha)
        return DQNPolicy(
            learner.model,
            epsilon=lambda step: fixed.epsilon,
            eval_epsilon=config.eval_epsilon,
            seed=context.seed_for("actions"),
            device=context.device,
            keep_values=True,
            shown=fixed.shown,
        )

    def selector(self, config: ApexConfig, storage: Storage, rng: np.random.Generator) -> Selector:
        """By the errors that actors, and then the learner, measured; demonstrations have no actor
        that knew values."""
        valued = bool(storage.extras)
        return PrioritizedSelector(
            storage,
            rng,
            alpha=config.per_alpha,
            beta=linear_schedule(config.per_beta, 1.0, config.beta_steps),
            initial=ValueErrors(storage, n_step=config.n_step, gamma=config.gamma)
            if valued
            else None,
        )


class FixedEpsilons(NamedTuple):
    """How the ``N`` games of a worker explore, all differently.

    Attributes:
        epsilon: ``(N,)`` float32, the share of random actions.
        shown: ``(N,)``, the quarter of all workers' games whose shares are smallest.
    """

    epsilon: Tensor
    shown: NDArray[np.bool_]


def fixed_epsilons(
    num_envs: int, context: WorkerContext, base: float = 0.4, alpha: float = 7.0
) -> FixedEpsilons:
    """By the numbers of the games, see :func:`~mario_agents.ops.schedules.apex_epsilon`: game ``j``
    of worker ``w`` is number ``j * workers + w``, so that every worker has the whole range."""
    number = np.arange(num_envs) * context.workers + context.worker
    count = num_envs * context.workers
    epsilon = [apex_epsilon(each, count, base, alpha) for each in number.tolist()]
    return FixedEpsilons(torch.tensor(epsilon), number >= count - max(count // 4, 1))
