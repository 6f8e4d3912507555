"""Encoders without convolutions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mario_agents.nn.encoders import Encoder
from mario_agents.nn.fourier import FourierFeatures
from mario_agents.nn.init import orthogonal
from mario_envkit.errors import ConfigError
from mario_envkit.game import tiles


class BytesEncoder(Encoder):
    """One layer of ``hidden`` units over all bytes, which it sees as 0..1."""

    def __init__(self, obs_shape: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.layer = orthogonal(nn.Linear(math.prod(obs_shape), hidden))
        self.features = hidden

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layer(obs.flatten(1).to(_dtype_of(self.layer)) / 255.0).relu()
        return features


class TileInputs(nn.Module):
    """What networks see of tile pictures, see :mod:`mario_envkit.game.tiles`: ``(B, ...)`` uint8 to
    ``(B, width)`` float32.

    A tile's code is a name and no amount: there are two properties of it, how solid and how
    dangerous it is. Facts and positions of objects are scaled to about -1 to 1.

    Args:
        obs_shape: ``(stack, 16, 16)`` or ``(16, 16)``.
        motion: whether networks see the facts in :data:`MOTION`, which one picture of the screen
            would not show; without, they are 0.
        buttons: whether they see the joypad, 0 or 1 for each of its buttons; environments show it
            with ``show_buttons``.
        levels: how many levels they tell apart, one number for each, 1 in its own level and 0 in
            all others; environments show it with ``show_level``.
        fourier: whether :class:`~mario_agents.nn.fourier.FourierFeatures` of the newest picture
            follow on the numbers of all pictures; those of motion only with ``motion``.

    Attributes:
        each, width: numbers for each picture, and for each observation.

    Raises:
        ConfigError: if observations have another shape.
    """

    OBJECTS = 10
    CELLS = tiles.GRID_ROWS * tiles.GRID_COLUMNS
    FACTS = tiles.GRID_COLUMNS
    JOYPAD = tiles.BUTTONS[0] * tiles.SHAPE[1] + tiles.BUTTONS[1]
    LEVEL = tiles.LEVEL[0] * tiles.SHAPE[1] + tiles.LEVEL[1]
    MOTION = ("x_speed", "y_speed", "air", "a_held")
    table: Tensor
    still: Tensor
    bits: Tensor
    levels: Tensor

    def __init__(
        self,
        obs_shape: tuple[int, ...],
        *,
        motion: bool = True,
        buttons: bool = False,
        levels: int = 0,
        fourier: bool = False,
    ) -> None:
        super().__init__()
        if obs_shape[-2:] != tiles.SHAPE:
            raise ConfigError(
                f"Tile pictures are {tiles.SHAPE}, but the environment gives {obs_shape}."
            )
        self.obs_shape = obs_shape
        codes = torch.zeros(256, 2)
        codes[: tiles.CODES] = torch.from_numpy(tiles.PROPERTIES)
        # Derived, and so no part of the weights.
        self.register_buffer("table", codes, persistent=False)
        moving = [] if motion else [tiles.FACTS.index(name) for name in self.MOTION]
        self.register_buffer("still", torch.tensor(moving, dtype=torch.int64), persistent=False)
        bits = torch.arange(8 if buttons else 0, dtype=torch.uint8)
        self.register_buffer("bits", bits, persistent=False)
        numbers = torch.arange(1, levels + 1, dtype=torch.uint8)
        self.register_buffer("levels", numbers, persistent=False)
        self.each = 2 * self.CELLS + self.FACTS + 4 * self.OBJECTS + len(bits) + levels
        self.fourier = FourierFeatures(motion=motion) if fourier else None
        self._plain = math.prod(obs_shape[:-2]) * self.each
        self.width = self._plain + (0 if self.fourier is None else self.fourier.width)

    def forward(self, obs: Tensor) -> Tensor:
        flat = obs.reshape(len(obs), -1, tiles.SHAPE[0] * tiles.SHAPE[1])
        objects_at = self.CELLS + self.FACTS
        grid, facts = flat[..., : self.CELLS], flat[..., self.CELLS : objects_at]
        objects = flat[..., objects_at : objects_at + 3 * self.OBJECTS]
        objects = objects.reshape(*flat.shape[:2], self.OBJECTS, 3)
        numbers = torch.cat([facts, objects[..., 1:].flatten(2)], dim=2)
        numbers = numbers.to(self.table.dtype) / 127.5 - 1.0
        if len(self.still):
            numbers = numbers.index_fill(2, self.still, 0.0)
        parts = [self._properties(grid), self._properties(objects[..., 0]), numbers]
        if len(self.bits):
            pressed = flat[..., self.JOYPAD, None] >> self.bits & 1
            parts.append(pressed.to(self.table.dtype))
        if len(self.levels):
            parts.append((flat[..., self.LEVEL, None] == self.levels).to(self.table.dtype))
        plain = torch.cat(parts, dim=2).flatten(1)
        return plain if self.fourier is None else torch.cat([plain, self.fourier(flat[:, -1])], 1)

    def undo(self, numbers: Tensor) -> Tensor:
        """From ``(B, width)`` numbers to observations: of all codes those that look most alike.

        Fourier features are not asked: what they are of is there without them.
        """
        whole = numbers[:, : self._plain].reshape(-1, self.each)
        widths = [2 * self.CELLS, 2 * self.OBJECTS, self.FACTS, 2 * self.OBJECTS]
        widths += [len(self.bits), len(self.levels)]
        grid, objects, facts, places, pressed, level = torch.split(whole, widths, dim=1)
        codes = self._codes(objects).unsqueeze(2)
        places = to_bytes(places * 127.5 + 127.5).view(len(whole), self.OBJECTS, 2)
        listed = torch.cat([codes, places], dim=2)
        free = math.prod(tiles.SHAPE) - self.CELLS - self.FACTS - 3 * self.OBJECTS
        parts = [
            self._codes(grid),
            to_bytes(facts * 127.5 + 127.5),
            listed.flatten(1),
            codes.new_zeros(len(whole), free),
        ]
        pictures = torch.cat(parts, dim=1)
        if len(self.bits):
            pictures[:, self.JOYPAD] = ((pressed > 0.5).to(torch.uint8) << self.bits).sum(dim=1)
        if len(self.levels):
            pictures[:, self.LEVEL] = ((level > 0.5).to(torch.uint8) * self.levels).amax(dim=1)
        return pictures.view(-1, *self.obs_shape)

    def _codes(self, properties: Tensor) -> Tensor:
        """``(B, 2 * codes)`` to ``(B, codes)`` uint8."""
        pairs = properties.reshape(len(properties), -1, 2).float()
        return torch.cdist(pairs, self.table[: tiles.CODES]).argmin(dim=2).to(torch.uint8)

    def planes(self, numbers: Tensor) -> Tensor:
        """The grids ``(B, 2 * stack, rows, columns)`` in such numbers: how solid, how dangerous."""
        whole = numbers[:, : self._plain].reshape(len(numbers), -1, self.each)
        cells = whole[..., : 2 * self.CELLS].reshape(*whole.shape[:2], self.CELLS, 2)
        cells = cells.transpose(2, 3)
        return cells.reshape(len(numbers), -1, tiles.GRID_ROWS, tiles.GRID_COLUMNS)

    def _properties(self, codes: Tensor) -> Tensor:
        """``(B, stack, codes)`` uint8 to ``(B, stack, 2 * codes)``."""
        # Two numbers of 4 bytes are looked up as one of 8: ten times as fast on a CPU.
        pairs = self.table.view(torch.float64).flatten()
        found = pairs.index_select(0, codes.flatten().int()).view(torch.float32)
        return found.view(*codes.shape[:2], -1)


class TileEncoder(Encoder):
    """One layer of ``hidden`` units over :class:`TileInputs`."""

    def __init__(
        self,
        obs_shape: tuple[int, ...],
        hidden: int,
        *,
        motion: bool = True,
        buttons: bool = False,
        levels: int = 0,
        fourier: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = TileInputs(
            obs_shape, motion=motion, buttons=buttons, levels=levels, fourier=fourier
        )
        self.layer = orthogonal(nn.Linear(self.inputs.width, hidden))
        self.features = hidden

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layer(self.inputs(obs)).relu()
        return features


def to_bytes(x: Tensor) -> Tensor:
    """Numbers as uint8: rounded, and limited to 0 to 255."""
    return x.round().clamp(0, 255).to(torch.uint8)


def _dtype_of(layer: nn.Module) -> torch.dtype:
    return next(layer.parameters()).dtype
