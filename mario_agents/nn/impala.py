"""The residual network of IMPALA."""

from __future__ import annotations

from torch import Tensor, nn

from mario_agents.nn.encoders import Encoder, check_pictures, check_size
from mario_agents.nn.init import orthogonal
from mario_agents.nn.pixels import PixelConv


class _Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            orthogonal(nn.Conv2d(channels, channels, 3, padding=1)),
            nn.ReLU(),
            # Half the gain: with the sum, variance stays in bounds through the blocks.
            orthogonal(nn.Conv2d(channels, channels, 3, padding=1), gain=0.5),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.layers(x)
        return result


class ImpalaEncoder(Encoder):
    """Fifteen convolutions in three sections, Espeholt et al., "IMPALA" (ICML 2018), figure 3.

    Each section is a convolution, a maximum over 3x3 with stride 2, and two residual blocks. Cobbe
    et al. (ICML 2020) found wider ones better on games that they had never seen.

    Args:
        obs_shape: ``(stack, height, width)``, at least 16x16.
        width: factor for the 16, 32 and 32 channels of the paper.

    Raises:
        ConfigError: if observations are no pictures, or too small.
    """

    CHANNELS = (16, 32, 32)
    MIN_SIZE = 16

    def __init__(self, obs_shape: tuple[int, ...], width: int = 1) -> None:
        super().__init__()
        stack, *size = check_pictures("impala", obs_shape)
        check_size("impala", size, self.MIN_SIZE)
        sections: list[nn.Module] = []
        for channels in (width * channels for channels in self.CHANNELS):
            kind = nn.Conv2d if sections else PixelConv
            sections += [
                orthogonal(kind(stack, channels, 3, padding=1)),
                nn.MaxPool2d(3, stride=2, padding=1),
                _Residual(channels),
                _Residual(channels),
            ]
            stack, size = channels, [(side + 1) // 2 for side in size]
        self.layers = nn.Sequential(*sections, nn.ReLU(), nn.Flatten())
        self.features = stack * size[0] * size[1]

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(obs)
        return features
