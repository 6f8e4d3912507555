"""The trainer from end to end on a corridor: run directory, resume, evaluation, signals."""

from __future__ import annotations

import dataclasses
import shutil
import signal

import numpy as np
import pytest
import torch

from mario_agents.acting.actor import Actor
from mario_agents.acting.environments import make_vector
from mario_agents.algos.dqn.config import ApexConfig, DDQNConfig
from mario_agents.config import check_resume, make_config, to_plain
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import EvalProtocol
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.run.records import read_evaluations
from mario_agents.runtime.build import open_hub
from mario_agents.runtime.local import LocalTopology
from mario_agents.runtime.trainer import AlgorithmTrainer
from mario_agents.runtime.worker import TrainingWorker
from mario_agents.runtime.worker_envs import WorkerEnvs
from mario_agents.telemetry.episodes import CollectResult
from mario_agents.testing.corridor import RIGHT
from mario_envkit.errors import CheckpointError, ConfigError, RunError
from mario_envkit.plugins import Trainer
from tests.agents.algorithms import ApexCorridorAlgorithm, CorridorAlgorithm
from tests.agents.trained_run import assert_equal, rows, train, weights

CPU = torch.device("cpu")
SMALL = DDQNConfig(
    observation="pixels",
    frame_stack=4,
    prioritized=True,
    n_step=3,
    train_every=4,
    total_steps=400,
    num_envs=4,
    learning_starts=64,
    buffer_size=600,
    batch_size=16,
    collect_steps=16,
    hidden=16,
    log_interval=80,
    checkpoint_interval=160,
    epsilon_decay=300,
    lr=1e-3,
    lr_warmup=10,
    ui=False,
)

APEX_SMALL = ApexConfig(
    **{name: getattr(SMALL, name) for name in set(to_plain(SMALL)) & set(to_plain(ApexConfig()))}
)


TRAINER = AlgorithmTrainer(CorridorAlgorithm(), "Walk to the flag.")


def start(path, config=SMALL, trainer=TRAINER):
    return train(trainer, config, path, name="ddqn")


def test_it_is_a_trainer():
    assert isinstance(TRAINER, Trainer)


def test_a_run_leaves_everything_behind(tmp_path):
    path = start(tmp_path / "run")
    worker, coordinator = rows(path, "worker_0"), rows(path, "coordinator")
    assert int(worker[-1]["step"]) == int(worker[-1]["steps"]) == 400
    assert [int(row["step"]) for row in worker] == [80, 160, 240, 320, 400]
    assert float(worker[-1]["epsilon"]) == pytest.approx(0.05)
    assert int(worker[-1]["episodes"]) > 0
    # One update for every 4 steps once 64 transitions are there; the round that fills up counts.
    assert int(coordinator[-1]["updates"]) == (400 - 64 + 16) // 4
    assert float(worker[-1]["loss"]) > 0
    assert float(coordinator[-1]["lr"]) == pytest.approx(1e-5, rel=0.1)
    assert list((path / "tensorboard").iterdir())
    assert len(CheckpointStore(path / "checkpoint")) == 3
    latest = CheckpointStore(path / "checkpoint").load_latest()
    assert latest.step == 400
    target = {
        name.removeprefix("model.target."): tensor
        for name, tensor in latest.tensors.items()
        if name.startswith("model.target.")
    }
    assert_equal(target, weights(path))  # what plays


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path):
    first, again = start(tmp_path / "a"), start(tmp_path / "b")
    assert_equal(weights(first), weights(again))
    other = start(tmp_path / "c", dataclasses.replace(SMALL, seed=1))
    assert not torch.equal(
        weights(first)["head.value.0.weight"], weights(other)["head.value.0.weight"]
    )


@pytest.mark.slow
def test_it_learns_to_walk_to_the_flag(tmp_path):
    config = dataclasses.replace(
        SMALL, total_steps=4000, train_every=4, tau=0.02, checkpoint_interval=10_000
    )
    path = start(tmp_path / "run", config)
    policy = TRAINER.load_policy(config, path, device="cpu")
    result = evaluate(policy, TRAINER.env_kwargs(config), EvalProtocol(episodes=2))
    assert result.success_rate.mean == 1.0
    envs = make_vector(TRAINER.env_kwargs(config), 1)
    assert policy.act(envs.reset()[0], greedy=True).tolist() == [RIGHT]
    envs.close()


