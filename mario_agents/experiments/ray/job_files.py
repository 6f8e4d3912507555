"""The actor that has the folder of a bench or a sweep, beside the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mario_agents.runtime.ray.files_actor import RunFiles
from mario_agents.runtime.ray.run_files import RunPlace, answer_of
from mario_envkit.errors import RunError


class JobFiles(RunFiles):
    """The folder, for tasks on other nodes that have a lease.

    A task that was given up, since its node could not be reached, may come back when the same work
    has begun again elsewhere: its lease is not valid any more, and its files are not taken.

    Args:
        path: of the folder.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._valid: set[str] = set()

    def grant(self, lease: str) -> None:
        """From now on a lease is valid."""
        self._valid.add(lease)

    def revoke(self, lease: str) -> None:
        """A lease is not valid any more."""
        self._valid.discard(lease)

    def call(self, lease: str, method: str, *arguments: Any) -> Any:
        """Call a method of :class:`~mario_agents.runtime.ray.files_actor.RunFiles`.

        Raises:
            RunError: if the lease is not valid.
        """
        if lease not in self._valid:
            raise RunError("This task was given up, and what it writes is not wanted any more.")
        return getattr(self, method)(*arguments)


@dataclass(frozen=True, slots=True)
class JobPlace(RunPlace):
    """Where the folder is, for one task.

    Attributes:
        lease: of the task.
    """

    lease: str

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method of the files' actor.

        Raises:
            RunError: if it cannot be reached, or the lease is not valid.
        """
        return answer_of(self.files.call.remote(self.lease, method, *arguments))
