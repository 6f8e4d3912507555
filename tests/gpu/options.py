"""What is special about a trainer: tables of options. One that is not in them has its defaults."""

from __future__ import annotations

import dataclasses
from typing import Any

_SMALL: dict[str, Any] = {
    "seed": 7,
    "num_envs": 8,
    "total_steps": 640,
    "hidden": 64,
    "log_interval": 64,
    "checkpoint_interval": 320,
    "eval_interval": 0,
    "eval_episodes": 2,
    "torch_threads": 1,
    "ui": False,
}
"""Of every trainer that has them: a run of seconds."""

SMALL: dict[str, dict[str, Any]] = {
    "ddqn": {
        "learning_starts": 128,
        "buffer_size": 2_048,
        "batch_size": 32,
        "train_every": 8,
        "collect_steps": 32,
        "prioritized": True,
        "save_replay": True,
    },
    "ppo": {"rollout_steps": 16, "minibatch_size": 32},
}
"""What a run of seconds needs beyond that, by trainer."""

OBSERVATIONS: dict[str, dict[str, Any]] = {
    "tiles": {"observation": "tiles"},
    "pixels": {"observation": "pixels", "screen_size": 84, "frame_stack": 4},
}


def fields_of(config_class: type[Any]) -> set[str]:
    """Names of a trainer's options."""
    return {field.name for field in dataclasses.fields(config_class)}


def small_options(trainer: str, config_class: type[Any], observation: str) -> dict[str, Any]:
    """Options of a run of seconds, as for :func:`mario_agents.config.make_config`."""
    known = fields_of(config_class)
    general = {**_SMALL, **OBSERVATIONS[observation]}
    return {n: v for n, v in general.items() if n in known} | SMALL.get(trainer, {})
