"""Wrappers for what Gymnasium has none for.

Grey, crop and size of pictures are arguments of :class:`~mario_envkit.env.MarioEnv` (the emulator
draws them directly); stacking is ``gymnasium.wrappers.FrameStackObservation``, time limits
``TimeLimit``; reward scale and clip belong to ``RewardFunction``.
"""

from mario_envkit.wrappers.action import ButtonActions, FrameSkip, StickyAction
from mario_envkit.wrappers.episode import NoopReset, StallLimit
from mario_envkit.wrappers.numeric import NumericInfo
from mario_envkit.wrappers.observation import BlankObservation

__all__ = [
    "BlankObservation",
    "ButtonActions",
    "FrameSkip",
    "NoopReset",
    "NumericInfo",
    "StallLimit",
    "StickyAction",
]
