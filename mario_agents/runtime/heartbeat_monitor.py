"""Heartbeats in shared memory as events: the main process tells dashboards which processes live."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.telemetry.events import COORDINATOR, Heartbeats, ProcessHeartbeat

HEARTBEAT_SECONDS = 1.0
"""Seconds between two readings."""


class HeartbeatMonitor:
    """Reads the heartbeats of all processes of a run, once a second.

    Args:
        heartbeat: of the run.
        nodes: names of the machines that processes are on, by the names of the processes.
    """

    def __init__(self, heartbeat: SharedHeartbeat, nodes: Mapping[str, str]) -> None:
        self._heartbeat, self._nodes = heartbeat, nodes
        self._due = 0.0

    def take(self) -> Heartbeats | None:
        """The heartbeats as an event, None if it is not time yet; call it often."""
        if time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + HEARTBEAT_SECONDS
        return read_heartbeats(self._heartbeat, self._nodes)


def read_heartbeats(
    shared: SharedHeartbeat, nodes: Mapping[str, str] = MappingProxyType({})
) -> Heartbeats:
    """The latest heartbeat of every process that has ever given one."""
    processes = []
    for number in range(shared.workers + 1):
        latest = shared.row(number).read()
        if latest.generation:
            source = COORDINATOR if number == shared.coordinator else f"worker_{number}"
            processes.append(
                ProcessHeartbeat(
                    source=source,
                    pid=latest.pid,
                    age=latest.age,
                    restarts=latest.generation - 1,
                    node=nodes.get(source, ""),
                )
            )
    return Heartbeats(step=shared.total("steps"), processes=processes)
