"""The mathematics against numbers worked out by hand and naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.ops.averages import polyak_update
from mario_agents.ops.bounding import softsign_bound
from mario_agents.ops.clipping import clip_by_global_norm
from mario_agents.ops.nstep import n_step_returns, n_step_td_errors
from mario_agents.ops.prioritized import PRIORITY_EPSILON, importance_weights, scaled_priority
from mario_agents.ops.schedules import apex_epsilon, cosine_with_warmup, linear_schedule
from mario_agents.ops.td import double_q_target, weighted_td_loss
from mario_agents.runtime.step_interval import StepInterval


def test_double_q_target_by_hand():
    online = torch.tensor([[1.0, 3.0, 2.0], [5.0, 4.0, 0.0], [0.0, 0.0, 9.0]])
    target = torch.tensor([[10.0, -2.0, 30.0], [7.0, 100.0, 3.0], [1.0, 2.0, 3.0]])
    reward = torch.tensor([0.5, -1.0, 2.0])
    discount = torch.tensor([0.81, 0.9, 0.0])
    # The online network chooses actions 1, 0, 2; the target network values them -2, 7, 3; the
    # third transition terminated. The largest target values (30, 100) must not matter.
    expected = torch.tensor([0.5 + 0.81 * -2.0, -1.0 + 0.9 * 7.0, 2.0])
    assert torch.allclose(double_q_target(online, target, reward, discount), expected)


def test_double_q_target_carries_no_gradient():
    q = torch.ones(2, 3, requires_grad=True)
    assert not double_q_target(q, q, torch.ones(2), torch.ones(2)).requires_grad


def test_weighted_td_loss_by_hand():
    prediction = torch.tensor([0.0, 0.0, 1.0], requires_grad=True)
    loss = weighted_td_loss(
        prediction, torch.tensor([0.5, -3.0, 1.0]), torch.tensor([1.0, 0.5, 7.0]), huber=1.0
    )
    assert loss.item() == pytest.approx((0.5 * 0.5**2 + 0.5 * (3.0 - 0.5) + 0.0) / 3)
    loss.backward()
    assert torch.allclose(prediction.grad, torch.tensor([-0.5, 0.5 * 1.0, 0.0]) / 3)
    squared = weighted_td_loss(
        prediction, torch.tensor([0.5, -3.0, 1.0]), torch.tensor([1.0, 0.5, 7.0]), huber=None
    )
    assert squared.item() == pytest.approx((0.5 * 0.5**2 + 0.5 * 0.5 * 3.0**2 + 0.0) / 3)


@pytest.mark.parametrize(("huber", "best"), [(None, 11.0), (1.0, 12.0 - 1 / 15), (100.0, 11.0)])
def test_only_squared_errors_have_their_minimum_at_the_mean(huber, best):
    # One death in sixteen: the Huber loss all but forgets it.
    targets = torch.tensor([12.0] * 15 + [-4.0])
    candidates = torch.linspace(8, 13, 5001)
    losses = [
        weighted_td_loss(value.expand(16), targets, torch.ones(16), huber=huber)
        for value in candidates
    ]
    found = candidates[int(torch.stack(losses).double().argmin())]
    assert found.item() == pytest.approx(best, abs=0.02)


def naive_return(rewards, terminated, truncated, gamma):
    total = 0.0
    for k, reward in enumerate(rewards):
        total += gamma**k * reward
        if terminated[k]:
            return total, 0.0, k
        if truncated[k]:
            return total, gamma ** (k + 1), k
    return total, gamma ** len(rewards), len(rewards) - 1


@given(data=st.data(), batch=st.integers(1, 5), n=st.integers(1, 6), gamma=st.floats(0, 1))
def test_n_step_returns_match_a_loop(data, batch, n, gamma):
    flags = st.lists(
        st.lists(st.booleans(), min_size=n, max_size=n), min_size=batch, max_size=batch
    )
    reward = np.array(
        data.draw(
            st.lists(
                st.lists(st.floats(-10, 10, width=32), min_size=n, max_size=n),
                min_size=batch,
                max_size=batch,
            )
        ),
        dtype=np.float32,
    )
    terminated, truncated = np.array(data.draw(flags)), np.array(data.draw(flags))
    got = n_step_returns(reward, terminated, truncated, gamma)
    for b in range(batch):
        total, discount, last = naive_return(reward[b], terminated[b], truncated[b], gamma)
        assert got.reward[b] == pytest.approx(total, abs=1e-4)
        assert got.discount[b] == pytest.approx(discount, abs=1e-6)
        assert got.last[b] == last


def test_n_step_ignores_what_stands_behind_an_end():
    got = n_step_returns(
        np.array([[1.0, 2.0, np.nan]], dtype=np.float32),
        np.array([[False, True, False]]),
        np.zeros((1, 3), dtype=bool),
        0.5,
    )
    assert got.reward[0] == 2.0
    assert got.discount[0] == 0.0


def test_importance_weights_match_a_loop():
    probability = np.array([0.5, 0.25, 0.05])
    raw = [(40 * p) ** -0.7 for p in probability]
    expected = [value / max(raw) for value in raw]
    assert importance_weights(probability, 40, 0.7) == pytest.approx(expected)
    assert importance_weights(probability, 40, 0.0) == pytest.approx([1, 1, 1])


def test_scaled_priority():
    error = np.array([-2.0, 0.0, 0.5], dtype=np.float32)
    expected = [(abs(e) + PRIORITY_EPSILON) ** 0.6 for e in error]
    assert scaled_priority(error, 0.6) == pytest.approx(expected)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0.1, 1e3))
def test_softsign_is_bounded_and_monotone(a, b, scale):
    low, high = softsign_bound(torch.tensor([min(a, b), max(a, b)], dtype=torch.float64), scale)
    assert -scale <= low <= high <= scale


def test_softsign_has_slope_one_at_zero_and_its_values():
    q = torch.tensor([0.0, 5.0, -15.0], requires_grad=True)
    bounded = softsign_bound(q, 5.0)
    assert bounded.tolist() == pytest.approx([0.0, 2.5, -3.75])
    bounded[0].backward()
    assert q.grad[0] == 1.0


def test_linear_schedule():
    epsilon = linear_schedule(1.0, 0.1, 90)
    assert [epsilon(step) for step in (0, 45, 90, 1000)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    assert linear_schedule(1.0, 0.1, 0)(0) == 0.1


def test_cosine_with_warmup():
    rate = cosine_with_warmup(2.0, 0.2, warmup=10, total=110)
    assert rate(0) == pytest.approx(2 / 11)
    assert rate(9) == pytest.approx(20 / 11)
    assert rate(10) == 2.0
    assert rate(60) == pytest.approx(1.1)
    assert rate(85) == pytest.approx(0.2 + 1.8 * 0.5 * (1 + math.cos(0.75 * math.pi)))
    assert rate(110) == rate(10**6) == pytest.approx(0.2)
    assert all(rate(u) >= rate(u + 1) for u in range(10, 110))


def test_cosine_is_that_of_torch():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=2.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.5)
    rate = cosine_with_warmup(2.0, 0.5, warmup=0, total=20)
    for packets in range(21):
        assert rate(packets) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_targets_follow_by_tau():
    targets, sources = [torch.zeros(2), torch.full((3,), 4.0)], [torch.ones(2), torch.zeros(3)]
    polyak_update(targets, sources, 0.25)
    assert targets[0].tolist() == [0.25] * 2
    assert targets[1].tolist() == [3.0] * 3
    polyak_update(targets, sources, 1.0)
    assert all(torch.equal(*pair) for pair in zip(targets, sources, strict=True))


def test_gradients_are_scaled_to_a_norm_all_together():
    used = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
    unused = torch.nn.Parameter(torch.zeros(5))
    for parameter, gradient in zip(used, ([2.0, 3.0], [6.0]), strict=True):
        parameter.grad = torch.tensor(gradient)
    assert float(clip_by_global_norm(math.inf)([*used, unused])) == 7.0
    assert used[0].grad.tolist() == [2.0, 3.0]
    assert float(clip_by_global_norm(3.5)([*used, unused])) == 7.0
    assert used[0].grad.tolist() == pytest.approx([1.0, 1.5])
    assert used[1].grad.tolist() == pytest.approx([3.0])
    assert unused.grad is None


@given(st.integers(1, 6), st.integers(1, 5), st.sampled_from([0.0, 0.9, 1.0]), st.integers(0, 999))
def test_errors_by_values_match_a_sum_step_by_step(batch, n, gamma, seed):
    rng = np.random.default_rng(seed)
    reward, next_value = rng.normal(size=(2, batch, n)).astype(np.float32)
    value = rng.normal(size=batch).astype(np.float32)
    terminated, truncated = rng.random((2, batch, n)) < 0.2
    next_value[terminated] = np.nan  # nothing follows
    errors = n_step_td_errors(reward, terminated, truncated, value, next_value, gamma)
    for b in range(batch):
        total, discount = 0.0, 1.0
        for k in range(n):
            total += discount * reward[b, k]
            discount *= gamma
            if terminated[b, k]:
                break
            if truncated[b, k] or k == n - 1:
                total += discount * next_value[b, k]
                break
        assert errors[b] == pytest.approx(total - value[b], abs=1e-5)


def test_apex_epsilons_are_those_of_the_paper():
    epsilons = [apex_epsilon(index, 8) for index in range(8)]
    assert epsilons == pytest.approx([0.4 ** (1 + index) for index in range(8)])
    assert apex_epsilon(0, 1) == 0.4
    # The first and the last of the paper's 360 actors, and one in between.
    assert apex_epsilon(0, 360) == pytest.approx(0.4)
    assert apex_epsilon(180, 360) == pytest.approx(0.4**4.5097, rel=1e-4)
    assert apex_epsilon(359, 360) == pytest.approx(6.5536e-4)
    assert apex_epsilon(1, 3, base=0.5, alpha=2.0) == pytest.approx(0.25)


@given(st.integers(0, 50), st.integers(0, 30), st.lists(st.integers(0, 40), max_size=20))
def test_every_multiple_is_due_once(interval, start, strides):
    every, step = StepInterval(interval, start), start
    for stride in strides:
        before, step = step, step + stride
        passed = [n for n in range(before + 1, step + 1) if interval and n % interval == 0]
        assert every.due(step) == bool(passed)
