"""Runs of every trainer's preset ``tiles-cpu``, one on each engine at the same time.

So both have the same share of the machine, whatever else runs there. A run is looked at from
outside: rows of its CSV files, and CPU seconds of its processes, which all have a token in their
environment. It is begun, waited for until the learner makes updates, looked at, and stopped.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import NamedTuple

from mario_agents.experiments.machine import machine_text
from mario_agents.telemetry.events import COORDINATOR
from mario_envkit.command_line import shell_words
from tests.agents.living_run import LivingRun, processes_with
from tests.benchmarks.ray_engine.handling import handling_seconds
from tests.benchmarks.ray_engine.measured import (
    ENGINES,
    TRAINERS,
    Engine,
    Handled,
    Measured,
    Measurements,
    read,
    table,
    write,
)
from tests.benchmarks.ray_engine.packets import Packets, packets_of
from tests.benchmarks.ray_engine.pulls import pull_seconds
from tests.waiting import until

ROOT = Path(__file__).parents[3]
WARM_SECONDS = 3.0
"""After all have begun: the first rounds are not like the others."""
LOG_INTERVAL = {"ppo": 500, "ddqn": 200, "dreamer": 50, "apex": 200, "impala": 500}
ROWS = 5
"""That every process has written in the time that is looked at, or it is prolonged."""
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
Rows = Sequence[Mapping[str, str]]


class Cpu(NamedTuple):
    """CPU seconds at a time.

    Attributes:
        time: Unix seconds.
        processes: by their numbers.
    """

    time: float
    processes: dict[int, float]


def main(file: Path, trainers: Sequence[str], workers: Sequence[int], seconds: float) -> None:
    """Measure, print a table, and write the file, in which other trainers' runs stay."""
    command = shell_words("python", "-m", "tests.benchmarks.ray_engine", *sys.argv[1:])
    known = read(file)
    others = [run for run in known.runs if run.trainer not in trainers]
    packets = {trainer: packets_of(trainer) for trainer in trainers}
    pulls = {
        engine: pull_seconds(engine, [packets[trainer].weights for trainer in trainers])
        for engine in ENGINES
    }
    runs: list[Measured] = []
    for trainer, count in product(trainers, workers):
        pair = [Looked(trainer, engine, count, packets[trainer]) for engine in ENGINES]
        try:
            _look(pair, seconds)
            for each in pair:
                pull = pulls[each.engine][packets[trainer].weights]
                runs.append(each.measured(pull, command))
                print(table(runs[-1:]).splitlines()[-1], flush=True)
        finally:
            for each in pair:
                each.close()
        write(file, Measurements(machine_text(), [*others, *runs], known.handled))
    print(table(runs))


def handle(file: Path) -> None:
    """Measure packets at the learner by themselves, and write that to the file."""
    command = shell_words("python", "-m", "tests.benchmarks.ray_engine", *sys.argv[1:])
    seconds = handling_seconds([packets_of(trainer) for trainer in TRAINERS])
    handled = [Handled(*each, command) for each in zip(TRAINERS, seconds, strict=True)]
    for each in handled:
        print(f"{each.trainer:8} {1000 * each.seconds:6.1f} ms")
    known = read(file)
    write(file, Measurements(known.machine or machine_text(), known.runs, handled))


