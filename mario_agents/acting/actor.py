"""The one loop that steps environments: in training, in evaluation and in playback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from mario_agents.acting.episodes import EpisodeTracker, StepInfo
from mario_agents.core.policy import Mode, Policy
from mario_agents.core.types import Step
from mario_agents.telemetry import Stopwatch
from mario_agents.telemetry.episodes import CollectResult


class Actor:
    """Plays with a policy, and says what each step brought.

    Here and nowhere else it is decided that a lost life is terminal, even where the game goes on
    from a snapshot (``info["life_lost"]``): nothing is summed across it, and what a recurrent
    policy remembers is cleared. So is a stall that the reward has a price for.

    Args:
        envs: with SAME_STEP autoreset, so that every step is a transition. They are reset.
        policy: chooses the actions.
        seed: of the environments.
        mode: how the policy chooses.
        stopwatch: measures the choice of actions, as ``time_inference``.
    """

    def __init__(
        self,
        envs: VectorEnv[Any, Any, Any],
        policy: Policy,
        *,
        seed: int,
        mode: Mode = "explore",
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self.envs, self.policy, self.mode = envs, policy, mode
        self._stopwatch = stopwatch or Stopwatch(["time_inference"])
        obs, infos = envs.reset(seed=seed)
        self._obs, self._is_first = np.array(obs), np.ones(envs.num_envs, np.bool_)
        self._state = policy.initial(envs.num_envs)
        shown = policy.shown(envs.num_envs) if mode == "explore" else None
        self._tracker = EpisodeTracker(envs.num_envs, shown)
        self.info = StepInfo(infos, np.zeros(envs.num_envs, np.bool_))
        """What the environments said of the last step, or of the reset."""

    def collect(
        self, steps: int, at: int = 0, sink: Callable[[Step], object] | None = None
    ) -> CollectResult:
        """Make at least ``steps`` agent steps, counted over all environments.

        Args:
            steps: how many.
            at: agent steps of the whole run so far, which schedules of the policy depend on.
            sink: gets each step of all environments; its arrays are not written to again.

        Returns:
            The steps made, and the episodes and lives that ended in them.
        """
        collected = CollectResult()
        while collected.steps < steps:
            self._step(at, sink, collected)
        return collected

    def _step(
        self, at: int, sink: Callable[[Step], object] | None, collected: CollectResult
    ) -> None:
        obs, is_first = self._obs, self._is_first
        with self._stopwatch.measure("time_inference"), torch.no_grad():
            device = self.policy.device
            chosen, kept, self._state = self.policy.act(
                torch.from_numpy(obs).to(device),
                self._state,
                torch.from_numpy(is_first).to(device),
                mode=self.mode,
                step=at,
            )
            action = chosen.cpu().numpy()
            extras = {name: column.cpu().numpy() for name, column in kept.items()}
        following, reward, terminated, truncated, infos = self.envs.step(action)
        ended = terminated | truncated
        self.info = info = StepInfo(infos, ended)
        over = terminated | info.get("life_lost", False)
        if truncated.any():
            over |= truncated & (info.part("stall") < 0)
        # The environments may use their array again for the next step.
        self._obs, self._is_first = np.array(following), ended | over
        if sink is not None:
            reward32 = np.asarray(reward, dtype=np.float32)
            led_to = info.led_to(self._obs)
            sink(Step(obs, action, reward32, over, truncated & ~over, led_to, is_first, extras))
        self._tracker.step(reward, ended, truncated, info, collected)
