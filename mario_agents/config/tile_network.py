"""Options of trainers whose networks see tiles with the inputs of this package."""

from __future__ import annotations

import dataclasses

from mario_agents.config.train_config import TrainConfig
from mario_envkit.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileNetworkConfig(TrainConfig):
    """What networks are given of tiles."""

    HEADING = "tiles"

    fourier_features: bool = False
    """With tiles: see the newest picture pixel by pixel as well. Where the six enemies are, and how
    fast Mario moves, as sines and cosines (Fourier features), and where he is within his block, and
    whether he is in the air, with an input for each value."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fourier_features and self.observation != "tiles":
            raise ConfigError(
                "fourier_features are of tiles; leave them out, or give observation tiles."
            )