class Looked:
    """A run that is looked at.

    Args:
        trainer, engine, workers: of the run.
        packets: of the trainer.
    """

    def __init__(self, trainer: str, engine: Engine, workers: int, packets: Packets) -> None:
        self.trainer, self.engine, self.workers, self._packets = trainer, engine, workers, packets
        self._temporary = tempfile.TemporaryDirectory(prefix="ray")
        folder = Path(self._temporary.name)
        self.run = LivingRun(
            folder, folder, {**os.environ, "PYTHONPATH": str(ROOT)},
            trainer, "--preset", "tiles-cpu", "--engine", engine, "--workers", workers,
            "--run-dir", "run", "--total-steps", 10**9, "--device", "cpu", "--torch-threads", 1,
            "--eval-interval", 0, "--checkpoint-interval", 10**9, "--no-snapshots",
            "--log-interval", LOG_INTERVAL[trainer],
        )  # fmt: skip
        self._looks: list[Cpu] = []

    def look(self) -> None:
        """The time begins, or ends."""
        self._looks.append(_cpu(self.run))

    def measured(self, pull: float, command: str) -> Measured:
        """What is to be said of the time between two looks."""
        first, last = self._looks
        learner, *players = self._rows()
        pids = [self.run.pid(name) for name in self._workers]
        used = {pid: x - first.processes.get(pid, 0.0) for pid, x in last.processes.items()}
        gradients, steps = TRAINERS[self.trainer] == "gradients", max(self._packets.steps, 1)
        busy = _seconds(learner, "optimizing" if gradients else "learning")
        waits = _seconds(learner, "waiting") / _seconds(learner)
        update_cpu = None
        if self.engine == "processes":
            update_cpu = used[self.run.pid(COORDINATOR)] * busy / _seconds(learner) / (1 - waits)
        spans = sum(map(_seconds, players))
        waited = sum(_seconds(rows, "time_waiting") for rows in players)
        sent = sum(_grown(rows, "packets" if gradients else "steps") for rows in players) / steps
        span = last.time - first.time
        rate = span / (float(learner[-1]["time"]) - float(learner[0]["time"]))
        return Measured(
            trainer=self.trainer,
            engine=self.engine,
            workers=self.workers,
            seconds=span,
            steps=round(rate * _grown(learner, "step")),
            updates=round(rate * _grown(learner, "updates")),
            packets=rate * _grown(learner, "packets" if gradients else "inserted") / steps,
            packet_bytes=self._packets.bytes,
            lag=float(learner[-1]["staleness" if gradients else "lag"]),
            cpu=sum(used.values()),
            learner_cpu=used[self.run.pid(COORDINATOR)],
            worker_cpu=sum(used[pid] for pid in pids),
            update_cpu=update_cpu,
            round_seconds=(spans - waited) / sent,
            worker_waits=waited / spans,
            learner_waits=waits,
            pull_seconds=pull,
            slots=self._packets.slots,
            synchronous=self._packets.synchronous,
            command=command,
        )

    def told_enough(self) -> bool:
        """Whether all its processes have written some rows since the first look."""
        return min(map(len, self._rows())) >= ROWS

    def _rows(self) -> list[Rows]:
        """Rows between two looks, or since the first: the learner's, then every worker's."""
        first, last = self._looks[0].time, self._looks[-1].time
        until = last if last > first else math.inf
        return [
            [row for row in self.run.rows(name) if first <= float(row["time"]) <= until]
            for name in (COORDINATOR, *self._workers)
        ]

    def close(self) -> None:
        """End it."""
        self.run.close()
        self._temporary.cleanup()

    @property
    def _workers(self) -> list[str]:
        return [f"worker_{number}" for number in range(self.workers)]


def _look(pair: Sequence[Looked], seconds: float) -> None:
    """Look at runs in the same seconds, when all of them have begun to learn."""
    for each in pair:
        each.run.until(lambda each=each: each.run.running(each.workers))  # type: ignore[misc]
    time.sleep(WARM_SECONDS)
    for each in pair:
        each.look()
    time.sleep(seconds)
    for each in pair:
        until(each.told_enough)
    for each in pair:
        each.look()


def _cpu(run: LivingRun) -> Cpu:
    processes = {}
    for pid in processes_with(run.token):
        with suppress(OSError):  # it has just ended
            processes[pid] = _seconds_of(Path(f"/proc/{pid}/stat"))
    return Cpu(time.time(), processes)


def _seconds_of(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _grown(rows: Rows, name: str) -> float:
    return float(rows[-1][name]) - float(rows[0][name])


def _seconds(rows: Rows, share: str | None = None) -> float:
    """Seconds that are told of in all rows but the first, or a share of them."""
    return sum(
        float(row["time_span"]) * (1.0 if share is None else float(row[share] or 0.0))
        for row in rows[1:]
    )
