"""The check that third parties put their algorithms to: ours pass, and bad ones do not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.testing.conformance import check_algorithm
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig, ToyDataset, ToyLearner, ToyPolicy
from tests.agents.algorithms import CorridorAlgorithm, PPOCorridorAlgorithm
from tests.agents.test_distributed import DDQN
from tests.agents.test_ppo_trainer import SMALL

CPU = torch.device("cpu")
TOY = ToyConfig(total_steps=256, num_envs=2)
PPO = dataclasses.replace(SMALL, total_steps=192)
SHORT = dataclasses.replace(DDQN, total_steps=160)


class Unseeded(ToyAlgorithm):
    def learner(self, config: ToyConfig, spaces: Any) -> ToyLearner:
        learner = super().learner(config, spaces)
        torch.nn.init.normal_(learner.model.reward)
        return learner


class Careless(ToyAlgorithm):
    def policy(self, config: ToyConfig, learner: ToyLearner, context: Any) -> ToyPolicy:
        return ToyPolicy(learner.model, int(np.random.default_rng().integers(10**6)), CPU)


class Idle(ToyAlgorithm):
    shares = ("gradients",)

    def dataset(self, *args: Any) -> ToyDataset:
        dataset = super().dataset(*args)
        dataset.batches = lambda at: iter(())
        return dataset


class IdleLearner(Idle):
    shares = ("gradients", "experience")


class Single(ToyAlgorithm):
    """Says that it learns from the experience of many, and knows one worker only."""

    def dataset(self, config: Any, learner: Any, spaces: Any, context: Any) -> ToyDataset:
        dataset = super().dataset(config, learner, spaces, context)
        add = dataset.add

        def add_own(step: Any, worker: int) -> None:
            assert worker == context.worker, "a step of somebody else"
            add(step, worker)

        dataset.add = add_own
        return dataset


class Clumsy(ToyAlgorithm):
    def policy(self, *args: Any) -> ToyPolicy:
        policy = super().policy(*args)
        act = policy.act

        def clumsily(obs: Any, *args: Any, mode: Any, step: int) -> Any:
            action, *others = act(obs, *args, mode=mode, step=step)
            return action if mode == "explore" else torch.full_like(action, 7), *others

        policy.act = clumsily
        return policy


class Deaf(ToyAlgorithm):
    def policy(self, *args: Any) -> ToyPolicy:
        policy = super().policy(*args)
        policy.seed = lambda seed: None
        return policy


class Nostalgic(ToyAlgorithm):
    def policy(self, *args: Any) -> ToyPolicy:
        policy = super().policy(*args)
        act = policy.act

        def remembering(obs: Any, state: Any, *args: Any, mode: Any, step: int) -> Any:
            action, extras, _ = act(obs, (), *args, mode=mode, step=step)
            return action, extras, state + 1

        policy.act = remembering
        policy.initial = torch.zeros
        return policy


@pytest.mark.parametrize(
    ("algorithm", "config"),
    [(ToyAlgorithm(), TOY), (CorridorAlgorithm(), SHORT), (PPOCorridorAlgorithm(), PPO)],
)
def test_ours_pass(algorithm: Any, config: Any, tmp_path: Path) -> None:
    check_algorithm(algorithm, config, tmp_path)


@pytest.mark.parametrize(
    ("algorithm", "sentence"),
    [
        (Unseeded(), "Two learners of one seed have different weights"),
        (Idle(), "led to no update"),
        (IdleLearner(), "steps of two workers led to no batch"),
        (Single(), "a step of somebody else"),
        (Clumsy(), "There is no action"),
        (Nostalgic(), "does not clear its state"),
        (Deaf(), "draws other actions after the same seed"),
    ],
)
def test_bad_ones_do_not(algorithm: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_algorithm(algorithm, TOY, tmp_path)


def test_a_state_that_is_not_restored_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyPolicy, "restore", lambda *args: None)
    with pytest.raises(AssertionError, match="resumed from one checkpoint differ"):
        check_algorithm(Careless(), TOY, tmp_path)
