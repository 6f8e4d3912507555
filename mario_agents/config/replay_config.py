"""Options of trainers that learn from a replay buffer."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from mario_agents.config.demonstrations import DemonstrationOptions
from mario_agents.config.train_config import TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplayConfig(DemonstrationOptions, TrainConfig):
    """What trainers have in common whose replay buffer may have demonstrations beside it."""

    RESUMABLE: ClassVar[frozenset[str]] = TrainConfig.RESUMABLE | {"save_replay"}

    save_replay: bool = False
    """Save the replay buffer in checkpoints as well: its steps are written once, while it fills, in
    pieces that checkpoints share, and the states that a world model has refreshed since the last
    checkpoint with each; those of workers that share gradients are never saved."""
