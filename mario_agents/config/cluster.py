"""Options for where the processes of a run are."""

from __future__ import annotations

import dataclasses
from typing import Literal

from mario_agents.config.groups import OptionGroup
from mario_agents.config.scalars import NonNegativeFloat
from mario_envkit.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterOptions(OptionGroup):
    """Where worker processes are: on this machine, or on those of a Ray cluster."""

    HEADING = "cluster"
    RESUMABLE = frozenset(
        {
            "engine",
            "address",
            "worker_cpus",
            "worker_gpus",
            "learner_cpus",
            "learner_gpus",
            "runtime_env",
        }
    )
    PATHS = frozenset({"runtime_env"})

    engine: Literal["processes", "ray"] = "processes"
    """Who runs the workers: this machine, as processes, or Ray, on one machine or many (needs the
    extra "ray", and --workers)."""
    address: str | None = None
    """The Ray cluster to join: HOST:PORT, or auto for the one that this machine is a node of; None
    is what RAY_ADDRESS says, or one on this machine for this run alone."""
    worker_cpus: NonNegativeFloat = 1.0
    """CPUs of the cluster that each worker takes; its threads are no more than these."""
    worker_gpus: NonNegativeFloat = 0.0
    """GPUs of the cluster that each worker takes, perhaps a part of one."""
    learner_cpus: NonNegativeFloat = 1.0
    """CPUs of the cluster that the learner takes: the process that has weights and optimizer."""
    learner_gpus: NonNegativeFloat = 0.0
    """GPUs that it takes; it is then on a node that has so many, and otherwise beside the command,
    if there is room for it."""
    runtime_env: str | None = None
    """YAML file of a Ray runtime environment: modules and environment variables that the nodes of
    the cluster do not have; see docs/pages/how-to/cluster.md."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.address is not None and self.address.startswith("ray://"):
            raise ConfigError(
                f"Training cannot go through a Ray client ({self.address}): give HOST:PORT of the "
                "cluster, on a machine that is one of its nodes."
            )
