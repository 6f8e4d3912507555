"""Fourier features of tile pictures, and one-hot numbers: bytes whose last bits matter."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor, nn

from mario_envkit.game import tiles


class FourierFeatures(nn.Module):
    """What single bytes of a tile picture say, pixel by pixel: ``(B, 256)`` uint8 to ``(B, width)``
    float32.

    A network learns little of a small difference of an input, such as a pixel of 255. Sines and
    cosines of several wavelengths make it a large one (Tancik et al., "Fourier Features Let
    Networks Learn High Frequency Functions in Low Dimensional Domains", NeurIPS 2020), and so does
    an input of its own for each value. In this order:

    * dx and dy of the six enemy slots, each as sine and cosine at :data:`WAVELENGTHS`. An empty
      slot has those of its bytes: far to the right, at Mario's feet.
    * Mario's place within his block, x and y, each as 16 numbers, one for each pixel: 1 at his own
      and 0 elsewhere.
    * his speeds, x and y, each as sine and cosine at :data:`SPEED_WAVELENGTHS`; and 4 numbers, 1
      for what he does of: on the ground, going up, falling, climbing.

    Args:
        motion: without, the last of these three are left out.

    Attributes:
        width: numbers.
    """

    SLOTS = 6
    WAVELENGTHS = (256, 128, 64, 32)
    """Pixels."""
    SPEED_WAVELENGTHS = (128, 64, 32)
    """Sixteenths of a pixel a frame; Mario runs with at most 40. With three of them ``width`` is a
    multiple of 16: on a CPU gradients of a layer with 4 inputs less take a quarter more time."""

    columns: Tensor
    offsets: Tensor
    table: Tensor

    def __init__(self, *, motion: bool = True) -> None:
        super().__init__()
        facts = tiles.GRID_ROWS * tiles.SHAPE[1]
        fact = {name: facts + index for index, name in enumerate(tiles.FACTS)}
        objects = facts + len(fact)
        byte = torch.arange(256)
        waves = {wavelength: _wave(wavelength) for wavelength in self.WAVELENGTHS}
        block = _pairs(torch.eye(16)[byte // 16])
        pairs = [
            (objects + 3 * slot + axis, waves[wavelength])
            for slot, axis, wavelength in product(range(self.SLOTS), (1, 2), self.WAVELENGTHS)
        ]
        pairs += product([fact["x_in_block"]], block)
        pairs += product([fact["y_in_block"]], block)
        if motion:
            speeds = [waves[wavelength] for wavelength in self.SPEED_WAVELENGTHS]
            pairs += product([fact["x_speed"], fact["y_speed"]], speeds)
            pairs += product([fact["air"]], _pairs(torch.eye(4)[(byte / 80).round().int()]))
        self.width = 2 * len(pairs)
        tables = list({id(table): table for _, table in pairs}.values())
        number = {id(table): index for index, table in enumerate(tables)}
        offsets = [256 * number[id(table)] for _, table in pairs]
        # Derived, and so no part of the weights.
        self.register_buffer("columns", torch.tensor([at for at, _ in pairs]), persistent=False)
        self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.int32), persistent=False)
        self.register_buffer("table", torch.cat(tables), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        rows = pictures.index_select(1, self.columns).int() + self.offsets
        # Two numbers of 4 bytes are looked up as one of 8, as in TileInputs.
        found = self.table.view(torch.float64).flatten().index_select(0, rows.flatten())
        return found.view(torch.float32).view(len(pictures), self.width)


def _wave(wavelength: float) -> Tensor:
    """``(256, 2)``: sine and cosine of bytes that mean numbers from -128 on."""
    angle = 2 * math.pi * torch.arange(-128.0, 128.0, dtype=torch.float64) / wavelength
    return torch.stack([angle.sin(), angle.cos()], dim=1).float()


def _pairs(numbers: Tensor) -> list[Tensor]:
    """``(256, 2)`` each of ``(256, numbers)``."""
    return [pair.contiguous() for pair in torch.split(numbers, 2, dim=1)]
