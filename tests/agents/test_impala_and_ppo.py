"""On policy, without old unrolls, a3c and impala learn what ppo learns from a rollout at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.algos.impala.algorithm import A3CAlgorithm
from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.ppo.algorithm import PPOAlgorithm
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.gradients import GradientComputer
from mario_agents.testing.corridor import CORRIDOR

CPU = torch.device("cpu")
GAMES, STEPS, ROUNDS = 6, 7, 5
COMMON: dict[str, Any] = {
    "num_envs": GAMES,
    "rollout_steps": STEPS,
    "hidden": 16,
    "network": "mlp",
    "observation": "pixels",
    "precision": "float32",
    "device": "cpu",
    "ui": False,
    "lr": 1e-2,
    "lr_min": 1e-2,
}


def gradients(algorithm: Algorithm[Any, Any], config: Any) -> tuple[list[list[torch.Tensor]], int]:
    """Of each round, and how many episodes were truncated; an update follows each."""
    place = WorkerContext(worker=0, workers=1, seed=0, start=0, generation=0, device=CPU)
    envs = make_vector({"id": CORRIDOR, "length": 4, "limit": 5, "size": 4}, GAMES)
    spaces = Spaces.of(envs)
    learner = algorithm.learner(config, spaces)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():  # an agent that has learned something, as values differ then
        for parameter in learner.model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=rng)
    dataset = algorithm.dataset(config, learner, spaces, place)
    updater = algorithm.updater(config, learner)
    actor = Actor(envs, algorithm.policy(config, learner, place), seed=0)
    computer, found, truncated = GradientComputer(learner, CPU), [], 0

    def keep(step: Any) -> None:
        nonlocal truncated
        truncated += int(step.truncated.sum())
        dataset.add(step, 0)

    for _ in range(ROUNDS):
        actor.collect(algorithm.collect_steps(config), 0, keep)
        (batch,) = dataset.batches(0)
        computer.add(batch)
        mean = computer.take()
        found.append([gradient.clone() for gradient in mean])
        updater.apply(mean)
    return found, truncated


@pytest.mark.parametrize("core", ["none", "gru"])
def test_gradients_are_those_of_ppo_with_one_batch_for_each_rollout(core: Any) -> None:
    common = {**COMMON, "recurrent_type": core}
    one = {"sequence_steps": STEPS if core != "none" else None}
    ppo, _ = gradients(
        PPOAlgorithm(), PPOConfig(epochs=1, minibatch_size=GAMES * STEPS, **one, **common)
    )
    a3c, truncated = gradients(A3CAlgorithm(), ImpalaConfig(replay_share=0.0, **common))
    assert truncated
    for ours, theirs in zip(a3c, ppo, strict=True):
        assert max(float(gradient.abs().max()) for gradient in ours) > 1e-2
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-5)
