"""Where the runs of a bench or a sweep are: on this machine, or on those of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from mario_agents.experiments.machine import machine_text
from mario_agents.experiments.process import Launcher, on_this_machine, threads_for

Engine = Literal["processes", "ray"]


class Place(Struct, frozen=True):
    """Where runs are. It may change from one command to the next.

    Attributes:
        engine: this machine, as processes, or a Ray cluster, as tasks of it.
        address: of the cluster, see :class:`~mario_agents.config.cluster.ClusterOptions`.
        job_cpus, job_gpus: what each run takes of the cluster.
        runtime_env: file of a Ray runtime environment, or None.
    """

    engine: Engine = "processes"
    address: str | None = None
    job_cpus: Annotated[float, Meta(ge=0)] = 1.0
    job_gpus: Annotated[float, Meta(ge=0)] = 0.0
    runtime_env: str | None = None

    def threads(self, jobs: int) -> int | None:
        """Threads of each run, if ``jobs`` run at once; None is no limit."""
        return max(int(self.job_cpus), 1) if self.engine == "ray" else threads_for(jobs)

    def machine(self) -> str:
        """In words: wall-clock times mean nothing without it."""
        if self.engine == "processes":
            return machine_text()
        parts = [f"{self.job_cpus:g} CPUs"]
        parts += [f"{self.job_gpus:g} GPUs"] if self.job_gpus else []
        return f"a Ray cluster, {' and '.join(parts)} for each run"


HERE = Place()
"""On this machine."""


@contextmanager
def open_launcher(place: Place, root: Path, jobs: int) -> Iterator[Launcher]:
    """What starts the processes of runs whose files are all below ``root``.

    Args:
        place: where they are.
        root: folder of the bench or sweep.
        jobs: how many run at once.

    Raises:
        OptionError: if Ray is asked for, and not installed.
        ConfigError: if no node of the cluster has what a run takes.
        RunError: if there is no such cluster, or it does not let us in.
    """
    if place.engine == "processes":
        yield on_this_machine
        return
    from mario_agents.experiments.ray.launcher import cluster_launcher

    with cluster_launcher(place, root, jobs) as launcher:
        yield launcher
