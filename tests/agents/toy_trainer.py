"""A trainer that learns nothing, fast: the command line is tested on it, without the game."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from msgspec import Meta

from mario_agents.config import TrainConfig
from mario_agents.nn.device import resolve_device
from mario_agents.run import CheckpointStore, RunDir, read_weights, write_weights
from mario_agents.runtime.signals import StopRequest
from mario_agents.telemetry import CsvSink, MetricLogger
from mario_agents.telemetry.progress import TrainingProgress
from mario_agents.telemetry.schema import counter, gauge
from mario_envkit.errors import ConfigError, DisplayUnavailable, LevelError

GOAL = 12


class ToyEnv(gymnasium.Env[Any, Any]):
    """Walk right to the goal; every step right is deadly with probability ``danger``."""

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        level: str = "1-1",
        danger: float = 0.0,
        repeat_action_probability: float = 0.0,
        repeat_frame_probability: float = 0.0,
        noop_max: int = 0,
        render_mode: str | None = None,
    ) -> None:
        if level != "1-1":
            raise LevelError(f"The toy has no level {level!r}; it has only '1-1'.")
        self.danger, self.noop_max, self.render_mode = danger, noop_max, render_mode
        self.observation_space = spaces.Box(0, 255, (4,), np.uint8)
        self.action_space = spaces.Discrete(2)

    def _info(self, *, died: bool = False) -> dict[str, Any]:
        return {
            "x_pos": self.x,
            "flag_get": self.x >= GOAL,
            "died": died,
            "death_cause": "pit" if died else "",
            "ending": "pit" if died else "flag" if self.x >= GOAL else "",
            "stages_cleared": int(self.x >= GOAL),
            "level": "1-1",
        }

    def _observe(self) -> np.ndarray[Any, Any]:
        return np.full(4, self.x, np.uint8)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if self.render_mode == "human":
            raise DisplayUnavailable("The toy never has a display.")
        self.x = self.steps = 0
        return self._observe(), self._info()

    def step(self, action: Any) -> Any:
        self.steps += 1
        died = bool(action == 1 and self.np_random.random() < self.danger)
        self.x += int(action) if not died else 0
        over = died or self.x >= GOAL
        return self._observe(), float(action), over, self.steps >= 40, self._info(died=died)

    def render(self) -> Any:
        picture = np.zeros((32, 48, 3), np.uint8)
        picture[:, : 4 * self.x] = (250, 100, 0)
        return picture


gymnasium.register("Toy-v0", ToyEnv)


class ToyPolicy:
    """Goes right when greedy; flips a coin otherwise."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def reset(self, num_envs: int) -> None:
        self.num_envs = num_envs

    def act(self, observations: Any, *, greedy: bool) -> Any:
        assert observations.shape == (self.num_envs, 4)
        if greedy:
            return np.ones(self.num_envs, np.int64)
        return self.rng.integers(2, size=self.num_envs)


@dataclass(frozen=True, kw_only=True)
class ToyConfig(TrainConfig):
    """The toy's options."""

    lr: Annotated[float, Meta(gt=0)] = 0.5
    """How much the weight grows each step."""
    lr_min: float = 0.0
    """Must not exceed lr."""
    danger: float = 0.0
    """Probability that a step right is deadly."""
    sleep: float = 0.0
    """Seconds per step."""

    def __post_init__(self) -> None:
        if self.lr_min > self.lr:
            raise ConfigError(f"lr_min = {self.lr_min} must not exceed lr = {self.lr}.")


class ToyTrainer:
    """Adds ``lr`` to a weight ``total_steps`` times."""

    config_class = ToyConfig
    summary = "Adds a number to a number."

    def train(self, config: ToyConfig, run_path: Path, *, resume: bool) -> None:
        device = resolve_device(config.device)
        run, store = RunDir.open(run_path), CheckpointStore(run_path / "checkpoint")
        step, weight = 0, torch.zeros(2, device=device)
        if resume:
            checkpoint = store.load_latest()
            step, weight = checkpoint.step, checkpoint.tensors["weight"]
        defs = [counter("steps", "steps"), gauge("weight", "the weight")]
        sink = CsvSink(run.csv_path("worker_0"), ["steps", "weight"], resume_step=step or None)
        metrics = MetricLogger(defs, [sink])
        progress = TrainingProgress(config.total_steps, initial_step=step, enabled=config.ui)
        with progress, StopRequest() as stop:
            while step < config.total_steps and not stop.requested:
                step, weight = step + 1, weight + config.lr
                time.sleep(config.sleep)
                metrics.track("weight", float(weight[0]))
                progress.update(step, weight=float(weight[0]))
                if step % config.checkpoint_interval == 0:
                    metrics.write(step)
                    store.save(step, {"weight": weight}, {"why": "interval"})
            store.save(step, {"weight": weight}, {"why": "end"})
            write_weights(run, {"weight": weight}, {"step": step})
            metrics.close()
            if stop.requested:
                raise stop.exception()

    def env_kwargs(self, config: ToyConfig) -> dict[str, Any]:
        return {"id": "toy_trainer:Toy-v0", "level": config.level, "danger": config.danger}

    def load_policy(
        self, config: ToyConfig, run_path: Path, *, device: str, weights: str
    ) -> ToyPolicy:
        read_weights(RunDir.open(run_path))
        return ToyPolicy()


TRAINER = ToyTrainer()
