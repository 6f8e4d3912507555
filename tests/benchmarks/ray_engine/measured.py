"""What was measured of a run: numbers in a file, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from mario_agents.experiments.markdown import grid
from mario_envkit.files import replace_text

Engine = Literal["processes", "ray"]
ENGINES: tuple[Engine, ...] = ("processes", "ray")
TRAINERS = {
    "ppo": "gradients",
    "ddqn": "gradients",
    "dreamer": "gradients",
    "apex": "experience",
    "impala": "experience",
}
"""What their workers share; each with its preset ``tiles-cpu``."""


class Measured(Struct, frozen=True, kw_only=True):
    """A run, looked at for some seconds after it had begun to learn.

    Attributes:
        trainer, engine, workers: of the run.
        seconds: it was looked at.
        steps, updates, packets: in this time; packets that the learner took.
        packet_bytes: of a packet.
        lag: updates that the weights of a packet were behind, on average.
        cpu: CPU seconds of all processes together in this time.
        learner_cpu, worker_cpu: those of the learner's process, and of the workers'.
        update_cpu: those of the learner's process in updates: gradients of batches, if workers
            share experience, and the optimizer; None on Ray, whose threads are in the same process.
        round_seconds: wall clock of a worker for a packet, without its waiting for others.
        worker_waits, learner_waits: share of the time.
        pull_seconds: wall clock for newest weights, while nobody else asks.
        slots: packets of a worker that may be under way.
        synchronous: whether an update takes one packet of every worker.
        command: that measured it.
    """

    trainer: str
    engine: Engine
    workers: int
    seconds: float
    steps: int
    updates: int
    packets: float
    packet_bytes: int
    lag: float
    cpu: float
    learner_cpu: float
    worker_cpu: float
    update_cpu: float | None
    round_seconds: float
    worker_waits: float
    learner_waits: float
    pull_seconds: float
    slots: int
    synchronous: bool
    command: str

    @property
    def packet_rate(self) -> float:
        """Packets a second."""
        return self.packets / self.seconds

    @property
    def handling_seconds(self) -> float | None:
        """CPU of the learner's process for a packet, updates left out: it is received, copied,
        added or taken in; the weights that go back are among it."""
        if self.update_cpu is None:
            return None
        return (self.learner_cpu - self.update_cpu) / self.packets

    @property
    def update_seconds(self) -> float | None:
        """CPU of the learner for an update."""
        return None if self.update_cpu is None else self.update_cpu / self.updates


class Handled(Struct, frozen=True):
    """A packet at the learner on Ray, when there are many.

    Attributes:
        trainer: whose packet.
        seconds: CPU of the learner's process, updates left out.
        command: that measured it.
    """

    trainer: str
    seconds: float
    command: str


class Measurements(Struct, frozen=True):
    """The content of ``measured.json``.

    Attributes:
        machine: where.
        runs: in the order in which they were made.
        handled: packets by themselves.
    """

    machine: str
    runs: list[Measured]
    handled: list[Handled] = []


def read(path: Path) -> Measurements:
    """What is in a file; nothing if there is none."""
    if not path.exists():
        return Measurements("", [])
    return msgspec.json.decode(path.read_bytes(), type=Measurements)


def write(path: Path, measurements: Measurements) -> None:
    raw = msgspec.json.format(msgspec.json.encode(measurements), indent=1).decode()
    replace_text(path, raw + "\n")


def table(runs: Sequence[Measured]) -> str:
    """A line for each run."""
    header = ["trainer", "workers", "engine", "packets/s", "MB/s", "steps/s", "updates/s", "lag",
              "CPU ms/packet", "learner's", "round ms", "handling ms", "update ms", "pull ms",
              "worker waits", "learner waits"]  # fmt: skip
    lines = [
        [
            run.trainer,
            str(run.workers),
            run.engine,
            f"{run.packet_rate:.1f}",
            f"{run.packet_rate * run.packet_bytes / 1e6:.2f}",
            f"{run.steps / run.seconds:,.0f}",
            f"{run.updates / run.seconds:.1f}",
            f"{run.lag:.1f}",
            f"{1000 * run.cpu / run.packets:.1f}",
            f"{1000 * run.learner_cpu / run.packets:.1f}",
            f"{1000 * run.round_seconds:.1f}",
            _milliseconds(run.handling_seconds),
            _milliseconds(run.update_seconds),
            f"{1000 * run.pull_seconds:.1f}",
            f"{run.worker_waits:.0%}",
            f"{run.learner_waits:.0%}",
        ]
        for run in runs
    ]
    return grid(header, lines)


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.1f}"
