"""Runs that begin with the weights of another one."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mario_agents.config import make_config, read_options
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.run.weights import write_weights
from mario_envkit.errors import ConfigError, RunError
from mario_envkit.plugins import load_trainer
from tests.agents.command_runs import assert_refused
from tests.agents.trained_run import assert_equal, train, weights
from tests.golden.cases import CASES

TRAINERS = {
    "ppo": "ppo-tiles",
    "ddqn": "ddqn-tiles-uniform-n1",
    "apex": "apex-tiles",
    "a3c": "a3c-tiles-gru-noisy",
    "dreamer": "dreamer-tiles",
}
STEPS = {"dreamer": 160}


def config_of(name: str, **options: Any) -> Any:
    case = CASES[TRAINERS[name]]
    config_class = load_trainer(name).config_class
    shorter = {"total_steps": STEPS.get(name, 512), "snapshots": False}
    return make_config(config_class, {**case.options, **shorter, **options}, source="test")


def start(name: str, path: Path, **options: Any) -> Path:
    trainer: Any = load_trainer(name)
    return train(trainer, config_of(name, **options), path, name=name)


def saved(path: Path, which: int) -> Any:
    """The first (0) or the last (-1) checkpoint of a run."""
    store = CheckpointStore(path / "checkpoint", keep=9)
    names = sorted(file.stem for file in store.directory.glob("*.json"))
    return store.load(names[which])


def model(checkpoint: Any) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("model."): tensor
        for name, tensor in checkpoint.tensors.items()
        if name.startswith("model.")
    }


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.slow
def test_a_run_begins_with_all_weights_of_a_checkpoint(name, tmp_path):
    first = start(name, tmp_path / "first")
    (file,) = (first / "checkpoint").glob("*-step[1-9]*.safetensors")
    again = start(name, tmp_path / "again", init=str(file), seed=3)
    begun = saved(again, 0)
    assert_equal(model(begun), model(saved(first, -1)))
    assert begun.step == 0
    assert begun.state["updater"] == {"updates": 0, "packets": 0}
    assert not any(key.startswith("optimizer.") for key in begun.tensors)


@pytest.mark.parametrize("name", ["ppo", "ddqn"])
def test_a_run_begins_with_the_weights_that_another_one_plays_with(name, tmp_path):
    first = start(name, tmp_path / "first")
    best = {key: tensor + 0.5 for key, tensor in weights(first).items()}
    write_weights(RunDir.open(first), best, {"score": "1.0"}, "best")
    again = start(name, tmp_path / "again", init=str(first), lr=2e-4, reward="v7", seed=3)
    begun = model(saved(again, 0))
    parts = ("online.", "target.") if name == "ddqn" else ("",)
    for part in parts:
        assert_equal({key: begun[part + key] for key in best}, best)
    assert read_options(again / "config.json")["init"] == str(first)
    path = first / "weights.safetensors"
    latest = start(name, tmp_path / "latest", init=str(path))
    begun = model(saved(latest, 0))
    assert_equal({key: begun[parts[0] + key] for key in best}, weights(first))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_workers_begin_with_them_too(tmp_path):
    first = start("ppo", tmp_path / "first", total_steps=256)
    again = start(
        "ppo", tmp_path / "again", init=str(first), workers=2, lr=1e-9, lr_min=1e-9,
        total_steps=512,
    )  # fmt: skip
    ours, theirs = weights(again), weights(first)
    for key, tensor in theirs.items():
        assert torch.allclose(ours[key], tensor, atol=1e-5), key


def test_going_on_does_not_begin_anew(tmp_path):
    first = start("ppo", tmp_path / "first", total_steps=256)
    again = start("ppo", tmp_path / "again", init=str(first), total_steps=256)
    before = weights(again)
    (first / "weights.safetensors").unlink()
    config = dataclasses.replace(config_of("ppo", init=str(first)), total_steps=256)
    load_trainer("ppo").train(config, again, resume=True)
    assert_equal(weights(again), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 32}, "there and .* here; set hidden=64 as there."),
        ({"frame_stack": 1}, "they see observations \\(2, 16, 16\\), and here these are "
         "\\(16, 16\\); set frame_stack=2 as there"),
        ({"actions": "right_only"}, "they choose among 7 actions, and here there are 5; set "
         "actions=simple as there"),
        ({"recurrent_type": "gru", "hidden": 32}, "set hidden=64, recurrent_type=none as there"),
    ],
)  # fmt: skip
def test_networks_that_do_not_fit(options, message, tmp_path):
    first = start("ppo", tmp_path / "first", total_steps=256)
    with pytest.raises(ConfigError, match=message):
        start("ppo", tmp_path / "again", init=str(first), total_steps=256, **options)


def test_what_has_no_weights(tmp_path):
    for name, message in (("nothing", "There are no weights"), ("x.safetensors", "no weights")):
        with pytest.raises(RunError, match=message):
            start("ppo", tmp_path / f"run of {name}", init=str(tmp_path / name))
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    with pytest.raises(RunError, match=r"bad.safetensors cannot be read"):
        start("ppo", tmp_path / "bad", init=str(tmp_path / "bad.safetensors"))


def test_the_command_refuses_before_there_is_a_run(cli, tmp_path):
    first = start("ppo", tmp_path / "first", total_steps=256)
    words = ["train", "ppo", "--init", "first", "--run-dir", "second", "--hidden", "16", "--no-ui"]
    done = cli(*words)
    assert_refused(done, "do not fit the networks of this run", "set hidden=64 as there")
    assert not (tmp_path / "second").exists()
    done = cli("train", "--resume", "first", "--init", "first")
    assert_refused(done, "cannot be resumed with")
    assert first.exists()
