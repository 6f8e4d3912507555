"""Sizes of the networks, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from mario_agents.nn.senses import HALVES, PATCHES
from mario_agents.replay.storage import Schema

SizeName = Literal["tiles", "1m", "12m", "25m", "50m"]


class Size(NamedTuple):
    """Widths and depths.

    Attributes:
        deter, stoch, classes, hidden, blocks: of the recurrent model, see
            :class:`~mario_agents.nn.rssm.RSSM`.
        units: of encoder, decoder and heads.
        depth: channels of the convolutions, times the last of 2, 3, 4, 4.
        sense_layers: hidden layers of encoder and decoder without convolutions.
        prior_layers: of the prior.
        head_layers: of reward and continuation.
        behaviour_layers: of actor and critic.
        strides: of the convolutions.
    """

    deter: int
    stoch: int
    classes: int
    hidden: int
    units: int
    depth: int
    blocks: int = 8
    sense_layers: int = 3
    prior_layers: int = 2
    head_layers: int = 1
    behaviour_layers: int = 3
    strides: Sequence[int] = HALVES

    @property
    def state_columns(self) -> Schema:
        """How the state of a step is kept in the replay buffer, see
        :func:`~mario_agents.algos.dreamer.batch.packed`."""
        return {"deter": ((self.deter,), np.float16), "stoch": ((self.stoch,), np.uint8)}


SIZES: dict[SizeName, Size] = {
    # For CPUs: deep where it is cheap to be.
    "tiles": Size(256, 16, 16, 256, 256, 8, 8, 1, 1, 1, 2, PATCHES),
    # The sizes of danijar/dreamerv3 (2025).
    "1m": Size(512, 32, 4, 64, 64, 4),
    "12m": Size(2048, 32, 16, 256, 256, 16),
    "25m": Size(3072, 32, 24, 384, 384, 24),
    "50m": Size(4096, 32, 32, 512, 512, 32),
}
