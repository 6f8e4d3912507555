"""A command that runs on some node of a Ray cluster, for whoever started it."""

from __future__ import annotations

import time
from typing import Any

from mario_agents.experiments.process import STOP_SECONDS
from mario_agents.experiments.ray.job_actor import Ended, JobCommand
from mario_agents.runtime.ray.placement import node_names

SEND_SECONDS = 60.0
"""Time that the files of a command that has ended have to arrive."""
REVOKE_SECONDS = 30.0
INTERRUPTED = 130
"""Exit status of a command that was interrupted."""


class RemoteChild:
    """Implements :class:`mario_agents.experiments.process.Process`.

    Args:
        actor: handle of a :class:`~mario_agents.experiments.ray.job_actor.JobActor`.
        command: for it.

    Attributes:
        spawned: when it was started, Unix seconds of its node; before that is known, when it was
            asked for.
        lost: whether the actor is gone with its node, or was killed.
        reason: what went wrong other than with the command, or "".
    """

    def __init__(self, actor: Any, command: JobCommand) -> None:
        import ray

        self._ray, self._actor, self._place = ray, actor, command.place
        self.spawned = time.time()
        self.lost, self.reason = False, ""
        self._node: str | None = None
        self._placed = 0.0
        self._status: int | None = None
        self._seconds = 0.0
        self._stop_until: float | None = None
        self._closed = False
        self._where = actor.where.remote()
        # Whoever loses sight of a command that runs must not let it run twice.
        self._end = actor.run.remote(command)

    @property
    def node(self) -> str | None:
        """Name of its node; None as long as it has no place."""
        if self._node is None and self._ready(self._where):
            try:
                node, _ = self._ray.get(self._where)
            except self._ray.exceptions.RayError:  # which its end tells, too
                return None
            self._node = node_names().get(node, node[:8])
            self._placed = time.monotonic()
        return self._node

    @property
    def seconds(self) -> float:
        """Since it was started."""
        if self._status is not None:
            return self._seconds
        return time.monotonic() - self._placed if self.node is not None else 0.0

    @property
    def exit_status(self) -> int | None:
        """None while it runs, or waits for a place."""
        if self._status is None and self._ready(self._end):
            self._take()
        if self._status is None and self._stop_until and time.monotonic() > self._stop_until:
            self._kill()
        return self._status

    def ask_to_stop(self) -> None:
        """Interrupt it, as Ctrl-C does; who has no place yet is not given one."""
        if self._stop_until is not None or self._status is not None:
            return
        self._stop_until = time.monotonic() + STOP_SECONDS + SEND_SECONDS
        if self.node is None:
            self._kill()
        else:
            self._actor.stop.remote()

    def close(self) -> None:
        """Leave no process, and give its place back; harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self.ask_to_stop()
        while self.exit_status is None:
            left = max((self._stop_until or 0.0) - time.monotonic(), 0.0)
            self._ray.wait([self._end], timeout=left)
        # After this nothing more of it arrives, even if it cannot be reached to be ended.
        self._ray.get(self._place.files.revoke.remote(self._place.lease), timeout=REVOKE_SECONDS)
        self._ray.kill(self._actor)

    def _take(self) -> None:
        errors = self._ray.exceptions
        try:
            ended: Ended = self._ray.get(self._end)
        except errors.RayTaskError as error:
            self._status, self.reason = 1, f"{type(error.cause).__name__}: {error.cause}"
        except errors.RayError:
            self._status, self.lost = -1, self._stop_until is None
        else:
            self.spawned, self._seconds = ended.spawned, ended.seconds
            self._status, self.reason = ended.status, ended.reason

    def _kill(self) -> None:
        self._ray.kill(self._actor)
        self._status = INTERRUPTED

    def _ready(self, reference: Any) -> bool:
        ready, _ = self._ray.wait([reference], timeout=0)
        return bool(ready)
