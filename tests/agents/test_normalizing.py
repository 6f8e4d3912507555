"""Advantages brought to mean 0 and deviation 1, by level too."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.types import Step
from mario_agents.ops.normalizing import normalized, normalized_by_group


@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 9), st.integers(1, 50))
def test_each_group_by_a_loop_of_its_own(seed: int, steps: int, groups: int, least: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, (steps, 3)).astype(np.uint8) * 3
    x = (rng.normal(size=(steps, 3)) * group + group).astype(np.float32)
    members = defaultdict(list)
    for number in group.ravel():
        members[number].append(number)
    small = {number for number, each in members.items() if len(each) < least}
    expected = np.empty_like(x)
    for place, number in np.ndenumerate(group):
        peers = np.isin(group, list(small)) if number in small else group == number
        expected[place] = (x[place] - x[peers].mean()) / (x[peers].std() + 1e-8)
    found = normalized_by_group(x, group, least)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_one_group_is_the_whole() -> None:
    x = np.random.default_rng(0).normal(3, 5, (64, 4))
    np.testing.assert_allclose(normalized_by_group(x, np.ones(x.shape, int)), normalized(x))


@pytest.mark.parametrize("stack", [1, 2])
def test_a_rollout_by_level(stack: int) -> None:
    """Two games of one level with rewards a hundred times as large as those of two of another."""
    config = PPOConfig(
        normalize_advantage="level", num_envs=4, rollout_steps=32, minibatch_size=128, epochs=1,
        frame_stack=stack, hidden=8, reward_weights={},
    )  # fmt: skip
    assert config.env_kwargs()["show_level"]
    assert not config.show_level, "the network does not see it"
    shape = (stack, 16, 16) if stack > 1 else (16, 16)
    algorithm, spaces = PPOAlgorithm(), Spaces(shape, 7)
    learner = algorithm.learner(config, spaces)
    place = WorkerContext(0, 1, 0, 0, 0, torch.device("cpu"))
    dataset = algorithm.dataset(config, learner, spaces, place)
    rng, size = np.random.default_rng(0), np.array([1, 1, 100, 100])
    obs = np.zeros((4, *shape), np.uint8)
    obs[..., 15, 15] = np.array([1, 1, 2, 2]).reshape(4, *[1] * (len(shape) - 2))
    no = np.zeros(4, bool)
    for step in range(32):
        reward = (rng.normal(size=4) * size).astype(np.float32)
        extras = {"log_prob": np.zeros(4, np.float32), "value": np.zeros(4, np.float32)}
        first = np.full(4, step == 0)
        dataset.add(Step(obs, np.zeros(4, int), reward, no, no, obs, first, extras), 0)
    (batch,) = dataset.batches(0)
    level = batch["obs"].reshape(128, stack, 16, 16)[:, -1, 15, 15]
    for number in (1, 2):
        advantage = batch["advantage"][0][level == number]
        assert advantage.mean() == pytest.approx(0, abs=1e-5)
        assert advantage.std() == pytest.approx(1, abs=1e-4)
