"""PPO with memory: sequences that keep time together, and what was remembered before them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import make_config
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.testing.conformance import check_algorithm
from mario_agents.testing.corridor import CORRIDOR
from mario_envkit.errors import ConfigError
from tests.agents.cue_game import CUE
from tests.agents.memory_players import SMALL, assert_memory_wins, disturb

CPU = torch.device("cpu")
CORES = ["gru", "lstm", "transformer"]
CONFIG = PPOConfig(
    num_envs=4,
    rollout_steps=12,
    minibatch_size=12,
    sequence_steps=6,
    recurrent_type="gru",
    **SMALL,
)


class Player:
    """A learner that has learned something, what plays with it, and its rollouts."""

    def __init__(self, config: PPOConfig) -> None:
        algorithm, context = PPOAlgorithm(), WorkerContext(0, 1, 0, 0, 0, CPU)
        envs = make_vector({"id": CORRIDOR, "length": 4, "limit": 3, "size": 4}, config.num_envs)
        spaces = Spaces.of(envs)
        self.config, self.learner = config, algorithm.learner(config, spaces)
        disturb(self.learner.model)
        self.actor = Actor(envs, algorithm.policy(config, self.learner, context), seed=0)
        self.dataset = algorithm.dataset(config, self.learner, spaces, context)

    def play(self) -> list[Any]:
        """The steps of a rollout."""
        steps: list[Any] = []

        def keep(step: Any) -> None:
            steps.append(step)
            self.dataset.add(step, 0)

        self.actor.collect(self.config.rollout, 0, keep)
        return steps


@pytest.mark.parametrize("core", CORES)
def test_before_the_first_update_of_a_rollout_the_learner_says_what_was_recorded(core: str) -> None:
    player = Player(dataclasses.replace(CONFIG, recurrent_type=core, epochs=1))
    ended = 0
    for _ in range(3):
        player.play()
        for batch in player.dataset.batches(0):
            ended += int(batch["is_first"][1:].sum())
            tensors = {name: torch.as_tensor(array) for name, array in batch.items()}
            measured = player.learner.compute_loss(tensors)[1]
            assert measured["approx_kl"].abs() < 1e-7
            assert measured["clip_fraction"] == 0
            state = player.learner.model.core.state_of(tensors)
            said = player.learner.evaluate(tensors["obs"], state, tensors["is_first"])
            torch.testing.assert_close(said.value, tensors["old_value"], rtol=0, atol=2e-6)
            log_prob = said.logits.log_softmax(2).gather(2, tensors["action"][..., None])[..., 0]
            torch.testing.assert_close(log_prob, tensors["old_log_prob"], rtol=0, atol=2e-6)
            assert log_prob.std() > 0.05
    assert ended  # within sequences


def test_a_batch_has_whole_sequences_and_each_step_once_an_epoch() -> None:
    player = Player(CONFIG)
    player.play()
    steps = player.play()
    recorded = np.stack([step.extras["log_prob"] for step in steps])
    batches = list(player.dataset.batches(0))
    assert len(batches) == 3 * 4
    for batch in batches:
        assert batch["action"].shape == (6, 2)
        assert batch["core_hidden"].shape == (2, 16)
    played = np.concatenate([recorded[:6].T, recorded[6:].T]).tolist()
    for epoch in (batches[:4], batches[4:8], batches[8:]):
        learned = np.concatenate([batch["old_log_prob"].T for batch in epoch]).tolist()
        assert sorted(learned) == sorted(played)
        assert learned != played


@pytest.mark.parametrize("core", CORES)
def test_values_behind_the_last_steps_depend_on_what_was_remembered(core: str) -> None:
    """As if the policy had been asked at once."""
    player = Player(dataclasses.replace(CONFIG, recurrent_type=core))
    goes_on = torch.zeros(1, 4, dtype=torch.bool)
    cut = 0
    for _ in range(3):
        steps = player.play()
        for t, step in enumerate(steps):
            columns = {name: torch.from_numpy(value) for name, value in step.extras.items()}
            state = player.learner.model.core.state_of(columns)
            led_to = torch.from_numpy(step.final_obs)[None]
            value = player.learner.evaluate(led_to, state, goes_on).value[0].detach().numpy()
            cut += int(step.truncated.sum())
            behind = player.dataset._final_value[t]
            np.testing.assert_allclose(behind[step.truncated], value[step.truncated], atol=2e-6)
        np.testing.assert_allclose(player.dataset._value[-1], value, atol=2e-6)
    assert cut


@pytest.mark.parametrize("core", ["gru", "transformer"])
@pytest.mark.slow
def test_it_keeps_what_an_algorithm_promises(core: str, tmp_path: Path) -> None:
    config = dataclasses.replace(
        CONFIG, recurrent_type=core, observation="tiles", total_steps=384, log_interval=64
    )
    check_algorithm(PPOAlgorithm(), config, tmp_path)


class CueAlgorithm(PPOAlgorithm):
    """PPO in a game that only memory wins."""

    def env_kwargs(self, config: PPOConfig) -> dict[str, Any]:
        return {"id": CUE}


@pytest.mark.parametrize(
    "core", ["none", *(pytest.param(core, marks=pytest.mark.slow) for core in CORES)]
)
def test_every_core_wins_the_game_that_only_memory_wins(core: str, tmp_path: Path) -> None:
    config = dataclasses.replace(
        CONFIG, recurrent_type=core, total_steps=10_240, num_envs=32, rollout_steps=16, hidden=32,
        sequence_steps=None, minibatch_size=128, gamma=0.95, lr=5e-3, frame_stack=1,
    )  # fmt: skip
    assert_memory_wins(CueAlgorithm(), config, tmp_path / "run")


def test_options_left_out_follow_those_given() -> None:
    base = {"recurrent_type": "gru", "device": "cpu"}
    config = make_config(PPOConfig, base, source="test")
    assert (config.sequence, config.batch, config.steps) == (16, 256, 64)
    config = make_config(PPOConfig, {**base, "rollout_steps": 40, "num_envs": 10}, source="test")
    assert (config.sequence, config.batch) == (20, 200)
    assert config.resolved().sequence_steps == 20
    config = make_config(PPOConfig, {**base, "minibatch_size": 160, "num_envs": 40}, source="test")
    assert (config.sequence, config.batch, config.steps) == (16, 160, 64)
    # Like all that is said of memory, it is for networks that have one.
    without = make_config(PPOConfig, {"device": "cpu", "sequence_steps": 24}, source="test")
    assert (without.sequence, without.resolved().sequence_steps) == (1, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recurrent_type": "gru", "sequence_steps": 24}, "multiples of sequence_steps"),
        ({"recurrent_type": "transformer", "hidden": 20}, "even multiple of transformer_heads"),
    ],
)
def test_sequences_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config(PPOConfig, options, source="test")
