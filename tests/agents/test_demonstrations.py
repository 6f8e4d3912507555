"""Demonstrations beside a replay buffer: kept, mixed, learned from, saved and taken up again."""

from __future__ import annotations

import dataclasses
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
from mario_agents.algos.impala.config import ImpalaConfig
from mario_agents.algos.ppo.config import PPOConfig
from mario_agents.config import make_config
from mario_agents.core.algorithm import Spaces, WorkerContext
from mario_agents.core.gradients import DeviceBatch
from mario_agents.core.types import Step
from mario_agents.imitation.cloning import check_imitation
from mario_agents.imitation.demonstrations import demonstrations, sources_of
from mario_agents.imitation.kept import demonstrated_steps, demonstration_storage, read_runs
from mario_agents.ops.imitation import margin_loss, self_imitation_loss
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
from tests.gpu.learning_parts import Player

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
