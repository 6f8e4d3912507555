"""The first layer of every network that sees pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelConv(nn.Conv2d):
    """A convolution over uint8 pictures, ``(B, stack, H, W)``, which it sees as 0..1.

    It scales its few weights and not the many pixels, and turns bytes into the numbers that the
    arithmetic wants (bfloat16 under autocast) in one pass: the two passes more take as long as a
    small network on a CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        device = input.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else self.weight.dtype
        pictures = input.to(dtype)
        return self._conv_forward(pictures, self.weight * (1.0 / 255.0), self.bias)
