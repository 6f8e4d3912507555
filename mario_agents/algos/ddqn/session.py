"""Everything a run in one process is made of, and how it is saved and continued."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from gymnasium.vector import VectorEnv

from mario_agents.algos.ddqn.config import DDQNConfig
from mario_agents.algos.ddqn.learner import DDQNLearner
from mario_agents.algos.ddqn.networks import DoubleDQN, QNetwork
from mario_agents.metrics.collectors import DDQNCollector
from mario_agents.ops.schedules import linear_schedule
from mario_agents.parallel.collector import Collector
from mario_agents.parallel.desk import EventDesk
from mario_agents.parallel.events import COORDINATOR
from mario_agents.parallel.gradients import GradientComputer
from mario_agents.parallel.reporting import (
    CoordinatorReport,
    WorkerReport,
    coordinator_metrics,
    headline,
    run_sinks,
    worker_metrics,
)
from mario_agents.parallel.updater import Updater
from mario_agents.replay.buffer import UniformReplay
from mario_agents.replay.prioritized import PrioritizedReplay
from mario_agents.run import Checkpoint, CheckpointStore, RunDir, write_weights
from mario_envkit.errors import CheckpointError


def build_network(config: DDQNConfig, obs_shape: tuple[int, ...], actions: int) -> QNetwork:
    """The network of a configuration, with initial weights that depend on the seed alone."""
    stack, height, width = obs_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return QNetwork(
            (stack, height, width), actions, hidden=config.hidden, q_scale=config.q_scale
        )


def build_replay(config: DDQNConfig, obs_shape: tuple[int, ...]) -> UniformReplay:
    """The replay buffer of a configuration."""
    shape = (config.buffer_size, config.num_envs, obs_shape)
    rng = np.random.default_rng([config.seed, 1])
    n_step, gamma = config.n_step, config.gamma
    if not config.prioritized:
        return UniformReplay(*shape, n_step=n_step, gamma=gamma, rng=rng)
    alpha, beta = config.per_alpha, config.per_beta
    return PrioritizedReplay(*shape, n_step=n_step, gamma=gamma, rng=rng, alpha=alpha, beta=beta)


class Session:
    """The parts of a run: collector, replay, gradients, updater, report; and its counters.

    What a checkpoint restores exactly: weights, targets, optimizer, all counters and schedules, the
    random states of exploration and of replay, and, if it was saved, the replay buffer. What it
    does not: the games, which begin new episodes, and an unsaved replay buffer, which is filled to
    ``learning_starts`` again before the next update.
    """

    def __init__(
        self,
        config: DDQNConfig,
        run: RunDir,
        envs: VectorEnv[Any, Any, Any],
        device: torch.device,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.config, self.run = config, run
        self.steps = checkpoint.step if checkpoint else 0
        self._saved_step = checkpoint.step if checkpoint else None
        self._credit = 0
        obs_shape = envs.single_observation_space.shape
        assert obs_shape is not None
        assert isinstance(envs.single_action_space, Discrete)
        actions = int(envs.single_action_space.n)
        self._metadata = {"obs_shape": list(obs_shape), "actions": actions}
        self.model = DoubleDQN(build_network(config, obs_shape, actions))
        self.model.to(device)
        self.replay = build_replay(config, obs_shape)
        learner = DDQNLearner(self.model)
        self.gradients = GradientComputer(
            learner, self.replay, batch_size=config.batch_size, device=device
        )
        self.updater = Updater(
            learner,
            lr=config.lr,
            lr_min=config.lr_min,
            warmup=config.lr_warmup,
            total_updates=config.total_updates,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            tau=config.tau,
        )
        self.store = CheckpointStore(run.checkpoint_path, keep=config.keep_checkpoints)
        self._rng = torch.Generator().manual_seed(config.seed)
        self._epsilon = linear_schedule(
            config.epsilon_start, config.epsilon_end, config.epsilon_decay
        )
        self._beta = linear_schedule(config.per_beta, 1.0, config.total_steps)
        resume_step = checkpoint.step if checkpoint else None
        self.desk = EventDesk(
            run,
            worker_metrics=worker_metrics(DDQNCollector),
            coordinator_metrics=coordinator_metrics(),
            sinks=run_sinks(run, resume_step=resume_step, wandb=config.wandb),
        )
        self.worker = WorkerReport(
            run, 0, DDQNCollector, self.desk.publisher("worker_0"), resume_step=resume_step
        )
        self.coordinator = CoordinatorReport(
            run, self.desk.publisher(COORDINATOR), resume_step=resume_step
        )
        if checkpoint:
            try:
                self._restore(checkpoint)
            except BaseException:
                self.close()
                raise
        # A resumed run gets new games, not the ones it began with.
        env_seed = int(np.random.SeedSequence([config.seed, self.steps]).generate_state(1)[0])
        self.collector = Collector(
            envs, self.model, self.replay, seed=env_seed, rng=self._rng, device=device
        )

    def advance(self) -> None:
        """Collect for a while, then make the updates that are due."""
        config = self.config
        epsilon = self._epsilon(self.steps)
        collected = self.collector.collect(config.collect_steps, epsilon)
        self.steps += collected.steps
        self.worker.collected(collected)
        if len(self.replay) < config.learning_starts:
            return
        self._anneal()
        updates, self._credit = divmod(self._credit + collected.steps, config.train_every)
        for _ in range(updates):
            gradients, metrics = self.gradients.compute()
            self.worker.trained(metrics)
            self.coordinator.updated(self.updater.apply(gradients))

    def report(self) -> dict[str, float]:
        """Tell the desk how things are; returns what a progress bar has room for."""
        self.worker.flush(self.steps)
        self.coordinator.flush(self.steps)
        self.desk.poll()
        return headline(self.desk.workers.combined())

    def write_metrics(self) -> None:
        """Write rows of metrics for the present step."""
        self.report()
        for each in (self.worker, self.coordinator, self.desk):
            each.write(self.steps)

    def close(self) -> None:
        """Close what the reports have open."""
        for each in (self.worker, self.coordinator, self.desk):
            each.close()

    def _anneal(self) -> None:
        if isinstance(self.replay, PrioritizedReplay):
            self.replay.beta = self._beta(self.steps)

    def save(self) -> None:
        """Write the latest weights, and a checkpoint unless there is one of this step.

        Raises:
            CheckpointError: if the disk refuses.
        """
        if self.steps != self._saved_step:  # a second one would push an older one out
            self._save_checkpoint()
            self._saved_step = self.steps
        write_weights(
            self.run, self.model.online.state_dict(), {"step": self.steps, **self._metadata}
        )

    def _save_checkpoint(self) -> None:
        tensors = self.updater.tensors() | {"rng.actions": self._rng.get_state()}
        if self.config.save_replay:
            for name, array in self.replay.state_dict().items():
                tensors[f"replay.{name}"] = torch.from_numpy(array)
        state = {
            "credit": self._credit,
            "updater": self.updater.state(),
            "worker": self.worker.logger.state(),
            "coordinator": self.coordinator.logger.state(),
            "replay_rng": self.replay.rng.bit_generator.state,
        }
        self.store.save(self.steps, tensors, state)

    def _restore(self, checkpoint: Checkpoint) -> None:
        tensors, state = checkpoint.tensors, checkpoint.state
        try:
            self.updater.restore(tensors, state["updater"])
            self._credit = int(state["credit"])
            self._rng.set_state(tensors["rng.actions"])
            self.replay.rng.bit_generator.state = state["replay_rng"]
            self.worker.logger.restore(state["worker"])
            self.coordinator.logger.restore(state["coordinator"])
        except KeyError as error:
            raise CheckpointError(
                f"The checkpoint of {self.run.path} lacks {error}; it was written by another "
                "version of mario-envkit: resume with that one, or start a new run."
            ) from error
        self._anneal()
        saved = {
            name.removeprefix("replay."): tensor.numpy()
            for name, tensor in tensors.items()
            if name.startswith("replay.")
        }
        if saved:
            self.replay.load_state_dict(saved)
            # The games begin anew: nothing may be summed across the gap.
            self.replay.cut()
