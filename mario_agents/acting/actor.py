"""Stepping environments with a model and remembering what happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from mario_agents.acting.episodes import EpisodeTracker, StepInfo
from mario_agents.core.types import Model, ReplayBuffer
from mario_agents.telemetry import Stopwatch
from mario_agents.telemetry.episodes import CollectResult


class Actor:
    """Fills a replay buffer with epsilon-greedy steps.

    A lost life ends the sum of rewards like the end of an episode does, even where the game goes on
    from a snapshot (``info["life_lost"]``).

    Args:
        envs: with SAME_STEP autoreset, so that every step is a transition.
        model: chooses actions; lives on ``device``.
        replay: where the transitions go.
        seed: of the environments.
        rng: draws the random actions (on the CPU); its state is the caller's to save.
        device: where the model is.
        stopwatch: measures the choice of actions, as ``time_inference``.
    """

    def __init__(
        self,
        envs: VectorEnv[Any, Any, Any],
        model: Model,
        replay: ReplayBuffer,
        *,
        seed: int,
        rng: torch.Generator,
        device: torch.device,
        stopwatch: Stopwatch,
    ) -> None:
        self.envs, self.model, self.replay = envs, model, replay
        self.rng, self.device = rng, device
        self._stopwatch = stopwatch
        self._obs = np.array(envs.reset(seed=seed)[0])
        self._books = EpisodeTracker(envs.num_envs)

    def collect(self, steps: int, epsilon: float | torch.Tensor) -> CollectResult:
        """Make at least ``steps`` agent steps, counted over all environments.

        The gauges of the result: ``epsilon`` (mean over environments) and ``buffer_size``.
        """
        collected = CollectResult()
        while collected.steps < steps:
            self._step(epsilon, collected)
        mean = float(torch.as_tensor(epsilon, dtype=torch.float64).mean())
        collected.gauges = {"epsilon": mean, "buffer_size": len(self.replay)}
        return collected

    def _step(self, epsilon: float | torch.Tensor, collected: CollectResult) -> None:
        with self._stopwatch.measure("time_inference"):
            obs = torch.from_numpy(self._obs).to(self.device)
            action = self.model.select_action(obs, epsilon, self.rng).cpu().numpy()
        obs_next, reward, terminated, truncated, infos = self.envs.step(action)
        ended = terminated | truncated
        info = StepInfo(infos, ended)
        life_lost = info.get("life_lost", False)
        # The environment may use its array again for the next step.
        obs_next = np.array(obs_next)
        self.replay.add(
            self._obs,
            action,
            np.asarray(reward, dtype=np.float32),
            terminated | life_lost,
            truncated & ~life_lost,
            info.led_to(obs_next),
        )
        self._obs = obs_next
        self._books.step(reward, ended, truncated, info, collected)
