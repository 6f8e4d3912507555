"""The plug-in ``ddqn``: training in one process."""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import torch

from mario_agents.algos.ddqn.config import DDQNConfig
from mario_agents.algos.ddqn.policy import DDQNPolicy
from mario_agents.algos.ddqn.session import Session, build_network
from mario_agents.device import resolve_device
from mario_agents.environments import make_vector
from mario_agents.evaluate import Protocol, evaluate
from mario_agents.progress import TrainingProgress
from mario_agents.run import CheckpointStore, RunDir, read_weights
from mario_agents.stopping import StopRequest
from mario_envkit.errors import RunError

log = logging.getLogger(__name__)


class DDQNTrainer:
    """Implements :class:`mario_envkit.plugins.Trainer`."""

    config_class = DDQNConfig
    summary = "Dueling double DQN with n-step returns and prioritized replay, from pixels."

    def env_kwargs(self, config: DDQNConfig) -> dict[str, Any]:
        """See :class:`mario_envkit.plugins.Trainer`."""
        return config.env_kwargs()

    def train(self, config: DDQNConfig, run_path: Path, *, resume: bool) -> None:
        """See :class:`mario_envkit.plugins.Trainer`.

        Raises:
            CheckpointError: if ``resume`` finds no checkpoint that is whole.
            KeyboardInterrupt: after saving, if Ctrl-C or SIGTERM asked to stop.
        """
        run = RunDir.open(run_path)
        torch.set_num_threads(config.torch_threads)
        device = resolve_device(config.device)
        checkpoint = CheckpointStore(run.checkpoint_path).load_latest() if resume else None
        envs = make_vector(self.env_kwargs(config), config.num_envs)
        try:
            session = Session(config, run, envs, device, checkpoint)
            try:
                self._loop(session)
            finally:
                session.close()
        finally:
            envs.close()

    def _loop(self, session: Session) -> None:
        config = session.config
        minutes = math.inf if config.max_minutes is None else config.max_minutes
        deadline = time.monotonic() + 60 * minutes
        # The first thing saved is the beginning: from here on, every run can be resumed.
        session.save()
        with (
            TrainingProgress(
                config.total_steps, initial_step=session.steps, enabled=config.progress
            ) as progress,
            StopRequest() as stop,
        ):
            while (
                session.steps < config.total_steps
                and time.monotonic() < deadline
                and not stop.requested
            ):
                before = session.steps
                session.advance()
                progress.update(session.steps, **session.report())
                if _passed(config.eval_interval, before, session.steps):
                    self._evaluate(session)
                if _passed(config.log_interval, before, session.steps):
                    session.write_metrics()
                if _passed(config.checkpoint_interval, before, session.steps):
                    session.save()
            session.write_metrics()
            session.save()
        if stop.requested:
            raise stop.exception()

    def _evaluate(self, session: Session) -> None:
        """Play a few greedy episodes with the weights as they are now."""
        config = session.config
        device = resolve_device(config.device)
        policy = DDQNPolicy(
            session.model.online, epsilon=config.eval_epsilon, seed=config.seed, device=device
        )
        protocol = Protocol(episodes=config.eval_episodes, seed=config.seed)
        result = evaluate(policy, self.env_kwargs(config), protocol)
        log.info("Evaluation at step %d:\n%s", session.steps, result.text())
        session.coordinator.logger.track_all(
            {
                "eval_success": result.success_rate.mean,
                "eval_x": result.mean_x.mean,
                "eval_reward": result.mean_reward.mean,
            }
        )

    def load_policy(self, config: DDQNConfig, run_path: Path, *, device: str) -> DDQNPolicy:
        """See :class:`mario_envkit.plugins.Trainer`.

        Raises:
            RunError: if the run has no weights, or they do not fit its configuration.
        """
        run = RunDir.open(run_path)
        tensors, metadata = read_weights(run)
        try:
            obs_shape = tuple(int(size) for size in json.loads(metadata["obs_shape"]))
            network = build_network(config, obs_shape, int(metadata["actions"]))
            network.load_state_dict(tensors)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise RunError(
                f"The weights {run.weights_path} do not fit the configuration of the run: "
                f"{' '.join(str(error).split())}"
            ) from error
        return DDQNPolicy(
            network, epsilon=config.eval_epsilon, seed=config.seed, device=resolve_device(device)
        )


def _passed(interval: int, before: int, now: int) -> bool:
    """Whether a multiple of ``interval`` lies in ``(before, now]``; 0 is never passed."""
    return interval > 0 and now // interval > before // interval


TRAINER = DDQNTrainer()
