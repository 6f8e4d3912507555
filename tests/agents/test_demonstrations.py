"""Demonstrations beside a replay buffer: kept, mixed, learned from, saved and taken up again."""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.algos.dqn.algorithm import ApexAlgorithm, DDQNAlgorithm
from mario_agents.algos.dqn.config import ApexConfig, DDQNConfig
from mario_agents.config import make_config
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.types import Step
from mario_agents.imitation.cloning import check_imitation
from mario_agents.imitation.demonstrations import demonstrations, sources_of
from mario_agents.imitation.kept import demonstration_storage, read_runs
from mario_agents.ops.imitation import margin_loss
from mario_agents.replay.selectors import PrioritizedSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import TransitionReplay, transitions
from mario_agents.replay.with_demonstrations import WithDemonstrations
from mario_agents.run import RunDir
from mario_agents.run.weights import read_tensors
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import ConfigError, RunError
from mario_envkit.plugins import load_trainer
from tests.agents.test_initial import config_of, model, saved
from tests.agents.trained_run import assert_equal, rows, train, weights

CPU = torch.device("cpu")


# -- pure parts ------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.0, 0.8])
def test_the_margin_loss_is_what_its_definition_says(margin: float) -> None:
    rng = np.random.default_rng(0)
    q, action = rng.normal(size=(60, 4)), rng.integers(0, 4, 60)
    expected = [
        max(value + (margin if a != shown else 0.0) for a, value in enumerate(row)) - row[shown]
        for row, shown in zip(q, action, strict=True)
    ]
    values = torch.tensor(q, requires_grad=True)
    found = margin_loss(values, torch.tensor(action), margin=margin)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)
    assert min(expected) == 0.0
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    for row, gradient, shown in zip(q, values.grad.numpy(), action, strict=True):
        others = [value + margin if a != shown else -math.inf for a, value in enumerate(row)]
        slope = np.zeros(4)
        if max(others) > row[shown]:
            slope[shown], slope[int(np.argmax(others))] = -1.0, 1.0
        np.testing.assert_array_equal(gradient, slope)


def test_transitions_of_ones_own_have_no_part_in_it() -> None:
    config = DDQNConfig(hidden=16)
    learner = DDQNAlgorithm().learner(config, Spaces(config.obs_shape, 7))
    rng = np.random.default_rng(0)
    obs = torch.from_numpy(rng.integers(0, 3, (6, *config.obs_shape)).astype(np.uint8))
    batch = {
        "obs": obs,
        "next_obs": obs,
        "action": torch.tensor([0, 1, 2, 3, 4, 5]),
        "reward": torch.zeros(6),
        "discount": torch.zeros(6),
        "weight": torch.tensor([1.0, 1.0, 1.0, 0.5, 1.0, 1.0]),
    }
    usual, _ = learner.compute_loss(batch)
    shown = torch.tensor([False, False, False, True, True, True])
    loss, measured = learner.compute_loss({**batch, "demonstrated": shown})
    each = margin_loss(learner.model(obs), batch["action"], margin=config.demo_margin)[3:]
    expected = (each * torch.tensor([0.5, 1.0, 1.0])).sum().detach() / 6
    assert float((loss - usual).detach()) == pytest.approx(
        config.demo_coef * float(expected), rel=1e-4
    )
    assert float(measured["margin_loss"]) == pytest.approx(float(each.detach().mean()), rel=1e-5)
    own, measured = learner.compute_loss({**batch, "demonstrated": torch.zeros(6).bool()})
    assert float(own.detach()) == pytest.approx(float(usual.detach()))
    assert float(measured["margin_loss"]) == 0.0


def numbered(count: int, first: int) -> Storage:
    """Steps of one game whose pictures say which they are, beginning with ``first``."""
    storage = Storage(count, 1, (2, 1, 1))
    no = np.zeros(1, np.bool_)
    for step in range(first, first + count):
        stack = np.array([[[[step - 1]], [[step]]]], np.uint8)
        storage.add(
            Step(stack, np.array([step]), np.ones(1, np.float32), no, no, stack + 1, no, {}), 0
        )
    return storage


def prioritized(storage: Storage, size: int, seed: int) -> TransitionReplay:
    selector = PrioritizedSelector(
        storage, np.random.default_rng(seed), alpha=1.0, beta=lambda at: 0.4
    )
    return TransitionReplay(
        storage,
        selector,
        n_step=1,
        gamma=0.9,
        batch_size=size,
        learning_starts=1,
        train_every=1,
        save=True,
    )


