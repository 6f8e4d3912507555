"""What every core promises: one step at a time is the same as all at once, and nothing leaks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mario_agents.nn.attention import Gate, GatedLayer, visible_steps
from mario_agents.nn.recurrent import Core, CoreState, RecurrentType, build_core

MEMORY = 3
CORES: list[RecurrentType] = ["none", "gru", "lstm", "transformer"]


def core_of(kind: RecurrentType, *, memory: int = MEMORY) -> Core:
    torch.manual_seed(0)
    return build_core(kind, 5, 8, layers=2, heads=2, memory=memory)


def invented(seed: int, steps: int, games: int = 4) -> tuple[Tensor, Tensor]:
    """Features ``(T, B, 5)`` and ``is_first`` ``(T, B)``."""
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(steps, games, 5, generator=rng)
    return features, torch.rand(steps, games, generator=rng) < 0.2


def close(ours: Tensor, theirs: Tensor, kind: RecurrentType) -> None:
    tolerance = 1e-5 if kind == "transformer" else 0.0
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def in_pieces(
    core: Core, features: Tensor, is_first: Tensor, lengths: list[int]
) -> tuple[Tensor, CoreState]:
    """The same unroll in pieces of so many steps, each with the state of the one before."""
    state, outputs = core.initial(features.shape[1]), []
    for piece, first in zip(features.split(lengths), is_first.split(lengths), strict=True):
        output, state = core(piece, state, first)
        outputs.append(output)
    return torch.cat(outputs), state


@pytest.mark.parametrize("kind", CORES)
@settings(max_examples=25)
@given(st.integers(0, 999), st.lists(st.integers(1, 5), min_size=1, max_size=4))
@torch.no_grad()
def test_steps_one_by_one_are_the_unroll(kind, seed, lengths):
    core, steps = core_of(kind), sum(lengths)
    features, is_first = invented(seed, steps)
    whole, state = core(features, core.initial(4), is_first)
    for pieces in (lengths, [1] * steps):
        output, after = in_pieces(core, features, is_first, pieces)
        close(output, whole, kind)
        for name in core.shapes:
            close(after[name], state[name], kind)


@pytest.mark.parametrize("kind", CORES)
@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(1, 9))
@torch.no_grad()
def test_what_was_before_a_beginning_has_no_influence(kind, seed, steps):
    core = core_of(kind)
    features, is_first = invented(seed, steps)
    disturbed = features.clone()
    state = {name: 9 * torch.randn(4, *shape) for name, shape in core.shapes.items()}
    if kind == "transformer":
        state["length"] = torch.tensor([0.0, 1.0, 2.0, 3.0])
    for game in range(4):
        begins = is_first[:, game].nonzero()
        if len(begins):
            disturbed[: begins[-1], game] = 99.0
        else:
            is_first[0, game] = True
    plain, after = core(features, core.initial(4), is_first)
    other, later = core(disturbed, state, is_first)
    for game in range(4):
        begin = int(is_first[:, game].nonzero()[-1])
        close(other[begin:, game], plain[begin:, game], kind)
    for name in core.shapes:
        close(later[name], after[name], kind)


@pytest.mark.parametrize("kind", CORES)
@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(2, 9), st.data())
@torch.no_grad()
def test_the_future_has_no_influence(kind, seed, steps, data):
    core = core_of(kind)
    features, is_first = invented(seed, steps)
    now = data.draw(st.integers(1, steps - 1))
    changed = features.clone()
    changed[now:] = 99.0
    before, _ = core(features, core.initial(4), is_first)
    after, _ = core(changed, core.initial(4), is_first ^ (torch.arange(steps) >= now)[:, None])
    close(after[:now], before[:now], kind)


@pytest.mark.parametrize("kind", ["gru", "lstm", "transformer"])
def test_the_past_of_an_episode_has_influence_and_gets_gradients(kind):
    core = core_of(kind)
    features, is_first = invented(0, 3)
    features.requires_grad_()
    output, _ = core(features, core.initial(4), torch.zeros_like(is_first))
    (gradient,) = torch.autograd.grad(output[-1].sum(), features)
    assert (gradient.abs().amax(dim=2) > 0).all()
    (gradient,) = torch.autograd.grad(core(features, core.initial(4), is_first | True)[0][-1].sum(),
                                      features)  # fmt: skip
    assert (gradient[:-1] == 0).all()
    assert (gradient[-1] != 0).any()


@torch.no_grad()
def test_a_transformer_of_one_layer_sees_as_far_as_its_memory():
    core = build_core("transformer", 5, 8, layers=1, heads=2, memory=MEMORY)
    features, _ = invented(0, 8)
    never = torch.zeros(8, 4, dtype=torch.bool)
    for far, seen in ((MEMORY, True), (MEMORY + 1, False)):
        changed = features.clone()
        changed[-1 - far] += 1.0
        ours, theirs = (core(each, core.initial(4), never)[0][-1] for each in (features, changed))
        assert torch.equal(ours, theirs) != seen


@given(st.integers(0, 999), st.integers(1, 8), st.lists(st.integers(0, MEMORY), min_size=2))
def test_visible_steps_are_those_of_the_episode_so_far(seed, steps, lengths):
    is_first = invented(seed, steps, len(lengths))[1]
    visible, after = visible_steps(torch.tensor(lengths, dtype=torch.float32), is_first, MEMORY)
    for game, length in enumerate(lengths):
        episode = [-1 - place for place in range(length)][::-1]
        for step in range(steps):
            if is_first[step, game]:
                episode = []
            episode.append(step)
            expected = [place for place in episode if place >= step - MEMORY]
            places = visible[game, step].nonzero().flatten() - MEMORY
            assert places.tolist() == expected
        assert after[game] == min(len(episode), MEMORY)


@torch.no_grad()
def test_positions_are_distances():
    """The same steps at another place give the same."""
    torch.manual_seed(0)
    layer, x = GatedLayer(8, 2), torch.randn(3, 4, 8)
    causal = torch.ones(4, 4, dtype=torch.bool).tril().expand(3, 4, 4)
    behind = torch.cat([torch.zeros(3, 4, 6, dtype=torch.bool), causal], dim=2)
    ours = layer(x, x, causal)
    theirs = layer(x, torch.cat([torch.randn(3, 6, 8), x], dim=1), behind)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    swapped = layer(x[:, [1, 0, 2, 3]], x[:, [1, 0, 2, 3]], causal)
    assert not torch.allclose(swapped[:, 3], ours[:, 3], atol=1e-4)  # order is seen


@torch.no_grad()
def test_a_gate_keeps_most_of_what_comes_in_at_first():
    x, y = torch.randn(2, 500, 8)
    moved = (Gate(8)(x, y) - x).pow(2).mean() / x.pow(2).mean()
    assert moved < 0.1


@pytest.mark.parametrize("kind", CORES)
@torch.no_grad()
def test_what_is_remembered_stays_float32_under_autocast(kind):
    core = core_of(kind)
    features, is_first = invented(0, 3)
    plain, _ = core(features.bfloat16(), core.initial(4), is_first)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = core(features.bfloat16(), core.initial(4), is_first)
    assert torch.equal(output, plain)
    assert {each.dtype for each in (output, *state.values())} == {torch.float32}
