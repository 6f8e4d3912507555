"""What is special about a trainer: tables of options. One that is not in them has its defaults."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, get_args, get_type_hints

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
    "precision": "float32",
    "ui": False,
}
"""Of every trainer that has them: a run of seconds."""

_REPLAY: dict[str, Any] = {
    "learning_starts": 64,
    "buffer_size": 2_048,
    "batch_size": 16,
    "collect_steps": 32,
    "save_replay": True,
}
_UNROLLS: dict[str, Any] = {"recurrent_type": "gru", "replay_size": 2_048, "noisy": True}

SMALL: dict[str, dict[str, Any]] = {
    "ddqn": {**_REPLAY, "prioritized": True},
    "apex": _REPLAY,
    "ppo": {"rollout_steps": 16, "minibatch_size": 32},
    "a3c": _UNROLLS,
    "impala": _UNROLLS,
    "dreamer": {
        "learning_starts": 128,
        "buffer_size": 2_048,
        "batch_size": 4,
        "batch_length": 8,
        "train_ratio": 2.0,
        "imagined": 16,
        "horizon": 5,
        "save_replay": True,
    },
}
"""What a run of seconds needs beyond that, by trainer."""

MEASURED: dict[str, dict[str, Any]] = {
    "ddqn": {"learning_starts": 512},
    "apex": {"learning_starts": 512},
    "dreamer": {"learning_starts": 512},
}
"""What a trainer needs beyond its defaults so that it learns after a second."""

OBSERVATIONS: dict[str, dict[str, Any]] = {
    "tiles": {"observation": "tiles"},
    "pixels": {"observation": "pixels", "screen_size": 84},
}
SMALL_SCREEN: dict[str, Any] = {"screen_size": 42}
"""For pixels on a CPU."""


class Variant(NamedTuple):
    """Options that may change how something is computed, but hardly what.

    Attributes:
        options: for trainers that have them all.
        loss, gradients: how far these may be from float32 on the CPU, relative to their size.
        tf32: let convolutions and matrix products round to TF32.
    """

    options: dict[str, Any]
    loss: float
    gradients: float
    tf32: bool = False


EXACT = Variant({}, 1e-4, 1e-3)
VARIANTS: dict[str, Variant] = {
    "tf32": Variant({}, 1e-2, 5e-2, tf32=True),
    "bfloat16": Variant({"precision": "bfloat16"}, 0.1, 0.3),
    "channels last": Variant({"channels_last": True}, 1e-4, 1e-3),
    "channels first": Variant({"channels_last": False}, 1e-4, 1e-3),
}
STEP = 1e-3
"""How far an optimizer's step may be from that on the CPU, from the same gradients."""


SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "dreamer": {
        f"{observation} {size}": {
            "observation": observation,
            "screen_size": 64,
            "size": size,
            "batch_size": 16,
            "batch_length": 64,
            "imagined": 1_024,
            "num_envs": 16,
            "learning_starts": 1_280,
            "buffer_size": 20_000,
        }
        for observation, size in (("pixels", "12m"), ("tiles", "tiles"))
    },
}
"""Sizes of which papers say how fast they are, by trainer."""


FLEETS: dict[str, dict[str, Any]] = {
    "impala": {"share": "experience", "network": "impala", **OBSERVATIONS["pixels"]},
}
"""Trainers that are measured with a worker process on nearly every core, and how."""
CORES_LEFT = 2
"""For the learner, and for the main process."""


class Learning(NamedTuple):
    """A run that should reach the flag.

    Attributes:
        trainer, preset: what is trained.
        options: beyond the preset.
        seconds: for it, in a check of six minutes.
    """

    trainer: str
    preset: str
    options: dict[str, Any]
    seconds: float


LEARNING: dict[str, Learning] = {
    "ppo/gpu": Learning("ppo", "gpu", {"eval_interval": 40_000}, 65.0),
    "ddqn-tiles": Learning("ddqn", "tiles-cpu", {}, 50.0),
    "ddqn-pixels": Learning("ddqn", "pixels-cpu", {}, 45.0),
}


def fields_of(config_class: type[Any]) -> set[str]:
    """Names of a trainer's options."""
    return {field.name for field in dataclasses.fields(config_class)}


def networks_of(config_class: type[Any]) -> tuple[str | None, ...]:
    """What the option ``network`` may be, but for auto; one None if there is no such option."""
    if "network" not in fields_of(config_class):
        return (None,)
    return tuple(
        name for name in get_args(get_type_hints(config_class)["network"]) if name != "auto"
    )


def small_options(trainer: str, config_class: type[Any], observation: str) -> dict[str, Any]:
    """Options of a run of seconds, as for :func:`mario_agents.config.make_config`."""
    general = {**_SMALL, **OBSERVATIONS[observation]}
    return known(config_class, general) | SMALL.get(trainer, {})


def known(config_class: type[Any], options: dict[str, Any]) -> dict[str, Any]:
    """Those options that a trainer has."""
    names = fields_of(config_class)
    return {name: value for name, value in options.items() if name in names}
