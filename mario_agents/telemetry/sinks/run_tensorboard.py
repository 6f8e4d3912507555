"""A run in TensorBoard: numbers, videos of its best episodes, and where Mario dies."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from mario_agents.run import RunDir
from mario_agents.telemetry import RunMetrics, TensorBoardSink
from mario_agents.telemetry.sinks.new_videos import NewVideos
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import HotspotError


class TensorBoardRun(TensorBoardSink):
    """Scalars and, as soon as their files are in the run directory, ``videos/*.gif`` as ``video``,
    or ``dream``, and ``death_hotspots.json`` as histograms ``deaths/LEVEL``.

    Whoever makes these files may be another process: a directory of events has one writer.

    Args:
        run: the run.
        metrics: what it measures.
        resume_step: as of :class:`~mario_agents.telemetry.sinks.tensorboard.TensorBoardSink`;
            videos up to it have been shown.
    """

    def __init__(self, run: RunDir, metrics: RunMetrics, *, resume_step: int | None = None) -> None:
        super().__init__(run.tensorboard_path, metrics, resume_step=resume_step)
        self._run, self._step = run, resume_step or 0
        self._videos = NewVideos(run, resume_step)
        self._counted = 0
        self._closed = False

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values that are numbers, and what has come in the meantime."""
        super().write(step, values)
        self._step = max(self._step, step)
        self._show_videos()
        self._count_deaths()

    def close(self) -> None:
        """Write what came last, and close."""
        if not self._closed:
            self._closed = True
            self._show_videos()
            self._count_deaths()
        super().close()

    def _show_videos(self) -> None:
        for video, record in self._videos.take():
            with suppress(OSError):  # there is none, or it cannot be read
                self.write_gif(record.step, record.kind, video.with_suffix(".gif").read_bytes())

    def _count_deaths(self) -> None:
        path = self._run.hotspots_path
        try:
            changed = path.stat().st_mtime_ns
            if changed == self._counted:
                return
            self._counted = changed
            deaths = DeathHotspotAggregate.load_or_create(path)
        except (OSError, HotspotError):
            return  # none yet; that the file is damaged tells its owner
        for level in deaths.levels:
            counts = dict(deaths.get_hotspots(level, min_deaths=1))
            if counts:
                self.write_counts(self._step, f"deaths/{level}", counts, deaths.bucket_size)
