"""Runs of seconds of the trainers that there are, and what they leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mario_agents.run import Checkpoint, CheckpointStore, RunDir
from mario_agents.run.records import read_evaluations
from tests.agents.trained_run import rows
from tests.gpu.options import known, small_options

TRAINERS = ("ddqn", "apex", "ppo", "impala", "dreamer")
LINES = {"gamma": "0.9:0.8@4000", "repeat_action_probability": "0:0.5@4000"}
STEPS, MORE_STEPS = 384, 256
"""Of a run, and of what it is resumed for."""


def options(trainer: Any, name: str, address: str) -> dict[str, Any]:
    """Of a run of two workers on a cluster, which evaluates."""
    found = {
        **small_options(name, trainer.config_class, "tiles"),
        "workers": 2,
        "total_steps": STEPS,
        "eval_interval": 256,
        "eval_episodes": 1,
        "stall_limit": 20,
        "schedule": {n: line for n, line in LINES.items() if n in trainer.config_class.SCHEDULABLE},
        "device": "cpu",
        "engine": "ray",
        "address": address,
    }
    return known(trainer.config_class, found)


def latest(path: Path) -> Checkpoint:
    return CheckpointStore(path / "checkpoint").load_latest()


def assert_learned(path: Path) -> Checkpoint:
    """A new run has ended with its steps, updates, evaluations, and the rows of all workers."""
    end = latest(path)
    assert end.step >= STEPS
    assert end.state["updater"]["updates"] > 0
    assert read_evaluations(RunDir.open(path).evaluations_path)[0]
    assert_rows(path, end)
    return end


def assert_resumed(path: Path, first: Checkpoint) -> None:
    """The run has gone on from ``first``, and nothing was counted twice, or lost."""
    second = latest(path)
    assert second.step >= first.step + MORE_STEPS
    assert second.state["updater"]["updates"] > first.state["updater"]["updates"]
    for before, after in zip(first.state["counters"], second.state["counters"], strict=True):
        assert after["steps"] >= before["steps"]
    assert_rows(path, second)


def assert_rows(path: Path, end: Checkpoint) -> None:
    """The rows of every worker are here, each once, up to what is saved."""
    for number, counters in enumerate(end.state["counters"]):
        found = rows(path, f"worker_{number}")
        steps = [int(row["steps"]) for row in found]
        assert steps == sorted(steps)
        assert steps[-1] == counters["steps"]
        sticky = [float(row["scheduled_repeat_action_probability"]) for row in found]
        assert sticky == sorted(sticky)
        assert 0 < sticky[-1] < 0.5
