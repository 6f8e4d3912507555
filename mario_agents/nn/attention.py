"""Layers of a gated, causal transformer over the steps of games."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class GatedLayer(nn.Module):
    """Attention and two dense layers, each normalised before and gated behind.

    The layer of Parisotto et al., "Stabilizing Transformers for Reinforcement Learning" (ICML 2020,
    section 3), with positions by rotation (Su et al., "RoFormer", 2021), which depend on distances
    in time alone, instead of their relative encodings.

    Args:
        width: of input and output.
        heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.norm_attention, self.norm_dense = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        self.gate_attention, self.gate_dense = Gate(width), Gate(width)

    def forward(self, x: Tensor, context: Tensor, visible: Tensor) -> Tensor:
        """Take ``T`` steps of ``B`` games.

        Args:
            x: ``(B, T, width)``.
            context: ``(B, M + T, width)``: the same after the ``M`` steps before them.
            visible: ``(B, T, M + T)`` bool, which of these each step sees: itself at least.

        Returns:
            ``(B, T, width)``.
        """
        x = self.gate_attention(x, self._attend(x, self.norm_attention(context), visible).relu())
        dense: Tensor = self.gate_dense(x, self.dense(self.norm_dense(x)).relu())
        return dense

    def _attend(self, x: Tensor, context: Tensor, visible: Tensor) -> Tensor:
        games, steps, width = x.shape
        query = self._split(self.query(context[:, -steps:]))
        key, value = (self._split(part) for part in self.key_value(context).chunk(2, dim=-1))
        angle = _angles(context.shape[1], self.size, x.device)
        attended = functional.scaled_dot_product_attention(
            _rotate(query, angle[-steps:]), _rotate(key, angle), value, visible[:, None]
        )
        out: Tensor = self.out(attended.transpose(1, 2).reshape(games, steps, width))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """``(B, L, width)`` to ``(B, heads, L, size)``."""
        return x.reshape(*x.shape[:2], self.heads, self.size).transpose(1, 2)


class Gate(nn.Module):
    """A GRU in place of a sum: how much of ``y`` is taken over into ``x`` (Parisotto et al.,
    section 3.2). The bias keeps nearly all of ``x`` at first, so that what needs no memory is
    learned as without one."""

    BIAS = 2.0

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_y = nn.Linear(width, 3 * width)
        self.from_x = nn.Linear(width, 2 * width, bias=False)
        self.from_reset = nn.Linear(width, width, bias=False)
        with torch.no_grad():
            self.from_y.bias.zero_()
            self.from_y.bias[width : 2 * width] = -self.BIAS

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        reset_y, update_y, new_y = self.from_y(y).chunk(3, dim=-1)
        reset_x, update_x = self.from_x(x).chunk(2, dim=-1)
        reset, update = (reset_y + reset_x).sigmoid(), (update_y + update_x).sigmoid()
        new = (new_y + self.from_reset(reset * x)).tanh()
        return torch.lerp(x, new, update)


def visible_steps(length: Tensor, is_first: Tensor, memory: int) -> tuple[Tensor, Tensor]:
    """Which steps of its own episode each step sees: itself, and at most ``memory`` before it.

    Args:
        length: ``(B,)`` float, how many of the ``memory`` steps before the unroll belong to the
            episode that goes on at its beginning.
        is_first: ``(T, B)`` bool.
        memory: how many steps each sees, beside itself.

    Returns:
        ``(B, T, memory + T)`` bool; and ``length`` after the unroll, ``(B,)``.
    """
    steps = len(is_first)
    here = torch.arange(steps, device=is_first.device)
    # By step, how many before it belong to its episode; those before the unroll are counted too.
    begins = torch.where(is_first, here[:, None], -1).cummax(dim=0).values.T
    before = torch.where(begins >= 0, here - begins, here + length[:, None])
    distance = (memory + here)[:, None] - torch.arange(memory + steps, device=is_first.device)
    farthest = before.clamp(max=memory)[:, :, None]
    return (distance >= 0) & (distance <= farthest), (before[:, -1] + 1).clamp(max=memory)


def _angles(steps: int, size: int, device: torch.device) -> Tensor:
    """``(steps, size / 2)``, by how much each pair of numbers is rotated at each step."""
    frequency = 10_000.0 ** (-torch.arange(0, size, 2, device=device) / size)
    return torch.arange(steps, device=device)[:, None] * frequency


def _rotate(x: Tensor, angle: Tensor) -> Tensor:
    """Rotate the pairs ``(x[i], x[i + size / 2])`` of ``(..., L, size)``."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
