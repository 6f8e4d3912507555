"""Rows of metrics as TensorBoard scalars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardSink:
    """TensorBoard scalars, tagged with the names of the values.

    A directory has one writer: TensorBoard takes what several write at once for one run's restarts.
    """

    def __init__(self, directory: Path, *, resume_step: int | None = None) -> None:
        """Open an event file in ``directory``; events after ``resume_step`` are hidden."""
        # Imported here: it costs a second, and whoever reads CSV files does not need it.
        from torch.utils.tensorboard import SummaryWriter

        purge = None if resume_step is None else resume_step + 1
        self._writer: SummaryWriter = SummaryWriter(str(directory), purge_step=purge)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values that are numbers."""
        for name, value in values.items():
            if not math.isnan(value):
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
