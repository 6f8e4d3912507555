"""Finds the videos that a run has recorded since the last look, for sinks that upload them."""

from __future__ import annotations

from pathlib import Path

from mario_agents.run import RunDir
from mario_agents.run.records import VideoRecord, read_videos


class NewVideos:
    """The videos of a run, each told once.

    Whoever makes them may be another process.

    Args:
        run: the run.
        resume_step: videos up to it have been told of by the run that is resumed; None tells all.
    """

    def __init__(self, run: RunDir, resume_step: int | None) -> None:
        self._directory = run.videos_path
        self._told = {
            video
            for video, record in read_videos(self._directory)[0]
            if resume_step is not None and record.step <= resume_step
        }
        self._listed = 0

    def take(self) -> list[tuple[Path, VideoRecord]]:
        """What has come since the last call; it costs little if there is nothing."""
        try:
            changed = self._directory.stat().st_mtime_ns
        except OSError:
            return []  # none yet
        if changed == self._listed:
            return []
        self._listed = changed
        new = [item for item in read_videos(self._directory)[0] if item[0] not in self._told]
        self._told.update(video for video, _ in new)
        return new
