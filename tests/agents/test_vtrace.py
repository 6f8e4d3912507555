"""V-trace against its definition, against published numbers, and against GAE."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_agents.ops.gae import gae
from mario_agents.ops.policy_gradient import action_log_prob
from mario_agents.ops.vtrace import OF_PAPER, Bounds, vtrace


def by_definition(
    log_rho, reward, value, final_value, terminated, truncated, *, gamma, trace_lambda=1.0,
    bounds=OF_PAPER, mask=None,
):  # fmt: skip
    """The sum of equation 1 of the paper for each step, game by game, in O(T^2)."""
    steps, games = reward.shape
    gamma = np.broadcast_to(gamma, reward.shape)
    mask = np.ones(reward.shape, bool) if mask is None else mask
    target, advantage = np.zeros((2, steps, games))

    def ratio(t, b, bar):
        whole, leak = math.exp(log_rho[t, b]), bounds.leak
        return mask[t, b] * ((1 - leak) * min(whole, bar) + leak * whole)

    def after(t, b, wanted):
        if terminated[t, b]:
            return 0.0
        return final_value[t, b] if truncated[t, b] else wanted[t + 1, b]

    for b in range(games):
        for s in reversed(range(steps)):
            total = value[s, b]
            for t in range(s, steps):
                product = np.prod([gamma[i, b] * trace_lambda * ratio(i, b, bounds.c)
                                   for i in range(s, t)])  # fmt: skip
                error = reward[t, b] + gamma[t, b] * after(t, b, value) - value[t, b]
                total += product * ratio(t, b, bounds.rho) * error
                if terminated[t, b] or truncated[t, b]:
                    break
            target[s, b] = total
            targets = np.concatenate([target, value[-1:]])
            mixed = trace_lambda * targets + (1 - trace_lambda) * value
            q = reward[s, b] + gamma[s, b] * after(s, b, mixed)
            advantage[s, b] = ratio(s, b, bounds.pg_rho) * (q - value[s, b])
    return target, advantage


def computed(log_rho, reward, value, final_value=None, terminated=None, truncated=None, **options):
    """:func:`vtrace` of arrays; without ends unless they are given."""
    none = np.zeros(reward.shape, bool)
    arrays = (
        log_rho,
        reward,
        value,
        np.zeros_like(reward) if final_value is None else final_value,
        none if terminated is None else terminated,
        none if truncated is None else truncated,
    )
    tensors = {
        name: torch.from_numpy(each) if isinstance(each, np.ndarray) else each
        for name, each in options.items()
    }
    result = vtrace(*map(torch.from_numpy, arrays), **tensors)
    return result.target.numpy(), (result.pg_rho * result.advantage).numpy()


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 3), st.booleans(), st.booleans(),
    st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.0, 0.3, 1.0]),
)  # fmt: skip
def test_it_is_the_sum_of_its_definition(
    seed, steps, games, masked, wide, gamma, trace_lambda, leak
):
    rng = np.random.default_rng(seed)
    shape = (steps, games)
    terminated, truncated = rng.random((2, *shape)) < 0.2
    # What need not be known must not matter.
    final_value = np.where(truncated & ~terminated, rng.normal(size=shape), np.nan)
    value = rng.normal(size=(steps + 1, games))
    value[-1] = np.where(terminated[-1] | truncated[-1], np.nan, value[-1])
    arguments = (rng.normal(size=shape), rng.normal(size=shape), value, final_value,
                 terminated, truncated)  # fmt: skip
    options = {
        "gamma": gamma * rng.random(shape) if wide else gamma,
        "trace_lambda": trace_lambda,
        "bounds": Bounds(
            rng.uniform(0.3, 2), rng.uniform(0.3, 2), rng.choice([0.5, 1.0, 3.0, math.inf]), leak
        ),
        "mask": rng.random(shape) < 0.7 if masked else None,
    }
    for ours, theirs in zip(
        computed(*arguments, **options), by_definition(*arguments, **options), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_it_gives_the_numbers_of_rlax():
    """From rlax's vtrace_test.py, whose sequences are rows; a discount of 0 is an end."""
    behaviour = [[[8.9, 0.7], [5.0, 1.0], [0.6, 0.1], [-0.9, -0.1]],
                 [[0.3, -5.0], [1.0, -8.0], [0.3, 1.7], [4.7, 3.3]]]  # fmt: skip
    target = [[[0.4, 0.5], [9.2, 8.8], [0.7, 4.4], [7.9, 1.4]],
              [[1.0, 0.9], [1.0, -1.0], [-4.3, 8.7], [0.8, 0.3]]]  # fmt: skip
    action = torch.tensor([0, 1, 0, 0, 1, 0, 0, 1])
    ours, theirs = (
        action_log_prob(torch.tensor(logits).reshape(8, 2), action).reshape(2, 4).numpy()
        for logits in (target, behaviour)
    )
    reward = np.array([[-1.3, -1.3, 2.3, 42.0], [1.3, 5.3, -3.3, -5.0]], np.float32)
    gamma = np.array([[0.0, 0.89, 0.85, 0.99], [0.88, 1.0, 0.83, 0.95]], np.float32)
    value = np.array([[2.1, 1.1, -3.1, 0.0, 8.4], [3.1, 0.1, -1.1, 7.4, -1.2]], np.float32)
    targets, advantage = computed(
        (ours - theirs).T, reward.T, value.T, gamma=np.ascontiguousarray(gamma.T)
    )
    errors = [[-1.6155143, -3.4973226, 1.8670533, 50.316002],
              [1.4662437, 3.6116405, -8.3327293e-5, -13.54]]  # fmt: skip
    gradient = [[-1.6155143, -3.4973226, 1.8670534, 50.316002],
                [1.4662433, 3.6116405, -8.3369283e-05, -13.54]]  # fmt: skip
    # Two numbers of nearly 0 are differences of large ones, and were printed in float32.
    np.testing.assert_allclose((targets - value.T[:-1]).T, errors, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(advantage.T, gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("games", [1, 5])
def test_it_is_the_sum_of_its_definition_on_the_numbers_of_scalable_agent(games):
    """The inputs of vtrace_test.py of the paper's own code, with its bounds of 3.7 and 2.2."""
    steps = 5
    counted = np.arange(steps * games, dtype=np.float64).reshape(steps, games)
    arguments = {
        "log_rho": 5 * (counted / (games * steps) - 0.5),
        "reward": counted,
        "value": np.concatenate([counted / games, np.arange(games)[None] + 1.0]),
    }
    gamma = np.tile(0.9 / (np.arange(games) + 1), (steps, 1))
    options = {"gamma": gamma, "bounds": Bounds(rho=3.7, pg_rho=2.2)}
    nothing = np.zeros((steps, games), bool)
    expected = by_definition(*arguments.values(), counted, nothing, nothing, **options)
    for ours, theirs in zip(computed(**arguments, **options), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(0, 1), st.floats(0, 1))
def test_on_policy_it_is_gae(seed, steps, gamma, trace_lambda):
    rng = np.random.default_rng(seed)
    shape = (steps, 2)
    terminated, truncated = rng.random((2, *shape)) < 0.2
    value = rng.normal(size=(steps + 1, 2))
    arguments = (rng.normal(size=shape), value, rng.normal(size=shape), terminated, truncated)
    expected = gae(*arguments, gamma, trace_lambda)
    target, advantage = computed(
        np.zeros(shape), *arguments, gamma=gamma, trace_lambda=trace_lambda, bounds=Bounds(c=1.5)
    )
    np.testing.assert_allclose(target - value[:-1], expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(advantage, expected, rtol=1e-9, atol=1e-9)


def test_large_ratios_do_not_overflow():
    shape = (3, 1)
    target, advantage = computed(
        np.full(shape, 1e4, np.float32),
        np.ones(shape, np.float32),
        np.zeros((4, 1), np.float32),
        gamma=0.5,
    )
    assert target[:, 0].tolist() == advantage[:, 0].tolist() == [1.75, 1.5, 1.0]


def test_no_gradient_goes_through_it():
    log_rho, value = torch.zeros(3, 1, requires_grad=True), torch.zeros(4, 1, requires_grad=True)
    none = torch.zeros(3, 1, dtype=torch.bool)
    result = vtrace(log_rho, torch.ones(3, 1), value, value[1:], none, none, gamma=0.9)
    assert not any(each.requires_grad for each in result)
