"""The interface of metric sinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class MetricSink(Protocol):
    """Takes rows, one at a time."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Take the values at agent step ``step``."""

    def close(self) -> None:
        """Flush and release; harmless when repeated."""
