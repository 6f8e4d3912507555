"""``mario-agents watch``: see what a run learned."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import gymnasium
from rich.console import Console

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
from mario_agents.playback.terminal import TerminalScreen
from mario_envkit.command_line import shell_words
from mario_envkit.errors import DisplayUnavailable, WindowClosed
from mario_envkit.plugins import Policy

if TYPE_CHECKING:
    from mario_agents.evaluation.results import EvalProtocol


@dataclass(frozen=True, kw_only=True)
class WatchOptions(PlayingOptions):
    """Show the agent of a run: in a window, or in the terminal where there is no display."""

    view: Literal["auto", "window", "terminal"] = "auto"
    """Where to show it; auto takes a window if there is a display."""


COMMAND_LINE = command_line("watch", WatchOptions)


def main(words: Sequence[str]) -> None:
    """Show a run's agent in a window or in the terminal."""
    options = COMMAND_LINE.parse(words)
    protocol = protocol_of(options)
    run = StoredRun.open(options.run)
    policy = policy_of(run, options)
    kwargs = {**run.trainer.env_kwargs(run.config), **protocol.env_overrides()}
    if options.view != "terminal":
        try:
            env = _open_window(kwargs)
        except DisplayUnavailable:
            if options.view == "window":
                raise
        else:
            return _watch_window(policy, env, protocol)
    return _watch_terminal(policy, kwargs, protocol, options.run)


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
            print_episode(play(policy, env, protocol, number))
    except WindowClosed:
        pass  # that is how one stops watching
    finally:
        env.close()


def _watch_terminal(
    policy: Policy, kwargs: dict[str, Any], protocol: EvalProtocol, run: Path
) -> None:
    from mario_agents.playback.player import FrameTap

    console = Console()
    if not sys.stdout.isatty():  # Rich takes FORCE_COLOR, which notebooks set, for a terminal
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
                episode = play(policy, env, protocol, number, tap)
            print_episode(episode)
    finally:
        env.close()
