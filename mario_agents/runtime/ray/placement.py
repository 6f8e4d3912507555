"""Where in a Ray cluster the parts of a run are.

Actors import this before anything else, so it imports nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # an actor without torch says where it is
    from mario_agents.config import TrainConfig


def learner_node(config: TrainConfig, home: str) -> str:
    """The node for the learner: ``home``, by its id, if that has what the learner needs.

    Raises:
        ConfigError: if no node has, or there is no room for a worker beside it.
    """
    import ray

    from mario_envkit.errors import ConfigError

    needed = {"CPU": config.learner_cpus, "GPU": config.learner_gpus}
    nodes = {each["NodeID"]: each["Resources"] for each in ray.nodes() if each["Alive"]}
    fitting = [
        node
        for node, offered in sorted(nodes.items(), key=lambda item: item[0] != home)
        if all(offered.get(kind, 0) >= count for kind, count in needed.items())
    ]
    if not fitting:
        raise ConfigError(
            f"No node of the Ray cluster has {config.learner_cpus:g} CPUs and "
            f"{config.learner_gpus:g} GPUs for the learner; see ray status, --learner-cpus and "
            "--learner-gpus."
        )
    total = ray.cluster_resources()
    for kind, option, of_worker in (
        ("CPU", "cpus", config.worker_cpus),
        ("GPU", "gpus", config.worker_gpus),
    ):
        if needed[kind] + of_worker > total.get(kind, 0):
            raise ConfigError(
                f"The Ray cluster has {total.get(kind, 0):g} {kind}s, and a learner with one "
                f"worker needs {needed[kind] + of_worker:g}; add nodes, or give smaller numbers "
                f"to --learner-{option} and --worker-{option}."
            )
    return str(fitting[0])


def pinned(node: str) -> Any:
    """The scheduling strategy of an actor that is to be on a node and nowhere else."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)


def whereabouts() -> tuple[str, int]:
    """Id of the node that this process is on, and of the process."""
    import ray

    return ray.get_runtime_context().get_node_id(), os.getpid()


def node_names() -> dict[str, str]:
    """What people call the nodes, by id: the names they were started with, or their addresses;
    several of one name have a part of their id, too."""
    import ray

    nodes = ray.nodes()
    names = [each["NodeName"] for each in nodes]
    return {
        each["NodeID"]: name if names.count(name) == 1 else f"{name}/{each['NodeID'][:4]}"
        for each, name in zip(nodes, names, strict=True)
    }
