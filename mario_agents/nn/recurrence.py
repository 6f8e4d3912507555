"""The recurrent part of a world model along sequences, with a gradient of its own.

On a CPU the layers of one step are so small that most of the time goes into calling them. Here the
loop over time has only what must be done in turns. Everything else is done for all steps at once:
the slopes of all activations, before the loop backwards, and the gradients of all matrices, which
are one large product each instead of a sum of small ones, after it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from mario_agents.ops.categorical import most_likely, sample_one_hot
from mario_agents.ops.rms_norm import NormSlopes, rms_norm_silu


class RecurrentWeights(NamedTuple):
    """Of the recurrent unit, with ``g`` blocks; matrices as :func:`torch.nn.functional.linear` has
    them, those of blocks ``(g, in, out)``.

    Attributes:
        from_deter, deter_bias: ``(H, D)``, ``(H,)``.
        from_stoch, stoch_bias: ``(H, S * C)``, ``(H,)``.
        scales: ``(2, H)``, of the normalisation behind both.
        own: ``(g, D / g, D / g)``.
        shared, shared_bias: ``(D, 2 * H)``, ``(D,)``.
        hidden_scale: ``(D,)``.
        gates: ``(g, D / g, 3 * D / g)``.
        gates_bias: ``(3 * D,)``.
    """

    from_deter: Tensor
    deter_bias: Tensor
    from_stoch: Tensor
    stoch_bias: Tensor
    scales: Tensor
    own: Tensor
    shared: Tensor
    shared_bias: Tensor
    hidden_scale: Tensor
    gates: Tensor
    gates_bias: Tensor


class PosteriorWeights(NamedTuple):
    """Of the posterior: ``remembered`` ``(H, D)``, ``scale`` ``(H,)``, ``head`` ``(S * C, H)`` and
    ``head_bias`` ``(S * C,)``."""

    remembered: Tensor
    scale: Tensor
    head: Tensor
    head_bias: Tensor


class Recurrence(NamedTuple):
    """What a step of the recurrent unit computes on its way, of ``N`` games.

    Attributes:
        inputs: ``(N, 2, H)``, before the first normalisation.
        both: ``(N, 2 * H)``, behind it.
        before: ``(N, D)``, before the second.
        hidden: ``(N, D)``, behind it.
        gates: ``(N, g, 3, D / g)``: reset, candidate, update.
        deter: ``(N, D)``, the memory afterwards.
    """

    inputs: Tensor
    both: Tensor
    before: Tensor
    hidden: Tensor
    gates: Tensor
    deter: Tensor


def blockwise(x: Tensor, weight: Tensor) -> Tensor:
    """``(N, in)`` to ``(N, out)`` by a matrix ``(g, in / g, out / g)`` of blocks on a diagonal."""
    parts = x.view(len(x), len(weight), -1).transpose(0, 1)
    return torch.bmm(parts, weight).transpose(0, 1).reshape(len(x), -1)


def recur(w: RecurrentWeights, deter: Tensor, stoch: Tensor, by_action: Tensor) -> Recurrence:
    """A step of ``N`` games, in the arithmetic of the matrices in ``w``.

    Args:
        w: the weights.
        deter: ``(N, D)`` float32, the memory.
        stoch: ``(N, S * C)``.
        by_action: ``(N, D)``, what the action adds to the hidden layer.
    """
    low, small = deter.to(w.own.dtype), stoch.to(w.own.dtype)
    inputs = torch.stack(
        [
            functional.linear(low, w.from_deter, w.deter_bias),
            functional.linear(small, w.from_stoch, w.stoch_bias),
        ],
        dim=1,
    )
    both = rms_norm_silu(inputs, w.scales).flatten(1).to(low.dtype)
    before = blockwise(low, w.own) + functional.linear(both, w.shared, w.shared_bias) + by_action
    hidden = rms_norm_silu(before, w.hidden_scale).to(low.dtype)
    flat = blockwise(hidden, w.gates).float() + w.gates_bias
    gates = flat.view(len(deter), len(w.own), 3, -1)
    reset, candidate, update = gates.unbind(2)
    candidate = _tanh(torch.sigmoid(reset) * candidate)
    kept = deter.view(candidate.shape)
    after = torch.lerp(kept, candidate, torch.sigmoid(update - 1.0)).flatten(1)
    return Recurrence(inputs, both, before, hidden, gates, after)


def _tanh(x: Tensor) -> Tensor:
    """PyTorch's, but five times as fast on a CPU."""
    if x.is_cuda:
        return torch.tanh(x)
    return torch.sigmoid(2.0 * x).mul_(2.0).sub_(1.0)


