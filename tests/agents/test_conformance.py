"""The check that third parties put their algorithms to: ours pass, and bad ones do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.testing.conformance import check_algorithm
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig, ToyExperience, ToyLearner, ToyPolicy
from tests.agents.algorithms import CorridorRecipe, PPOCorridorRecipe
from tests.agents.test_distributed import DDQN
from tests.agents.test_ppo_trainer import SMALL as PPO

TOY = ToyConfig(total_steps=256, num_envs=2)


class Unseeded(ToyAlgorithm):
    def learner(self, config: ToyConfig, spaces: Any) -> ToyLearner:
        learner = super().learner(config, spaces)
        torch.nn.init.normal_(learner.model.reward)
        return learner


class Careless(ToyAlgorithm):
    def experience(self, config: ToyConfig, envs: Any, *args: Any) -> ToyExperience:
        return ToyExperience(config, envs, int(np.random.default_rng().integers(10**6)))


class Idle(ToyAlgorithm):
    def experience(self, *args: Any) -> ToyExperience:
        experience = super().experience(*args)
        experience.batches = lambda: iter(())  # type: ignore[method-assign]
        return experience


class Clumsy(ToyAlgorithm):
    def policy(self, *args: Any) -> ToyPolicy:
        policy = super().policy(*args)
        policy.act = lambda observations, greedy: np.full(2, 7)  # type: ignore[method-assign]
        return policy


@pytest.mark.parametrize(
    ("algorithm", "config"),
    [(ToyAlgorithm(), TOY), (CorridorRecipe(), DDQN), (PPOCorridorRecipe(), PPO)],
)
def test_ours_pass(algorithm: Any, config: Any, tmp_path: Path) -> None:
    check_algorithm(algorithm, config, tmp_path)


@pytest.mark.parametrize(
    ("algorithm", "sentence"),
    [
        (Unseeded(), "Two learners of one seed have different weights"),
        (Idle(), "led to no update"),
        (Clumsy(), "There is no action"),
    ],
)
def test_bad_ones_do_not(algorithm: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_algorithm(algorithm, TOY, tmp_path)


def test_a_state_that_is_not_restored_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyExperience, "restore", lambda *args: None)
    with pytest.raises(AssertionError, match="resumed from one checkpoint differ"):
        check_algorithm(Careless(), TOY, tmp_path)
