"""How far each trainer scales on Ray, by simulation from service times that were measured.

First the simulation is held against the runs with one and two workers. They shared a machine with
others, so that a worker's round took longer than its CPU seconds: all times are stretched by as
much. Then everybody has a core of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mario_agents.experiments.markdown import grid
from tests.benchmarks.ray_engine.measured import TRAINERS, Engine, Measured, read
from tests.benchmarks.ray_engine.model import Run, Simulated, Times

WORKERS = (1, 2, 8, 64, 512)
CURVE = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SATURATED = 0.95
"""Share of the time in which a learner that is at its limit is busy."""


def times_of(run: Measured) -> Times:
    """Service times from a run with one worker: CPU of worker and learner, which is what they would
    take on cores of their own."""
    return Times(
        shares=TRAINERS[run.trainer],
        synchronous=run.synchronous,
        round=run.worker_cpu / run.packets,
        handling=run.handling_seconds,
        update=run.update_seconds,
        updates=run.updates / run.packets,
        pull=run.pull_seconds,
        beside=max(run.cpu - run.worker_cpu - run.learner_cpu, 0.0) / run.packets,
        bytes=run.packet_bytes,
        slots=run.slots,
    )


def stretched(times: Times, by: float) -> Times:
    """On a machine so busy that everything takes so many times as long; sending and fetching are
    among a round there."""
    return times._replace(
        round=times.round * by, handling=times.handling * by, update=times.update * by, pull=0.0
    )


def main(file: Path, plot: Path | None) -> None:
    """Print both tables, and draw the second."""
    runs = read(file).runs
    print(checked(runs))
    curves = {
        (trainer, engine): {count: Run(times_of(run), count).result() for count in CURVE}
        for trainer in TRAINERS
        for engine in ("processes", "ray")
        if (run := _find(runs, trainer, engine, 1)) is not None
    }
    print()
    print(scaled(runs, curves))
    if plot is not None:
        from tests.benchmarks.ray_engine.figure import draw

        draw({trainer: curve for (trainer, engine), curve in curves.items() if engine == "ray"},
             plot)  # fmt: skip


def checked(runs: Sequence[Measured]) -> str:
    """Packets a second: measured, and simulated on a machine as busy as it was."""
    header = [
        "trainer",
        "engine",
        "workers",
        "stretched by",
        "measured packets/s",
        "simulated",
        "ratio",
    ]
    lines = []
    for run in runs:
        one = _find(runs, run.trainer, run.engine, 1)
        if one is None:
            continue
        stretch = run.round_seconds / (run.worker_cpu / run.packets)
        found = Run(stretched(times_of(one), stretch), run.workers).result()
        lines.append(
            [run.trainer, run.engine, str(run.workers), f"{stretch:.1f}", f"{run.packet_rate:.1f}",
             f"{found.packets:.1f}", f"{found.packets / run.packet_rate:.2f}"]
        )  # fmt: skip
    return grid(header, lines)


def scaled(runs: Sequence[Measured], curves: dict[tuple[str, Engine], dict[int, Simulated]]) -> str:
    """Speed for so many workers, each with a core of its own."""
    header = ["trainer", "engine", *(f"{count} workers" for count in WORKERS),
              "learner saturated from", "lag at 8, 64, 512"]  # fmt: skip
    lines = []
    for (trainer, engine), curve in curves.items():
        one = _find(runs, trainer, engine, 1)
        assert one is not None
        steps = one.steps / one.packets
        full = [count for count, found in curve.items() if found.learner >= SATURATED]
        lines.append(
            [trainer, engine,
             *(f"{curve[count].packets * steps:,.0f} ({curve[count].learner:.0%})"
               for count in WORKERS),
             f"{full[0]} workers" if full else f"more than {CURVE[-1]}",
             ", ".join(f"{curve[count].lag:.1f}" for count in (8, 64, 512))]
        )  # fmt: skip
    return grid(header, lines)


def _find(runs: Sequence[Measured], trainer: str, engine: str, workers: int) -> Measured | None:
    found = [run for run in runs if (run.trainer, run.engine, run.workers) ==
             (trainer, engine, workers)]  # fmt: skip
    return found[0] if found else None
