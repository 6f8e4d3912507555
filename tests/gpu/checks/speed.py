"""How fast is it? Nothing else runs meanwhile."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from typing import Any, NamedTuple

from mario_agents.config import make_config
from mario_agents.core.graphed import WARM_UPS
from mario_agents.nn.device import resolve_device
from mario_agents.run import RunDir
from mario_envkit.plugins import load_trainer
from mario_envkit.vector.cores import available_cores
from tests.gpu.job import CheckFailed, Found, Job
from tests.gpu.learning_parts import NumpyBatch, Player, Updates
from tests.gpu.options import (
    CORES_LEFT,
    FLEETS,
    MEASURED,
    OBSERVATIONS,
    known,
    on_device,
    small_options,
)
from tests.gpu.rows import speed_text, speeds

FOREVER = 10**9
WARM_UP = 0.4
"""Share of a run that is not measured: recording a graph takes a second."""
PLAYING = 0.3
"""Share of the time in which a network plays; then it learns."""


def training(job: Job, trainer: str, observation: str) -> Found:
    """A run with the trainer's own options."""
    return _run(job, trainer, OBSERVATIONS[observation], "")


def fleet(job: Job, trainer: str) -> Found:
    """A run with a worker process on nearly every core, see :data:`~tests.gpu.options.FLEETS`."""
    workers = max(available_cores() - CORES_LEFT, 1)
    return _run(job, trainer, {**FLEETS[trainer], "workers": workers}, f"{workers} workers: ")


def _run(job: Job, trainer: str, options: dict[str, Any], label: str) -> Found:
    more = {
        **on_device(options, resolve_device(job.device)),
        "device": job.device,
        "max_minutes": job.seconds / 60,
        "total_steps": FOREVER,
        "eval_interval": 0,
        "checkpoint_interval": FOREVER,
        "log_interval": 128,
        "ui": False,
    }
    chosen = known(load_trainer(trainer).config_class, more) | MEASURED.get(trainer, {})
    path = job.folder / "run"
    job.command("train", trainer, "--config", job.options_file(chosen), "--run-dir", path)
    figures = speeds(RunDir.open(path), warm_up=WARM_UP)
    if not figures:
        raise CheckFailed(f"No two rows with updates in {job.seconds:.0f} s.")
    return Found(label + speed_text(figures), figures)


def updates(job: Job, trainer: str, options: dict[str, Any], both: bool) -> Found:
    """A network by itself: how fast it plays the trainer's games, and how fast it learns from one
    batch of them, as a graph and, with ``both``, also operation by operation."""
    plugin, device = load_trainer(trainer), resolve_device(job.device)
    chosen = MEASURED.get(trainer, {}) | on_device(options, device) | {"device": job.device}
    config = make_config(plugin.config_class, chosen, source=trainer)
    player = Player(plugin.algorithm, config, device)
    try:
        batch, rate = player.played(PLAYING * job.seconds)
    finally:
        player.close()
    found = Found(f"{rate:,.0f} steps/s", {"playing": {"steps/s": round(rate, 1)}})
    ways = {"graphed": True, "eager": False} if device.type == "cuda" else {"eager": False}
    if not both and device.type == "cuda":
        del ways["eager"]
    for way, graphs in ways.items():
        seconds = (1 - PLAYING) * job.seconds / len(ways)
        different = dataclasses.replace(config, cuda_graphs=graphs)
        learning = _rate(plugin.algorithm, different, player, batch, seconds)
        found.figures[way] = learning.figures
        found.said += "; {} {updates/s:,.0f} updates/s ({ms:.1f} ms)".format(
            way, **learning.figures
        )
        if learning.failure:
            found.problems.append(f"It could not be recorded: {learning.failure}")
    return found


def compiled(job: Job, trainer: str) -> Found:
    """torch.compile: how long the first update takes, and what the others gain."""
    plugin, device = load_trainer(trainer), resolve_device(job.device)
    options = small_options(trainer, plugin.config_class, "pixels") | {"device": job.device}
    plain = make_config(plugin.config_class, options, source="small options")
    player = Player(plugin.algorithm, plain, device)
    try:
        batch = player.first_batch()
    finally:
        player.close()
    rate = _rate(plugin.algorithm, plain, player, batch, 1.0).figures["updates/s"]
    begin = time.monotonic()
    different = dataclasses.replace(plain, compile=True)
    faster = _rate(plugin.algorithm, different, player, batch, 1.0).figures["updates/s"]
    seconds = time.monotonic() - begin
    figures = {"plain": rate, "compiled": faster, "seconds": round(seconds, 1)}
    said = f"{rate:,.0f} updates/s, compiled {faster:,.0f} after {seconds:.0f} s"
    return Found(said, figures)


class Rate(NamedTuple):
    """How fast updates are.

    Attributes:
        figures: updates a second; milliseconds of one, of each of its parts, and of the first few.
        failure: why they were not recorded, if they were to be and could not.
    """

    figures: dict[str, float]
    failure: str


def _rate(algorithm: Any, config: Any, player: Player, batch: NumpyBatch, seconds: float) -> Rate:
    """Updates from one batch: its way to the device, gradients and optimizer, without the games."""
    learner = algorithm.learner(config, player.spaces)
    learner.model.to(player.device)
    updates = Updates(algorithm, config, learner, player.device, recording=False)
    begin = time.monotonic()
    for _ in range(WARM_UPS + 2 if player.device.type == "cuda" else 1):
        updates.timed(batch)
    first = time.monotonic() - begin
    parts: Counter[str] = Counter()
    count, begin = 0, time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds or not count:
        parts.update(updates.timed(batch))
        count += 1
    figures = {"updates/s": count / max(elapsed, 1e-9), "ms": 1e3 * elapsed / count}
    figures |= {f"ms {part}": 1e3 * total / count for part, total in parts.items()}
    figures["ms first"] = 1e3 * first
    return Rate({name: round(figure, 2) for name, figure in figures.items()}, updates.failure)
