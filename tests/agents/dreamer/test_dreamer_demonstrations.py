"""Dreamer learns from demonstrations: sequences of them in every batch, and a cloned actor."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.algos.dreamer.algorithm import DreamerAlgorithm
from mario_agents.algos.dreamer.behaviour import demonstration_loss
from mario_agents.algos.dreamer.config import DreamerConfig
from mario_agents.algos.dreamer.learner import DreamerLearner
from mario_agents.algos.dreamer.sizes import SIZES
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.types import Step
from mario_agents.replay.with_demonstrations import WithDemonstrations
from mario_agents.run.weights import read_tensors
from mario_envkit.curriculum.runs import Run
from mario_envkit.plugins import load_trainer
from tests.agents.dreamer.test_dreamer_parts import reached
from tests.agents.dreamer.toys import CONFIG, random_batch
from tests.agents.test_initial import config_of, model, saved
from tests.agents.trained_run import assert_equal, rows, train, weights

CPU = torch.device("cpu")


def test_cloning_is_of_the_actor_and_of_demonstrated_steps_alone(learner: DreamerLearner) -> None:
    """And the last observation of an episode, where nothing is done any more, is no step."""
    batch = dict(random_batch())
    batch["demonstrated"] = torch.tensor([False, True, True, False])
    length = CONFIG.batch_length
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(length, 4, learner.model.world.rssm.features, generator=rng)
    features.requires_grad_()
    loss, measured = demonstration_loss(learner.model, features, batch, uniform=0.01)
    surprise, right = [], []
    for t in range(length):
        for b in (1, 2):
            if not batch["is_last"][b, t + 1]:
                probs = learner.model.actor(features[t, b]).softmax(-1) * 0.99 + 0.01 / 2
                action = int(batch["action"][b, t + 1])
                surprise.append(-float(probs[action].detach().log()))
                right.append(int(probs.argmax()) == action)
    assert 0 < len(surprise) < 2 * length
    assert float(loss.detach()) == pytest.approx(np.mean(surprise), rel=1e-5)
    assert float(measured["demo_accuracy"]) == pytest.approx(np.mean(right))
    assert torch.autograd.grad(loss, features, allow_unused=True, retain_graph=True) == (None,)
    assert reached(loss, learner) == {"actor"}
    none = {**batch, "demonstrated": torch.zeros(4).bool()}
    assert demonstration_loss(learner.model, features, none, uniform=0.01)[0].item() == 0.0


def dataset_of(config: DreamerConfig, played_runs: list[Run]) -> WithDemonstrations:
    algorithm, spaces = DreamerAlgorithm(), Spaces(config.obs_shape, 7)
    context = WorkerContext(0, 1, 0, 0, 0, CPU, demonstrations=tuple(played_runs))
    made = algorithm.dataset(config, algorithm.learner(config, spaces), spaces, context)
    assert isinstance(made, WithDemonstrations)
    return made


def test_sequences_begin_and_end_where_the_demonstrations_do(played_runs: list[Run]) -> None:
    config = DreamerConfig(imitate="ways", demo_size=1_000, batch_length=60, imagined=64)
    dataset = dataset_of(config, played_runs)
    batch = dataset.demonstrated(0, 64)
    first, last = batch["is_first"], batch["is_last"]
    assert last.any()
    # The flag is reached and nothing comes after it; then another demonstration begins.
    np.testing.assert_array_equal(batch["is_terminal"], last)
    np.testing.assert_array_equal(first[:, 1:], last[:, :-1])
    assert (batch["reward"][first] == 0).all()
    assert (batch["reward"][last] > 4).all()  # that of the flag
    assert not batch["deter"].any()  # nobody has looked at them yet
    storage = dataset.demonstrations.storage
    step = batch["index"][:, 1:]
    assert (
        np.diff(batch["index"], axis=1)[:, :][
            (batch["index"][:, 1:] > 0) & (batch["index"][:, :-1] > 0)
        ]
        == 1
    ).all()
    states = {
        "deter": torch.ones(64, 60, storage.columns["deter"].shape[-1]),
        "stoch": torch.ones(64, 60, storage.columns["stoch"].shape[-1]),
    }
    dataset.feedback(batch, states)
    learned = np.unique(step[step >= 0])
    assert (storage.columns["deter"][0, learned] == 1).all()
    others = np.setdiff1d(np.arange(len(storage)), learned)
    assert not storage.columns["deter"][0, others].any()


def test_batches_have_both_and_what_was_measured_goes_home(played_runs: list[Run]) -> None:
    config = DreamerConfig(
        imitate="ways", demo_size=1_000, batch_size=8, batch_length=6, imagined=16, num_envs=2,
        learning_starts=64,
    )  # fmt: skip
    dataset = dataset_of(config, played_runs)
    shape, states = config.obs_shape, SIZES[config.size].state_columns
    rng, no = np.random.default_rng(0), np.zeros(2, np.bool_)
    for _ in range(60):
        obs = rng.integers(0, 9, (2, *shape)).astype(np.uint8)
        extras = {name: np.zeros((2, *size), kind) for name, (size, kind) in states.items()}
        dataset.add(
            Step(obs, np.zeros(2, np.int64), np.zeros(2, np.float32), no, no, obs, no, extras), 0
        )
    batches = 0
    for batch in dataset.batches(0):
        assert batch["demonstrated"].tolist() == [False] * 6 + [True] * 2
        assert batch["seed"].ndim == 0
        assert batch["obs"].shape == (8, 7, *shape)
        value = torch.from_numpy(np.where(batch["demonstrated"], 2, 1))[:, None, None]
        dataset.feedback(
            batch,
            {
                "deter": value * torch.ones(8, 6, states["deter"][0][0]),
                "stoch": value * torch.ones(8, 6, states["stoch"][0][0]),
                "loss": torch.tensor(1.0),
            },
        )
        batches += 1
    assert batches > 3
    own, shown = dataset.own.storage, dataset.demonstrations.storage
    assert set(np.unique(own.columns["stoch"])) == {0, 1}
    assert set(np.unique(shown.columns["stoch"])) == {0, 2}


@pytest.mark.parametrize("stack", [1, 3])
def test_memory_is_what_was_said(stack: int, played_runs: list[Run]) -> None:
    options: dict[str, Any] = {"demo_size": 1_500, "buffer_size": 3_000, "frame_stack": stack}
    config = DreamerConfig(imitate="ways", **options)
    said = config.replay_bytes() - DreamerConfig(**options).replay_bytes()
    storage = dataset_of(config, played_runs).demonstrations.storage
    assert 800 < len(storage) <= 1_500
    assert 0.5 * said < storage.nbytes <= said


@pytest.mark.slow
def test_a_run_begins_with_what_was_demonstrated_and_goes_on_with_it(
    runs_folder: Path, tmp_path: Path
) -> None:
    trainer: Any = load_trainer("dreamer")
    options = {
        "imitate": str(runs_folder),
        "imitate_steps": 60,
        "lr_warmup": 1,
        "save_replay": True,
    }
    path = train(trainer, config_of("dreamer", **options), tmp_path / "run", name="dreamer")
    learned = rows(path, "imitation")
    assert int(learned[-1]["step"]) == 60
    for name in ("demo_loss", "wm_loss", "reward_error"):
        assert float(learned[-1][name]) < float(learned[0][name]), name
    imitated = {
        key.removeprefix("model."): tensor
        for key, tensor in read_tensors(path / "imitated.safetensors")[0].items()
    }
    assert_equal(model(saved(path, 0)), imitated)
    last = saved(path, -1)
    states = last.tensors["dataset.demonstrations.deter"]
    assert states.any()
    assert not any("demonstrations.obs" in name for name in last.tensors)
    for file in runs_folder.glob("*.json"):
        file.unlink()
    shutil.copytree(path, tmp_path / "again")
    for each in (path, tmp_path / "again"):
        trainer.train(config_of("dreamer", **options, total_steps=240), each, resume=True)
    assert_equal(weights(path), weights(tmp_path / "again"))
    assert saved(path, -1).step >= 240
