"""Handles of the actors of a run, for the main process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mario_agents.runtime.attended import AttendedClock
from mario_agents.runtime.ray.placement import node_names
from mario_agents.runtime.shm.heartbeat import HeartbeatRow

JOINING_SECONDS = 120.0
"""Time that an actor that has its place has to import torch and to give its first sign of life."""

_MEANT = {
    "node has died": "Its node is gone.",
    "node has terminated": "Its node is gone.",
    "worker process has died": "Its process was killed, or crashed.",
    "is unavailable": "It cannot be reached any more.",
    "out of memory": "Its process was killed for want of memory.",
}
"""What Ray says of an actor that has died, and what that is in short."""


class ActorHandle:
    """Implements :class:`mario_agents.runtime.supervisor.Handle` for an actor that runs.

    Args:
        name: of the process.
        row: its signs of life, as this process knows them.
        actor: handle of the actor; its ``run`` is called with ``arguments``.
        vacate: leaves the row empty, here and at the coordinator.
    """

    def __init__(
        self,
        name: str,
        row: HeartbeatRow,
        actor: Any,
        vacate: Callable[[], object],
        *arguments: object,
    ) -> None:
        import ray

        self.name, self.row, self.actor = name, row, actor
        self._ray, self._vacate = ray, vacate
        self._where = actor.where.remote()
        # Whoever loses sight of an actor that runs must not let it run twice.
        self._end = actor.run.options(max_task_retries=0).remote(*arguments)
        self._node: str | None = None
        self._joined_before, self._beat = row.read().generation, 0.0
        self._clock, self._heard = AttendedClock(), 0.0
        self._status: int | None = None
        self._reason = ""

    @property
    def node(self) -> str | None:
        """Name of the node that it is on; None as long as it has no place."""
        if self._node is None and self.exit_status is None and self._ready(self._where):
            try:
                node, _ = self._ray.get(self._where)
            except self._ray.exceptions.RayError:  # which its end tells, too
                return None
            self._node = node_names().get(node, node[:8])
            self._heard = self._clock()
        return self._node

    @property
    def exit_status(self) -> int | None:
        """None while it lives; 0 if it has done its work, 1 if it has explained why not, -1 if it
        is gone."""
        if self._status is None and self._ready(self._end):
            try:
                sentence = self._ray.get(self._end)
                self._status, self._reason = int(sentence is not None), sentence or ""
            except self._ray.exceptions.RayError as error:
                self._status, self._reason = -1, _sentence(error)
        return self._status

    @property
    def joined(self) -> bool:
        """Whether it has given a sign of life."""
        return self.row.read().generation > self._joined_before

    def silent_for(self) -> float:
        """Seconds since the last sign of life that there should have been; who waits for a place
        is not silent."""
        heartbeat, now = self.row.read(), self._clock()
        if self.node is None:
            return 0.0
        if heartbeat.generation == self._joined_before:
            return max(now - self._heard - JOINING_SECONDS, 0.0)
        if heartbeat.beat > self._beat:
            self._beat, self._heard = heartbeat.beat, now
        return now - self._heard

    def passed_over(self) -> None:
        """Nobody waits for it: its row says that it has been taken, if it never was."""
        self._joined_before = max(self._joined_before, 1)

    def kill(self) -> None:
        """End it at once, and leave its row empty."""
        self._vacate()
        self._ray.kill(self.actor)
        if self._status is None:
            self._status, self._reason = -1, "It was ended."

    def join(self) -> None:
        """Give its place back, and leave its row empty."""
        self.kill()

    def reason(self) -> str:
        """Why it has ended: a sentence."""
        return self._reason

    def _ready(self, reference: Any) -> bool:
        ready, _ = self._ray.wait([reference], timeout=0)
        return bool(ready)


def _sentence(error: Exception) -> str:
    """What is to be said of an actor's end that Ray explains, at length."""
    import ray

    if isinstance(error, ray.exceptions.RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    text = " ".join(str(error).split())
    for said, sentence in _MEANT.items():
        if said in text:
            return sentence
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[-1].split())[:300] if lines else ''}"
