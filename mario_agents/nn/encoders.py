"""From observations to features: networks without the part that depends on the algorithm."""

from __future__ import annotations

from torch import Tensor, nn

from mario_agents.nn.init import orthogonal
from mario_agents.nn.pixels import PixelConv
from mario_envkit.errors import ConfigError


class Encoder(nn.Module):
    """Input ``(B, *obs_shape)`` uint8, output ``(B, features)``.

    Attributes:
        features: width of the output.
    """

    features: int


class _Convolutions(Encoder):
    """Convolutions with ReLUs behind them, then flattened.

    Args:
        name: for error messages.
        obs_shape: ``(stack, height, width)``.
        layers: (channels, kernel, stride) of each.

    Raises:
        ConfigError: if the kernels do not fit in the pictures.
    """

    def __init__(
        self, name: str, obs_shape: tuple[int, ...], layers: tuple[tuple[int, int, int], ...]
    ) -> None:
        super().__init__()
        stack, *size = check_pictures(name, obs_shape)
        check_size(name, size, smallest_picture(layers))
        modules: list[nn.Module] = []
        for channels, kernel, stride in layers:
            kind = nn.Conv2d if modules else PixelConv
            modules += [orthogonal(kind(stack, channels, kernel, stride)), nn.ReLU()]
            stack, size = channels, [(side - kernel) // stride + 1 for side in size]
        self.layers = nn.Sequential(*modules, nn.Flatten())
        self.features = stack * size[0] * size[1]

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(obs)
        return features


class NatureEncoder(_Convolutions):
    """The three convolutions of Mnih et al., "Human-level control through deep reinforcement
    learning" (Nature 2015, page 6), for pictures of any size from 36x36 up."""

    LAYERS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
    MIN_SIZE = 36

    def __init__(self, obs_shape: tuple[int, ...]) -> None:
        super().__init__("nature", obs_shape, self.LAYERS)


class SmallEncoder(_Convolutions):
    """Two convolutions for CPUs: a tenth of the arithmetic of :class:`NatureEncoder`.

    4x4 patches do not overlap, which is enough for a game whose world is made of tiles.
    """

    LAYERS = ((16, 4, 4), (32, 3, 2))

    def __init__(self, obs_shape: tuple[int, ...]) -> None:
        super().__init__("small", obs_shape, self.LAYERS)


def check_pictures(name: str, obs_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """``(stack, height, width)``.

    Raises:
        ConfigError: if observations are something else.
    """
    if len(obs_shape) != 3:
        raise ConfigError(
            f"network {name!r} needs observations (stack, height, width), not {obs_shape}; choose "
            "network mlp for anything else, or frame_stack >= 2."
        )
    stack, height, width = obs_shape
    return stack, height, width


def check_size(name: str, size: list[int], smallest: int) -> None:
    """Raise ConfigError for a picture that is smaller than ``smallest`` in height or width."""
    if min(size) < smallest:
        raise ConfigError(
            f"network {name!r} needs pictures of at least {smallest}x{smallest}, but the "
            f"environment gives {size[0]}x{size[1]}; choose a larger screen size, or another "
            "network."
        )


def smallest_picture(layers: tuple[tuple[int, int, int], ...]) -> int:
    """The side of the smallest picture that these convolutions turn into one number or more."""
    side = 1
    for _, kernel, stride in reversed(layers):
        side = (side - 1) * stride + kernel
    return side
