"""Advantages brought to mean 0 and deviation 1, by level too."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.impala.loss import impala_loss
from mario_agents.algos.impala.unrolled import Unrolled
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.types import Step
from mario_agents.ops import policy_gradient
from mario_agents.ops.normalizing import normalized, normalized_by_group
from mario_envkit.errors import ConfigError


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
    tensors = torch.from_numpy(x), torch.from_numpy(group)
    found = policy_gradient.normalized_by_group(*tensors, groups=256, least=least).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


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


@pytest.mark.parametrize("stack", [1, 2])
def test_unrolls_by_level(stack: int) -> None:
    """The loss is that of advantages which a loop over levels has brought to the same size."""
    config = ImpalaConfig(
        normalize_advantage="level", frame_stack=stack, returns="gae", trust_region=None,
        trace_lambda=0.0, entropy_beta=0.0, entropy_beta_end=0.0, value_coef=0.0, pg_clip=None,
    )  # fmt: skip
    assert config.env_kwargs()["show_level"]
    assert not config.show_level, "the network does not see it"
    rng, steps, games = np.random.default_rng(0), 40, 5
    level = np.array([1, 1, 9, 32, 32])
    obs = rng.integers(0, 99, (steps + 1, games, stack, 16, 16)).astype(np.uint8)
    obs[:, :, -1, 15, 15] = level
    reward = rng.normal(size=(steps, games)) * level + level
    logits, played = rng.normal(size=(2, steps, games, 7))
    action = rng.integers(0, 7, (steps, games))
    no = torch.zeros(steps, games, dtype=torch.bool)
    batch = {
        "obs": torch.from_numpy(obs if stack > 1 else obs[:, :, 0]),
        "action": torch.from_numpy(action),
        "reward": torch.from_numpy(reward.astype(np.float32)),
        "terminated": ~no,  # so that the advantage is the reward, as values are 0
        "truncated": no,
        "logits": torch.from_numpy(played.astype(np.float32)),
        "weight": torch.ones(games),
        "entropy_beta": torch.zeros(games),
        "is_replayed": no[0],
    }
    values = torch.zeros(steps + 1, games), torch.zeros(steps, games)
    now = Unrolled(torch.from_numpy(logits.astype(np.float32)), *values)
    total = 0.0
    for b in range(games):
        peers = reward[:, level == level[b]]
        for t in range(steps):
            log_prob = logits[t, b] - np.log(np.exp(logits[t, b]).sum())
            total -= log_prob[action[t, b]] * (reward[t, b] - peers.mean()) / peers.std()
    assert float(impala_loss(now, batch, config).loss) == pytest.approx(
        total / (steps * games), rel=1e-3
    )


@pytest.mark.parametrize("kind", [PPOConfig, ImpalaConfig])
def test_levels_that_cannot_be_told_apart_are_refused(kind: type[PPOConfig | ImpalaConfig]) -> None:
    with pytest.raises(ConfigError, match="tell levels apart by their tiles"):
        kind(normalize_advantage="level", observation="pixels")
