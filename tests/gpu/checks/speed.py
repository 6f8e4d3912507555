"""How fast is it? Nothing else runs meanwhile."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import torch

from mario_agents.config import make_config
from mario_agents.nn.device import fast_bfloat16, resolve_device
from mario_agents.run import RunDir
from mario_envkit.errors import ConfigError
from mario_envkit.plugins import load_trainer
from tests.gpu.job import Found, Job
from tests.gpu.learning_parts import NumpyBatch, Player, Updates, spaces_of
from tests.gpu.options import MEASURED, OBSERVATIONS, known, networks_of, small_options
from tests.gpu.rows import speed_text, speeds

FOREVER = 10**9


def training(job: Job, trainer: str) -> Found:
    """Runs with the trainer's own options, from tiles and from pixels."""
    found, plugin = Found(""), load_trainer(trainer)
    for observation, seen in OBSERVATIONS.items():
        more = {
            **seen,
            "device": job.device,
            "max_minutes": job.seconds / len(OBSERVATIONS) / 60,
            "total_steps": FOREVER,
            "eval_interval": 0,
            "checkpoint_interval": FOREVER,
            "log_interval": 128,
            "ui": False,
        }
        options = known(plugin.config_class, more) | MEASURED.get(trainer, {})
        path = job.folder / observation
        job.command("train", trainer, "--config", job.options_file(options), "--run-dir", path)
        figures = speeds(RunDir.open(path))
        if not figures:
            found.problems.append(
                f"{observation}: no two rows with updates in {more['max_minutes'] * 60:.0f} s."
            )
        found.figures[observation] = figures
    found.said = "; ".join(f"{name}: {speed_text(each)}" for name, each in found.figures.items())
    return found


def updates(job: Job, trainer: str) -> Found:
    """Updates alone, of every network, in float32 and, where it is fast, in bfloat16."""
    found, plugin, device = Found(""), load_trainer(trainer), resolve_device(job.device)
    precisions = ("float32", "bfloat16") if fast_bfloat16(device) else ("float32",)
    chosen = [
        (observation, precision, network)
        for observation in OBSERVATIONS
        for precision in precisions
        for network in networks_of(plugin.config_class)
    ]
    batches: dict[str, NumpyBatch] = {}
    left_out = []
    for observation, precision, network in chosen:
        options = {
            **known(plugin.config_class, OBSERVATIONS[observation]),
            **MEASURED.get(trainer, {}),
            "device": job.device,
            "precision": precision,
            **({} if network is None else {"network": network}),
        }
        label = f"{observation} {network or ''} {precision}"
        if job.late:
            left_out.append(label)
            continue
        try:
            config = make_config(plugin.config_class, options, source=label)
            if observation not in batches:  # by the first network, which is the cheapest
                batches[observation] = _batch(plugin.algorithm, config, device)
            rate = _rate(
                plugin.algorithm, config, device, batches[observation], job.seconds / len(chosen)
            )
        except ConfigError:  # a network that cannot see this
            continue
        found.figures[label] = round(rate, 1)
        print(label, found.figures[label], flush=True)
    said = [f"{label} {figure:,.0f}" for label, figure in found.figures.items()]
    found.said = f"updates/s: {', '.join(said)}"
    if left_out:
        found.said += f"; no time for {', '.join(left_out)}"
    return found


def compiled(job: Job, trainer: str) -> Found:
    """torch.compile: how long the first update takes, and what the others gain."""
    plugin, device = load_trainer(trainer), resolve_device(job.device)
    options = small_options(trainer, plugin.config_class, "pixels") | {"device": job.device}
    plain = make_config(plugin.config_class, options, source="small options")
    batch = _batch(plugin.algorithm, plain, device)
    rate = _rate(plugin.algorithm, plain, device, batch, 1.0)
    begin = time.monotonic()
    different = dataclasses.replace(plain, compile=True)
    faster = _rate(plugin.algorithm, different, device, batch, 1.0)
    seconds = time.monotonic() - begin
    figures = {"plain": round(rate, 1), "compiled": round(faster, 1), "seconds": round(seconds, 1)}
    said = f"{rate:,.0f} updates/s, compiled {faster:,.0f} after {seconds:.0f} s"
    return Found(said, figures)


def _batch(algorithm: Any, config: Any, device: torch.device) -> NumpyBatch:
    player = Player(algorithm, config, device)
    try:
        return player.first_batch()
    finally:
        player.close()


def _rate(
    algorithm: Any, config: Any, device: torch.device, batch: NumpyBatch, seconds: float
) -> float:
    """Updates a second from one batch: gradients and optimizer, without the games."""
    learner = algorithm.learner(config, spaces_of(algorithm, config))
    learner.model.to(device)
    updates = Updates(algorithm, config, learner, device, recording=False)
    for _ in range(2):
        updates.update(batch)  # warms up
    _wait(device)
    count, begin = 0, time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds or not count:
        updates.update(batch)
        _wait(device)
        count += 1
    return count / max(elapsed, 1e-9)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
