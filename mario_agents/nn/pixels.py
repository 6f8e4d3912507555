"""The first layer of every network that sees pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelConv(nn.Conv2d):
    """A convolution over uint8 pictures, ``(B, stack, H, W)``, which it sees as 0..1.

    It scales its few weights and not the many pixels, and turns bytes into the numbers that the
    arithmetic wants (bfloat16 under autocast) in one pass: two passes more would take as long as
    all the arithmetic of a small network on a CPU.

    Attributes:
        channels_last: lay the pictures out as (B, H, W, stack), which the layers behind keep to.
    """

    channels_last = False

    def forward(self, input: Tensor) -> Tensor:
        device = input.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else self.weight.dtype
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        pictures = input.to(dtype, memory_format=layout)
        out: Tensor = self._conv_forward(pictures, self.weight * (1.0 / 255.0), self.bias)
        return out
