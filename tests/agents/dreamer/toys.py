"""A small Dreamer, and games that only memory wins, or nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from mario_agents.algos.dreamer.algorithm import DreamerAlgorithm
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.core.algorithm import Spaces
from mario_agents.core.types import Batch
from tests.agents.choice_game import CHOICE, SHUFFLED

CONFIG = DreamerConfig(
    observation="pixels",
    total_steps=256,
    num_envs=4,
    batch_size=4,
    batch_length=6,
    train_ratio=12.0,
    learning_starts=128,
    buffer_size=2_000,
    imagined=12,
    horizon=4,
    lr=2e-3,
    lr_warmup=10,
    eval_interval=0,
    precision="float32",
    device="cpu",
    ui=False,
)
BLIND = dataclasses.replace(CONFIG, decoder="none")
SPACES = Spaces((3,), 2)


class ChoiceDreamer(DreamerAlgorithm):
    """Dreamer in a game that only memory wins."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": CHOICE}


class ShuffledDreamer(DreamerAlgorithm):
    """Dreamer in a game that nothing wins."""

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return {"id": SHUFFLED}


def random_batch(seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    shape = (CONFIG.batch_size, CONFIG.batch_length + 1)
    is_first, is_last = rng.random((2, *shape)) < 0.2
    arrays = {
        "obs": rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        "action": rng.integers(2, size=shape),
        "reward": rng.normal(size=shape).astype(np.float32),
        "is_first": is_first & ~is_last,
        "is_last": is_last,
        "is_terminal": is_last & (rng.random(shape) < 0.5),
        "deter": rng.uniform(-1, 1, (*shape, 64)).astype(np.float16),
        "stoch": rng.integers(8, size=(*shape, 8), dtype=np.uint8),
        "seed": rng.integers(2**62),
    }
    return {name: torch.as_tensor(array) for name, array in arrays.items()}
