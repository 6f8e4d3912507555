"""Actions that are due every so many agent steps."""

from __future__ import annotations


class StepInterval:
    """Says for each multiple of ``interval`` once that it was passed; 0 never does."""

    def __init__(self, interval: int, step: int) -> None:
        """``step`` is where counting begins."""
        self._interval, self._step = interval, step

    def due(self, step: int) -> bool:
        """Whether a multiple lies between the last call's step (not included) and ``step``."""
        before, self._step = self._step, step
        return self._interval > 0 and step // self._interval > before // self._interval
