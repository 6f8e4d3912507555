"""The event hub: receives, aggregates and rebroadcasts the events of all processes of a run."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence

from mario_agents.run import RunDir
from mario_agents.telemetry import MetricAggregator, MetricSink, RunMetrics, write_metrics
from mario_agents.telemetry.death_log import DeathLog
from mario_agents.telemetry.events import (
    COORDINATOR,
    MAIN,
    AnyEvent,
    DeathPositions,
    Envelope,
    EventBroadcast,
    EventDirectory,
    EventSubscriber,
    Heartbeats,
    LearnerStatus,
    LevelOutcomes,
    Log,
    Metrics,
    Publisher,
    WorkerStatus,
    new_token,
)
from mario_agents.telemetry.events.address import tcp_address
from mario_agents.telemetry.events.publisher import Stamp
from mario_agents.telemetry.level_log import LevelLog
from mario_agents.telemetry.log_relay import LogRelay
from mario_envkit.closing import ClosesItself, close_all

log = logging.getLogger(__name__)

LAST_POLLS = 100
"""Calls of poll() that closing makes at most, in case somebody never stops sending."""


class EventHub(ClosesItself):
    """Takes every event of a run and does what is to be done with it.

    Metrics are aggregated, deaths counted, statuses remembered, log records logged, and everything
    is repeated to observers. Events come from other processes through :meth:`poll`, and from this
    one through :meth:`publisher`.

    Args:
        run: the run, locked by this process.
        metrics: what the run measures; written to its ``metrics.json`` for whoever reads it.
        sinks: get rows of all processes by :meth:`write`, with names such as ``worker_0/loss``,
            ``coordinator/lr`` and, for all workers together, ``run/loss``; closed with the hub.
        ipc: see :class:`~mario_agents.telemetry.events.address.EventDirectory`.
        host: address of this machine by which other machines send events, on a port of the
            system's choice; None if nobody does.

    Raises:
        HotspotError: if the run's ``death_hotspots.json`` is damaged.
        RunError: if ``metrics.json`` cannot be written, or no sockets can be opened.
    """

    def __init__(
        self,
        run: RunDir,
        metrics: RunMetrics,
        sinks: Sequence[MetricSink] = (),
        *,
        ipc: bool = True,
        host: str | None = None,
    ) -> None:
        self.token = new_token()
        self.metrics = metrics
        self.workers = MetricAggregator(metrics.worker)
        self.coordinator = MetricAggregator(metrics.coordinator)
        write_metrics(run.path, metrics)
        self.statuses: dict[str, WorkerStatus | LearnerStatus] = {}
        """The latest status of each process."""
        self.deaths = DeathLog(run.hotspots_path)
        self.levels = LevelLog(run.levels_path)
        self._sinks = tuple(sinks)
        self._directory = EventDirectory(ipc=ipc)
        self._subscriber = EventSubscriber(
            self._directory.address("in") if host is None else tcp_address(host), run=self.token
        )
        self._broadcast = EventBroadcast(
            self._directory.address("out"), run=self.token, run_path=run.path
        )
        self._stamp = Stamp(self.token, MAIN, 0)
        self._relay = LogRelay()
        _own_logger().addHandler(self._relay)
        self._written: dict[str, tuple[int, str]] = {}
        self._losses = (0, 0, 0)
        self._closed = False
        self._next_warning = 0.0

    @property
    def address(self) -> str:
        """What an :class:`~mario_agents.telemetry.events.publisher.EventPublisher` connects to."""
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
            self.take(envelope, message)
        self.deaths.tick()
        self.levels.tick()
        self._warn_of_losses()
        while (record := self._relay.take()) is not None:
            self.announce(record)
        return len(received)

    def announce(self, event: AnyEvent) -> None:
        """Tell observers, and only them, something that this process has to say."""
        self._broadcast.send(self._stamp.encode(self._stamp.envelope(event)))
        self._stamp.sequence += 1

    def publisher(self, source: str) -> Publisher:
        """For a part of the run in this process: its events take no detour over a socket."""
        return _HubPublisher(self, Stamp(self.token, source, 0))

    def retire(self, source: str) -> None:
        """A process has ended without saying so."""
        self.workers.retire(source)
        self.coordinator.retire(source)

    def write(self, step: int) -> None:
        """Write rows to the sinks: of every process that was heard of since the last time, at the
        step it told, and of all workers together at run-wide agent step ``step``; of several levels
        how often each was completed lately.

        The last step of a run may have two rows of a process: what it evaluates at its end comes
        when no step follows.
        """
        for aggregator in (self.workers, self.coordinator):
            for source in aggregator.sources:
                self._write(source, aggregator.step(source), aggregator.values(source))
        self._write("run", step, self.combined())
        if rates := self.levels.recent():
            self._write("levels", step, rates)

    def combined(self) -> dict[str, float]:
        """All workers as one. What the coordinator measures for the algorithm, because it learns
        from their experience, belongs to it."""
        found, coordinator = self.workers.combined(), self.coordinator.combined()
        for name in (metric.name for metric in self.metrics.algorithm):
            if math.isnan(found[name]):
                found[name] = coordinator.get(name, math.nan)
        return found

    def _write(self, prefix: str, step: int, values: Mapping[str, float]) -> None:
        told = repr(values)  # as text, in which NaN equals NaN
        before = self._written.get(prefix, (-1, ""))
        if before[0] > step or before == (step, told):
            return
        self._written[prefix] = step, told
        for sink in self._sinks:
            sink.write(step, {f"{prefix}/{name}": value for name, value in values.items()})

    def take(self, envelope: Envelope, message: bytes) -> None:
        """Do what is to be done with an event; ``message`` is the bytes it travels in."""
        self._broadcast.send(message)
        source, event = envelope.source, envelope.event
        if isinstance(event, Metrics):
            where = self.coordinator if source == COORDINATOR else self.workers
            where.update(source, envelope.generation, event.step, event.snapshot)
        elif isinstance(event, DeathPositions):
            self.deaths.record(event.level, event.positions, event.areas)
        elif isinstance(event, LevelOutcomes):
            if 0 <= event.successes <= event.episodes != 0:
                self.levels.record(event.level, event.episodes, event.successes)
        elif isinstance(event, Log):
            log.log(event.level, "%s: %s", source, event.text, extra={"relayed": True})
        elif not isinstance(event, Heartbeats):  # they are of this process's own making
            self.statuses[source] = event
            if event.state == "stopped":
                self.retire(source)

    def _warn_of_losses(self) -> None:
        """Say, once a minute at most, that events were not sent, did not arrive or were ignored."""
        decoder = self._subscriber.decoder
        losses = (decoder.dropped, decoder.lost, decoder.rejected.total)
        if losses == self._losses or time.monotonic() < self._next_warning:
            return
        self._losses, self._next_warning = losses, time.monotonic() + 60
        log.warning(
            "Of this run's events so far %d were dropped by their senders, %d were lost on the "
            "way and %d messages were ignored: %s.",
            *losses,
            decoder.rejected,
        )

    def close(self) -> None:
        """Take in what is there, save the deaths, close sinks and sockets; harmless when repeated.

        Raises:
            HotspotError, RunError: if something cannot be saved; everything is closed then, too.
        """
        if self._closed:
            return
        self._closed = True
        close_all(
            self._poll_the_rest,
            self.deaths.close,
            self.levels.close,
            lambda: _own_logger().removeHandler(self._relay),
            self._subscriber.close,
            self._broadcast.close,
            self._directory.close,
            *(sink.close for sink in self._sinks),
        )

    def _poll_the_rest(self) -> None:
        for _ in range(LAST_POLLS):
            if not self.poll():
                break


def _own_logger() -> logging.Logger:
    return logging.getLogger("mario_agents")


class _HubPublisher:
    """Implements :class:`~mario_agents.telemetry.events.publisher.Publisher`."""

    def __init__(self, hub: EventHub, stamp: Stamp) -> None:
        self._hub, self._stamp = hub, stamp

    def publish(self, event: AnyEvent) -> bool:
        """Always taken."""
        envelope = self._stamp.envelope(event)
        self._hub.take(envelope, self._stamp.encode(envelope))
        self._stamp.sequence += 1
        return True
