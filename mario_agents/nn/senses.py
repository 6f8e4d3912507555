"""How a world model sees: from observations to numbers, to tokens, and from its state back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mario_agents.nn.dense import NormSiLU, dense, truncated_normal
from mario_agents.nn.encoders import check_size
from mario_agents.nn.flat import TileInputs, to_bytes
from mario_envkit.errors import ConfigError

CHANNELS = (2, 3, 4, 4)
"""Of the convolutions, as multiples of a depth: those of Hafner et al. (Nature 640, 2025)."""
KERNEL = 4
HALVES = (2, 2, 2, 2)
"""Strides of the convolutions there: each halves height and width."""
PATCHES = (4, 2, 2)
"""Strides that leave the first of them out, and begin with patches of 4 x 4 pixels: most of the
time on a CPU goes where pictures are large."""
SMALLEST = 2 ** len(CHANNELS)
"""Height and width of the smallest picture."""


class Senses(nn.Module):
    """An encoder, and maybe a decoder that says what the encoder was given.

    Args:
        inputs: uint8 observations ``(N, ...)`` to numbers ``(N, ...)`` of about -1 to 1.
        encoder: these numbers to ``(N, tokens)``.
        decoder: ``(N, features)`` to the numbers; None if nothing can be reconstructed.
        tokens: width of what the encoder says.
    """

    def __init__(
        self, inputs: nn.Module, encoder: nn.Module, decoder: nn.Module | None, tokens: int
    ) -> None:
        super().__init__()
        self.inputs, self.encoder, self.decoder, self.tokens = inputs, encoder, decoder, tokens

    def observations(self, numbers: Tensor) -> Tensor:
        """``(N, ...)`` uint8: the observations that the encoder would be given ``numbers`` for."""
        observations: Tensor = self.inputs.undo(numbers)  # type: ignore[operator]
        return observations

    def pictures(self, numbers: Tensor) -> Tensor | None:
        """``(N, C, H, W)`` of 0 to 1: what of ``numbers`` can be looked at, if anything."""
        if isinstance(self.inputs, PixelInputs):
            return numbers + 0.5
        if isinstance(self.inputs, TileInputs):
            return self.inputs.planes(numbers) * 0.5 + 0.5
        return None


class ByteInputs(nn.Module):
    """All bytes of an observation, ``(N, width)``, as -1..1."""

    def __init__(self, obs_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.obs_shape, self.width = obs_shape, math.prod(obs_shape)

    def forward(self, obs: Tensor) -> Tensor:
        return obs.flatten(1).to(torch.float32) / 127.5 - 1.0

    def undo(self, numbers: Tensor) -> Tensor:
        """From numbers to observations."""
        return to_bytes(numbers * 127.5 + 127.5).view(-1, *self.obs_shape)


class PixelInputs(nn.Module):
    """Pictures ``(N, H, W)`` or ``(N, stack, H, W)`` as ``(N, stack, H, W)`` of -0.5..0.5.

    Raises:
        ConfigError: if observations are no pictures, or too small ones.
    """

    def __init__(self, obs_shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(obs_shape) not in (2, 3):
            raise ConfigError(f"Pictures are (height, width) or a stack of these, not {obs_shape}.")
        self.obs_shape, self.shape = obs_shape, (1, *obs_shape)[-3:]
        check_size("dreamer", list(self.shape[1:]), SMALLEST)

    def forward(self, obs: Tensor) -> Tensor:
        return obs.view(-1, *self.shape).to(torch.float32) / 255.0 - 0.5

    def undo(self, numbers: Tensor) -> Tensor:
        """From numbers to observations."""
        return to_bytes((numbers + 0.5) * 255.0).view(-1, *self.obs_shape)


class _ChannelNorm(nn.Module):
    """RMSNorm over the channels of each place, and SiLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = NormSiLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.norm(x.permute(0, 2, 3, 1))
        return normal.permute(0, 3, 1, 2)


class PixelEncoder(nn.Module):
    """Convolutions that divide height and width by their strides; their output is flattened.

    Args:
        shape: ``(stack, height, width)``.
        depth: channels are the last of :data:`CHANNELS` times this.
        strides: of the convolutions, :data:`HALVES` or :data:`PATCHES`.

    Attributes:
        sizes: height and width of the picture, with a margin at its end if patches do not cover it
            otherwise, and behind each convolution.
        tokens: width of the output.
    """

    def __init__(self, shape: Sequence[int], depth: int, strides: Sequence[int] = HALVES) -> None:
        super().__init__()
        channels, *size = shape
        block = KERNEL if strides[0] == KERNEL else 1  # windows that overlap reach everything
        self.margin = (-size[0] % block, -size[1] % block)
        height, width = size[0] + self.margin[0], size[1] + self.margin[1]
        self.sizes, layers = [(height, width)], []
        for factor, stride in zip(CHANNELS[-len(strides) :], strides, strict=True):
            wide = factor * depth
            layer = nn.Conv2d(channels, wide, KERNEL, stride, padding=(KERNEL - stride) // 2)
            truncated_normal(layer.weight, channels * KERNEL**2)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            layers += [layer, _ChannelNorm(wide)]
            channels, height, width = wide, height // stride, width // stride
            self.sizes.append((height, width))
        self.layers = nn.Sequential(*layers)
        self.tokens = channels * height * width

    def forward(self, x: Tensor) -> Tensor:
        if any(self.margin):
            x = functional.pad(x, (0, self.margin[1], 0, self.margin[0]))
        out: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return out.flatten(1)


class PixelDecoder(nn.Module):
    """The way back: a layer, and convolutions that multiply height and width by their strides.

    Args:
        features: width of the input.
        shape: ``(stack, height, width)`` of the output.
        depth, strides: as in :class:`PixelEncoder`.
        sizes: those of the encoder.
    """

    def __init__(
        self,
        features: int,
        shape: Sequence[int],
        depth: int,
        sizes: Sequence[tuple[int, int]],
        strides: Sequence[int] = HALVES,
    ) -> None:
        super().__init__()
        channels = CHANNELS[-1] * depth
        self.shape = (channels, *sizes[-1])
        self.layer = dense(features, math.prod(self.shape))
        layers: list[nn.Module] = []
        stack, *self.size = shape
        wides = [*(factor * depth for factor in CHANNELS[-2 : -len(strides) - 1 : -1]), stack]
        scales = zip(wides, strides[::-1], sizes[:0:-1], sizes[-2::-1], strict=True)
        for wide, stride, small, large in scales:
            odd = (large[0] - stride * small[0], large[1] - stride * small[1])
            layer = nn.ConvTranspose2d(
                channels, wide, KERNEL, stride, (KERNEL - stride) // 2, output_padding=odd
            )
            # Each place of the output is reached by so small a part of the kernel.
            truncated_normal(layer.weight, channels * (KERNEL // stride) ** 2)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            layers.append(layer)
            if len(layers) < 2 * len(strides) - 1:
                layers.append(_ChannelNorm(wide))
            channels = wide
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        small = self.layer(features).view(-1, *self.shape)
        out: Tensor = self.layers(small.contiguous(memory_format=torch.channels_last))
        height, width = self.size
        return out[..., :height, :width].contiguous()