class Unrolled(NamedTuple):
    """States ``(T, B, D)`` and ``(T, B, S * C)``, and posteriors ``(T, B, S, C)``."""

    deter: Tensor
    stoch: Tensor
    posterior: Tensor


class Along(NamedTuple):
    """What does not depend on the memory, ``T`` steps of ``B`` games.

    Attributes:
        by_action: ``(T, B, D)``, see :func:`recur`.
        seen: ``(T, B, H)``, what the observation adds to the posterior's hidden layer.
        goes_on: ``(T, B, 1)`` float32, 0 where a game begins.
        noise: ``(T, B, S)`` uniform; None takes the likeliest classes.
    """

    by_action: Tensor
    seen: Tensor
    goes_on: Tensor
    noise: Tensor | None


def unroll(
    deter: Tensor,
    stoch: Tensor,
    along: Along,
    recurrent: RecurrentWeights,
    posterior: PosteriorWeights,
    *,
    classes: int,
    uniform: float,
) -> Unrolled:
    """The states of ``B`` games along ``T`` observations.

    The gradient of a sampled state is that of its probabilities. None flows into the first state.

    Args:
        deter, stoch: ``(B, D)`` and ``(B, S * C)``, the states before.
        along: what is added from outside.
        recurrent, posterior: weights, float32.
        classes: ``C``.
        uniform: share of the uniform distribution in the posterior.
    """
    flat = _Unroll.apply(  # type: ignore[no-untyped-call]
        deter, stoch, classes, uniform, *along, *recurrent, *posterior
    )
    return Unrolled(*cast("tuple[Tensor, Tensor, Tensor]", flat))


class _Saved(NamedTuple):
    """Of every step: the state before, :class:`Recurrence`, and the posterior's layers."""

    kept: Tensor
    stoch: Tensor
    inputs: Tensor
    both: Tensor
    before: Tensor
    hidden: Tensor
    gates: Tensor
    deter: Tensor
    unnormed: Tensor
    looked: Tensor
    probs: Tensor


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, deter: Tensor, stoch: Tensor, classes: int, uniform: float, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        along, w, p = Along(*rest[:4]), RecurrentWeights(*rest[4:15]), PosteriorWeights(*rest[15:])
        steps, samples, mixtures = [], [], []
        for step in range(len(along.by_action)):
            goes_on = along.goes_on[step]
            deter, stoch = deter * goes_on, stoch * goes_on
            done = recur(w, deter, stoch, along.by_action[step])
            unnormed = torch.addmm(along.seen[step], done.deter, p.remembered.t())
            looked = rms_norm_silu(unnormed, p.scale)
            logits = functional.linear(looked, p.head, p.head_bias)
            probs = logits.view(len(logits), -1, classes).softmax(dim=-1)
            mixture = probs * (1.0 - uniform) + uniform / classes
            steps.append(_Saved(deter, stoch, *done, unnormed, looked, probs))
            noise = along.noise
            sample = most_likely(mixture) if noise is None else sample_one_hot(mixture, noise[step])
            deter, stoch = done.deter, sample.flatten(1)
            samples.append(stoch)
            mixtures.append(mixture)
        saved = _Saved(*(torch.stack(parts) for parts in zip(*steps, strict=True)))
        ctx.save_for_backward(along.goes_on, *w, *p, *saved)
        ctx.uniform = uniform
        return saved.deter, torch.stack(samples), torch.stack(mixtures)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Any, ...]:
        goes_on, *rest = ctx.saved_tensors
        w, p = RecurrentWeights(*rest[:11]), PosteriorWeights(*rest[11:15])
        saved, share = _Saved(*rest[15:]), 1.0 - ctx.uniform
        slopes = _Slopes.of(saved, w, p)
        found = _backwards(outer, goes_on, slopes, saved, w, p, share)
        return _gradients(found, slopes, saved, w, share)


class _Slopes(NamedTuple):
    """What the loop backwards multiplies with, all ``(T, B, ...)``.

    Attributes:
        inputs, hidden, looked: of the three normalisations.
        gates: ``(T, B, g, 3, D / g)``, of the memory by each gate.
        keeps: ``(T, B, D)``, of the memory by the one before.
    """

    inputs: NormSlopes
    hidden: NormSlopes
    looked: NormSlopes
    gates: Tensor
    keeps: Tensor

    @classmethod
    def of(cls, saved: _Saved, w: RecurrentWeights, p: PosteriorWeights) -> _Slopes:
        reset, candidate, update = saved.gates.unbind(3)
        opened, moved = torch.sigmoid(reset), torch.sigmoid(update - 1.0)
        new = _tanh(opened * candidate)
        by_product = moved * (1.0 - new.square())
        by_candidate = by_product * opened
        by_reset = by_candidate * candidate * (1.0 - opened)
        by_update = (new - saved.kept.view(new.shape)) * moved * (1.0 - moved)
        return cls(
            NormSlopes.of(saved.inputs, w.scales),
            NormSlopes.of(saved.before, w.hidden_scale),
            NormSlopes.of(saved.unnormed, p.scale),
            torch.stack([by_reset, by_candidate, by_update], dim=3),
            (1.0 - moved).flatten(2),
        )


