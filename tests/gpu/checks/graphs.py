"""Does a recorded computation give what is computed operation by operation?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mario_agents.config import make_config
from mario_agents.core.gradients import GradientComputer
from mario_agents.core.graphed import Computed, CudaCapture
from mario_agents.nn.device import fast_bfloat16, resolve_device
from mario_envkit.plugins import load_trainer
from tests.agents.pretend_capture import PretendCapture
from tests.gpu.job import Found, Job
from tests.gpu.learning_parts import Player
from tests.gpu.options import OBSERVATIONS, SMALL_SCREEN, small_options

REPLAYS, MOST_BATCHES = 4, 40
EXACT, NOISE = 1e-6, 4.0
"""Gradients may be so far apart relative to their size, or so many times as far as those of two
computations that are not recorded."""


class CountingCapture(CudaCapture):
    """CUDA graphs, and how often they are replayed."""

    replays = 0

    def record(self, compute: Callable[[], Computed]) -> tuple[Callable[[], object], Computed]:
        """Record a graph."""
        replay, results = super().record(compute)

        def counted() -> None:
            self.replays += 1
            replay()

        return counted, results


def check(job: Job, trainer: str) -> Found:
    """The small networks of both kinds of observation, in each precision."""
    plugin, device, found = load_trainer(trainer), resolve_device(job.device), Found("")
    precisions = ("float32", "bfloat16") if fast_bfloat16(device) else ("float32",)
    for observation in OBSERVATIONS:
        for precision in precisions:
            options = small_options(trainer, plugin.config_class, observation)
            options |= {"device": job.device, "precision": precision}
            if observation == "pixels" and device.type == "cpu":
                options |= SMALL_SCREEN
            label = f"{observation} {precision}"
            config = make_config(plugin.config_class, options, source=label)
            _compare(plugin.algorithm, config, device, label, found)
    worst = max((figure["gradients"] for figure in found.figures.values()), default=math.nan)
    found.said = f"{len(found.figures)} kinds, gradients differ by {worst:.0e} at most"
    return found


def _compare(algorithm: Any, config: Any, device: torch.device, label: str, found: Found) -> None:
    player = Player(algorithm, config, device)
    if not player.learner.capturable:
        found.problems.append(f"{label}: the learner says that its loss cannot be recorded.")
        return
    capture = CountingCapture(device) if device.type == "cuda" else PretendCapture()
    recorded = GradientComputer(player.learner, device, capture)
    plain = [_plain(player, device) for _ in range(2)]
    updater, worst, noise = algorithm.updater(config, player.learner), 0.0, 0.0
    for number, batch in enumerate(player.batches()):
        for other in plain:
            other.learner.model.load_state_dict(player.learner.model.state_dict())
        replays = capture.replays
        measured = recorded.add(batch)
        first, second = ({**other.add(batch)} for other in plain)
        ours, theirs, again = (each.take() for each in (recorded, *plain))
        if capture.replays > replays:
            worst = max(worst, _apart(ours, theirs), _apart(_all(measured), _all(first)))
            noise = max(noise, _apart(theirs, again), _apart(_all(first), _all(second)))
        updater.apply(ours)
        player.feedback(batch, measured)
        if capture.replays == REPLAYS or number == MOST_BATCHES:
            break
    player.close()
    found.figures[label] = {"gradients": worst, "noise": noise, "replays": capture.replays}
    print(label, found.figures[label], flush=True)
    if reason := recorded.computation.failure:
        found.problems.append(f"{label}: it could not be recorded: {reason}")
    elif not capture.replays:
        found.problems.append(f"{label}: nothing was replayed.")
    elif not worst <= max(EXACT, NOISE * noise):
        found.problems.append(
            f"{label}: a replay is {worst:.1e} from what is computed without (noise {noise:.1e})."
        )


def _plain(player: Player, device: torch.device) -> GradientComputer:
    learner = player.algorithm.learner(player.config, player.spaces)
    learner.model.to(device)
    return GradientComputer(learner, device)


def _all(measured: Mapping[str, Tensor]) -> list[Tensor]:
    return [measured[name].to("cpu") for name in sorted(measured)]


def _apart(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference, relative to the size of all."""
    size = max((float(each.double().abs().max()) for each in theirs if each.numel()), default=1.0)
    pairs = [(a.double(), b.double()) for a, b in zip(ours, theirs, strict=True) if a.numel()]
    largest = max((float((a - b).abs().max()) for a, b in pairs), default=0.0)
    return largest / max(size, 1e-8)
