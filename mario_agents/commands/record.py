"""``mario-agents record``: a video of what a run learned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import FlagCreatePairsOff

from mario_agents.acting.environments import make_env
from mario_agents.commands.parsing import command_line
from mario_agents.commands.playing import (
    PlayingOptions,
    play,
    policy_of,
    print_episode,
    protocol_of,
)
from mario_agents.commands.stored_run import StoredRun
from mario_agents.zoo import is_shipped
from mario_envkit.errors import OptionError
from mario_envkit.plugins import Policy
from mario_envkit.video import mp4_writer

if TYPE_CHECKING:
    from mario_agents.evaluation.results import EvalProtocol

MOST_GAMES = 64
"""Of a mosaic."""


@dataclass(frozen=True, kw_only=True)
class RecordOptions(PlayingOptions):
    """Write a video (MP4) of the agent of a run."""

    episodes: int = 1
    """Episodes to play, one after the other in the same video."""
    out: Path | None = None
    """The file; without it a new one in the run's directory videos/, or of an agent of the zoo in
    this directory."""
    grid: str | None = None
    """Columns x rows, such as 4x4: as many games at once, side by side, each with its own seed."""
    dream: FlagCreatePairsOff[bool] = False
    """Beside the game what the world model of the agent makes of it: its own picture, what it
    expected some steps ahead, the difference, and real and imagined rewards below."""
    ahead: int = 15
    """With --dream the agent looks at one observation of so many, and imagines the others."""


COMMAND_LINE = command_line("record", RecordOptions)


def main(words: Sequence[str]) -> None:
    """Write a video of a run's agent."""
    options = COMMAND_LINE.parse(words)
    protocol = protocol_of(options)
    run = StoredRun.open(options.run)
    own = Path() if is_shipped(run.directory.path) else run.directory.videos_path
    path = options.out or _new_video(own)
    if path.suffix.lower() != ".mp4":
        raise OptionError(f"The video {path} must have a name that ends in .mp4.")
    grid = None if options.grid is None else _grid(options)
    policy = policy_of(run, options)
    kwargs = {**run.trainer.env_kwargs(run.config), **protocol.env_overrides()}
    if options.dream:
        if grid is not None or options.ahead < 1:
            raise OptionError("--dream shows one game, and needs --ahead of 1 or more.")
        _record_dreams(policy, kwargs, protocol, options.ahead, path)
    elif grid is None:
        _record_episodes(policy, kwargs, protocol, path)
    else:
        _record_mosaic(policy, kwargs, protocol, grid, path)


def _record_episodes(
    policy: Policy, kwargs: dict[str, Any], protocol: EvalProtocol, path: Path
) -> None:
    """Write a video of one episode after the other."""
    from mario_agents.playback.player import FrameTap

    env = make_env(kwargs, render_mode="rgb_array")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fps = FrameTap(env, lambda picture: None).fps
        with mp4_writer(path, fps) as video:
            tap = FrameTap(env, video.show)
            for number in range(protocol.episodes):
                print_episode(play(policy, env, protocol, number, tap))
    except OSError as error:
        raise OptionError(f"Cannot write the video {path}: {error.strerror}.") from error
    finally:
        env.close()
    print(f"Wrote {path} ({video.frames} frames, {video.frames / fps:.1f} s).")


def _record_dreams(
    policy: Policy, kwargs: dict[str, Any], protocol: EvalProtocol, ahead: int, path: Path
) -> None:
    """Write a video of episodes beside what the agent's world model makes of them."""
    from mario_agents.playback.dream import dream_fps, film_dream

    env = make_env(kwargs, render_mode="rgb_array")
    fps = dream_fps(kwargs)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mp4_writer(path, fps, scale=1) as video:
            for number in range(protocol.episodes):
                episode = film_dream(
                    policy,
                    env,
                    video.show,
                    greedy=protocol.greedy,
                    seed=protocol.seed + number,
                    horizon=ahead,
                )
                print_episode(episode)
    except OSError as error:
        raise OptionError(f"Cannot write the video {path}: {error.strerror}.") from error
    finally:
        env.close()
    print(f"Wrote {path} ({video.frames} frames, {video.frames / fps:.1f} s).")


def _record_mosaic(
    policy: Policy,
    kwargs: dict[str, Any],
    protocol: EvalProtocol,
    grid: tuple[int, int],
    path: Path,
) -> None:
    """Write a video of many games at once."""
    from mario_agents.playback.mosaic import play_mosaic
    from mario_agents.playback.player import FrameTap

    columns, rows = grid
    with ExitStack() as stack:
        envs = []
        for _ in range(columns * rows):
            envs.append(make_env(kwargs, render_mode="rgb_array"))
            stack.callback(envs[-1].close)
        fps = FrameTap(envs[0], lambda picture: None).fps
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with mp4_writer(path, fps, scale=1, quick=True) as video:
                episodes = play_mosaic(
                    policy, envs, columns, video.show, greedy=protocol.greedy, seed=protocol.seed
                )
        except OSError as error:
            raise OptionError(f"Cannot write the video {path}: {error.strerror}.") from error
    flags = sum(episode.success for episode in episodes)
    stages = sum(episode.stages_cleared for episode in episodes)
    more = f", and {stages} stages were cleared" if stages > flags else ""
    print(f"{flags} of {len(episodes)} games reached the flag{more}.")
    print(f"Wrote {path} ({video.frames} frames, {video.frames / fps:.1f} s).")


def _grid(options: RecordOptions) -> tuple[int, int]:
    """Columns and rows.

    Raises:
        OptionError: if they are not given as 4x4, are too many, or --episodes is given, too.
    """
    match = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", options.grid or "")
    if match is None or int(match[1]) * int(match[2]) > MOST_GAMES:
        raise OptionError(
            f"--grid {options.grid!r} must be columns x rows, such as 4x4, and at most "
            f"{MOST_GAMES} games."
        )
    if options.episodes != 1:
        raise OptionError("--grid plays one episode in each of its games; leave out --episodes.")
    return int(match[1]), int(match[2])


def _new_video(directory: Path) -> Path:
    """A name that is not taken yet."""
    number = 1
    while (path := directory / f"episode-{number}.mp4").exists():
        number += 1
    return path
