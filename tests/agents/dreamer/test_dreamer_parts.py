"""Dreamer: what reaches what, what is stored, and what a resumed run owes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mario_agents.algos.dreamer.algorithm import DreamerAlgorithm
from mario_agents.algos.dreamer.batch import time_first
from mario_agents.algos.dreamer.behaviour import (
    ImaginationNoise,
    behaviour_loss,
    imagine,
    replay_critic_loss,
)
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.dataset import DreamerReplay
from mario_agents.algos.dreamer.learner import DreamerLearner
from mario_agents.algos.dreamer.world_loss import world_loss
from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.types import Step
from mario_agents.nn.rssm import Latent
from mario_agents.ops.two_hot import two_hot_mean
from mario_agents.run import RunDir
from mario_agents.runtime.run import train
from mario_agents.testing.conformance import check_algorithm
from mario_envkit.errors import ConfigError
from tests.agents.dreamer.toys import BLIND, CONFIG, SPACES, ChoiceDreamer, random_batch


def model_parts(learner: DreamerLearner) -> set[str]:
    names = [name.split(".") for name, _ in learner.model.named_parameters()]
    return {".".join(parts[:2]) if parts[0] == "world" else parts[0] for parts in names}


def reached(loss: Tensor, learner: DreamerLearner) -> set[str]:
    """The parts of the model that a loss has a gradient in."""
    model = learner.model
    parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, [p for _, p in parameters], allow_unused=True)
    found = set()
    for (name, _), gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and gradient.any():
            parts = name.split(".")
            found.add(".".join(parts[:2]) if parts[0] == "world" else parts[0])
    return found


@pytest.mark.parametrize("config", [CONFIG, BLIND], ids=["decoder", "none"])
def test_no_gradient_leaves_the_part_that_it_is_for(config: DreamerConfig) -> None:
    learner = DreamerAlgorithm().learner(config, SPACES)
    model = learner.model
    with torch.no_grad():  # what begins as zero passes no gradients on
        for head in (model.critic, model.world.reward):
            head[-1].weight.normal_(std=0.1)
    replayed = time_first(random_batch(), model.world.rssm)
    noise = torch.rand(*replayed.reward.shape, 8)
    weights = {"gamma": 0.9, "free_nats": 0.0, "dynamics": 1.0, "representation": 0.1}
    weights |= {"redundancy": 0.05, "off_diagonal": 5e-4}
    world = world_loss(model, replayed, noise, **weights)
    parts = {"world.senses", "world.rssm", "world.reward", "world.going_on"}
    assert reached(world.loss, learner) == parts | ({"world.projection"} & model_parts(learner))
    world = world_loss(model, replayed, noise, **weights)
    start = torch.arange(5)
    latent = Latent(*(part.flatten(0, 1)[start] for part in world.latent))
    imagined = imagine(
        model, latent, ImaginationNoise(torch.rand(4, 5, 8), torch.rand(4, 5)), uniform=0.01
    )
    assert not any(part.requires_grad for part in imagined)
    behaviour = behaviour_loss(
        model,
        imagined,
        lam=0.95,
        entropy_coef=0.01,
        uniform=0.01,
        slow_regularizer=1.0,
        range_rate=0.01,
    )
    assert reached(behaviour.actor, learner) == {"actor"}
    assert reached(behaviour.critic, learner) == {"critic"}
    loss, _ = replay_critic_loss(
        model,
        replayed,
        world.features,
        start,
        behaviour.returns,
        gamma=config.gamma,
        lam=0.95,
        slow_regularizer=1.0,
    )
    assert reached(loss, learner) == {"critic", "world.senses", "world.rssm"}


def test_sequences_of_a_batch_do_not_influence_one_another(learner: DreamerLearner) -> None:
    batch = dict(random_batch())
    _, before = learner.compute_loss(learner.prepare(batch))
    batch["obs"] = batch["obs"].clone()
    batch["obs"][0] = 255 - batch["obs"][0]
    _, after = learner.compute_loss(learner.prepare(batch))
    assert torch.equal(before["deter"][1:], after["deter"][1:])
    assert not torch.equal(before["deter"][0], after["deter"][0])


@pytest.mark.parametrize("config", [CONFIG, BLIND], ids=["decoder", "none"])
def test_one_batch_has_one_loss_and_refreshed_states(config: DreamerConfig) -> None:
    learner, batch = DreamerAlgorithm().learner(config, SPACES), random_batch()
    with torch.no_grad():  # at first no reward is expected
        learner.model.world.reward[-1].weight.normal_()
    range_before = learner.model.return_range.clone()
    loss, measured = learner.compute_loss(learner.prepare(batch))
    assert measured["deter"].shape == batch["deter"][:, 1:].shape
    assert measured["stoch"].dtype == torch.uint8
    assert not torch.equal(measured["deter"], batch["deter"][:, 1:])
    assert {"wm_loss", "actor_loss", "critic_loss"} <= set(measured)
    seen = {"recon_loss", "wm_recon_mse"}, {"redundancy_loss", "wm_correlation"}
    assert seen[config is BLIND] <= set(measured)
    assert not seen[config is not BLIND] & set(measured)
    named = {metric.name for metric in DreamerAlgorithm.metrics}
    assert {name for name, value in measured.items() if value.ndim == 0} <= named
    assert not torch.equal(learner.model.return_range, range_before)
    learner.model.return_range.copy_(range_before)
    again, _ = learner.compute_loss(learner.prepare(batch))
    assert torch.equal(loss, again)


def test_at_first_nothing_is_expected_and_all_actions_are_alike(learner: DreamerLearner) -> None:
    features = torch.randn(5, learner.model.world.rssm.features)
    bins = learner.model.bins
    assert two_hot_mean(learner.model.critic(features), bins).tolist() == [0.0] * 5
    assert two_hot_mean(learner.model.world.reward(features), bins).tolist() == [0.0] * 5
    torch.testing.assert_close(
        learner.model.actor(features).softmax(-1), torch.full((5, 2), 0.5), atol=0.01, rtol=0
    )


def test_what_the_policy_keeps_is_where_replay_goes_on(learner: DreamerLearner) -> None:
    algorithm = DreamerAlgorithm()
    context = WorkerContext(0, 1, 0, 0, 0, torch.device("cpu"))
    policy = algorithm.policy(CONFIG, learner, context)
    replay = algorithm.dataset(CONFIG, learner, SPACES, context)
    rng, state = np.random.default_rng(0), policy.initial(4)
    obs, is_first = rng.integers(0, 256, (4, 3), dtype=np.uint8), np.ones(4, np.bool_)
    for _ in range(40):
        action, kept, state = policy.act(
            torch.from_numpy(obs), state, torch.from_numpy(is_first), mode="explore", step=0
        )
        ended = rng.random(4) < 0.1
        following = rng.integers(0, 256, (4, 3), dtype=np.uint8)
        extras = {name: column.numpy() for name, column in kept.items()}
        reward = rng.normal(size=4).astype(np.float32)
        never = np.zeros(4, np.bool_)
        replay.add(Step(obs, action.numpy(), reward, ended, never, following, is_first, extras), 0)
        # After an end another game begins with another picture.
        other = rng.integers(0, 256, (4, 3), dtype=np.uint8)
        obs, is_first = np.where(ended[:, None], other, following), ended
    batch = {name: torch.as_tensor(array) for name, array in replay.draw(0).items()}
    replayed = time_first(batch, learner.model.world.rssm)
    seen = learner.model.world.senses
    tokens = seen.encoder(seen.inputs(replayed.obs.flatten(0, 1))).unflatten(0, (6, 4))
    with torch.no_grad():
        first = learner.model.world.rssm.observe(
            replayed.before, replayed.action, replayed.is_first, tokens, torch.rand(6, 4, 8)
        )
    # The memory after one more step is what the policy's was, but for its storage as float16.
    steps = ~replayed.is_last[0]
    torch.testing.assert_close(
        first.latent.deter[0][steps], batch["deter"][:, 1][steps].float(), atol=3e-3, rtol=0
    )


def test_greedy_play_takes_the_likeliest_action_in_a_state_that_is_drawn(
    learner: DreamerLearner,
) -> None:
    torch.nn.init.normal_(learner.model.actor[-1].weight)
    obs = torch.randint(0, 256, (50, 3), dtype=torch.uint8)

    def act(seed: int) -> tuple[Tensor, Tensor]:
        context = WorkerContext(0, 1, seed, 0, 0, torch.device("cpu"))
        policy = DreamerAlgorithm().policy(CONFIG, learner, context)
        first = torch.ones(50, dtype=torch.bool)
        action, kept, after = policy.act(obs, policy.initial(50), first, mode="greedy", step=0)
        assert not kept
        features = torch.cat([after.deter, after.stoch], dim=-1)
        assert torch.equal(action, learner.model.actor(features).argmax(dim=-1))
        return action, after.stoch

    action, state = act(0)
    assert len(action.unique()) == 2
    assert torch.equal(act(0)[1], state)
    assert not torch.equal(act(1)[1], state)


@pytest.mark.slow
@pytest.mark.parametrize("config", [CONFIG, BLIND], ids=["decoder", "none"])
def test_it_keeps_what_an_algorithm_promises(config: DreamerConfig, tmp_path: Path) -> None:
    check_algorithm(ChoiceDreamer(), config, tmp_path)


def test_a_resumed_run_has_no_debt_and_says_how_far_it_is(tmp_path: Path) -> None:
    algorithm, context = DreamerAlgorithm(), WorkerContext(0, 1, 0, 0, 0, torch.device("cpu"))
    learner = algorithm.learner(CONFIG, SPACES)
    policy = algorithm.policy(CONFIG, learner, context)

    def play(replay: Any, steps: int) -> int:
        state, drawn = policy.initial(4), 0
        never = np.zeros(4, np.bool_)
        for _ in range(steps):
            obs = np.zeros((4, 3), np.uint8)
            action, kept, state = policy.act(
                torch.from_numpy(obs), state, torch.from_numpy(never), mode="explore", step=0
            )
            extras = {name: column.numpy() for name, column in kept.items()}
            step = Step(
                obs, action.numpy(), np.zeros(4, np.float32), never, never, obs, never, extras
            )
            replay.add(step, 0)
            drawn += len(list(replay.batches(0)))
        return drawn

    first = algorithm.dataset(CONFIG, learner, SPACES, context)
    assert play(first, 16) == 0
    assert first.gauges()["filled"] == 0.5
    assert play(first, 16 + 100) == 100 * 4 // 2 + 2  # 12 observations of 24 for each step
    assert first.gauges()["filled"] == 1.0
    second = algorithm.dataset(CONFIG, learner, SPACES, context)
    second.restore({}, first.state())
    assert play(second, 33) <= 4  # it fills again; what came meanwhile is not made up for


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="imagined <= batch_size"):
        dataclasses.replace(CONFIG, imagined=25)
    with pytest.raises(ConfigError, match="buffer_size of at least"):
        dataclasses.replace(CONFIG, buffer_size=16)


@pytest.mark.slow
def test_a_resumed_run_has_the_states_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those refreshed after the step that they belong to was written to the disk, too."""
    monkeypatch.setattr("mario_agents.replay.saving.CHUNK_BYTES", 4_000)
    made: list[DreamerReplay] = []
    restored: list[dict[str, np.ndarray[Any, Any]]] = []

    class Remembered(ChoiceDreamer):
        def dataset(self, *args: Any) -> DreamerReplay:
            made.append(super().dataset(*args))
            return made[-1]

    def states(replay: DreamerReplay) -> dict[str, np.ndarray[Any, Any]]:
        columns = replay.storage.columns
        return {name: columns[name].copy() for name in replay.storage.extras}

    whole = DreamerReplay.restore

    def restore(self: DreamerReplay, *args: Any) -> None:
        whole(self, *args)
        restored.append(states(self))

    monkeypatch.setattr(DreamerReplay, "restore", restore)
    config = dataclasses.replace(CONFIG, save_replay=True, checkpoint_interval=64)
    run = RunDir.create(tmp_path / "run", trainer="dreamer", config=config)
    train(Remembered(), config, run, resume=False)
    ended = states(made[-1])
    train(Remembered(), dataclasses.replace(config, total_steps=320), run, resume=True)
    assert len(made) == 2
    for name, column in ended.items():
        assert column.any()
        np.testing.assert_array_equal(restored[-1][name], column)
