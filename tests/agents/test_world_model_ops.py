"""The mathematics of world models, against slow references and published values."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical, kl_divergence
from torch.nn import functional

from mario_agents.core.optimizers import laprop
from mario_agents.ops.categorical import (
    balanced_kl,
    categorical_kl,
    mixed_probs,
    most_likely,
    sample_classes,
    sample_one_hot,
    straight_through,
)
from mario_agents.ops.clipping import clip_adaptively
from mario_agents.ops.lambda_returns import lambda_returns
from mario_agents.ops.percentiles import moved_range, range_scale
from mario_agents.ops.policy_gradient import action_log_prob, categorical_entropy
from mario_agents.ops.policy_gradient import categorical_kl as policy_kl
from mario_agents.ops.redundancy import cross_correlation, redundancy_loss
from mario_agents.ops.rms_norm import rms_norm_silu
from mario_agents.ops.ssim import structural_similarity
from mario_agents.ops.symlog import symexp, symlog
from mario_agents.ops.two_hot import symexp_bins, two_hot_loss, two_hot_mean


@given(st.floats(-1e6, 1e6))
def test_symlog_and_symexp_undo_one_another(x: float) -> None:
    number = torch.tensor(x, dtype=torch.float64)
    assert symlog(number).item() == pytest.approx(math.copysign(math.log1p(abs(x)), x))
    assert symexp(symlog(number)).item() == pytest.approx(x)


def test_bins_are_those_of_the_paper() -> None:
    bins = symexp_bins(255)
    assert len(bins) == 255
    assert bins[127] == 0.0
    assert torch.equal(bins, -bins.flip(0))
    assert bins[-1].item() == pytest.approx(math.expm1(20), rel=1e-5)
    assert bins[128].item() == pytest.approx(math.expm1(20 / 127), rel=1e-4)
    with pytest.raises(ValueError, match="odd"):
        symexp_bins(254)


def test_a_uniform_distribution_expects_exactly_nothing() -> None:
    assert two_hot_mean(torch.zeros(3, 255), symexp_bins(255)).tolist() == [0.0] * 3


@given(st.floats(-1e5, 1e5))
@settings(max_examples=40)
def test_two_hot_targets_are_the_two_bins_beside_a_number(target: float) -> None:
    bins = symexp_bins(41, 12.0).double()
    logits = torch.randn(41, generator=torch.Generator().manual_seed(1)).double()
    # As a dense target, found by looking at every pair of bins.
    dense = torch.zeros(41, dtype=torch.float64)
    if target >= bins[-1]:
        dense[-1] = 1.0
    for low in range(40):
        if bins[low] <= target < bins[low + 1]:
            share = (target - bins[low]) / (bins[low + 1] - bins[low])
            dense[low], dense[low + 1] = 1.0 - share, share
    log_probs = functional.log_softmax(logits, dim=-1)
    loss = two_hot_loss(log_probs, torch.tensor(target, dtype=torch.float64), bins)
    assert loss.item() == pytest.approx(-(dense * log_probs).sum().item())
    assert (dense * bins).sum().item() == pytest.approx(min(target, bins[-1].item()))


def test_two_hot_means_are_sums_over_bins() -> None:
    bins, logits = symexp_bins(31, 5.0), torch.randn(4, 3, 31)
    expected = (logits.double().softmax(-1) * bins.double()).sum(-1)
    torch.testing.assert_close(two_hot_mean(logits, bins).double(), expected, rtol=1e-4, atol=1e-4)


@given(st.integers(2, 6), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=30)
def test_lambda_returns_are_mixtures_of_all_returns(length: int, lam: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reward, value, discount = rng.normal(size=(3, length))
    discount = discount.clip(0, 1)
    last = rng.random(length) < 0.3

    def n_step(t: int, n: int) -> float:
        total, weight = 0.0, 1.0
        for k in range(t + 1, t + n + 1):
            total += weight * reward[k]
            weight *= discount[k]
        return total + weight * value[t + n]

    expected = []
    for t in range(length - 1):
        ends = [k for k in range(t + 1, length) if last[k] or k == length - 1]
        most = ends[0] - t
        mixed = sum((1 - lam) * lam ** (n - 1) * n_step(t, n) for n in range(1, most))
        expected.append(mixed + lam ** (most - 1) * n_step(t, most))
    columns = (torch.tensor(each)[:, None] for each in (reward, discount, value))
    found = lambda_returns(*columns, lam, last=torch.tensor(last)[:, None])
    np.testing.assert_allclose(found[:, 0].numpy(), expected, atol=1e-9)


def test_divergences_are_those_of_torch() -> None:
    left, right = (mixed_probs(torch.randn(5, 3, 4), 0.01) for _ in range(2))
    expected = kl_divergence(Categorical(left), Categorical(right)).sum(-1)
    torch.testing.assert_close(categorical_kl(left, right), expected)
    assert mixed_probs(torch.tensor([1e9, 0.0, 0.0]), 0.03)[1].item() == pytest.approx(0.01)


def test_each_divergence_moves_its_own_side_and_only_beyond_the_free_nats() -> None:
    logits = [torch.randn(2, 3, 4, requires_grad=True) for _ in range(2)]
    posterior, prior = (mixed_probs(each, 0.01) for each in logits)
    losses = balanced_kl(posterior, prior, 0.0)
    torch.testing.assert_close(losses.dynamics, losses.representation)
    moved = [
        [
            each is not None
            for each in torch.autograd.grad(
                loss.sum(), logits, allow_unused=True, retain_graph=True
            )
        ]
        for loss in losses
    ]
    assert moved == [[False, True], [True, False]]
    far = balanced_kl(posterior, prior, 100.0)
    assert far.dynamics.tolist() == [100.0, 100.0]
    (gradient,) = torch.autograd.grad(far.dynamics.sum(), logits[1])
    assert not gradient.any()


def test_samples_have_their_probabilities_and_the_gradients_of_them() -> None:
    probs = torch.tensor([0.1, 0.0, 0.6, 0.3], requires_grad=True)
    noise = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    classes = sample_classes(probs.expand(20_000, 4), noise)
    counts = torch.bincount(classes, minlength=4) / 20_000
    torch.testing.assert_close(counts, probs.detach(), atol=0.01, rtol=0)
    edges = sample_classes(torch.tensor([[0.5, 0.4999999]] * 2), torch.tensor([0.0, 0.99999999]))
    assert edges.tolist() == [0, 1]
    sample = sample_one_hot(probs, torch.tensor(0.5))
    assert sample.tolist() == [0.0, 0.0, 1.0, 0.0] == most_likely(probs).tolist()
    through = straight_through(sample, probs)
    assert torch.equal(through, sample)
    (gradient,) = torch.autograd.grad((through * torch.arange(4.0)).sum(), probs)
    assert gradient.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_the_range_of_returns_moves_slowly_and_has_a_floor() -> None:
    range_ = torch.zeros(2)
    values = torch.linspace(-10, 10, 201)
    range_ = moved_range(range_, values, 0.5)
    torch.testing.assert_close(range_, torch.tensor([-4.5, 4.5]))
    assert range_scale(range_).item() == pytest.approx(9.0)
    assert range_scale(range_ / 100).item() == 1.0
    for _ in range(30):
        range_ = moved_range(range_, values, 0.5)
    torch.testing.assert_close(range_, torch.tensor([-9.0, 9.0]))


@pytest.mark.parametrize("shape", [(5, 6), (5, 2, 6)])
def test_the_fused_normalisation_is_the_plain_one(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, requires_grad=True)
    scale = torch.randn(shape[1:], requires_grad=True)
    plain = functional.silu(functional.rms_norm(x, (6,), None, 1e-4) * scale)
    fused = rms_norm_silu(x, scale)
    torch.testing.assert_close(fused, plain)
    with torch.no_grad():
        torch.testing.assert_close(rms_norm_silu(x, scale), plain)
    outer = torch.randn(shape)
    expected = torch.autograd.grad((plain * outer).sum(), [x, scale])
    torch.testing.assert_close(torch.autograd.grad((fused * outer).sum(), [x, scale]), expected)
    assert rms_norm_silu(torch.zeros(2, 6), torch.ones(6)).tolist() == [[0.0] * 6] * 2


def test_laprop_scales_gradients_before_it_averages_them() -> None:
    """Algorithm 1 of the paper, number by number, and gradients that are always zero."""
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    optimizer = laprop(betas=(0.9, 0.99), eps=1e-20)([{"params": [weight], "lr": 0.1}])
    expected, momentum, square = [1.0, -2.0, 0.5], [0.0] * 3, [0.0] * 3
    rng = np.random.default_rng(0)
    for step in range(1, 12):
        gradient = [*rng.normal(size=2).tolist(), 0.0]
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        for i, g in enumerate(gradient):
            square[i] = 0.99 * square[i] + 0.01 * g * g
            root = math.sqrt(square[i] / (1 - 0.99**step))
            momentum[i] = 0.9 * momentum[i] + 0.1 * g / (root + 1e-20)
            expected[i] -= 0.1 * momentum[i] / (1 - 0.9**step)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-5)


def test_each_gradient_is_clipped_to_a_share_of_its_own_weights() -> None:
    weights = [torch.nn.Parameter(torch.full((4,), 2.0)), torch.nn.Parameter(torch.zeros(3))]
    small = torch.nn.Parameter(torch.ones(2))
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    small.grad = torch.full((2,), 0.01)
    norm = clip_adaptively(0.3)([*weights, small, torch.nn.Parameter(torch.ones(1))])
    assert norm.item() == pytest.approx(math.sqrt(4 + 3 + 2e-4))
    found = [weight.grad.norm().item() for weight in (*weights, small)]
    assert found == pytest.approx([0.3 * 4.0, 0.3 * 1e-3, 0.01 * math.sqrt(2)])


def test_structural_similarity_is_its_formula_over_all_windows() -> None:
    x, y = (torch.rand(2, 1, 8, 9, dtype=torch.float64) for _ in range(2))
    found = []
    for left, right in zip(x[:, 0].numpy(), y[:, 0].numpy(), strict=True):
        for row in range(2):
            for column in range(3):
                a, b = (z[row : row + 7, column : column + 7] for z in (left, right))
                covariance = ((a - a.mean()) * (b - b.mean())).mean()
                alike = (2 * a.mean() * b.mean() + 1e-4) * (2 * covariance + 9e-4)
                most = (a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (a.var() + b.var() + 9e-4)
                found.append(alike / most)
    assert structural_similarity(x, y).item() == pytest.approx(np.mean(found))
    assert structural_similarity(x, x).item() == pytest.approx(1.0)


def _numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


_LOGITS, _VALUES = _numbers(6, 7, 255), _numbers(6, 7)
_ACTION, _FLAGS = torch.arange(7), torch.zeros(6, 7, dtype=torch.bool)
_BINS = symexp_bins(255)
FUNCTIONS = {
    "two-hot mean": lambda x: two_hot_mean(_LOGITS.to(x), _BINS),
    "mixed": lambda x: mixed_probs(_LOGITS.to(x), 0.01),
    "norm": lambda x: rms_norm_silu(_LOGITS.to(x), torch.ones(255)),
    "chance": lambda x: action_log_prob(_LOGITS[0].to(x), _ACTION),
    "entropy": lambda x: categorical_entropy(_LOGITS[0].to(x)),
    "divergence": lambda x: policy_kl(_LOGITS[0].to(x), _LOGITS[1].to(x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arithmetic_is_float32_whatever_networks_compute_in(name: str) -> None:
    function = FUNCTIONS[name]
    for dtype in (torch.float32, torch.bfloat16):
        expected = function(dtype)
        with torch.autocast("cpu", torch.bfloat16):
            found = function(dtype)
        assert found.dtype == expected.dtype == torch.float32
        assert torch.equal(found, expected)


# -- redundancy reduction -------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 5e-4, 1.0])
def test_redundancy_is_counted_pair_by_pair(weight: float) -> None:
    generator = torch.Generator().manual_seed(2)
    x, noise = torch.randn(2, 9, 4, generator=generator)
    target = 3.0 * x + noise + 7.0
    expected = 0.0
    for i in range(4):
        for j in range(4):
            correlation = statistics.correlation(x[:, i].tolist(), target[:, j].tolist())
            expected += (1.0 - correlation) ** 2 if i == j else weight * correlation**2
    found = redundancy_loss(x, target, weight)
    assert found.loss.item() == pytest.approx(expected, rel=1e-4)
    diagonal = [np.corrcoef(x[:, i], target[:, i])[0, 1] for i in range(4)]
    assert found.correlation.item() == pytest.approx(np.mean(diagonal), rel=1e-4)


def test_views_that_agree_and_repeat_nothing_have_no_redundancy() -> None:
    x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)))  # numbers know nothing
    assert redundancy_loss(x, 5.0 - 2.0 * -x, 1.0).loss.item() == pytest.approx(0.0, abs=1e-6)
    assert redundancy_loss(x, -x, 1.0).loss.item() == pytest.approx(3 * 2.0**2)
    one = x[:, :1].expand(-1, 3)  # all say the same
    assert redundancy_loss(one, one, 1.0).loss.item() == pytest.approx(6.0)


def test_what_never_changes_correlates_with_nothing_and_has_finite_gradients() -> None:
    x = torch.randn(6, 3)
    x[:, 1] = 4.0
    x.requires_grad_()
    target = torch.randn(6, 3)
    target[:, 2] = -1.0
    found = cross_correlation(x, target)
    assert not found[1].any()
    assert not found[:, 2].any()
    redundancy_loss(x, target, 0.1).loss.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_no_gradient_of_redundancy_flows_into_the_target() -> None:
    x, target = torch.randn(5, 2, requires_grad=True), torch.randn(5, 2, requires_grad=True)
    found = redundancy_loss(x, target, 0.1)
    assert not found.correlation.requires_grad
    gradients = torch.autograd.grad(found.loss, [x, target], allow_unused=True)
    assert gradients[0].any()
    assert gradients[1] is None
