"""What is special about a trainer: tables of options. One that is not in them has its defaults."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import Any, NamedTuple, get_args, get_type_hints

import torch

from mario_agents.config import make_config
from mario_envkit.errors import ConfigError

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

_SOON: dict[str, Any] = {"learning_starts": 512, "buffer_size": 20_000}
MEASURED: dict[str, dict[str, Any]] = {
    "ddqn": _SOON,
    "apex": _SOON,
    "dreamer": {**_SOON, "log_interval": 64},
}
"""What a trainer needs beyond its defaults so that it learns after a second, and says so soon."""

OBSERVATIONS: dict[str, dict[str, Any]] = {
    "tiles": {"observation": "tiles"},
    "pixels": {"observation": "pixels", "screen_size": 84},
}
SMALL_SCREEN: dict[str, Any] = {"screen_size": 42}
"""For pixels on a CPU, where the usual ones take minutes."""


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
        "pixels/12m": {
            "observation": "pixels",
            "screen_size": 64,
            "size": "12m",
            "batch_size": 16,
            "batch_length": 64,
            "imagined": 1_024,
            "num_envs": 16,
            "learning_starts": 1_280,
        },
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
        seconds: for it, on a machine with a GPU.
        cores: that its games and its process keep busy; None is all of them.
    """

    trainer: str
    preset: str
    options: dict[str, Any]
    seconds: float
    cores: float | None


LEARNING: dict[str, Learning] = {
    "ppo/gpu": Learning("ppo", "gpu", {"eval_interval": 40_000}, 55.0, None),
    "ddqn/tiles": Learning("ddqn", "tiles-cpu", {}, 50.0, 8),
    "ddqn/pixels": Learning("ddqn", "pixels-cpu", {}, 50.0, 8),
}


def fields_of(config_class: type[Any]) -> set[str]:
    """Names of a trainer's options."""
    return {field.name for field in dataclasses.fields(config_class)}


def cases(config_class: type[Any]) -> dict[str, dict[str, Any]]:
    """Every network with every kind of observation that it sees, by name: options."""
    found: dict[str, dict[str, Any]] = {}
    hints = get_type_hints(config_class)
    networks = [name for name in get_args(hints.get("network")) if name != "auto"]
    for observation, seen in OBSERVATIONS.items():
        options = known(config_class, seen)
        for name in networks:
            several = {**options, "network": name}
            with suppress(ConfigError):  # a network that cannot see this
                make_config(config_class, several, source=name)
                found[f"{observation}/{name}"] = several
        if not networks:
            found[observation] = options
    return found


def small_options(trainer: str, config_class: type[Any], observation: str) -> dict[str, Any]:
    """Options of a run of seconds, as for :func:`mario_agents.config.make_config`."""
    general = {**_SMALL, **OBSERVATIONS[observation]}
    return known(config_class, general) | SMALL.get(trainer, {})


def on_device(options: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The same options with a small screen on a CPU."""
    pixels = options["observation"] == "pixels" and device.type == "cpu"
    return options | SMALL_SCREEN if pixels else options


def known(config_class: type[Any], options: dict[str, Any]) -> dict[str, Any]:
    """Those options that a trainer has."""
    names = fields_of(config_class)
    return {name: value for name, value in options.items() if name in names}
