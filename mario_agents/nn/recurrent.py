"""What remembers: recurrent cores behind one interface, for every algorithm's networks.

A core turns the features of a game's observations, one after the other, into features that depend
on those before them too. All cores are called in the same way, with one step while acting and with
whole unrolls while learning, and give the same for both.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mario_agents.core.types import clear_state
from mario_agents.nn.attention import GatedLayer, visible_steps

RecurrentType = Literal["none", "gru", "lstm", "transformer"]
"""none: no memory. gru, lstm: one layer. transformer: gated, over the last so many steps."""

CoreState = dict[str, Tensor]
"""What a core remembers of ``B`` games, each float32 and ``(B, ...)``."""

CORE = "core_"
"""Names of columns with the state of a core begin so."""


class Core(nn.Module):
    """Features in, features out, and a state.

    Cores compute in float32, under autocast too: what is remembered goes through the same
    arithmetic again and again.

    Attributes:
        features: width of the output.
        shapes: of the state of one game, by name; all zeros is the state of a game that begins.
    """

    features: int
    shapes: Mapping[str, tuple[int, ...]]

    def initial(self, n: int) -> CoreState:
        """The state of ``n`` games before their first step."""
        return {
            name: torch.zeros(n, *shape, device=self.device) for name, shape in self.shapes.items()
        }

    def columns(self) -> dict[str, tuple[tuple[int, ...], type[np.float32]]]:
        """Names of the columns with a state, and shape and dtype of a game's."""
        return {f"{CORE}{name}": (shape, np.float32) for name, shape in self.shapes.items()}

    def state_of(self, columns: Mapping[str, Tensor]) -> CoreState:
        """The state in columns of these names."""
        return {name: columns[f"{CORE}{name}"] for name in self.shapes}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    def forward(
        self, features: Tensor, state: CoreState, is_first: Tensor
    ) -> tuple[Tensor, CoreState]:
        """Take ``T`` steps of ``B`` games.

        Args:
            features: ``(T, B, inputs)``.
            state: before the first of them.
            is_first: ``(T, B)`` bool, where a game begins anew: nothing from before has any
                influence on this step and those that follow.

        Returns:
            ``(T, B, features)`` float32, and the state after the last step.
        """
        with torch.autocast(features.device.type, enabled=False):
            return self.unroll(features.float(), state, is_first)

    @abstractmethod
    def unroll(
        self, features: Tensor, state: CoreState, is_first: Tensor
    ) -> tuple[Tensor, CoreState]:
        """:meth:`forward` in float32."""


def state_columns(state: CoreState) -> dict[str, Tensor]:
    """A state by names of columns, which :meth:`Core.state_of` takes back."""
    return {f"{CORE}{name}": part for name, part in state.items()}


class NoCore(Core):
    """No memory: features pass through."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.features, self.shapes = inputs, {}

    def unroll(
        self, features: Tensor, state: CoreState, is_first: Tensor
    ) -> tuple[Tensor, CoreState]:
        """The features themselves."""
        return features, state


class _Cell(Core):
    """A cell that is called step by step, in learning as in acting: so both give the same bits."""

    @abstractmethod
    def step(self, features: Tensor, state: CoreState) -> CoreState:
        """The state after a step ``(B, inputs)``; its ``hidden`` is the output."""

    def unroll(
        self, features: Tensor, state: CoreState, is_first: Tensor
    ) -> tuple[Tensor, CoreState]:
        """Clear the state where a game begins, and take a step; over and over."""
        outputs = []
        for inputs, first in zip(features, is_first, strict=True):
            state = self.step(inputs, clear_state(state, first))
            outputs.append(state["hidden"])
        return torch.stack(outputs), state


class GRUCore(_Cell):
    """A gated recurrent unit (Cho et al., EMNLP 2014)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.features, self.shapes = hidden, {"hidden": (hidden,)}
        self.cell = nn.GRUCell(inputs, hidden)

    def step(self, features: Tensor, state: CoreState) -> CoreState:
        """One call of the cell."""
        return {"hidden": self.cell(features, state["hidden"])}


class LSTMCore(_Cell):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), with forget gates open at first
    (Jozefowicz et al., ICML 2015)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.features, self.shapes = hidden, {"hidden": (hidden,), "cell": (hidden,)}
        self.cell = nn.LSTMCell(inputs, hidden)
        with torch.no_grad():
            self.cell.bias_ih[hidden : 2 * hidden] += 1.0

    def step(self, features: Tensor, state: CoreState) -> CoreState:
        """One call of the cell."""
        hidden, cell = self.cell(features, (state["hidden"], state["cell"]))
        return {"hidden": hidden, "cell": cell}


class TransformerCore(Core):
    """Attention of each step to itself and the ``memory`` steps before it, layer upon layer.

    The state is what went into each layer at the last ``memory`` steps (Dai et al.,
    "Transformer-XL", ACL 2019): no gradients flow back beyond an unroll. The layers are those of
    Parisotto et al., "Stabilizing Transformers for Reinforcement Learning" (ICML 2020), with rotary
    positions, see :class:`~mario_agents.nn.attention.GatedLayer`.

    Args:
        inputs: width of the features.
        width: of the layers.
        layers: how many.
        heads: of the attention; ``width`` must be an even multiple of it.
        memory: steps.
    """

    def __init__(self, inputs: int, width: int, *, layers: int, heads: int, memory: int) -> None:
        super().__init__()
        self.features, self.memory = width, memory
        self.shapes = {"memory": (layers, memory, width), "length": ()}
        self.embedding = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(GatedLayer(width, heads) for _ in range(layers))

    def unroll(
        self, features: Tensor, state: CoreState, is_first: Tensor
    ) -> tuple[Tensor, CoreState]:
        """All steps at once, each of which sees what it would see step by step."""
        visible, length = visible_steps(state["length"], is_first, self.memory)
        remembered = torch.arange(self.memory, 0, -1, device=length.device) <= length[:, None]
        x, memories = self.embedding(features).transpose(0, 1), []
        for index, layer in enumerate(self.layers):
            context = torch.cat([state["memory"][:, index], x], dim=1)
            kept = context[:, -self.memory :]
            # What is from before a beginning is no part of the state any more.
            memories.append(torch.where(remembered[:, :, None], kept, 0.0))
            x = layer(x, context, visible)
        return x.transpose(0, 1), {"memory": torch.stack(memories, dim=1), "length": length}


def build_core(
    kind: RecurrentType, inputs: int, hidden: int, *, layers: int, heads: int, memory: int
) -> Core:
    """A core with fresh random weights.

    Args:
        kind: which.
        inputs: width of the features that it gets.
        hidden: width of what it remembers; none gives out what it gets.
        layers, heads, memory: of a transformer.
    """
    if kind == "none":
        return NoCore(inputs)
    if kind == "transformer":
        return TransformerCore(inputs, hidden, layers=layers, heads=heads, memory=memory)
    return {"gru": GRUCore, "lstm": LSTMCore}[kind](inputs, hidden)
