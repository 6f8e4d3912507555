"""Recorded computations of every trainer are those that are not, and can be recorded at all."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mario_agents.config import make_config
from mario_agents.core.gradients import DeviceBatch, GradientComputer
from mario_agents.core.graphed import MOST_GRAPHS, WARM_UPS
from mario_agents.core.types import Batch, Learner
from mario_envkit.plugins import load_trainer
from tests.agents.pretend_capture import PretendCapture
from tests.gpu.learning_parts import Player
from tests.gpu.options import SMALL_SCREEN, small_options

CPU = torch.device("cpu")
REPLAYS = 2
LINE = "0.9:0.5@512"
SCHEDULED = {"gamma": LINE, "repeat_action_probability": "0:0.5@512"}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("ddqn", "tiles", {"huber": 1.0}),
    ("ddqn", "pixels", {"network": "nature"}),
    ("apex", "tiles", {}),
    ("ppo", "tiles", {"value_clip": 0.2, "schedule": {**SCHEDULED, "entropy_coef": LINE}}),
    ("ppo", "pixels", {"network": "impala"}),
    ("a3c", "tiles", {"recurrent_type": "lstm", "trust_region": 0.1}),
    ("a3c", "tiles", {"recurrent_type": "transformer", "transformer_memory": 4}),
    (
        "a3c",
        "tiles",
        {"normalize_advantage": "level", "schedule": {"entropy_beta": LINE, **SCHEDULED}},
    ),
    ("impala", "pixels", {"network": "small", "leak": 0.1}),
    ("dreamer", "tiles", {"schedule": {**SCHEDULED, "entropy_coef": LINE}}),
    ("dreamer", "pixels", {}),
    ("dreamer", "tiles", {"decoder": "none"}),
]
"""A trainer, what it sees, and options that are not the small ones of the check of a GPU."""
IN_BATCHES = {"gamma", "entropy_coef", "entropy_beta"}
"""What a recorded loss is told of schedules: numbers of the batch, which change from one to the
next."""
SLOW = {"decoder"}
"""Options whose case is among the slow tests."""
PARAMETERS = [
    pytest.param(
        *case,
        id="-".join([*case[:2], *(n if n == "schedule" else str(x) for n, x in case[2].items())]),
        marks=pytest.mark.slow if SLOW & set(case[2]) else (),
    )
    for case in CASES
]


def player_of(trainer: str, observation: str, options: dict[str, Any]) -> Player:
    plugin = load_trainer(trainer)
    small = small_options(trainer, plugin.config_class, observation)
    screen = SMALL_SCREEN if observation == "pixels" else {}
    chosen = {**small, "device": "cpu", "stall_limit": 12, "noop_max": 0, **screen, **options}
    config = make_config(plugin.config_class, chosen, source="test")
    return Player(plugin.algorithm, config, CPU)


@pytest.mark.parametrize(("trainer", "observation", "options"), PARAMETERS)
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_a_replay_computes_what_is_computed_without(
    trainer: str,
    observation: str,
    options: dict[str, Any],
    precision: str,
) -> None:
    """Over several batches and updates; nothing waits for the device, or gets numbers from it."""
    player = player_of(trainer, observation, {**options, "precision": precision})
    algorithm, config, learner = player.algorithm, player.config, player.learner
    assert learner.capturable
    other = algorithm.learner(config, player.spaces)
    other.model.load_state_dict(copy.deepcopy(learner.model.state_dict()))
    capture = PretendCapture()
    computers = GradientComputer(learner, CPU, capture), GradientComputer(other, CPU)
    updaters = algorithm.updater(config, learner), algorithm.updater(config, other)
    kept: list[tuple[list[Tensor], list[Tensor]]] = []
    lines: list[tuple[float, ...]] = []
    for batch in player.batches():
        measured, expected = (computer.add(batch) for computer in computers)
        assert set(measured) == set(expected)
        for name, value in expected.items():
            assert torch.equal(measured[name], value), name
        gradients, others = (computer.take() for computer in computers)
        assert all(map(torch.equal, gradients, others))
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        kept.append((gradients, [gradient.clone() for gradient in gradients]))
        for updater, found in zip(updaters, (gradients, others), strict=True):
            updater.apply([gradient.clone() for gradient in found])
        player.feedback(batch, measured)
        lines.append(tuple(float(np.ravel(batch[name])[0]) for name in IN_BATCHES & set(batch)))
        if capture.replays >= REPLAYS and (len(set(lines)) > 1 or not config.schedules):
            break
    player.close()
    assert capture.replays >= REPLAYS
    for name, value in other.model.state_dict().items():
        assert torch.equal(learner.model.state_dict()[name], value), name
    # What was given out is not the memory of a graph.
    assert all(torch.equal(a, b) for given, was in kept for a, b in zip(given, was, strict=True))
    _check_strangers(capture, computers[0], learner.model)


def _check_strangers(capture: PretendCapture, computer: GradientComputer, model: nn.Module) -> None:
    """Operations may use what is in the graph's inputs and in the model, and nothing from the
    host."""
    graphs = computer.computation._graphs.values()
    known = [each for graph in graphs for each in graph.inputs.values()]
    known += [*model.parameters(), *model.buffers()]
    memory = {tensor.untyped_storage().data_ptr() for tensor in known}
    strangers = [tensor for where, tensor in capture.strangers.items() if where not in memory]
    assert not strangers


@pytest.mark.parametrize(("trainer", "observation", "options"), PARAMETERS)
def test_losses_in_bfloat16_are_those_in_float32(
    trainer: str, observation: str, options: dict[str, Any]
) -> None:
    player = player_of(trainer, observation, {**options, "precision": "float32"})
    batch = player.first_batch()
    found = []
    for precision in ("float32", "bfloat16"):
        other = player_of(trainer, observation, {**options, "precision": precision})
        other.close()
        other.learner.model.load_state_dict(player.learner.model.state_dict())
        loss, _ = other.learner.compute_loss(DeviceBatch(other.learner, batch, CPU))
        assert loss.dtype == torch.float32
        found.append(loss.item())
    player.close()
    assert found[1] == pytest.approx(found[0], rel=0.05, abs=0.02)


class Line(Learner):
    """``w * x``, with a size of its own."""

    capturable = True

    def __init__(self) -> None:
        self.model = nn.Linear(1, 1, bias=False)
        self.factor = 1.0

    def prepare(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"x": batch["x"] * self.factor}

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        loss = self.model(batch["x"]).mean()
        return loss, {"loss": loss.detach(), "x": batch["x"][:, 0]}


class Asking(Line):
    """Waits for its device."""

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        loss, measured = super().compute_loss(batch)
        return loss * float(batch["x"].max()), measured


def numbers(*values: float) -> dict[str, Any]:
    return {"x": np.array([values], dtype=np.float32).T}


def test_each_kind_of_batch_has_a_graph_up_to_a_number() -> None:
    capture = PretendCapture()
    computer = GradientComputer(Line(), CPU, capture)
    for size in range(1, MOST_GRAPHS + 3):
        for _ in range(WARM_UPS + 2):
            computer.add(numbers(*range(size)))
            assert float(computer.take()[0]) == pytest.approx(np.arange(size).mean())
    assert capture.recordings == MOST_GRAPHS
    assert capture.warm_ups == WARM_UPS * MOST_GRAPHS
    assert capture.replays == 2 * MOST_GRAPHS


def test_gradients_of_replays_add_up_and_what_was_measured_stays() -> None:
    computer = GradientComputer(Line(), CPU, PretendCapture())
    for _ in range(2):
        measured = [computer.add(numbers(x, 3 * x)) for x in (1.0, 2.0, 6.0)]
        assert [each["x"].tolist() for each in measured] == [[1, 3], [2, 6], [6, 18]]
        (gradient,) = computer.take()
        assert float(gradient) == pytest.approx(6.0)


def test_preparation_is_no_part_of_a_graph() -> None:
    learner = Line()
    computer = GradientComputer(learner, CPU, PretendCapture())
    for factor in (1.0, 2.0, 3.0, 4.0, 5.0):
        learner.factor = factor
        computer.add(numbers(1.0))
        assert float(computer.take()[0]) == factor


def test_what_cannot_be_recorded_is_computed_without_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    capture = PretendCapture()
    computer = GradientComputer(Asking(), CPU, capture)
    with caplog.at_level(logging.WARNING):
        for number in (1.0, 2.0, 3.0, 4.0, 5.0):
            computer.add(numbers(number))
            assert float(computer.take()[0]) == number**2
    assert capture.replays == 0
    (record,) = caplog.records
    assert "asks the device for a number" in record.getMessage()
    assert "--no-cuda-graphs" in record.getMessage()
