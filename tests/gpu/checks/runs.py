"""Does a whole run work there: one process and several, evaluation, going on, on another device?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mario_agents.run import CheckpointStore, RunDir
from mario_agents.run.records import read_evaluations
from mario_envkit.plugins import load_trainer
from tests.gpu.job import CheckFailed, Found, Job
from tests.gpu.options import known, small_options
from tests.gpu.rows import speeds


def one_process(job: Job, trainer: str) -> Found:
    """Train, go on on the CPU, and back with actions chosen on the CPU; measure by the standard on
    both."""
    run, steps = _train(job, trainer, "pixels", {"eval_interval": 320}), _steps(job, trainer)
    if not read_evaluations(run.evaluations_path)[0]:
        raise CheckFailed("No evaluation while training succeeded; its log says why.")
    updates = [_updates(run)]
    ways = [("cpu", ()), (job.device, ("--actor-device", "cpu"))]
    for number, (device, more) in enumerate(ways, start=2):
        job.command("train", "--resume", run.path, "--device", device, *more,
                    "--total-steps", number * steps)  # fmt: skip
        updates.append(_updates(run))
        if not updates[-1] > updates[-2]:
            raise CheckFailed(f"Going on on {device} led to no update: {updates} so far.")
    for device in (job.device, "cpu"):
        out = job.folder / f"standard-{device}.json"
        job.command("eval", run.path, "--device", device, "--episodes", 2, "--weights", "latest",
                    "--conditions", "greedy-plain", "--out", out)  # fmt: skip
        json.loads(out.read_text())
    said = f"{updates[-1]} updates in three parts, one on the CPU; standard played on both"
    return Found(said, {"updates": updates})


def workers(job: Job, trainer: str, share: str | None, count: int) -> Found:
    """Several worker processes, then one."""
    options: dict[str, Any] = {"workers": count} | ({"share": share} if share else {})
    run = _train(job, trainer, "tiles", options, worth=count)
    before = _updates(run)
    found = speeds(run)
    job.command("train", "--resume", run.path, "--workers", 1,
                "--total-steps", (count + 1) * _steps(job, trainer))  # fmt: skip
    after = _updates(run)
    if not after > before > 0:
        raise CheckFailed(f"{count} workers made {before} updates, and one more {after - before}.")
    return Found(f"{count} workers, then one: {before} + {after - before} updates", found)


def _train(
    job: Job, trainer: str, observation: str, options: dict[str, Any], *, worth: int = 1
) -> RunDir:
    plugin = load_trainer(trainer)
    small = small_options(trainer, plugin.config_class, observation)
    more = {"device": job.device, "total_steps": worth * small["total_steps"], **options}
    file = job.options_file(small | known(plugin.config_class, more))
    path: Path = job.folder / "run"
    job.command("train", trainer, "--config", file, "--run-dir", path)
    run = RunDir.open(path)
    if _updates(run) == 0:
        raise CheckFailed(f"{trainer} made no update in {more['total_steps']} steps.")
    return run


def _steps(job: Job, trainer: str) -> int:
    return int(small_options(trainer, load_trainer(trainer).config_class, "tiles")["total_steps"])


def _updates(run: RunDir) -> int:
    state = CheckpointStore(run.checkpoint_path).load_latest().state
    return int(state["updater"]["updates"])
