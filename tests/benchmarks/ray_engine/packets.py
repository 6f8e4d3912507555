"""How large the packets and the weights of a trainer's preset are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from mario_agents.acting.environments import make_vector
from mario_agents.config import make_config
from mario_agents.core.algorithm import Spaces
from mario_agents.core.types import Step
from mario_agents.presets import preset_for
from mario_agents.runtime.build import build_learner
from mario_agents.runtime.experience import step_layout
from mario_agents.runtime.packet import PacketLayout
from mario_agents.runtime.shm.step_rings import step_slots
from mario_agents.runtime.step_layout import StepLayout
from mario_agents.runtime.supervisor import SLOTS
from mario_agents.runtime.weights import weight_layout
from mario_envkit.plugins import load_trainer
from tests.benchmarks.ray_engine.measured import TRAINERS


class Packets(NamedTuple):
    """Of a trainer.

    Attributes:
        bytes: of a packet.
        steps: agent steps in it, if it is one of experience.
        slots: packets of a worker that may be under way.
        weights: numbers of the vector of weights.
        synchronous: whether an update takes one packet of every worker.
    """

    bytes: int
    steps: int
    slots: int
    weights: int
    synchronous: bool


def packets_of(name: str) -> Packets:
    """Of a trainer with its preset ``tiles-cpu``."""
    trainer = load_trainer(name)
    preset = preset_for(name, "tiles-cpu")
    config = make_config(trainer.config_class, {**preset.options, "workers": 1}, source="preset")
    algorithm = trainer.algorithm  # type: ignore[attr-defined]
    envs = make_vector(trainer.env_kwargs(config), 1)
    spaces = Spaces.of(envs)
    envs.close()
    learner = build_learner(algorithm, config, spaces, torch.device("cpu"))
    weights = weight_layout(learner.model).size
    if TRAINERS[name] == "gradients":
        itemsize = 4 if config.gradient_dtype == "float32" else 2
        return Packets(PacketLayout(learner).size * itemsize, 0, SLOTS, weights, config.synchronous)
    layout = step_layout(algorithm, config, learner, spaces)
    (size, _), *_ = layout.pack(_steps(layout), 0, 0)
    slots = step_slots(layout, config.rounds_ahead)
    return Packets(size, layout.most * layout.num_envs, slots, weights, False)


def _steps(layout: StepLayout) -> list[Step]:
    """Steps of a packet in which no episode ends."""
    count = layout.num_envs
    obs = np.zeros((count, *layout.obs_shape), dtype=np.uint8)
    no = np.zeros(count, dtype=np.bool_)
    extras = {
        name: np.zeros((count, *shape), kind) for name, (shape, kind) in layout.extras.items()
    }
    step = Step(
        obs=obs, action=np.zeros(count, np.int64), reward=np.zeros(count, np.float32),
        terminated=no, truncated=no, final_obs=obs, is_first=no, extras=extras,
    )  # fmt: skip
    return [step] * layout.most
