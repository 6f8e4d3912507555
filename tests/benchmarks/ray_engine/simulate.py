"""How far each trainer scales on Ray, by simulation from service times that were measured.

First the simulation is held against the runs with one and two workers. They shared a machine with
others, so that a worker's round took longer than its CPU seconds: all times are stretched by as
much. Then everybody has a core of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mario_agents.experiments.markdown import grid
from tests.benchmarks.ray_engine.measured import TRAINERS, Engine, Measured, read
from tests.benchmarks.ray_engine.model import Run, Simulated, Times

WORKERS = (1, 2, 8, 64, 512)
CURVE = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SATURATED = 0.95
"""Share of the time in which a learner that is at its limit is busy."""


def times_of(run: Measured, twin: Measured, handled: Mapping[str, float]) -> Times:
    """Service times from runs with one worker: CPU of worker and learner, which is what they would
    take on cores of their own.

    Args:
        run: with one worker.
        twin: the same on processes: there updates can be told from all else that the learner does.
        handled: seconds for a packet at the learner on Ray, by trainer.
    """
    handling = handled[run.trainer] if run.engine == "ray" else run.handling_seconds
    assert handling is not None
    assert twin.update_seconds is not None
    return Times(
        shares=TRAINERS[run.trainer],
        synchronous=run.synchronous,
        round=run.worker_cpu / run.packets,
        handling=handling,
        update=twin.update_seconds,
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
    known = read(file)
    handled = {each.trainer: each.seconds for each in known.handled}
    alone = {(run.trainer, run.engine): run for run in known.runs if run.workers == 1}
    times = {
        (trainer, engine): times_of(run, alone[trainer, "processes"], handled)
        for (trainer, engine), run in alone.items()
    }
    print(checked(known.runs, times))
    curves = {
        trainer: {count: Run(times[trainer, "ray"], count).result() for count in CURVE}
        for trainer in TRAINERS
        if (trainer, "ray") in times
    }
    print()
    print(scaled(alone, curves))
    if plot is not None:
        from tests.benchmarks.ray_engine.figure import draw

        draw(curves, plot)


def checked(runs: Sequence[Measured], times: Mapping[tuple[str, Engine], Times]) -> str:
    """Packets a second: measured, and simulated on a machine as busy as it was."""
    lines = []
    for run in runs:
        stretch = run.round_seconds / (run.worker_cpu / run.packets)
        simulated = Run(stretched(times[run.trainer, run.engine], stretch), run.workers).result()
        lines.append(
            [
                run.trainer,
                run.engine,
                str(run.workers),
                f"{stretch:.1f}",
                f"{run.packet_rate:.1f}",
                f"{simulated.packets:.1f}",
                f"{simulated.packets / run.packet_rate:.2f}",
            ]
        )
    header = ["trainer", "engine", "workers", "stretched by", "measured packets/s", "simulated"]
    return grid([*header, "ratio"], lines)


def scaled(
    alone: Mapping[tuple[str, Engine], Measured], curves: Mapping[str, Mapping[int, Simulated]]
) -> str:
    """Agent steps a second on Ray for so many workers, each with a core of its own."""
    lines = []
    for trainer, curve in curves.items():
        run = alone[trainer, "ray"]
        speeds = [f"{curve[count].packets * run.steps / run.packets:,.0f}" for count in WORKERS]
        busy = [f"{curve[count].learner:.0%}" for count in WORKERS]
        full = [count for count, found in curve.items() if found.learner >= SATURATED]
        lines.append(
            [
                trainer,
                *(f"{speed} ({share})" for speed, share in zip(speeds, busy, strict=True)),
                str(full[0]) if full else f"more than {CURVE[-1]}",
                ", ".join(f"{curve[count].lag:.0f}" for count in (8, 64, 512)),
            ]
        )
    header = ["trainer", *map(str, WORKERS), "learner full from", "lag at 8, 64, 512"]
    return grid(header, lines)
