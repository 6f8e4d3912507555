"""Options for where the runs of a bench or a sweep are."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from mario_agents.experiments.place import Engine, Place
from mario_envkit.errors import ConfigError, OptionError


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """Where the runs are. What is not given is as it was in the command before, in the same
    folder."""

    engine: Engine | None = None
    """Who runs them: this machine, as processes, or Ray, on the machines of a cluster (needs the
    extra "ray"), each run on one of them; None is what the folder was begun with, at first
    processes."""
    address: str | None = None
    """With --engine ray: the cluster to join, HOST:PORT, or auto for the one that this machine is a
    node of; None is what the folder was begun with, or RAY_ADDRESS says, or a cluster on this
    machine that ends with the command."""
    job_cpus: float | None = None
    """With --engine ray: CPUs of the cluster that each run takes; its threads are no more than
    these; None is 1."""
    job_gpus: float | None = None
    """With --engine ray: GPUs that each run takes, perhaps a part of one; None is 0."""
    runtime_env: Path | None = None
    """With --engine ray: YAML file of a Ray runtime environment, as of mario-agents train."""

    def place_given(self) -> dict[str, Any]:
        """Those of these options that are given, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(PlaceOptions)}
        return {name: value for name, value in values.items() if value is not None}

    def place(self, before: Place) -> Place:
        """Where the runs are, if they were at ``before``.

        Raises:
            ConfigError: if a value is not valid.
            OptionError: if options do not go together, or Ray is asked for, and not installed.
        """
        given = self.place_given()
        if self.runtime_env is not None:
            given["runtime_env"] = str(self.runtime_env.absolute())
        place = msgspec.structs.replace(before, **given)
        if place.engine == "processes":
            given.pop("engine", None)
            if given:
                option = next(iter(given)).replace("_", "-")
                raise OptionError(f"--{option} is for runs on a Ray cluster: give --engine ray.")
            return place
        from mario_agents.runtime.ray.cluster import require_ray

        require_ray()
        if place.address is not None and place.address.startswith("ray://"):
            raise ConfigError(
                f"Runs cannot be started through a Ray client ({place.address}): give HOST:PORT of "
                "the cluster, on a machine that is one of its nodes."
            )
        try:
            return msgspec.convert(msgspec.to_builtins(place), Place)
        except msgspec.ValidationError as error:
            raise ConfigError(f"command line: {error}.") from error
