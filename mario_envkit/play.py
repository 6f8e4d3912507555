"""Play with the keyboard, or show a recorded run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_envkit.arguments import as_bool, as_file, as_int, check_keywords
from mario_envkit.curriculum.runs import Run
from mario_envkit.emulator.picture import STATUS_BAR_HEIGHT
from mario_envkit.env import MarioEnv
from mario_envkit.errors import OptionError
from mario_envkit.game.endings import WARP, is_success
from mario_envkit.game.tile_picture import draw_tiles
from mario_envkit.game.tiles import read_tiles
from mario_envkit.video import mp4_writer
from mario_envkit.window import Window

CONTROLS = "arrows move, X jumps (A), Z runs and fires (B), Return is START, Escape ends"


def play(
    level: str, *, video: Path | None = None, scale: int = 3, tiles: bool = False, **env_kwargs: Any
) -> None:
    """Open a window and let a person play until Escape, or until the window is closed.

    Args:
        level: as for :class:`~mario_envkit.env.MarioEnv`.
        video: MP4 to save the game to.
        scale: screen pixels a game pixel.
        tiles: show what ``observation="tiles"`` sees beside the game.
        env_kwargs: further arguments of the environment.

    Raises:
        DisplayUnavailable: without a display or pygame.
        OptionError: if the folder of the video does not exist.
    """
    check_keywords(env_kwargs, play, MarioEnv)
    video, scale, tiles = _checked(video, scale, tiles)
    with ExitStack() as stack:
        window = Window(f"Super Mario Bros {level}: {CONTROLS}", scale=scale)
        stack.callback(window.close)
        env = MarioEnv(level=level, **env_kwargs)
        stack.callback(env.close)
        recording = stack.enter_context(mp4_writer(video)) if video is not None else None
        env.reset()
        while window.show(picture := _picture(env, tiles)):
            if recording is not None:
                recording.show(picture)
            *_, terminated, _, info = env.step(window.joypad())
            if terminated:
                how = _how(info["ending"])
                print(f"{info['level']}: {how} x={info['x_pos']}, score {info['score']}")
                env.reset()
    if video is not None:
        print(f"saved {video}")


def replay(
    path: Path, *, video: Path | None = None, scale: int = 3, tiles: bool = False, **env_kwargs: Any
) -> None:
    """Show a recorded run in a window, or save it as a video (which needs no display).

    Args:
        path: of the run, as ``mario-envkit solve`` writes it.
        video: MP4 to save it to instead of showing it.
        scale: screen pixels a game pixel.
        tiles: show what ``observation="tiles"`` sees beside the game.
        env_kwargs: ``backend`` and ``rom`` of the environment; the rest is the run's.

    Raises:
        ReplayError: if the file is not a run, or does not lead to the flag here.
        DisplayUnavailable: without a display or pygame.
        OptionError: if the folder of the video does not exist.
    """
    video, scale, tiles = _checked(video, scale, tiles)
    run = Run.load(path)
    with ExitStack() as stack:
        env = run.make_env(**env_kwargs)
        stack.callback(env.close)
        if video is None:
            window = Window(f"Super Mario Bros {run.level}: Escape ends", scale=scale)
            stack.callback(window.close)
            for _ in run.play(env):
                if not window.show(_picture(env, tiles)):
                    return
        else:
            recording = stack.enter_context(mp4_writer(video))
            for _ in run.play(env):
                recording.show(_picture(env, tiles))
    print(f"{run.level}: the flag after {run.frames} frames")
    if video is not None:
        print(f"saved {video}")


def _how(ending: str) -> str:
    """An end of an episode, for people."""
    if is_success(ending):
        return "the flag!"
    return "left by a warp." if ending == WARP else f"dead ({ending})."


def _picture(env: MarioEnv, tiles: bool) -> NDArray[np.uint8]:
    """The screen, ``(240, 256, 3)``, or with the tiles on its right ``(240, 512, 3)``."""
    screen = env.emulator.screen()
    if not tiles:
        return screen
    seen = draw_tiles(read_tiles(env.emulator.ram))
    # The grid begins below the score bar, and so is level with what it shows.
    beside = np.zeros_like(screen)
    beside[STATUS_BAR_HEIGHT:] = seen
    return np.concatenate([screen, beside], axis=1)


def _checked(video: Any, scale: Any, tiles: Any) -> tuple[Path | None, int, bool]:
    path = None if video is None else as_file("video", video)
    if path is not None and not path.parent.is_dir():
        raise OptionError(f"The folder {path.parent} does not exist; create it first.")
    return path, as_int("scale", scale, least=1, most=32), as_bool("tiles", tiles)
