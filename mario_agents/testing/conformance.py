"""Does an algorithm keep what it promises?"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import (
    Algorithm,
    Spaces,
    WorkerContext,
    algorithm_named,
    name_of,
)
from mario_agents.core.gradients import GradientComputer, trainable
from mario_agents.core.policy import Policy
from mario_agents.core.types import State, Step
from mario_agents.run import CheckpointStore, RunDir, read_weights
from mario_agents.runtime.experience import StepIntake, step_layout
from mario_agents.runtime.run import train
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.trainer import AlgorithmTrainer


def check_algorithm(algorithm: Algorithm[Any, Any], config: TrainConfig, folder: Path) -> None:
    """Train an algorithm in this process for ``config.total_steps``, and hold it against its
    contract.

    Workers can import it; the seed decides on its weights; its policy forgets where a game begins,
    and plays the same again after its seed;
    training changes the weights and leaves numbers; the trained policy plays; two runs that go on
    from the same checkpoint, for as long again, end with the same weights; and, if its workers can
    share experience, one dataset takes the steps of two of them.

    Args:
        algorithm: to be checked.
        config: small, so that it takes seconds: a few updates suffice.
        folder: an empty directory, for runs.

    Raises:
        AssertionError: with a sentence about what it does not keep.
        MarioEnvkitError: if it cannot be trained at all.
    """
    config = dataclasses.replace(config, workers=0, device="cpu", ui=False)
    twin = algorithm_named(name_of(algorithm))
    assert twin.config_class is algorithm.config_class, "Workers would import another algorithm."

    envs = make_vector(algorithm.env_kwargs(config), 2)
    spaces, (observations, _) = Spaces.of(envs), envs.reset(seed=0)
    envs.close()
    first, second = (each.learner(config, spaces).model for each in (algorithm, twin))
    _check_equal(first, second, "Two learners of one seed have different weights")
    assert trainable(first), "The model has no parameters that ask for gradients."
    learner = algorithm.learner(config, spaces)
    context = WorkerContext(0, 1, config.seed, 0, 0, torch.device("cpu"))
    make = partial(algorithm.policy, config, learner, context)
    _check_forgetting(make, np.array(observations))
    _check_seeding(make(), np.array(observations))
    if "experience" in algorithm.shares:
        _check_central(algorithm, config, spaces)

    path = folder / "run"
    run = RunDir.create(path, trainer="algorithm", config=config)
    train(algorithm, config, run, resume=False)
    checkpoint = CheckpointStore(run.checkpoint_path).load_latest()
    updates = checkpoint.state["updater"]["updates"]
    assert updates > 0, f"{checkpoint.step} steps led to no update; give a larger total_steps."
    before = first.state_dict()
    after = {name: checkpoint.tensors[f"model.{name}"] for name in before}
    assert any(not torch.equal(before[name], after[name]) for name in before), (
        f"After {updates} updates the weights are what they were."
    )
    for name, tensor in after.items():
        assert bool(torch.isfinite(tensor).all()), f"{name} holds values that are not finite."

    policy = AlgorithmTrainer(algorithm, "").load_policy(config, path, device="cpu")
    policy.reset(2)
    for greedy in (True, False):
        actions = np.asarray(policy.act(observations, greedy=greedy))
        kind = f"{actions.dtype} of shape {actions.shape}"
        fitting = np.issubdtype(actions.dtype, np.integer) and actions.shape == (2,)
        assert fitting, f"Two actions must be integers (2,), not {kind}."
        assert ((actions >= 0) & (actions < spaces.actions)).all(), f"There is no action {actions}."

    _check_resume(algorithm, dataclasses.replace(config, total_steps=2 * checkpoint.step), path)


def _check_forgetting(make: Callable[[], Policy], observations: NDArray[np.uint8]) -> None:
    obs, yes = torch.from_numpy(observations), torch.ones(len(observations), dtype=torch.bool)

    def act(state: State, is_first: Tensor) -> tuple[Tensor, State]:
        # Another one each time: what it draws must not make a difference.
        action, _, after = make().act(obs, state, is_first, mode="greedy", step=0)
        return action, after

    first = act(make().initial(len(obs)), yes)
    again = act(act(first[1], ~yes)[1], yes)
    for ours, theirs in zip(_leaves(first), _leaves(again), strict=True):
        assert torch.equal(ours, theirs), (
            "The policy does not clear its state where is_first says that a game begins."
        )


def _check_seeding(policy: Policy, observations: NDArray[np.uint8]) -> None:
    obs = torch.from_numpy(observations).repeat(32, *[1] * (observations.ndim - 1))
    is_first = torch.ones(len(obs), dtype=torch.bool)

    def acts() -> Tensor:
        policy.seed(7)
        state = policy.initial(len(obs))
        return policy.act(obs, state, is_first, mode="sample", step=0)[0]

    assert torch.equal(acts(), acts()), "The policy draws other actions after the same seed."


def _check_central(algorithm: Algorithm[Any, Any], config: TrainConfig, spaces: Spaces) -> None:
    """Feed the dataset of a learner as two workers would, until there is a batch."""
    config, cpu = dataclasses.replace(config, workers=2), torch.device("cpu")
    learner = algorithm.learner(config, spaces)
    central = WorkerContext(0, 2, config.seed, 0, 0, cpu, central=True)
    dataset = algorithm.dataset(config, learner, spaces, central)
    layout = step_layout(algorithm, config, learner, spaces)
    channels = [ByteRing.private(slots=2, capacity=layout.capacity) for _ in range(2)]
    intake, batches, at = StepIntake(channels, layout, dataset), 0, 0
    with ExitStack() as opened:
        actors = []
        for number in range(2):
            context = WorkerContext(number, 2, config.seed, 0, 0, cpu)
            envs = make_vector(algorithm.env_kwargs(config), config.num_envs)
            opened.callback(envs.close)
            actors.append(Actor(envs, algorithm.policy(config, learner, context), seed=number))
        while at < 2 * config.total_steps and not batches:
            for actor, channel in zip(actors, channels, strict=True):
                steps: list[Step] = []
                at += actor.collect(config.num_envs, at, steps.append).steps
                ((size, write),) = layout.pack(steps, 0, 1)
                channel.send(size, write)
                intake.take()
            for batch in dataset.batches(at):
                dataset.feedback(batch, GradientComputer(learner, cpu).add(batch))
                batches += 1
                break  # a learner has other things to do in between
    assert batches, f"{at} steps of two workers led to no batch; give a larger total_steps."


def _leaves(state: State) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state
    return [leaf for part in parts for leaf in _leaves(part)]


def _check_resume(algorithm: Algorithm[Any, Any], config: TrainConfig, path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copytree(path, copy)
    for each in (path, copy):
        train(algorithm, config, RunDir.open(each), resume=True)
    ours, theirs = (read_weights(RunDir.open(each))[0] for each in (path, copy))
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), (
            f"Two runs that were resumed from one checkpoint differ in {name}: something random "
            "does not come from the context's seeds, or is not restored."
        )


def _check_equal(first: torch.nn.Module, second: torch.nn.Module, what: str) -> None:
    ours, theirs = first.state_dict(), second.state_dict()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), f"{what} ({name})."
