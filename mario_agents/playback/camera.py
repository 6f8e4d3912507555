"""What all videos of a run have in common: how they are written, and what is said of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_agents.playback.player import FrameTap, Show
from mario_agents.run.records import Segment, read_videos
from mario_agents.run.storage import Deferrable
from mario_envkit.errors import MarioEnvkitError
from mario_envkit.game.endings import stage_of_step
from mario_envkit.video import gif_writer, mp4_writer

FIRST_FLAG = "first flag"
LONGEST = 2_400
"""Agent steps of a video; with four frames each not quite three minutes."""
VIDEO_FPS = 30
PREVIEW_FPS = 10

log = logging.getLogger(__name__)


class Trajectory:
    """Where Mario was after every step of an episode, as segments within one area each."""

    def __init__(self) -> None:
        self._segments: list[tuple[str, int, list[tuple[int, int]]]] = []

    def visit(self, info: Mapping[str, Any]) -> None:
        """To be called with the info of every reset and step."""
        before = self._segments[-1][0] if self._segments else ""
        level = stage_of_step(str(info.get("level", "")), info.get("ending", ""), before)
        place = level, int(info.get("area", 0))
        if not self._segments or self._segments[-1][:2] != place:
            self._segments.append((*place, []))
        self._segments[-1][2].append((int(info["x_pos"]), int(info.get("y_pos", 0))))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The trajectory so far."""
        return tuple(Segment(level, area, tuple(points)) for level, area, points in self._segments)


def flag_recorded(directory: Path) -> bool:
    """Whether one of the videos in ``directory`` shows how the flag is reached."""
    videos, _ = read_videos(directory)
    return any(record.episode.clears_stage for _, record in videos if not record.ahead)


def tell_missing(what: str, error: Exception, state: Deferrable | None = None) -> None:
    """Why there is no video; of videos that fail one after the other only the first is told."""
    if isinstance(error, (MarioEnvkitError, OSError)):
        (state or Deferrable("A video")).failed(error, what)
    else:
        log.warning("%s: %s", what, error, exc_info=error)


@contextmanager
def camera(env: gymnasium.Env[Any, Any], video: Path) -> Iterator[FrameTap]:
    """Records what is played: half of the frames to ``video``, and fewer to a GIF beside it."""
    with recording(video, FrameTap(env, lambda picture: None).fps) as show:
        yield FrameTap(env, show)


@contextmanager
def recording(video: Path, fps: float, *, scale: int = 2) -> Iterator[Show]:
    """Writes the pictures that it is shown to ``video`` (MP4), at most :data:`VIDEO_FPS` of them a
    second, and fewer, of half the height and width, to a GIF beside it.

    Args:
        video: in a folder that exists.
        fps: pictures a second.
        scale: of the MP4, see :func:`~mario_envkit.video.mp4_writer`.
    """
    every = max(1, round(fps / VIDEO_FPS))
    preview_every = max(1, round(fps / PREVIEW_FPS))
    with (
        mp4_writer(video, fps / every, scale, quick=True) as whole,
        gif_writer(video.with_suffix(".gif"), fps / preview_every) as preview,
    ):
        frame = 0

        def show(picture: NDArray[np.uint8]) -> None:
            nonlocal frame
            if frame % every == 0:
                whole.show(picture)
            if frame % preview_every == 0:
                preview.show(picture[::2, ::2])
            frame += 1

        yield show
