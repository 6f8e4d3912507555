"""The actor that a worker runs in.

It imports nothing, so that it is there as soon as it has a place, and can say where that is.
"""

from __future__ import annotations

from typing import Any

from mario_agents.runtime.ray.placement import whereabouts


class WorkerActor:
    """Runs a worker."""

    def where(self) -> tuple[str, int]:
        """Id of the node, and of the process."""
        return whereabouts()

    def run(self, task: Any) -> str | None:
        """Run a :class:`~mario_agents.runtime.ray.worker_task.WorkerTask` to its end: None, or a
        sentence about what ended it."""
        sentence: str | None = task.run()
        return sentence
