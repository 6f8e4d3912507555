"""Rows of metrics as TensorBoard scalars."""

from __future__ import annotations

import math
import struct
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

    def write_gif(self, step: int, tag: str, gif: bytes) -> None:
        """Show an animated GIF: TensorBoard plays it among its images."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = struct.unpack_from("<HH", gif, 6)
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
        assert self._writer.file_writer is not None
        self._writer.file_writer.add_summary(
            Summary(value=[Summary.Value(tag=tag, image=image)]), step
        )

    def write_counts(self, step: int, tag: str, counts: Mapping[int, int], width: int) -> None:
        """Show a histogram that is counted already.

        Args:
            step: agent steps.
            tag: its name.
            counts: at least one: how many values are in each bucket, by its left end.
            width: of a bucket.
        """
        left = sorted(counts)
        numbers = [counts[x] for x in left]
        middles = [x + width / 2 for x in left]
        # TensorBoard draws a bucket from the limit before: an empty one comes before each.
        limits = [float(edge) for x in left for edge in (x, x + width)]
        self._writer.add_histogram_raw(
            tag,
            min=left[0],
            max=left[-1] + width,
            num=sum(numbers),
            sum=sum(n * x for n, x in zip(numbers, middles, strict=True)),
            sum_squares=sum(n * x * x for n, x in zip(numbers, middles, strict=True)),
            bucket_limits=limits,
            bucket_counts=[count for number in numbers for count in (0, number)],
            global_step=step,
        )

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
