"""Rows of metrics as TensorBoard scalars.

TensorBoard's own writer works in a thread, which the first full disk ends, and then waits for that
thread for ever. So events are framed with its ``RecordWriter`` here, and written where all lines of
a run are written (:class:`~mario_agents.run.storage.GrowingFile`).
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Mapping
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from mario_agents.run.storage import GrowingFile
from mario_agents.telemetry.run_metrics import RunMetrics

_FORMAT = "brain.Event:2"
_numbers = count()


class TensorBoardSink:
    """TensorBoard scalars, tagged with the names of the values.

    A directory has one writer: TensorBoard takes what several write at once for one run's restarts.
    """

    def __init__(
        self,
        directory: Path,
        metrics: RunMetrics | None = None,
        *,
        resume_step: int | None = None,
    ) -> None:
        """Begin an event file.

        Args:
            directory: of the file.
            metrics: say what the values are, by the last part of their names; TensorBoard shows
                that beside the curve.
            resume_step: events after it, of earlier files, are hidden.
        """
        # Imported here: it costs a while, and whoever reads CSV files does not need it.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        # TensorBoard reads the files of a directory in the order of their names, as texts: the
        # moment to the nanosecond, since two may begin in one second, and all digits of it.
        seconds, fraction = divmod(time.time_ns(), 10**9)
        name = (
            f"events.out.tfevents.{seconds:010d}.{fraction:09d}.{socket.gethostname()}."
            f"{os.getpid()}.{next(_numbers):09d}"
        )
        self._metrics = metrics or RunMetrics()
        self._described: set[str] = set()
        self._file = GrowingFile(directory / name)
        self._add(Event(file_version=_FORMAT))
        if resume_step is not None:
            start = SessionLog(status=SessionLog.START)
            self._add(Event(step=resume_step + 1, session_log=start))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values that are numbers, now or, if the disk refuses, with later ones."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add_summary(
            step,
            *(
                Summary.Value(tag=name, simple_value=value, metadata=self._describe(name))
                for name, value in values.items()
                if not math.isnan(value)
            ),
        )

    def _describe(self, name: str) -> Any:
        """Label and help of a value, the first time that it is written."""
        from tensorboard.compat.proto.summary_pb2 import SummaryMetadata

        if name in self._described:
            return None
        self._described.add(name)
        metric = self._metrics.find(name.rpartition("/")[2])
        return SummaryMetadata(display_name=metric.label, summary_description=metric.help)

    def write_gif(self, step: int, tag: str, gif: bytes) -> None:
        """Show an animated GIF: TensorBoard plays it among its images."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = struct.unpack_from("<HH", gif, 6)
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
        self._add_summary(step, Summary.Value(tag=tag, image=image))

    def write_counts(self, step: int, tag: str, counts: Mapping[int, int], width: int) -> None:
        """Show a histogram that is counted already.

        Args:
            step: agent steps.
            tag: its name.
            counts: at least one: how many values are in each bucket, by its left end.
            width: of a bucket.
        """
        from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

        left = sorted(counts)
        numbers = [counts[x] for x in left]
        middles = [x + width / 2 for x in left]
        histogram = HistogramProto(
            min=left[0],
            max=left[-1] + width,
            num=sum(numbers),
            sum=sum(n * x for n, x in zip(numbers, middles, strict=True)),
            sum_squares=sum(n * x * x for n, x in zip(numbers, middles, strict=True)),
            # TensorBoard draws a bucket from the limit before: an empty one comes before each.
            bucket_limit=[float(edge) for x in left for edge in (x, x + width)],
            bucket=[count for number in numbers for count in (0, number)],
        )
        self._add_summary(step, Summary.Value(tag=tag, histo=histogram))

    def close(self) -> None:
        """Write what waits.

        Raises:
            RunError: if the disk refuses.
        """
        self._file.close()

    def _add_summary(self, step: int, *values: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        if values:
            self._add(Event(step=step, summary=Summary(value=values)))

    def _add(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        event.wall_time = time.time()
        record = BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        self._file.append(record.getvalue())
