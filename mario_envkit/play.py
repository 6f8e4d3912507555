"""Play with the keyboard, or show a recorded run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mario_envkit.curriculum.runs import Run
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
    _check_folder(video)
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


def replay(path: Path, *, video: Path | None = None, scale: int = 3, **env_kwargs: Any) -> None:
    """Show a recorded run in a window, or save it as a video (which needs no display).

    Args:
        path: of the run, as ``mario-envkit solve`` writes it.
        video: MP4 to save it to instead of showing it.
        scale: screen pixels a game pixel.
        env_kwargs: ``backend`` and ``rom`` of the environment; the rest is the run's.

    Raises:
        ReplayError: if the file is not a run, or does not lead to the flag here.
        DisplayUnavailable: without a display or pygame.
        OptionError: if the folder of the video does not exist.
    """
    _check_folder(video)
    run = Run.load(path)
    with ExitStack() as stack:
        env = run.make_env(**env_kwargs)
        stack.callback(env.close)
        if video is None:
            window = Window(f"Super Mario Bros {run.level}: Escape ends", scale=scale)
            stack.callback(window.close)
            for _ in run.play(env):
                if not window.show(env.emulator.screen()):
                    return
        else:
            recording = stack.enter_context(mp4_writer(video))
            for _ in run.play(env):
                recording.show(env.emulator.screen())
    print(f"{run.level}: the flag after {run.frames} frames")
    if video is not None:
        print(f"saved {video}")


def _check_folder(video: Path | None) -> None:
    if video is not None and not video.parent.is_dir():
        raise OptionError(f"The folder {video.parent} does not exist; create it first.")
