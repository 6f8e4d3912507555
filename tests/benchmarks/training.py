"""Training on the real game: how it scales with workers, and what the coordinator does.

Every row is a run of ``ddqn``, processes and all, for a fixed time. Speeds are those between the
first row of ``coordinator.csv`` that has updates and the last one.
"""

from __future__ import annotations

import csv
import tempfile
import time
from pathlib import Path
from statistics import fmean

from mario_agents.algos.dqn.algorithm import DDQNAlgorithm
from mario_agents.algos.dqn.config import DDQNConfig
from mario_agents.run import RunDir
from mario_agents.runtime.run import train

SECONDS = 30.0
WORKERS = (0, 1, 2, 4)


def measure(workers: int, folder: Path, seconds: float) -> None:
    """Train, and print a line."""
    config = DDQNConfig(
        workers=workers,
        observation="pixels",
        screen_size=84,
        crop_top=0,
        frame_stack=4,
        num_envs=8,
        n_step=3,
        prioritized=True,
        batch_size=32,
        train_every=4,
        eval_interval=0,
        total_steps=10**9,
        max_minutes=seconds / 60,
        learning_starts=256,
        buffer_size=10_000,
        log_interval=64,
        checkpoint_interval=10**9,
        device="cpu",
        snapshots=False,
        ui=False,
    )
    run = RunDir.create(folder / f"workers-{workers}", trainer="ddqn", config=config)
    start = time.monotonic()
    train(DDQNAlgorithm(), config, run, resume=False)
    wall = time.monotonic() - start
    with run.csv_path("coordinator").open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["updates"]) > 0]
    if len(rows) < 3:
        print(f"{workers:>7}  too slow: {len(rows)} rows in {wall:.0f} s")
        return
    first, last = rows[0], rows[-1]
    elapsed = float(last["time"]) - float(first["time"])
    steps = (int(last["step"]) - int(first["step"])) / elapsed
    updates = (int(last["updates"]) - int(first["updates"])) / elapsed
    packets = (int(last["packets"]) - int(first["packets"])) / elapsed
    busy = fmean(float(row["optimizing"]) for row in rows[1:])
    idle = fmean(float(row["waiting"]) for row in rows[1:])
    print(
        f"{workers:>7}  {steps:>7.1f}  {updates:>9.1f}  {packets:>9.1f}  {int(last['stale']):>5}  "
        f"{busy:>10.1%}  {1 - busy:>9.1%}  {idle:>7.1%}  {wall:>6.0f} s"
    )


def main() -> None:
    print(f"ddqn with its default network, 84x84, 8 environments a worker, {SECONDS:g} s each")
    print(
        "workers  steps/s  updates/s  packets/s  stale  optimizing  otherwise  waiting  wall time"
    )
    with tempfile.TemporaryDirectory() as folder:
        for workers in WORKERS:
            measure(workers, Path(folder), SECONDS)


if __name__ == "__main__":
    main()
