"""Where the events of a run come together: in its main process."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from mario_agents.metrics import MetricAggregator, MetricDef, MetricSink
from mario_agents.parallel.deaths import DeathLog
from mario_agents.parallel.events import (
    EventBroadcast,
    EventDirectory,
    EventSubscriber,
    LearnerStatus,
    Publisher,
    WorkerStatus,
    new_token,
)
from mario_agents.parallel.events.publisher import Stamp
from mario_agents.run import RunDir

log = logging.getLogger(__name__)


class EventDesk:
    """Takes every event of a run and does what is to be done with it.

    Metrics are aggregated, deaths counted, statuses remembered, log records logged, and everything
    is repeated to observers. Events come from other processes through :meth:`poll`, and from this
    one through :meth:`publisher`.

    Args:
        run: the run, locked by this process.
        worker_metrics, coordinator_metrics: definitions, see :class:`~mario_agents.metrics
            .aggregator.MetricAggregator`.
        sinks: get a row of all processes by :meth:`write`, with names such as ``run/loss``,
            ``worker_0/loss``, ``coordinator/lr``; closed with the desk.
        ipc: see :class:`~mario_agents.parallel.events.address.EventDirectory`.

    Raises:
        HotspotError: if the run's ``death_hotspots.json`` is damaged.
        RunError: if no sockets can be opened.
    """

    def __init__(
        self,
        run: RunDir,
        *,
        worker_metrics: Iterable[MetricDef],
        coordinator_metrics: Iterable[MetricDef],
        sinks: Sequence[MetricSink] = (),
        ipc: bool = True,
    ) -> None:
        self.token = new_token()
        self.workers = MetricAggregator(worker_metrics)
        self.coordinator = MetricAggregator(coordinator_metrics)
        self.statuses: dict[str, WorkerStatus | LearnerStatus] = {}
        """The latest status of each process."""
        self.deaths = DeathLog(run.hotspots_path)
        self._sinks = tuple(sinks)
        self._directory = EventDirectory(ipc=ipc)
        self._subscriber = EventSubscriber(self._directory.address("in"), run=self.token)
        self._broadcast = EventBroadcast(
            self._directory.address("out"), run=self.token, run_path=run.path
        )
        self._told = (0, 0, 0)

    @property
    def address(self) -> str:
        """What an :class:`~mario_agents.parallel.events.publisher.EventPublisher` connects to."""
        return self._subscriber.address

    def poll(self, timeout: float = 0.0, limit: int = 1_000) -> int:
        """Take in what other processes sent, and save deaths if it is time to.

        Args:
            timeout: seconds to wait if there is nothing.
            limit: messages at most; the rest is for the next call.

        Returns:
            The number of events.
        """
        received = self._subscriber.poll(timeout, limit)
        for envelope, message in received:
            self._broadcast.send(message)
            self._take(envelope)
        self.deaths.tick()
        self._tell_losses()
        return len(received)

    def publisher(self, source: str) -> Publisher:
        """For a part of the run in this process: its events take no detour over a socket."""
        return _DeskPublisher(self, self._broadcast, Stamp(self.token, source, 0))

    def retire(self, source: str) -> None:
        """A process has ended without saying so."""
        self.workers.retire(source)
        self.coordinator.retire(source)
