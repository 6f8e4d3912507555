"""Types of options: numbers with their limits, and the words that an option takes.

Limits are written into the types (``Annotated[int, Meta(ge=1)]``), so that msgspec holds the same
rule for a file and for the command line.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from mario_envkit.arguments import MOST_FRAMES, MOST_STACKED
from mario_envkit.emulator.picture import PALETTE_SLOTS

PositiveInt = Annotated[int, Meta(ge=1)]
Frames = Annotated[int, Meta(ge=1, le=MOST_FRAMES)]
IdleFrames = Annotated[int, Meta(ge=0, le=MOST_FRAMES)]
Stacked = Annotated[int, Meta(ge=1, le=MOST_STACKED)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
ScreenSide = Annotated[int, Meta(ge=16, le=240)]
# Not a tuple of fixed length: msgspec 0.22 crashes on one beside a number with limits.
HeightWidth = Annotated[tuple[ScreenSide, ...], Meta(min_length=2, max_length=2)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Chance = Annotated[float, Meta(ge=0, lt=1)]
Chances = Annotated[tuple[Chance, ...], Meta(min_length=2)]
Grey = Annotated[int, Meta(ge=0, le=255)]
Greys = Annotated[tuple[Grey, ...], Meta(min_length=PALETTE_SLOTS, max_length=PALETTE_SLOTS)]
Palette = Literal["luma", "contrast"] | Greys
LrScaling = Literal["none", "sqrt", "linear"]
Precision = Literal["auto", "float32", "bfloat16"]
Share = Literal["gradients", "experience"]
Paths = str | Annotated[tuple[str, ...], Meta(min_length=1)]