def test_evaluation_during_training_is_written_down(tmp_path):
    """The first one has begun at step 80, whenever it ended; the last is that of the end."""
    config = dataclasses.replace(SMALL, total_steps=160, eval_interval=80, eval_episodes=2)
    path = start(tmp_path / "run", config)
    records, damaged = read_evaluations(path / "evaluations.jsonl")
    assert ([record.step for record in records], damaged) == ([80, 160], 0)
    last = rows(path, "coordinator")[-1]
    assert int(last["step"]) == 160
    assert float(last["eval_success"]) == sum(each.success for each in records[-1].plain) / 2
    assert float(last["eval_x"]) == sum(each.best_x for each in records[-1].plain) / 2


def test_a_resumed_run_goes_on_where_it_was(tmp_path):
    path = start(tmp_path / "run", dataclasses.replace(SMALL, total_steps=200))
    updates = int(rows(path, "coordinator")[-1]["updates"])
    TRAINER.train(SMALL, path, resume=True)
    worker = rows(path, "worker_0")
    steps = [int(row["step"]) for row in worker]
    assert steps == sorted(set(steps))
    assert steps[-1] == 400
    epsilon = [float(row["epsilon"]) for row in worker]
    assert epsilon == sorted(epsilon, reverse=True)
    assert int(worker[-1]["steps"]) == 400
    assert int(rows(path, "coordinator")[-1]["updates"]) > updates


@pytest.mark.parametrize("save_replay", [pytest.param(True, marks=pytest.mark.slow), False])
def test_two_resumes_of_one_checkpoint_are_equal(tmp_path, save_replay, monkeypatch):
    monkeypatch.setattr("mario_agents.replay.saving.CHUNK_BYTES", 10**5)
    config = dataclasses.replace(SMALL, save_replay=save_replay)
    path = start(tmp_path / "run", dataclasses.replace(config, total_steps=200))
    shutil.copytree(path, tmp_path / "copy")
    assert bool(list((path / "checkpoint").glob("chunk-*"))) == save_replay
    TRAINER.train(config, path, resume=True)
    TRAINER.train(config, tmp_path / "copy", resume=True)
    assert_equal(weights(path), weights(tmp_path / "copy"))


def session(path, algorithm, config, *, resume):
    run = RunDir.open(path)
    checkpoint = CheckpointStore(run.checkpoint_path).load_latest() if resume else None
    hub = open_hub(algorithm, config, run, checkpoint)
    games = WorkerEnvs(algorithm, config, run)
    return hub, games, LocalTopology(algorithm, config, run, hub, games, checkpoint)


@pytest.mark.parametrize(
    ("algorithm", "small", "chunk_bytes"),
    [
        (CorridorAlgorithm(), SMALL, 10**9),
        (CorridorAlgorithm(), dataclasses.replace(SMALL, prioritized=False), 10**5),
        (ApexCorridorAlgorithm(), APEX_SMALL, 10**5),
    ],
)
def test_updates_after_a_resume_are_those_of_the_uninterrupted_run(
    tmp_path, algorithm, small, chunk_bytes, monkeypatch
):
    """Without new games, which do begin anew, nothing tells the resumed run from the other; what
    pieces the replay buffer is saved in does not matter."""
    monkeypatch.setattr("mario_agents.replay.saving.CHUNK_BYTES", chunk_bytes)
    config = dataclasses.replace(small, save_replay=True)
    RunDir.create(tmp_path / "run", trainer="ddqn", config=config)
    *opened, ours = session(tmp_path / "run", algorithm, config, resume=False)
    for count in range(12):
        ours.advance()
        if count == 5:
            ours.watch()
    ours.worker.dataset.cut(0)  # as resuming does
    ours.coordinator.save()
    assert bool(ours.worker.dataset.chunks()) == (chunk_bytes < 10**9)
    *opened_later, theirs = session(tmp_path / "run", algorithm, config, resume=True)
    assert theirs.coordinator.step == ours.coordinator.step
    assert theirs.worker.dataset.state() == ours.worker.dataset.state()
    monkeypatch.setattr(Actor, "collect", lambda *_: CollectResult())
    for _ in range(10):
        for each in (ours, theirs):
            each.worker.dataset.credit = SMALL.train_every
            each.advance()
    assert ours.coordinator.version == theirs.coordinator.version > 10
    assert_equal(ours.coordinator.updater.tensors(), theirs.coordinator.updater.tensors())
    assert_equal(ours.worker.tensors(), theirs.worker.tensors())
    assert_equal(ours.worker.dataset.tensors(), theirs.worker.dataset.tensors())
    for each in (ours, theirs, *opened, *opened_later):
        each.close()


