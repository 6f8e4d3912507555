"""Play with the keyboard."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.video import mp4_writer
from mario_envkit.window import Window

CONTROLS = "arrows move, X jumps (A), Z runs and fires (B), Return is START, Escape ends"


def play(level: str, *, video: Path | None = None, scale: int = 3, **env_kwargs: Any) -> None:
    """Open a window and let a person play until Escape, or until the window is closed.

    Args:
        level: as for :class:`~mario_envkit.env.MarioEnv`.
        video: MP4 to save the game to.
        scale: screen pixels a game pixel.
        env_kwargs: further arguments of the environment.

    Raises:
        DisplayUnavailable: without a display or pygame.
        OptionError: if the folder of the video does not exist.
    """
    if video is not None and not video.parent.is_dir():
        raise OptionError(f"The folder {video.parent} does not exist; create it first.")
    with ExitStack() as stack:
        window = Window(f"Super Mario Bros {level}: {CONTROLS}", scale=scale)
        stack.callback(window.close)
        env = MarioEnv(level=level, **env_kwargs)
        stack.callback(env.close)
        recording = stack.enter_context(mp4_writer(video)) if video is not None else None
        env.reset()
        while window.show(picture := env.emulator.screen()):
            if recording is not None:
                recording.show(picture)
            *_, terminated, _, info = env.step(window.joypad())
            if terminated:
                won = "the flag!" if info["flag_get"] else f"dead ({info['death_cause']})."
                print(f"{info['level']}: {won} x={info['x_pos']}, score {info['score']}")
                env.reset()
    if video is not None:
        print(f"saved {video}")
