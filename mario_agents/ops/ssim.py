"""How alike two pictures look."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def structural_similarity(x: Tensor, y: Tensor, span: float = 1.0, *, window: int = 7) -> Tensor:
    """Mean SSIM of pictures, a scalar: 1 if they are the same, about 0 if they are unrelated.

    Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to
    Structural Similarity" (IEEE TIP, 2004), with a square window of equal weights.

    Args:
        x, y: ``(N, C, H, W)``, at least ``window`` high and wide.
        span: between the least and the largest possible number.
        window: side of the squares that are compared.
    """
    first, second = (0.01 * span) ** 2, (0.03 * span) ** 2

    def mean(z: Tensor) -> Tensor:
        return functional.avg_pool2d(z, window, stride=1)

    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x * mean_x, mean(y * y) - mean_y * mean_y
    covariance = mean(x * y) - mean_x * mean_y
    alike = (2.0 * mean_x * mean_y + first) * (2.0 * covariance + second)
    most = (mean_x * mean_x + mean_y * mean_y + first) * (var_x + var_y + second)
    return (alike / most).mean()
