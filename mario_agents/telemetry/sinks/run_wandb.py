"""A run at Weights & Biases: numbers, and videos of its best episodes."""

from __future__ import annotations

from collections.abc import Mapping

from mario_agents.run import RunDir
from mario_agents.telemetry import WandbSink
from mario_agents.telemetry.sinks.new_videos import NewVideos


class WandbRun(WandbSink):
    """Rows of metrics and, as soon as they are in the run directory, ``videos/*.mp4`` as ``video``
    or ``dream``.

    Args:
        project: name of the project.
        run: the run.
        resume_step: videos up to it have been sent; None for a new run.

    Raises:
        OptionError, RunError: see :class:`~mario_agents.telemetry.sinks.wandb.WandbSink`.
    """

    def __init__(self, project: str, run: RunDir, *, resume_step: int | None = None) -> None:
        super().__init__(project, run.path, run.options)
        self._videos = NewVideos(run, resume_step)
        self._open = True

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Send the values that are numbers, and the videos that have come in the meantime."""
        super().write(step, values)
        self._send_videos()

    def close(self) -> None:
        """Send what came last, and end; harmless when repeated."""
        if self._open:
            self._open = False
            self._send_videos()
        super().close()

    def _send_videos(self) -> None:
        for video, record in self._videos.take():
            self.write_video(record.step, record.kind, video, ", ".join(record.occasions))
