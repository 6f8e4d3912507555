"""Play with the keyboard."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.env import MarioEnv
from mario_envkit.errors import BackendUnavailable, OptionError
from mario_envkit.window import Window

CONTROLS = "arrows move, X jumps (A), Z runs and fires (B), Return is START, Escape ends"


class VideoFile:
    """An MP4 (H.264) of pictures ``(H, W, 3)`` uint8; written under another name until complete.

    Args:
        path: of the video; replaced if it exists.
        fps: pictures a second.
        scale: screen pixels a game pixel.

    Raises:
        OptionError: if the folder does not exist.
        BackendUnavailable: if imageio is not installed.
    """

    def __init__(self, path: Path, fps: float = 60, scale: int = 2) -> None:
        try:
            import imageio.v2 as imageio
        except ImportError as error:
            raise BackendUnavailable(
                "Videos are written with imageio, which is not installed; "
                "pip install 'mario-envkit[play]'."
            ) from error
        if not path.parent.is_dir():
            raise OptionError(f"The folder {path.parent} does not exist; create it first.")
        self._path, self._scale = path, scale
        self._partial = path.with_name(f".{path.stem}.partial.mp4")
        self._writer: Any = imageio.get_writer(
            self._partial, format="FFMPEG", fps=fps, codec="libx264", quality=7, macro_block_size=2
        )

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """Append a picture."""
        self._writer.append_data(rgb.repeat(self._scale, 0).repeat(self._scale, 1))

    def close(self) -> None:
        """Finish the video and give it its name."""
        self._writer.close()
        self._partial.replace(self._path)

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def play(level: str, *, video: Path | None = None, scale: int = 3, **env_kwargs: Any) -> None:
    """Open a window and let a person play until Escape, or until the window is closed.

    Args:
        level: as for :class:`~mario_envkit.env.MarioEnv`.
        video: MP4 to save the game to.
        scale: screen pixels a game pixel.
        env_kwargs: further arguments of the environment.

    Raises:
        DisplayUnavailable: without a display or pygame.
    """
    window = Window(f"Super Mario Bros {level}: {CONTROLS}", scale=scale)
    env = MarioEnv(level=level, **env_kwargs)
    recording = VideoFile(video) if video is not None else None
    try:
        env.reset()
        while window.show(picture := env.emulator.screen()):
            if recording is not None:
                recording.add(picture)
            *_, terminated, _, info = env.step(window.joypad())
            if terminated:
                won = "the flag!" if info["flag_get"] else f"dead ({info['death_cause']})."
                print(f"{info['level']}: {won} x={info['x_pos']}, score {info['score']}")
                env.reset()
    finally:
        env.close()
        window.close()
        if recording is not None:
            recording.close()
            print(f"saved {video}")
