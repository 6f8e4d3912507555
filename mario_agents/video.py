"""MP4 files of games."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_agents.files import replace_file


class VideoWriter:
    """Counts the frames it passes on to ffmpeg."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self.frames = 0

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Append an RGB picture ``(H, W, 3)``."""
        self._writer.append_data(picture)
        self.frames += 1


@contextmanager
def mp4_writer(path: Path, fps: float) -> Iterator[VideoWriter]:
    """Write an MP4 (H.264); the file appears, or is replaced, when the context ends well."""
    import imageio.v2 as imageio

    temporary = path.with_name(f".{path.stem}.part.mp4")
    try:
        writer = imageio.get_writer(
            temporary, format="FFMPEG", fps=fps, codec="libx264", macro_block_size=2
        )
        try:
            yield VideoWriter(writer)
        finally:
            # Its own context manager leaves ffmpeg running, and writing, after an exception.
            writer.close()
        replace_file(path, temporary.replace)
    finally:
        temporary.unlink(missing_ok=True)