def test_ctrl_c_saves_and_stops(tmp_path, monkeypatch):
    advance = TrainingWorker.advance

    def interrupted(worker):
        advance(worker)
        if worker.heartbeat.total("steps") == 160:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(TrainingWorker, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "run")
    assert CheckpointStore(tmp_path / "run" / "checkpoint").load_latest().step == 160
    monkeypatch.undo()
    TRAINER.train(SMALL, tmp_path / "run", resume=True)
    assert CheckpointStore(tmp_path / "run" / "checkpoint").load_latest().step == 400


def test_a_run_killed_in_its_first_steps_can_be_resumed(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(worker):
        raise Killed

    monkeypatch.setattr(TrainingWorker, "advance", kill)
    with pytest.raises(Killed):
        start(tmp_path / "run")
    monkeypatch.undo()
    TRAINER.train(SMALL, tmp_path / "run", resume=True)
    assert CheckpointStore(tmp_path / "run" / "checkpoint").load_latest().step == 400


def test_every_step_is_saved_once(tmp_path):
    path = start(tmp_path / "run", dataclasses.replace(SMALL, total_steps=320))
    again = dataclasses.replace(SMALL, total_steps=480)
    (path / "weights.safetensors").unlink()
    TRAINER.train(again, path, resume=True)
    names = sorted(file.stem for file in (path / "checkpoint").glob("*.json"))
    steps = [name.split("step")[1] for name in names]
    assert steps == ["160", "320", "480"]
    assert weights(path)


def test_the_time_budget_ends_a_run(tmp_path):
    config = dataclasses.replace(SMALL, total_steps=10**9, max_minutes=1e-9)
    path = start(tmp_path / "run", config)
    assert CheckpointStore(path / "checkpoint").load_latest().step == 0


def test_a_checkpoint_of_another_shape_is_refused_in_a_sentence(tmp_path):
    path = start(tmp_path / "run", dataclasses.replace(SMALL, total_steps=80))
    with pytest.raises(CheckpointError, match="do not fit"):
        TRAINER.train(dataclasses.replace(SMALL, hidden=8), path, resume=True)


def test_weights_that_do_not_fit_are_refused_in_a_sentence(tmp_path):
    path = start(tmp_path / "run", dataclasses.replace(SMALL, total_steps=16))
    with pytest.raises(RunError, match="do not fit the configuration"):
        TRAINER.load_policy(dataclasses.replace(SMALL, hidden=8), path, device="cpu")


def test_sampled_play_explores(tmp_path):
    config = dataclasses.replace(SMALL, total_steps=16, eval_epsilon=1.0)
    path = start(tmp_path / "run", config)
    policy = TRAINER.load_policy(config, path, device="cpu")
    obs = np.zeros((300, 4, 36, 36), dtype=np.uint8)
    assert len(set(policy.act(obs, greedy=True).tolist())) == 1
    assert len(set(policy.act(obs, greedy=False).tolist())) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frame_stack": 1}, "frame_stack >= 2"),
        (
            {"observation": "pixels", "network": "nature", "screen_size": 32},
            "screen_size >= 36, not 32",
        ),
        ({"learning_starts": 10, "batch_size": 32}, "batch_size <= learning_starts"),
        ({"buffer_size": 1000, "learning_starts": 2000}, "learning_starts <= buffer_size"),
        ({"lr": 1e-6, "lr_min": 1e-5}, "lr_min <= lr"),
        ({"gamma": 1.5}, "gamma"),
        ({"n_steps": 3}, "did you mean 'n_step'"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(values, message):
    with pytest.raises(ConfigError, match=message):
        make_config(DDQNConfig, values, source="test")


def test_the_configuration_survives_json_and_guards_resume():
    assert make_config(DDQNConfig, to_plain(SMALL), source="test") == SMALL
    check_resume(SMALL, dataclasses.replace(SMALL, save_replay=True, total_steps=9999))
    with pytest.raises(ConfigError, match="gamma"):
        check_resume(SMALL, dataclasses.replace(SMALL, gamma=0.5))
