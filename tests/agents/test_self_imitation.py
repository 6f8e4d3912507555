"""Self-imitation of demonstrations: its loss, and actors that learn by it beside their games."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.core.gradients import DeviceBatch
from mario_agents.imitation.kept import demonstrated_steps
from mario_agents.ops.imitation import self_imitation_loss
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import ConfigError
from mario_envkit.plugins import load_trainer
from tests.agents.test_initial import config_of
from tests.agents.trained_run import assert_equal, rows, train, weights
from tests.gpu.learning_parts import Player

CPU = torch.device("cpu")


def test_self_imitation_is_what_its_definition_says() -> None:
    rng = np.random.default_rng(0)
    logits, value = rng.normal(size=(40, 5)), rng.normal(size=40)
    action, target = rng.integers(0, 5, 40), rng.normal(size=40)
    policy = errors = better = 0.0
    for row, v, a, t in zip(logits, value, action, target, strict=True):
        gain = max(t - v, 0.0)
        policy -= (row[a] - math.log(sum(map(math.exp, row)))) * gain
        errors += gain**2 / 2
        better += gain > 0
    now = torch.tensor(value, dtype=torch.float32, requires_grad=True)
    found = self_imitation_loss(
        torch.tensor(logits, dtype=torch.float32),
        now,
        torch.tensor(action),
        torch.tensor(target, dtype=torch.float32),
        value_coef=0.3,
    )
    assert found.loss.item() == pytest.approx((policy + 0.3 * errors) / 40, rel=1e-5)
    assert found.better.item() == pytest.approx(better / 40)
    assert 0 < better < 40
    found.loss.backward()  # type: ignore[no-untyped-call]
    # The gain is a weight of the policy's part: values learn from their own part alone.
    expected = -0.3 * np.maximum(target - value, 0) / 40
    assert now.grad is not None
    np.testing.assert_allclose(now.grad.numpy(), expected, rtol=1e-4, atol=1e-8)


def test_self_imitation_needs_something_to_imitate() -> None:
    assert ImpalaConfig(sil_coef=0.1).demo_windows == 0
    shared = ImpalaConfig(imitate="ways", sil_coef=0.1, workers=3, demo_size=1_000)
    assert shared.replay_bytes() == 3_000 * math.prod(shared.obs_shape)
    one = dataclasses.replace(shared, share="experience")
    assert one.replay_bytes() == 1_000 * math.prod(one.obs_shape)
    assert PPOConfig(sil_coef=0.1).demo_windows == 0  # as in an exported run
    with pytest.raises(ConfigError, match="sil_coef does not go with a schedule of gamma"):
        PPOConfig(sil_coef=0.1, imitate="ways", schedule={"gamma": "0.9:0.97"})
    assert PPOConfig(imitate="ways").replay_bytes() == 0
    config = PPOConfig(imitate="ways", sil_coef=0.1, minibatch_size=64, demo_size=1_000)
    assert config.replay_bytes() == 1_000 * math.prod(config.obs_shape)
    assert config.demo_windows == 16


@pytest.mark.parametrize("name", ["ppo", "a3c"])
@pytest.mark.parametrize("recurrent", ["none", "gru"])
def test_demonstrated_steps_are_imitated_beside_every_batch(
    name: str, recurrent: str, played_runs: list[Run]
) -> None:
    """The loss with them is the loss without, and that of the steps, which are the demonstrations'
    in their order; a restored dataset draws the same ones."""
    plugin: Any = load_trainer(name)
    options = {"imitate": "ways", "sil_coef": 0.5, "recurrent_type": recurrent, "num_envs": 4}
    config = config_of(name, **options)
    player = Player(plugin.algorithm, config, CPU, tuple(played_runs))
    batch = player.first_batch()
    length = config.demo_length
    assert (length > 1) == (recurrent == "gru")
    assert batch["demo_action"].shape == (length, config.demo_windows)
    assert config.demo_windows * length == pytest.approx(0.25 * config.batch_steps, abs=length)
    steps = demonstrated_steps(
        *(played_runs, config, config.env_kwargs()),
        size=config.demo_size, gamma=config.gamma, length=length,
    )  # fmt: skip
    shown = batch["demo_obs"].transpose(1, 0, 2, 3, 4)
    for window, action in zip(shown, batch["demo_action"].T, strict=True):
        found = (steps.obs[steps.starts] == window[0]).all(axis=(1, 2, 3)).nonzero()[0]
        places = [slice(at, at + length) for at in steps.starts[found]]
        assert any((steps.action[at] == action).all() for at in places)
    learner = player.learner
    alone = {key: array for key, array in batch.items() if not key.startswith("demo_")}
    loss, measured = learner.compute_loss(DeviceBatch(learner, batch, CPU))
    without, _ = learner.compute_loss(DeviceBatch(learner, alone, CPU))
    with torch.no_grad():
        logits, value = plugin.algorithm.policy_value(
            *(learner, torch.from_numpy(batch["demo_obs"])),
            torch.from_numpy(batch["demo_is_first"]),
        )
    imitation, better = 0.0, 0
    for t, k in np.ndindex(*batch["demo_action"].shape):
        gain = max(float(batch["demo_value"][t, k]) - float(value[t, k]), 0.0)
        log_prob = float(logits[t, k].log_softmax(0)[batch["demo_action"][t, k]])
        imitation += -log_prob * gain + 0.01 * 0.5 * gain**2
        better += gain > 0
    count = batch["demo_action"].size
    assert float((loss - without).detach()) == pytest.approx(0.5 * imitation / count, rel=1e-3)
    assert float(measured["demo_better"]) == pytest.approx(better / count)
    before = player.dataset.state()
    drawn = [player.dataset._demonstrations.draw()["demo_value"]]
    player.dataset.restore({}, before)
    drawn.append(player.dataset._demonstrations.draw()["demo_value"])
    np.testing.assert_array_equal(*drawn)
    player.close()


@pytest.mark.parametrize(("name", "recurrent"), [("ppo", "none"), ("ppo", "gru"), ("a3c", "gru")])
@pytest.mark.slow
def test_an_actor_imitates_itself_along_the_runs_while_it_learns_backward(
    name: str, recurrent: str, runs_folder: Path, tmp_path: Path
) -> None:
    trainer: Any = load_trainer(name)
    options = {
        "imitate": str(runs_folder),
        "imitate_steps": 0,
        "sil_coef": 1.0,
        "backward": str(runs_folder),
        "snapshots": True,
        "recurrent_type": recurrent,
        "total_steps": 1_024,
    }
    path = train(trainer, config_of(name, **options), tmp_path / "run", name=name)
    assert not (path / "imitation.csv").exists()
    learned = rows(path)[-1]
    assert 0 < float(learned["demo_better"]) <= 1
    assert float(learned["demo_accuracy"]) > 0
    alone = train(
        trainer, config_of(name, **{**options, "sil_coef": 0.0}), tmp_path / "alone", name=name
    )
    assert not (alone / "demonstrations.jsonl").exists()
    assert rows(alone)[-1]["demo_better"] in ("", "nan")
    shutil.copytree(path, tmp_path / "again")
    further = config_of(name, **{**options, "total_steps": 2_048})
    for each in (path, tmp_path / "again"):
        trainer.train(further, each, resume=True)
    assert_equal(weights(path), weights(tmp_path / "again"))
