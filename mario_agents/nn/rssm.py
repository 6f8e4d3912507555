"""The recurrent state-space model: what a game is like behind what it shows, and what comes next.

Hafner et al., "Mastering diverse control tasks through world models" (Nature 640, 2025), with the
recurrent unit of their code of 2025, whose recurrent matrix consists of blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mario_agents.nn.dense import MLP, NormSiLU, linear, truncated_normal
from mario_agents.nn.recurrence import Along, PosteriorWeights, RecurrentWeights, unroll
from mario_agents.ops.categorical import mixed_probs


class Latent(NamedTuple):
    """The state of ``N`` games.

    Attributes:
        deter: ``(N, D)``, what the recurrent unit remembers.
        stoch: ``(N, S * C)``, ``S`` categorical variables, one-hot, one after another.
    """

    deter: Tensor
    stoch: Tensor

    def features(self) -> Tensor:
        """``(..., D + S * C)``, what heads see."""
        return torch.cat([self.deter, self.stoch], dim=-1)


class Observed(NamedTuple):
    """States of sequences ``(T, B, ...)`` that were observed.

    Attributes:
        latent: sampled, with gradients of the probabilities.
        posterior: ``(T, B, S, C)`` probabilities, after having seen the observation.
    """

    latent: Latent
    posterior: Tensor


class RSSM(nn.Module):
    """The world model without its senses: a recurrent unit, a prior and a posterior.

    Args:
        actions: number of actions.
        tokens: width of what an encoder makes of an observation.
        deter: ``D``, a multiple of ``blocks``.
        hidden: units of all hidden layers.
        stoch: ``S``.
        classes: ``C``.
        blocks: of the recurrent unit.
        prior_layers: hidden layers of the prior.
        uniform: share of the uniform distribution in prior and posterior.
    """

    def __init__(
        self,
        actions: int,
        tokens: int,
        *,
        deter: int,
        hidden: int,
        stoch: int,
        classes: int,
        blocks: int,
        prior_layers: int,
        uniform: float = 0.01,
    ) -> None:
        super().__init__()
        self.actions, self.deter, self.stoch, self.classes = actions, deter, stoch, classes
        self.width, self.uniform, self.blocks = stoch * classes, uniform, blocks
        self.features = deter + self.width
        """Width of :meth:`Latent.features`."""
        self.from_deter, self.from_stoch = linear(deter, hidden), linear(self.width, hidden)
        self.scales = nn.Parameter(torch.ones(2, hidden))
        by_action = linear(hidden, deter)
        self.by_action = nn.Sequential(linear(actions, hidden), NormSiLU(hidden), by_action)
        self.own = nn.Parameter(torch.empty(blocks, deter // blocks, deter // blocks))
        self.shared = linear(2 * hidden, deter)
        self.hidden_scale = nn.Parameter(torch.ones(deter))
        # Each block sees its own part of the memory, and all that comes from memory, sample and
        # action: the matrices of the latter for all blocks together are one ordinary matrix.
        for matrix in (self.own, self.shared.weight, by_action.weight):
            truncated_normal(matrix, deter // blocks + 3 * hidden)
        self.gates = nn.Parameter(torch.empty(blocks, deter // blocks, 3 * deter // blocks))
        truncated_normal(self.gates, deter // blocks)
        self.gates_bias = nn.Parameter(torch.zeros(3 * deter))
        self.prior_head = MLP(deter, hidden, prior_layers, self.width)
        self.seen, self.remembered = (
            linear(tokens, hidden),
            nn.Parameter(torch.empty(hidden, deter)),
        )
        for matrix in (self.seen.weight, self.remembered):
            truncated_normal(matrix, tokens + deter)
        self.posterior_scale = nn.Parameter(torch.ones(hidden))
        self.posterior_head = linear(hidden, self.width)

    def initial(self, n: int) -> Latent:
        """The state of ``n`` games before their first observation: zeros."""
        zeros = self.gates_bias.new_zeros
        return Latent(zeros(n, self.deter), zeros(n, self.width))

    def observe(
        self,
        before: Latent,
        action: Tensor,
        is_first: Tensor,
        tokens: Tensor,
        noise: Tensor | None,
    ) -> Observed:
        """What is to be believed along ``T`` observations of ``B`` games.

        Args:
            before: the state at the observation before the first.
            action: ``(T, B)`` int64, taken at the observation before each.
            is_first: ``(T, B)`` bool, where a game begins: what was before is forgotten.
            tokens: ``(T, B, tokens)``, what the encoder made of the observations.
            noise: ``(T, B, S)`` uniform in [0, 1), for the samples; None takes the likeliest
                classes.
        """
        nothing = torch.full_like(action, self.actions)
        by_action = self.effects()[torch.where(is_first, nothing, action)]
        goes_on = (~is_first).float().unsqueeze(-1)
        head = self.posterior_head
        with torch.autocast(action.device.type, enabled=False):
            deter, stoch, posterior = unroll(
                *before,
                Along(by_action.float(), self.seen(tokens.float()), goes_on, noise),
                self.weights(torch.float32),
                PosteriorWeights(self.remembered, self.posterior_scale, head.weight, head.bias),
                classes=self.classes,
                uniform=self.uniform,
            )
        return Observed(Latent(deter, stoch), posterior)

    def effects(self) -> Tensor:
        """``(actions + 1, D)``, what each action adds to the hidden layer, and no action."""
        every = torch.eye(self.actions + 1, self.actions, device=self.gates_bias.device)
        out: Tensor = self.by_action(every)
        return out

    def weights(self, dtype: torch.dtype) -> RecurrentWeights:
        """Those of the recurrent unit, its matrices in ``dtype``."""
        deter, stoch, shared = self.from_deter, self.from_stoch, self.shared
        return RecurrentWeights(
            deter.weight.to(dtype),
            deter.bias.to(dtype),
            stoch.weight.to(dtype),
            stoch.bias.to(dtype),
            self.scales,
            self.own.to(dtype),
            shared.weight.to(dtype),
            shared.bias.to(dtype),
            self.hidden_scale,
            self.gates.to(dtype),
            self.gates_bias,
        )

    def prior(self, deter: Tensor) -> Tensor:
        """Probabilities ``(..., S, C)`` of what is about to be seen, from memory alone."""
        logits = self.prior_head(deter).unflatten(-1, (self.stoch, self.classes))
        return mixed_probs(logits, self.uniform)