def mixed() -> WithDemonstrations:
    own, shown = prioritized(numbered(50, 1), 6, 0), prioritized(numbered(40, 101), 8, 1)
    return WithDemonstrations(own, shown, share=2, save=True)


def due(dataset: WithDemonstrations, count: int) -> list[dict[str, Any]]:
    """So many batches, each of which tells an error of 9 for what was demonstrated, else of 1."""
    dataset.own._added = count
    found = []
    for batch in dataset.batches(0):
        found.append(dict(batch))
        error = torch.from_numpy(np.where(batch["demonstrated"], 9.0, 1.0))
        dataset.feedback(batch, {"priority": error, "loss": torch.tensor(0.5)})
    return found


def test_every_batch_has_its_share_of_demonstrations() -> None:
    dataset = mixed()
    batches = due(dataset, 30)
    assert len(batches) == 30
    for batch in batches:
        assert batch["demonstrated"].tolist() == [False] * 6 + [True] * 2
        assert (batch["action"][:6] <= 50).all()
        assert (batch["action"][6:] > 100).all()
        np.testing.assert_array_equal(batch["obs"][:, -1, 0, 0], batch["action"])
    own, shown = (each.selector.arrays()["priority"] for each in _parts(dataset))
    assert own.max() == pytest.approx(1.0, abs=1e-5)
    assert shown.max() == pytest.approx(9.0, abs=1e-5)
    only = dataset.demonstrated()
    assert only["demonstrated"].all()
    assert len(only["action"]) == 8
    assert (only["action"] > 100).all()


def _parts(dataset: WithDemonstrations) -> tuple[Any, Any]:
    return dataset.own, dataset.demonstrations


