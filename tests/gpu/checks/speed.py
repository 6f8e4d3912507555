"""How fast is it? Nothing else runs meanwhile."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from typing import Any, NamedTuple

import torch

from mario_agents.config import make_config
from mario_agents.core.graphed import WARM_UPS
from mario_agents.nn.device import resolve_device
from mario_agents.run import RunDir
from mario_envkit.plugins import load_trainer
from mario_envkit.vector.cores import available_cores
from tests.gpu.job import Found, Job
from tests.gpu.learning_parts import NumpyBatch, Player, Updates, spaces_of
from tests.gpu.options import (
    CORES_LEFT,
    FLEETS,
    MEASURED,
    OBSERVATIONS,
    SIZES,
    known,
    small_options,
)
from tests.gpu.rows import speed_text, speeds

FOREVER = 10**9


def training(job: Job, trainer: str) -> Found:
    """Runs with the trainer's own options, from tiles and from pixels."""
    return _runs(job, trainer, OBSERVATIONS)


def fleet(job: Job, trainer: str) -> Found:
    """A run with a worker process on nearly every core, see :data:`~tests.gpu.options.FLEETS`."""
    workers = max(available_cores() - CORES_LEFT, 1)
    return _runs(job, trainer, {f"{workers} workers": {**FLEETS[trainer], "workers": workers}})


def _runs(job: Job, trainer: str, runs: dict[str, dict[str, Any]]) -> Found:
    found, plugin = Found(""), load_trainer(trainer)
    for name, options in runs.items():
        more = {
            **options,
            "device": job.device,
            "max_minutes": job.seconds / len(runs) / 60,
            "total_steps": FOREVER,
            "eval_interval": 0,
            "checkpoint_interval": FOREVER,
            "log_interval": 128,
            "ui": False,
        }
        chosen = known(plugin.config_class, more) | MEASURED.get(trainer, {})
        path = job.folder / name.replace(" ", "-")
        job.command("train", trainer, "--config", job.options_file(chosen), "--run-dir", path)
        figures = speeds(RunDir.open(path))
        if not figures:
            found.problems.append(
                f"{name}: no two rows with updates in {more['max_minutes'] * 60:.0f} s."
            )
        found.figures[name] = figures
    found.said = "; ".join(f"{name}: {speed_text(each)}" for name, each in found.figures.items())
    return found


def updates(job: Job, trainer: str) -> Found:
    """Updates alone, with the trainer's own options, operation by operation and as a graph."""
    plugin = load_trainer(trainer)
    cases = {
        observation: {**known(plugin.config_class, seen), **MEASURED.get(trainer, {})}
        for observation, seen in OBSERVATIONS.items()
    }
    return _both_ways(job, plugin, cases)


def sizes(job: Job, trainer: str) -> Found:
    """The same at the sizes that papers have, see :data:`~tests.gpu.options.SIZES`."""
    return _both_ways(job, load_trainer(trainer), SIZES[trainer])


def _both_ways(job: Job, plugin: Any, cases: dict[str, dict[str, Any]]) -> Found:
    found, device = Found(""), resolve_device(job.device)
    ways = {"graphed": True, "eager": False} if device.type == "cuda" else {"eager": False}
    for label, options in cases.items():
        chosen = {**options, "device": job.device}
        config = make_config(plugin.config_class, chosen, source=label)
        batch = _batch(plugin.algorithm, config, device)
        for way, graphs in ways.items():
            different = dataclasses.replace(config, cuda_graphs=graphs)
            seconds = job.seconds / len(cases) / len(ways)
            rate = _rate(plugin.algorithm, different, device, batch, seconds)
            found.figures[f"{label} {way}"] = rate.figures
            print(label, way, rate.figures, flush=True)
            if rate.failure:
                found.problems.append(f"{label} could not be recorded: {rate.failure}")
    found.said = "; ".join(
        f"{label} {figures['updates/s']:,.0f} updates/s ({figures['ms']:.1f} ms)"
        for label, figures in found.figures.items()
    )
    return found


def compiled(job: Job, trainer: str) -> Found:
    """torch.compile: how long the first update takes, and what the others gain."""
    plugin, device = load_trainer(trainer), resolve_device(job.device)
    options = small_options(trainer, plugin.config_class, "pixels") | {"device": job.device}
    plain = make_config(plugin.config_class, options, source="small options")
    batch = _batch(plugin.algorithm, plain, device)
    rate = _rate(plugin.algorithm, plain, device, batch, 1.0).figures["updates/s"]
    begin = time.monotonic()
    different = dataclasses.replace(plain, compile=True)
    faster = _rate(plugin.algorithm, different, device, batch, 1.0).figures["updates/s"]
    seconds = time.monotonic() - begin
    figures = {"plain": rate, "compiled": faster, "seconds": round(seconds, 1)}
    said = f"{rate:,.0f} updates/s, compiled {faster:,.0f} after {seconds:.0f} s"
    return Found(said, figures)


def _batch(algorithm: Any, config: Any, device: torch.device) -> NumpyBatch:
    player = Player(algorithm, config, device)
    try:
        return player.first_batch()
    finally:
        player.close()


class Rate(NamedTuple):
    """How fast updates are.

    Attributes:
        figures: updates a second; milliseconds of one, of each of its parts, and of the first few.
        failure: why they were not recorded, if they were to be and could not.
    """

    figures: dict[str, float]
    failure: str


def _rate(
    algorithm: Any, config: Any, device: torch.device, batch: NumpyBatch, seconds: float
) -> Rate:
    """Updates from one batch: its way to the device, gradients and optimizer, without the games."""
    learner = algorithm.learner(config, spaces_of(algorithm, config))
    learner.model.to(device)
    updates = Updates(algorithm, config, learner, device, recording=False)
    begin = time.monotonic()
    for _ in range(WARM_UPS + 2):
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
