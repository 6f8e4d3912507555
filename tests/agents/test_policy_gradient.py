"""The losses and diagnostics of PPO against numbers by hand, naive loops and torch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical

from mario_agents.ops.policy_gradient import (
    action_log_prob,
    approximate_kl,
    categorical_entropy,
    clip_fraction,
    clipped_policy_loss,
    explained_variance,
    normalized,
    sample_categorical,
    value_loss,
)


def test_log_probabilities_and_entropy_are_torchs():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)) * 3
    action = torch.tensor([0, 3, 1, 2, 2])
    theirs = Categorical(logits=logits)
    torch.testing.assert_close(action_log_prob(logits, action), theirs.log_prob(action))
    torch.testing.assert_close(categorical_entropy(logits), theirs.entropy())


def test_samples_follow_the_distribution_and_the_seed():
    probability = torch.tensor([0.6, 0.3, 0.1, 0.0])
    logits = probability.log().expand(40_000, 4)
    drawn = sample_categorical(logits, torch.Generator().manual_seed(1))
    share = torch.bincount(drawn, minlength=4) / len(drawn)
    # Five standard deviations of a share of 40,000 draws are at most 0.0125.
    torch.testing.assert_close(share, probability, atol=0.0125, rtol=0)
    again = sample_categorical(logits, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, again)


def test_normalized_has_mean_zero_and_deviation_one():
    result = normalized(torch.tensor([1.0, 2.0, 6.0]))
    torch.testing.assert_close(result, torch.tensor([-2.0, -1.0, 3.0]) / math.sqrt(14 / 3))
    assert normalized(torch.tensor([7.0])).tolist() == [0.0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective", "slope"),
    [
        (1.1, 2.0, 2.2, 2.0),  # inside: the plain objective
        (1.5, 2.0, 2.4, 0.0),  # moved enough in the good direction: clipped, no gradient
        (0.5, 2.0, 1.0, 2.0),  # moved in the bad direction: not clipped, comes back
        (1.5, -2.0, -3.0, -2.0),
        (0.5, -2.0, -1.6, 0.0),
    ],
)
def test_clipped_objective_by_hand(ratio, advantage, objective, slope):
    new = torch.tensor([math.log(ratio)], requires_grad=True)
    loss = clipped_policy_loss(new, torch.zeros(1), torch.tensor([advantage]), clip=0.2)
    loss.backward()
    assert loss.item() == pytest.approx(-objective)
    # d ratio / d log_prob is the ratio.
    assert new.grad is not None
    assert new.grad.item() == pytest.approx(-slope * ratio)


def test_value_losses_by_hand():
    value, target = torch.tensor([1.0, 5.0]), torch.tensor([2.0, 0.0])
    assert value_loss(value, target).item() == pytest.approx((0.5 + 12.5) / 2)
    assert value_loss(value, target, huber=1.0).item() == pytest.approx((0.5 + 4.5) / 2)
    # The first value stayed within the range; the second came from 7 and is held at 6 there.
    old = torch.tensor([0.9, 7.0])
    clipped = value_loss(value, target, old_value=old, clip=1.0)
    assert clipped.item() == pytest.approx((0.5 + 18.0) / 2)
    with pytest.raises(ValueError, match="old values"):
        value_loss(value, target, clip=1.0)


def test_a_clipped_value_that_moved_too_far_has_no_gradient():
    value = torch.tensor([3.0], requires_grad=True)
    # Towards the target 4, but already 2 away from the old value 1.
    value_loss(value, torch.tensor([4.0]), old_value=torch.tensor([1.0]), clip=0.5).backward()
    assert value.grad is not None
    assert value.grad.item() == 0.0


def test_approximate_kl_estimates_the_divergence():
    old = Categorical(logits=torch.tensor([0.3, -0.2, 0.0]))
    new = Categorical(logits=torch.tensor([0.0, 0.1, 0.2]))
    # The estimator's expectation under the old policy, taken exactly.
    actions = torch.arange(3)[:, None]
    each = torch.stack([approximate_kl(new.log_prob(a), old.log_prob(a)) for a in actions])
    exact = torch.distributions.kl_divergence(old, new)
    torch.testing.assert_close((old.probs * each).sum(), exact)
    assert (each >= 0).all()


def test_clip_fraction_counts_both_sides():
    new = torch.tensor([0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 3.0]).log()
    assert clip_fraction(new, torch.zeros(7), 0.2).item() == pytest.approx(4 / 7)


def test_explained_variance():
    target = np.array([1.0, 2.0, 3.0, 4.0])
    assert explained_variance(target + 7, target) == 1.0
    assert explained_variance(np.zeros(4), target) == 0.0
    assert explained_variance(-target, target) == pytest.approx(-3.0)
    assert math.isnan(explained_variance(np.arange(3.0), np.ones(3)))
