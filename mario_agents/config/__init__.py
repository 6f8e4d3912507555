"""Options of a training run: frozen dataclasses, read from YAML, JSON or the command line."""

from mario_agents.config.demonstrations import DemonstrationOptions
from mario_agents.config.parsing import (
    make_config,
    make_value,
    numbers_of,
    parse_value,
    read_options,
    validate,
)
from mario_agents.config.replay_config import ReplayConfig
from mario_agents.config.scalars import (
    Chance,
    Chances,
    Fraction,
    Frames,
    Grey,
    Greys,
    HeightWidth,
    IdleFrames,
    LrScaling,
    NonNegativeFloat,
    NonNegativeInt,
    Palette,
    Paths,
    PositiveFloat,
    PositiveInt,
    Precision,
    ScreenSide,
    Share,
    Stacked,
)
from mario_agents.config.schedules import Schedule
from mario_agents.config.stored import absolute_paths, check_resume, to_plain
from mario_agents.config.tile_network import TileNetworkConfig
from mario_agents.config.train_config import TrainConfig

__all__ = [
    "Chance",
    "Chances",
    "DemonstrationOptions",
    "Fraction",
    "Frames",
    "Grey",
    "Greys",
    "HeightWidth",
    "IdleFrames",
    "LrScaling",
    "NonNegativeFloat",
    "NonNegativeInt",
    "Palette",
    "Paths",
    "PositiveFloat",
    "PositiveInt",
    "Precision",
    "ReplayConfig",
    "Schedule",
    "ScreenSide",
    "Share",
    "Stacked",
    "TileNetworkConfig",
    "TrainConfig",
    "absolute_paths",
    "check_resume",
    "make_config",
    "make_value",
    "numbers_of",
    "parse_value",
    "read_options",
    "to_plain",
    "validate",
]