def test_a_checkpoint_has_their_priorities_and_not_the_demonstrations() -> None:
    ours, theirs = mixed(), mixed()
    due(ours, 20)
    tensors = {name: tensor.clone() for name, tensor in ours.tensors().items()}
    assert not any("obs" in name or "frames" in name for name in tensors if "demonstr" in name)
    theirs.restore(tensors, ours.state())
    ours.cut(0)
    for one, other in zip(due(ours, 20), due(theirs, 20), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


# -- on the game -----------------------------------------------------------------------------


@pytest.mark.parametrize("stack", [1, 2])
def test_kept_demonstrations_are_those_that_were_played(runs_folder: Path, stack: int) -> None:
    config = make_config(
        DDQNConfig if stack > 1 else load_trainer("dreamer").config_class,
        {"imitate": str(runs_folder), "noop_max": 4, "frame_stack": stack},
        source="test",
    )
    sources, kwargs = sources_of(config), config.env_kwargs()
    size = 5 * sum(len(source.actions) for source in sources)
    games = list(demonstrations(sources, kwargs, gamma=1.0, seed=0, most_steps=size))
    runs = [source.run for source in sources]
    storage = demonstration_storage(runs, config, kwargs, config.obs_shape, size=size)
    steps = np.concatenate([game.action for game in games])
    assert size // 5 < len(storage) == len(steps) <= size
    found = transitions(storage, np.arange(len(steps)), n_step=1, gamma=0.9)
    np.testing.assert_array_equal(found["obs"], np.concatenate([game.obs for game in games]))
    np.testing.assert_array_equal(found["action"], steps)
    np.testing.assert_array_equal(found["reward"], np.concatenate([g.reward for g in games]))
    ends = np.cumsum([len(game.action) for game in games]) - 1
    np.testing.assert_array_equal(np.flatnonzero(found["discount"] == 0), ends)
    for game, end in zip(games, ends, strict=True):
        np.testing.assert_array_equal(found["next_obs"][end], game.final_obs)
    np.testing.assert_array_equal(
        np.flatnonzero(storage.columns["is_first"][0]), [0, *(ends[:-1] + 1)]
    )


@pytest.mark.parametrize("name", ["ddqn", "apex"])
def test_memory_is_what_was_said(name: str, played_runs: list[Run]) -> None:
    kind: Any = {"ddqn": DDQNConfig, "apex": ApexConfig}[name]
    algorithm: Any = {"ddqn": DDQNAlgorithm, "apex": ApexAlgorithm}[name]()
    options = {"prioritized": True} if name == "ddqn" else {}
    config = kind(imitate="ways", demo_size=1_500, buffer_size=6_000, num_envs=4, **options)
    alone = kind(demo_size=1_500, buffer_size=6_000, num_envs=4, **options)
    spaces = Spaces(config.obs_shape, 7)
    context = WorkerContext(0, 1, 0, 0, 0, CPU, demonstrations=tuple(played_runs))
    dataset = algorithm.dataset(config, algorithm.learner(config, spaces), spaces, context)
    kept = dataset.demonstrations
    assert 800 < len(kept.storage) <= 1_500
    said = config.replay_bytes() - alone.replay_bytes()
    assert 0.5 * said < kept.storage.nbytes + kept.selector.trees.nbytes <= said
    assert len(dataset.demonstrated()["action"]) == config.replay.batch
    assert config.demo_share(config.replay.batch) == config.replay.batch // 4


def test_more_than_there_is_room_for_is_refused(runs_folder: Path) -> None:
    config = DDQNConfig(imitate=str(runs_folder), demo_size=300)
    with pytest.raises(ConfigError, match=r"agent steps, and demo_size is 300: give --demo-size"):
        check_imitation(DDQNAlgorithm(), config)


def test_what_was_demonstrated_is_played_from_the_start() -> None:
    assert DDQNConfig().epsilon_first == 1.0
    assert DDQNConfig(imitate="ways", epsilon_end=0.1).epsilon_first == 0.1
    assert DDQNConfig(imitate="ways", epsilon_start=0.7).epsilon_first == 0.7


@pytest.mark.parametrize("name", ["ddqn", "apex"])
@pytest.mark.slow
def test_a_run_begins_with_what_was_demonstrated_and_goes_on_with_it(
    name: str, runs_folder: Path, tmp_path: Path
) -> None:
    trainer: Any = load_trainer(name)
    options = {
        "imitate": str(runs_folder),
        "imitate_steps": 200,
        "lr_warmup": 1,
        "save_replay": True,
    }
    config = config_of(name, **options)
    path = train(trainer, config, tmp_path / "run", name=name)
    learned = rows(path, "imitation")
    assert int(learned[-1]["step"]) == 200
    assert float(learned[-1]["demo_accuracy"]) > float(learned[0]["demo_accuracy"])
    imitated = {
        key.removeprefix("model."): tensor
        for key, tensor in read_tensors(path / "imitated.safetensors")[0].items()
    }
    assert_equal(model(saved(path, 0)), imitated)
    assert float(rows(path)[-1]["margin_loss"]) > 0
    before = (path / "imitation.csv").read_bytes()
    for file in runs_folder.glob("*.json"):
        file.unlink()
    further = config_of(name, **options, total_steps=1_024)
    shutil.copytree(path, tmp_path / "again")
    for each in (path, tmp_path / "again"):
        trainer.train(further, each, resume=True)
    assert_equal(weights(path), weights(tmp_path / "again"))
    assert saved(path, -1).step >= 1_024
    assert (path / "imitation.csv").read_bytes() == before
    (path / "demonstrations.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"demonstrations\.jsonl cannot be read"):
        read_runs(trainer.algorithm, config, RunDir.open(path))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
@pytest.mark.parametrize(
    ("name", "share", "measured", "steps"),
    [
        ("ddqn", "gradients", "margin_loss", 20),
        ("ddqn", "experience", "margin_loss", 20),
        ("dreamer", "gradients", "demo_loss", 0),
        ("a3c", "experience", "demo_better", 0),
    ],
)
def test_workers_and_learners_have_them_too(
    name: str, share: str, measured: str, steps: int, runs_folder: Path, tmp_path: Path
) -> None:
    trainer: Any = load_trainer(name)
    options = {"imitate": str(runs_folder), "imitate_steps": steps, "workers": 2, "share": share}
    # Whichever worker is faster has enough for batches.
    if name == "a3c":
        options["sil_coef"] = 0.1
    options |= {"total_steps": 400 if name == "dreamer" else 1_024}
    path = train(trainer, config_of(name, **options), tmp_path / "run", name=name)
    assert (path / "imitation.csv").exists() == bool(steps)
    sources = ["worker_0", "worker_1"] if share == "gradients" else ["coordinator"]
    found = [row[measured] for source in sources for row in rows(path, source) if row[measured]]
    assert found
    assert float(found[-1]) > 0
