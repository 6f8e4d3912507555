"""Weights in shared memory: what they carry, and that shared updates are those made by hand."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.gradients import GradientComputer
from mario_agents.core.types import Batch, Learner
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.run import train
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.weights import CopiedWeights, InPlaceWeights, open_weights
from tests.agents.algorithms import PPOCorridorAlgorithm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
CPU = torch.device("cpu")
PPO = PPOConfig(
    observation="pixels",
    total_steps=256,
    workers=2,
    num_envs=4,
    rollout_steps=8,
    minibatch_size=16,
    hidden=8,
    device="cpu",
    eval_interval=0,
    ui=False,
)


class Net(nn.Module):
    """Strides of pictures, a tied and a frozen parameter, few bits, and buffers of two kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
        self.one = nn.Linear(3, 3)
        self.other = nn.Linear(3, 3)
        self.other.weight = self.one.weight
        self.target = nn.Linear(3, 1).requires_grad_(False)
        self.few = nn.Parameter(torch.randn(5, dtype=torch.bfloat16))
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("scale", torch.zeros(3))


class NetLearner(Learner):
    def __init__(self) -> None:
        self.model = Net()

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        model = self.model
        hidden = model.one(model.conv(batch["obs"]).mean(dim=(2, 3)))
        loss = model.norm(model.other(hidden)).square().mean() + model.few.float().square().sum()
        return loss, {}


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[SharedSegments]:
    with SharedSegments(tmp_path / "leases") as segments:
        yield segments


