"""``mario-agents watch`` and ``record``: what a run learned, to look at."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gymnasium
from rich.console import Console

from mario_agents.acting.environments import make_env
from mario_agents.commands.dispatch import Playing, Record, Watch
from mario_agents.commands.runs import StoredRun
from mario_agents.config import validate
from mario_agents.evaluation.evaluate import EvalEpisode, EvalProtocol
from mario_agents.playback.mosaic import play_mosaic
from mario_agents.playback.player import FrameTap, play_episode
from mario_agents.playback.terminal import TerminalScreen
from mario_envkit.command_line import shell_words
from mario_envkit.errors import DisplayUnavailable, OptionError, WindowClosed
from mario_envkit.plugins import Policy
from mario_envkit.video import mp4_writer

MOST_GAMES = 64
"""Of a mosaic."""


def watch_run(command: Watch) -> None:
    """Show a run's agent in a window or in the terminal."""
    protocol = _protocol(command, command.episodes)
    run = StoredRun.open(command.run)
    policy = _policy(run, command)
    kwargs = {**run.trainer.env_kwargs(run.config), **protocol.env_overrides()}
    if command.view != "terminal":
        try:
            env = _open_window(kwargs)
        except DisplayUnavailable:
            if command.view == "window":
                raise
        else:
            return _watch_window(policy, env, protocol)
    return _watch_terminal(policy, kwargs, protocol, command.run)


def record_run(command: Record) -> None:
    """Write a video of a run's agent."""
    protocol = _protocol(command, command.episodes)
    run = StoredRun.open(command.run)
    path = command.out or _new_video(run.directory.videos_path)
    if path.suffix.lower() != ".mp4":
        raise OptionError(f"The video {path} must have a name that ends in .mp4.")
    grid = None if command.grid is None else _grid(command)
    policy = _policy(run, command)
    kwargs = {**run.trainer.env_kwargs(run.config), **protocol.env_overrides()}
    if grid is None:
        _record_episodes(policy, kwargs, protocol, path)
    else:
        _record_mosaic(policy, kwargs, protocol, grid, path)


def _record_episodes(
    policy: Policy, kwargs: dict[str, Any], protocol: EvalProtocol, path: Path
) -> None:
    """Write a video of one episode after the other."""
    env = make_env(kwargs, render_mode="rgb_array")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fps = FrameTap(env, lambda picture: None).fps
        with mp4_writer(path, fps) as video:
            tap = FrameTap(env, video.show)
            for number in range(protocol.episodes):
                _print_episode(_play(policy, env, protocol, number, tap))
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


def _grid(command: Record) -> tuple[int, int]:
    """Columns and rows.

    Raises:
        OptionError: if they are not given as 4x4, are too many, or --episodes is given, too.
    """
    match = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", command.grid or "")
    if match is None or int(match[1]) * int(match[2]) > MOST_GAMES:
        raise OptionError(
            f"--grid {command.grid!r} must be columns x rows, such as 4x4, and at most "
            f"{MOST_GAMES} games."
        )
    if command.episodes != 1:
        raise OptionError("--grid plays one episode in each of its games; leave out --episodes.")
    return int(match[1]), int(match[2])


def _protocol(command: Playing, episodes: int) -> EvalProtocol:
    protocol = EvalProtocol(
        episodes=episodes,
        greedy=command.is_greedy,
        sticky=command.sticky,
        noop_max=command.noop_max,
        seed=command.seed,
    )
    return validate(protocol, source="command line")


def _policy(run: StoredRun, command: Playing) -> Policy:
    return run.trainer.load_policy(
        run.config, run.directory.path, device=command.device, weights=command.weights
    )


def _play(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    protocol: EvalProtocol,
    number: int,
    tap: FrameTap | None = None,
) -> EvalEpisode:
    """Play the protocol's episode ``number``."""
    seed = protocol.seed + number
    return play_episode(policy, env, greedy=protocol.greedy, seed=seed, tap=tap)


def _open_window(kwargs: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """An environment whose window is open.

    Raises:
        DisplayUnavailable: if it cannot be opened.
    """
    env = make_env(kwargs, render_mode="human")
    try:
        env.reset()
    except gymnasium.error.DependencyNotInstalled as error:
        env.close()
        raise DisplayUnavailable(f"A window cannot be opened: {error}.") from error
    except BaseException:
        env.close()
        raise
    return env


def _watch_window(policy: Policy, env: gymnasium.Env[Any, Any], protocol: EvalProtocol) -> None:
    try:
        for number in range(protocol.episodes):
            _print_episode(_play(policy, env, protocol, number))
    except WindowClosed:
        pass  # that is how one stops watching
    finally:
        env.close()


def _watch_terminal(
    policy: Policy, kwargs: dict[str, Any], protocol: EvalProtocol, run: Path
) -> None:
    console = Console()
    if not console.is_terminal:
        raise DisplayUnavailable(
            "There is no display, and the output is not a terminal; "
            f"make a video instead: {shell_words('mario-agents', 'record', run)}"
        )
    env = make_env(kwargs, render_mode="rgb_array")
    try:
        fps = FrameTap(env, lambda picture: None).fps
        for number in range(protocol.episodes):
            with console.screen():
                tap = FrameTap(env, TerminalScreen(console, fps).show)
                episode = _play(policy, env, protocol, number, tap)
            _print_episode(episode)
    finally:
        env.close()


def _print_episode(episode: EvalEpisode) -> None:
    stages = episode.stages_cleared - episode.success
    cleared = f", {episode.stages_cleared} stages cleared" if stages else ""
    print(
        f"level {episode.level}: {episode.ending} at x {episode.best_x} after {episode.steps} "
        f"steps{cleared}, return {episode.reward:.2f}"
    )


def _new_video(directory: Path) -> Path:
    """A name that is not taken yet."""
    number = 1
    while (path := directory / f"episode-{number}.mp4").exists():
        number += 1
    return path
