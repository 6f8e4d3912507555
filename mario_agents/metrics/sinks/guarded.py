"""A full disk is no reason to stop training."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mario_agents.metrics.sinks.protocol import MetricSink

log = logging.getLogger(__name__)


class GuardedSink:
    """A sink whose failures to write are told once, as a warning, and otherwise ignored."""

    def __init__(self, sink: MetricSink) -> None:
        self._sink = sink
        self._told = False

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See :class:`~mario_agents.metrics.sinks.protocol.MetricSink`."""
        try:
            self._sink.write(step, values)
        except OSError as error:
            self._tell(error)

    def close(self) -> None:
        """See :class:`~mario_agents.metrics.sinks.protocol.MetricSink`."""
        try:
            self._sink.close()
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            log.warning("Metrics cannot be written: %s. Training goes on without.", error)