def change(model: nn.Module, seed: int) -> None:
    """Other numbers everywhere, in place, as an optimizer does it."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(torch.randint(-100, 100, tensor.shape))


def assert_equal(ours: nn.Module, theirs: nn.Module) -> None:
    for (name, one), other in zip(
        ours.state_dict().items(), theirs.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("synchronous", [False, True])
def test_everything_arrives_and_parameters_stay_themselves(
    segments: SharedSegments, synchronous: bool
) -> None:
    owner, learner = NetLearner(), NetLearner()
    config = dataclasses.replace(PPO, workers=1, synchronous=synchronous)
    weights = open_weights(owner, config, segments)
    before, strides = list(learner.model.parameters()), learner.model.conv.weight.stride()
    initial = {name: each.clone() for name, each in owner.model.state_dict().items()}
    writer = weights.writer(owner.model)
    for name, each in owner.model.state_dict().items():
        assert torch.equal(each, initial[name]), name
    reader = pickle.loads(pickle.dumps(weights)).reader(learner.model)  # as in another process
    assert (writer.version, reader.read()) == (0, None)
    for version in (1, 2):
        change(owner.model, version)
        assert writer.publish() == reader.version == version
        assert reader.read(newer_than=version - 1) == version
        assert reader.read(newer_than=version) is None
        assert_equal(owner.model, learner.model)
    assert all(one is other for one, other in zip(before, learner.model.parameters(), strict=True))
    assert learner.model.one.weight is learner.model.other.weight
    assert learner.model.conv.weight.stride() == strides


def test_in_place_parameters_are_one_and_buffers_are_everybodys_own(
    segments: SharedSegments,
) -> None:
    owner, learners = NetLearner(), [NetLearner(), NetLearner()]
    weights = open_weights(owner, PPO, segments)
    writer = weights.writer(owner.model)
    readers = [weights.reader(learner.model) for learner in learners]
    writer.publish()
    computers = [GradientComputer(learner, CPU) for learner in learners]
    batch = {"obs": torch.randn(4, 2, 5, 5).numpy()}
    for reader, computer in zip(readers, computers, strict=True):
        reader.read()
        computer.add(batch)  # moves the means of the norm
    assert owner.model.norm.num_batches_tracked == 0
    assert [learner.model.norm.num_batches_tracked for learner in learners] == [1, 1]
    assert torch.equal(learners[0].model.norm.running_mean, learners[1].model.norm.running_mean)
    plain = NetLearner()
    plain.model.load_state_dict(owner.model.state_dict())
    other = GradientComputer(plain, CPU)
    other.add(batch)
    for ours, theirs in zip(computers[0].take(), other.take(), strict=True):
        assert torch.equal(ours, theirs)
    with torch.no_grad():
        owner.model.one.weight.add_(1)
    assert torch.equal(learners[1].model.one.weight, owner.model.one.weight)  # at once
    for tensor in (*owner.model.conv.parameters(), *learners[0].model.one.parameters()):
        assert tensor.data_ptr() % 64 == 0


def test_who_reads_at_any_time_has_copies(segments: SharedSegments) -> None:
    learner = NetLearner()
    opened = open_weights(learner, dataclasses.replace(PPO, workers=1, synchronous=False), segments)
    assert isinstance(opened, CopiedWeights)
    assert isinstance(open_weights(learner, PPO, segments), InPlaceWeights)
    # A tensor that is a part of another one would be taken apart.
    learner.model.register_buffer("part", learner.model.one.weight.detach()[0])
    assert isinstance(open_weights(learner, PPO, segments), CopiedWeights)


@pytest.mark.parametrize(
    ("dtype", "schedule"),
    [("float32", {}), ("bfloat16", {}), ("float32", {"gamma": "0.9:0.5", "entropy_coef": "0:1"})],
)
@pytest.mark.slow
def test_two_synchronous_workers_learn_what_is_averaged_by_hand(
    tmp_path: Path, dtype: Literal["float32", "bfloat16"], schedule: dict[str, str]
) -> None:
    config = dataclasses.replace(PPO, gradient_dtype=dtype, schedule=schedule).resolved()
    path = tmp_path / "run"
    run = RunDir.create(path, trainer="any", config=config)
    train(PPOCorridorAlgorithm(), config, run, resume=False)
    found = CheckpointStore(path / "checkpoint").load_latest()
    assert found.state["updater"] == {"updates": 24, "packets": 48}
    for name, tensor in averaged_by_hand(config).items():
        assert torch.equal(found.tensors[f"model.{name}"], tensor), name


def averaged_by_hand(config: PPOConfig) -> dict[str, Tensor]:
    """The weights after the same rounds in this process, slowly."""
    algorithm = PPOCorridorAlgorithm()
    workers = range(config.workers)
    games = [make_vector(algorithm.env_kwargs(config), config.num_envs) for _ in workers]
    spaces = Spaces.of(games[0])
    owner = algorithm.learner(config, spaces)
    updater = algorithm.updater(config, owner)
    learners = [algorithm.learner(config, spaces) for _ in workers]
    contexts = [WorkerContext(w, config.workers, config.seed, 0, 0, CPU) for w in workers]
    actors = [
        Actor(
            games[w],
            algorithm.policy(config, learners[w], contexts[w]),
            seed=contexts[w].seed_for("games"),
        )
        for w in workers
    ]
    datasets = [algorithm.dataset(config, learners[w], spaces, contexts[w]) for w in workers]
    computers = [GradientComputer(learner, CPU) for learner in learners]

    def bring_up_to_date() -> None:
        for learner in learners:
            learner.model.load_state_dict(owner.model.state_dict())

    bring_up_to_date()
    steps = config.rollout * config.workers
    for at in range(steps, config.total_steps + 1, steps):
        for w in workers:
            actors[w].collect(config.rollout, sink=lambda step, w=w: datasets[w].add(step, w))
        for batches in zip(*(dataset.batches(at) for dataset in datasets), strict=True):
            packets = []
            for computer, batch in zip(computers, batches, strict=True):
                computer.add(batch)
                packets.append(
                    [
                        each.to(getattr(torch, config.gradient_dtype)).float()
                        for each in computer.take()
                    ]
                )
            updater.apply([(a + b) / 2 for a, b in zip(*packets, strict=True)], packets=2)
            bring_up_to_date()
    for each in games:
        each.close()
    return owner.model.state_dict()
