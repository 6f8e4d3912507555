"""MP4 files of games."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.closing import close_at_end
from mario_envkit.errors import BackendUnavailable
from mario_envkit.files import replace_file, temporary_beside


class VideoWriter:
    """Counts the frames it passes on to ffmpeg."""

    def __init__(self, writer: Any, path: Path) -> None:
        self._writer, self._path = writer, path
        self.frames = 0

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Append an RGB picture ``(H, W, 3)`` uint8.

        Raises:
            OSError: if the file cannot be written.
        """
        try:
            self._writer.append_data(picture)
        except OSError as error:
            raise _reason(self._path) from error
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
        OSError: if the file cannot be written.
    """
    # Quiet: it would write to the terminal by itself.
    options: dict[str, Any] = {"codec": "libx264", "macro_block_size": 2}
    options["ffmpeg_log_level"] = "quiet"
    options["output_params"] = ["-preset", "superfast", "-threads", "1"] if quick else []
    if scale != 1:  # by ffmpeg: a quarter of the bytes goes through the pipe
        larger = f"scale=iw*{scale}:ih*{scale}:flags=neighbor"
        options["output_params"] += ["-vf", larger]
    with _writer(path, "mp4", format="FFMPEG", fps=fps, **options) as video:
        yield video


@contextmanager
def gif_writer(path: Path, fps: float = 10) -> Iterator[VideoWriter]:
    """Write an animated GIF that repeats; otherwise as :func:`mp4_writer`."""
    with _writer(path, "gif", format="GIF", duration=1000 / fps, loop=0) as video:
        yield video


@contextmanager
def _writer(path: Path, suffix: str, **options: Any) -> Iterator[VideoWriter]:
    temporary = temporary_beside(path, f".{suffix}")
    try:
        try:
            import imageio.v2 as imageio

            writer = imageio.get_writer(temporary, **options)
        except ImportError as error:
            raise BackendUnavailable(
                "Videos are written with imageio and ffmpeg, which are not installed; "
                "pip install 'imageio[ffmpeg]'."
            ) from error
        # Its own context manager leaves ffmpeg running, and writing, after an exception.
        with close_at_end(writer):
            video = VideoWriter(writer, path)
            yield video
        if temporary.exists():  # without a single picture ffmpeg makes no file
            if suffix == "mp4" and not is_mp4(temporary):
                raise _reason(path)
            replace_file(path, temporary.replace)
    finally:
        temporary.unlink(missing_ok=True)


def is_mp4(path: Path) -> bool:
    """Whether a file is an MP4 from its first box to its last (ISO/IEC 14496-12, section 4.2).

    A file that was cut off ends within a box, or lacks the one that says what is in it ("moov").
    """
    kinds = []
    try:
        with path.open("rb") as file:
            size, where = os.fstat(file.fileno()).st_size, 0
            while where < size:
                file.seek(where)
                head = file.read(16)
                length = int.from_bytes(head[:4], "big")
                if length == 1:  # the real one, of 8 bytes, follows the kind
                    length = int.from_bytes(head[8:], "big")
                if length < 8 or where + length > size:
                    return False
                kinds.append(head[4:8])
                where += length
    except OSError:
        return False
    return kinds[:1] == [b"ftyp"] and b"moov" in kinds


def _reason(path: Path) -> OSError:
    """Why ffmpeg, which does not say it, may have given up."""
    full = shutil.disk_usage(path.parent).free < 1 << 16
    code = errno.ENOSPC if full else errno.EIO
    return OSError(code, os.strerror(code), str(path))
