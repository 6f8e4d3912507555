"""Starts the processes of runs on a Ray cluster.

Each is a child of an actor, on whatever node has room, and the cluster's scheduler decides. There
need be no file system that machines share: an actor on another node works in a folder of its own
and sends what is written there to the folder beside the command, once a second and at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mario_agents.experiments.place import Place
from mario_agents.experiments.process import Launcher
from mario_agents.experiments.ray.job_actor import JobActor, JobCommand
from mario_agents.experiments.ray.remote_child import RemoteChild
from mario_agents.runtime.ray.cluster import joined
from mario_agents.runtime.ray.files_actor import RunFiles
from mario_agents.runtime.ray.placement import pinned
from mario_agents.runtime.ray.run_files import RunPlace
from mario_envkit.errors import ConfigError

CALLS = 4
"""Of an actor at once: one runs, others ask it to stop, or where it is."""


@contextmanager
def cluster_launcher(place: Place, root: Path, jobs: int) -> Iterator[Launcher]:
    """See :func:`~mario_agents.experiments.place.open_launcher`."""
    cpus = jobs * place.job_cpus
    with joined(place.address, cpus=cpus, runtime_env=place.runtime_env) as cluster:
        import ray

        check_room(place, ray.nodes())
        path = root.absolute()
        files = ray.remote(RunFiles).options(
            num_cpus=0, scheduling_strategy=pinned(cluster.home), max_task_retries=-1
        )
        handle = files.remote(str(path))
        try:
            launch = _RayLaunch(place, path, cluster.home, handle)
            yield lambda slot, jobs: launch
        finally:
            ray.kill(handle)


class _RayLaunch:
    """Starts commands where there is room.

    Args:
        place: what each of them takes.
        root: folder of all their files.
        home: id of the node that it is on.
        files: handle of the actor that has it.
    """

    def __init__(self, place: Place, root: Path, home: str, files: Any) -> None:
        self._place, self._root, self._home, self._files = place, root, home, files

    def __call__(self, words: Sequence[str | Path], log: Path) -> RemoteChild:
        import ray

        place = self._place
        command = JobCommand(
            tuple(self._inside(word) if isinstance(word, Path) else word for word in words),
            self._inside(log),
            place.threads(1) or 1,
            RunPlace(str(self._root), self._home, self._files),
        )
        actor = ray.remote(JobActor).options(
            num_cpus=place.job_cpus,
            num_gpus=place.job_gpus,
            scheduling_strategy="SPREAD",
            max_concurrency=CALLS,
        )
        return RemoteChild(actor.remote(), command)

    def _inside(self, path: Path) -> Path:
        return path.absolute().relative_to(self._root)


def check_room(place: Place, nodes: Sequence[dict[str, Any]]) -> None:
    """See whether a run has room anywhere.

    Args:
        place: says what it takes.
        nodes: as Ray tells of them.

    Raises:
        ConfigError: if not.
    """
    needed = {"CPU": place.job_cpus, "GPU": place.job_gpus}
    offers = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(all(offer.get(kind, 0) >= n for kind, n in needed.items()) for offer in offers):
        raise ConfigError(
            f"No node of the Ray cluster has {place.job_cpus:g} CPUs and {place.job_gpus:g} GPUs "
            "for a run; see ray status, --job-cpus and --job-gpus."
        )
