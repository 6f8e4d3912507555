"""Averages of weights: what they are, and that they are what is played, saved and resumed."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mario_agents.core.weight_average import WeightAverage
from mario_agents.run import RunDir, read_weights
from mario_envkit.errors import CheckpointError
from mario_envkit.plugins import load_trainer
from tests.agents.test_initial import config_of, model, saved
from tests.agents.trained_run import assert_equal, train, weights


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))


@given(st.floats(0, 0.999), st.lists(st.floats(-5, 5, width=32), max_size=20), st.integers(0, 20))
def test_an_average_is_that_of_the_formula(decay, values, restored_at):
    net = Net()
    average, expected = WeightAverage(net, decay), 0.0
    for number, value in enumerate(values, start=1):
        with torch.no_grad():
            net.weight.fill_(value)
            net.count.fill_(number)
        average.update(number)
        share = min(decay, number / (number + 9))
        expected = share * expected + (1 - share) * value
        if number == restored_at:
            kept = {name: tensor.clone() for name, tensor in average.weights().items()}
            average = WeightAverage(Net(), decay)
            average._module = net
            average.restore(kept)
    assert average.weights()["weight"].item() == pytest.approx(expected, abs=1e-4)
    assert average.weights()["count"].item() == len(values)


def test_an_average_of_another_module_is_refused():
    with pytest.raises(CheckpointError, match="averaged weights do not fit"):
        WeightAverage(Net(), 0.5).restore({"weight": torch.zeros(1)})


def average_of(checkpoint: Any) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("average."): tensor
        for name, tensor in checkpoint.tensors.items()
        if name.startswith("average.")
    }


def test_an_average_is_evaluated_and_saved_and_training_goes_on_without_it(tmp_path):
    trainer: Any = load_trainer("ppo")
    options = {"total_steps": 1_024, "eval_interval": 512, "eval_episodes": 1, "stall_limit": 20}
    plain = train(trainer, config_of("ppo", **options), tmp_path / "plain", name="ppo")
    config = config_of("ppo", **options, weight_average=0.9)
    path = train(trainer, config, tmp_path / "run", name="ppo")
    last = saved(path, -1)
    assert_equal(model(last), weights(plain))  # the same training
    assert_equal(average_of(last), weights(path))
    assert any(not torch.equal(average_of(last)[name], w) for name, w in model(last).items())
    best, metadata = read_weights(RunDir.open(path), "best")
    if metadata["step"] == "1024":
        assert_equal(best, weights(path))
    again = tmp_path / "again"
    shutil.copytree(path, again)
    trainer.train(dataclasses.replace(config, total_steps=2_048), again, resume=True)
    assert_equal(average_of(saved(again, -1)), weights(again))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shared memory")
def test_workers_average_too(tmp_path):
    trainer: Any = load_trainer("ppo")
    config = config_of("ppo", total_steps=512, workers=2, weight_average=0.9)
    path = train(trainer, config, tmp_path / "run", name="ppo")
    last = saved(path, -1)
    assert_equal(average_of(last), weights(path))
    assert any(not torch.equal(average_of(last)[name], w) for name, w in model(last).items())