class _Found(NamedTuple):
    """Gradients of every step ``(T, B, ...)``: behind and before each normalisation, and of gates
    and logits."""

    both: Tensor
    inputs: Tensor
    hidden: Tensor
    before: Tensor
    gates: Tensor
    looked: Tensor
    unnormed: Tensor
    logits: Tensor


def _backwards(
    outer: tuple[Tensor, ...],
    goes_on: Tensor,
    slopes: _Slopes,
    saved: _Saved,
    w: RecurrentWeights,
    p: PosteriorWeights,
    share: float,
) -> _Found:
    """The loop from the last step to the first."""
    deter_outer, stoch_outer, mixture_outer = outer
    from_stoch = stoch_outer.view(mixture_outer.shape) + mixture_outer
    deter, stoch = torch.zeros_like(deter_outer[0]), torch.zeros_like(stoch_outer[0])
    own, gates, head = w.own.transpose(1, 2), w.gates.transpose(1, 2), p.head * share
    found = []
    for step in range(len(goes_on) - 1, -1, -1):
        probs = saved.probs[step]
        into = from_stoch[step] + stoch.view(probs.shape)
        logits = torch.ops.aten._softmax_backward_data(into, probs, -1, probs.dtype).flatten(1)
        looked = logits @ head
        unnormed = slopes.looked.at(step).input_gradient(looked)
        deter = torch.addmm(deter_outer[step] + deter, unnormed, p.remembered)
        by_gate = deter.view(len(deter), len(own), 1, -1) * slopes.gates[step]
        hidden = blockwise(by_gate.view(len(deter), -1), gates)
        before = slopes.hidden.at(step).input_gradient(hidden)
        both = (before @ w.shared).view(len(deter), 2, -1)
        inputs = slopes.inputs.at(step).input_gradient(both)
        found.append(_Found(both, inputs, hidden, before, by_gate, looked, unnormed, logits))
        deter = torch.addcmul(blockwise(before, own), deter, slopes.keeps[step])
        deter = deter.addmm_(inputs[:, 0], w.from_deter).mul_(goes_on[step])
        stoch = (inputs[:, 1] @ w.from_stoch).mul_(goes_on[step])
    return _Found(*(torch.stack(parts[::-1]) for parts in zip(*found, strict=True)))


def _gradients(
    found: _Found, slopes: _Slopes, saved: _Saved, w: RecurrentWeights, share: float
) -> tuple[Any, ...]:
    """One for each argument of ``_Unroll.forward``."""
    before, unnormed, logits = (
        part.flatten(0, 1) for part in (found.before, found.unnormed, found.logits)
    )
    logits = logits * share
    by_deter, by_stoch = found.inputs.flatten(0, 1).unbind(1)
    gates = found.gates.flatten(2)
    recurrent = RecurrentWeights(
        by_deter.t() @ saved.kept.flatten(0, 1),
        by_deter.sum(dim=0),
        by_stoch.t() @ saved.stoch.flatten(0, 1),
        by_stoch.sum(dim=0),
        slopes.inputs.scale_gradient(found.both, 2),
        _blocks(saved.kept, found.before, len(w.own)),
        before.t() @ saved.both.flatten(0, 1),
        before.sum(dim=0),
        slopes.hidden.scale_gradient(found.hidden),
        _blocks(saved.hidden, gates, len(w.own)),
        gates.flatten(0, 1).sum(dim=0),
    )
    posterior = PosteriorWeights(
        unnormed.t() @ saved.deter.flatten(0, 1),
        slopes.looked.scale_gradient(found.looked),
        logits.t() @ saved.looked.flatten(0, 1),
        logits.sum(dim=0),
    )
    along = found.before, found.unnormed, None, None
    return None, None, None, None, *along, *recurrent, *posterior


def _blocks(x: Tensor, gradient: Tensor, blocks: int) -> Tensor:
    """The gradient of :func:`blockwise`'s matrix from its inputs and its outputs' gradients, each
    ``(T, B, ...)``."""
    left, right = (
        part.reshape(-1, blocks, part.shape[-1] // blocks).transpose(0, 1) for part in (x, gradient)
    )
    return torch.bmm(left.transpose(1, 2), right)
