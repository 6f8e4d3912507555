"""From pictures to features."""

from __future__ import annotations

from torch import Tensor, nn

from mario_agents.nn.init import orthogonal
from mario_envkit.errors import ConfigError


class NatureEncoder(nn.Module):
    """The three convolutions of Mnih et al., "Human-level control through deep reinforcement
    learning" (Nature 2015, page 6), for pictures of any size from 36x36 up.

    Input ``(B, stack, H, W)`` uint8, scaled to 0..1 inside; output ``(B, features)`` float32.

    Raises:
        ConfigError: if the pictures are smaller than 36x36: the kernels do not fit in them.
    """

    MIN_SIZE = 36

    def __init__(self, stack: int, height: int, width: int) -> None:
        super().__init__()
        if min(height, width) < self.MIN_SIZE:
            raise ConfigError(
                f"The Nature CNN needs pictures of at least {self.MIN_SIZE}x{self.MIN_SIZE}, but "
                f"the environment gives {height}x{width}; choose a larger screen size."
            )
        self.layers = nn.Sequential(
            orthogonal(nn.Conv2d(stack, 32, 8, stride=4)),
            nn.ReLU(),
            orthogonal(nn.Conv2d(32, 64, 4, stride=2)),
            nn.ReLU(),
            orthogonal(nn.Conv2d(64, 64, 3, stride=1)),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.features = 64 * self._out(height) * self._out(width)

    @staticmethod
    def _out(size: int) -> int:
        """Height or width after the three convolutions."""
        for kernel, stride in ((8, 4), (4, 2), (3, 1)):
            size = (size - kernel) // stride + 1
        return size

    def forward(self, obs: Tensor) -> Tensor:
        features: Tensor = self.layers(obs.float() / 255.0)
        return features
