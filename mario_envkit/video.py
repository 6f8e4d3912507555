"""MP4 files of games."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.errors import BackendUnavailable
from mario_envkit.files import replace_file


class VideoWriter:
    """Counts the frames it passes on to ffmpeg."""

    def __init__(self, writer: Any, scale: int) -> None:
        self._writer, self._scale = writer, scale
        self.frames = 0

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Append an RGB picture ``(H, W, 3)`` uint8."""
        self._writer.append_data(picture.repeat(self._scale, 0).repeat(self._scale, 1))
        self.frames += 1


@contextmanager
def mp4_writer(
    path: Path, fps: float = 60, scale: int = 2, *, quick: bool = False
) -> Iterator[VideoWriter]:
    """Write an MP4 (H.264); the file appears, or is replaced, when the context ends well.

    Args:
        path: of the video, in a folder that exists.
        fps: pictures a second.
        scale: video pixels a game pixel.
        quick: one thread and less effort: a file a little larger in a fraction of the time.

    Raises:
        BackendUnavailable: if imageio or its ffmpeg is not installed.
    """
    options: dict[str, Any] = {"codec": "libx264", "macro_block_size": 2}
    if quick:
        options["output_params"] = ["-preset", "veryfast", "-threads", "1"]
    with _writer(path, "mp4", scale, format="FFMPEG", fps=fps, **options) as video:
        yield video


@contextmanager
def gif_writer(path: Path, fps: float = 10) -> Iterator[VideoWriter]:
    """Write an animated GIF that repeats; otherwise as :func:`mp4_writer`."""
    with _writer(path, "gif", 1, format="GIF", duration=1000 / fps, loop=0) as video:
        yield video


@contextmanager
def _writer(path: Path, suffix: str, scale: int, **options: Any) -> Iterator[VideoWriter]:
    temporary = path.with_name(f".{path.stem}.part.{suffix}")
    try:
        try:
            import imageio.v2 as imageio

            writer = imageio.get_writer(temporary, **options)
        except ImportError as error:
            raise BackendUnavailable(
                "Videos are written with imageio and ffmpeg, which are not installed; "
                "pip install 'imageio[ffmpeg]'."
            ) from error
        try:
            yield VideoWriter(writer, scale)
        finally:
            # Its own context manager leaves ffmpeg running, and writing, after an exception.
            writer.close()
        if temporary.exists():  # without a single picture ffmpeg makes no file
            replace_file(path, temporary.replace)
    finally:
        temporary.unlink(missing_ok=True)
