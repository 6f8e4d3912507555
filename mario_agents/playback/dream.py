"""What a world model makes of an episode, beside the game."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_agents.acting.environments import make_env
from mario_agents.acting.plugin_policy import policy_of
from mario_agents.core.policy import DreamingPolicy
from mario_agents.core.types import Step
from mario_agents.evaluation.results import EvalEpisode
from mario_agents.playback.camera import LONGEST, recording
from mario_agents.playback.player import FrameTap, OneEpisode, Show
from mario_agents.playback.policy_player import play_together
from mario_envkit.errors import OptionError
from mario_envkit.game import tiles
from mario_envkit.game.tile_picture import draw_tiles
from mario_envkit.plugins import Policy

Picture = NDArray[np.uint8]

PANEL = (208, 256)
"""Height and width of what is seen or imagined: the screen without its score bar."""
TITLE = 32
"""Height of the line above, where the screen has its score bar."""
STRIP = 48
"""Height of the rewards below."""
BAR, LABEL = 4, 88
"""Widths of the reward of a step, and of the words beside it, in pixels."""
REAL, IMAGINED, LOST = (90, 200, 110), (240, 160, 60), (230, 70, 70)


def why_no_dream(policy: Policy) -> str:
    """Why there is no film of a policy's dreams, as a sentence; empty if there may be one."""
    dreaming = policy_of(policy)
    if not isinstance(dreaming, DreamingPolicy):
        return (
            "Only an agent with a world model dreams; --dream needs a run of the trainer dreamer."
        )
    if not dreaming.has_decoder:
        return (
            "The world model of this agent has no decoder, and so no pictures of what it expects; "
            "--dream needs a run of dreamer with --decoder reconstruction."
        )
    return ""


def dream_fps(env_kwargs: Mapping[str, Any]) -> float:
    """Pictures a second of a film at the speed of the game: one for each step of the agent."""
    return 60.0 / int(env_kwargs.get("frame_skip", 4))


def film_dream(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    show: Show,
    *,
    greedy: bool,
    seed: int,
    horizon: int,
    max_steps: int | None = None,
) -> EvalEpisode:
    """Play an episode, of at most ``max_steps`` steps, and show a picture for each observation.

    From left to right: the game, the model's own picture, what it expected up to ``horizon - 1``
    steps before, and how far that is off; below, the rewards of the last steps: real ones upwards,
    imagined ones downwards.

    Raises:
        OptionError: if the policy has no world model, or one without a decoder.
    """
    dreaming, reason = policy_of(policy), why_no_dream(policy)
    if not isinstance(dreaming, DreamingPolicy) or reason:
        raise OptionError(reason)
    steps: list[Step] = []
    last: list[Picture] = []

    def see(picture: Picture) -> None:
        last[:] = [picture.copy()]

    game, film = OneEpisode(env, FrameTap(env, see)), _Film(dreaming, show, horizon)
    screen, reward = np.zeros(0, np.uint8), np.float32(0)
    for _ in play_together(policy, [game], greedy=greedy, seed=seed, sink=steps.append):
        if steps:
            step = steps.pop()
            film.add(_Row(screen, step.obs[0], step.action[0], reward, bool(step.is_first[0])))
            reward, ended = step.reward[0], step.final_obs[0]
        screen = last[0]
        if game.steps == max_steps:
            break
    film.add(_Row(screen, ended, np.int64(0), reward, False))
    film.show()
    return game.episode()


def record_dream(
    policy: Policy,
    env_kwargs: Mapping[str, Any],
    video: Path,
    *,
    greedy: bool,
    seed: int,
    horizon: int,
) -> EvalEpisode:
    """:func:`film_dream` of at most :data:`~mario_agents.playback.camera.LONGEST` steps.

    Writes ``video`` (MP4), and beside it a preview (GIF).

    Raises:
        MarioEnvkitError: if the environment or the film cannot be made.
        OSError: if the disk refuses.
    """
    env = make_env(env_kwargs, render_mode="rgb_array")
    try:
        with recording(video, dream_fps(env_kwargs), scale=1) as show:
            return film_dream(
                policy,
                env,
                show,
                greedy=greedy,
                seed=seed,
                horizon=horizon,
                max_steps=LONGEST,
            )
    finally:
        env.close()


class _Row(NamedTuple):
    """An observation: the screen, what was done there, what reward came with it, and whether it is
    the first of a game."""

    screen: Picture
    obs: NDArray[np.uint8]
    action: np.int64
    reward: np.float32
    is_first: bool


class _Film:
    """Shows a picture for each observation, as soon as as many are there as are dreamt together."""

    def __init__(self, policy: DreamingPolicy, show: Show, horizon: int) -> None:
        self._policy, self._show, self._horizon = policy, show, horizon
        self._state = policy.initial(1)
        self._rows: list[_Row] = []
        self._rewards = _Rewards()

    def add(self, row: _Row) -> None:
        """Take the next observation."""
        if self._rows and (len(self._rows) == self._horizon or row.is_first):
            self.show()
        self._rows.append(row)

    def show(self) -> None:
        """Show the observations that have not been shown."""
        rows, self._rows = self._rows, []
        dream, self._state = self._policy.dream(
            np.stack([row.obs for row in rows]),
            np.array([row.action for row in rows]),
            self._state,
            is_first=rows[0].is_first,
        )
        for ahead, (row, again, expected, reward) in enumerate(zip(rows, *dream, strict=True)):
            above = _pictures(row, again, expected, ahead)
            strip = self._rewards.strip(float(row.reward), float(reward), above.shape[1])
            self._show(np.concatenate([above, strip]))


def _pictures(row: _Row, again: Picture, expected: Picture, ahead: int) -> Picture:
    truth, seen, dreamt = (_panel(each) for each in (row.obs, again, expected))
    off = np.abs(dreamt.astype(np.int16) - truth).astype(np.uint8)
    said = f"{ahead} steps ahead" if ahead else "looked"
    panels = [_screen(row.screen)]
    panels += [
        _titled(panel, title)
        for panel, title in ((seen, "reconstruction"), (dreamt, said), (off, "difference"))
    ]
    return np.concatenate(panels, axis=1)


def _screen(picture: Picture) -> Picture:
    height, width = TITLE + PANEL[0], PANEL[1]
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST))


def _panel(obs: Picture) -> Picture:
    """The newest picture of an observation as RGB, of the size :data:`PANEL`."""
    if obs.shape[-2:] == tiles.SHAPE:
        return draw_tiles(obs.reshape(-1, *tiles.SHAPE)[-1], PANEL[1] // tiles.GRID_COLUMNS)
    grey = obs.reshape(-1, *obs.shape[-2:])[-1] if obs.ndim > 1 else obs[None]
    large = cv2.resize(grey, PANEL[::-1], interpolation=cv2.INTER_NEAREST)
    return np.repeat(np.asarray(large, np.uint8)[..., None], 3, axis=2)


def _titled(panel: Picture, title: str) -> Picture:
    bar = np.zeros((TITLE, panel.shape[1], 3), np.uint8)
    cv2.putText(bar, title, (8, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230, 230, 230), 1)
    return np.concatenate([bar, panel])


class _Rewards:
    """Rewards of the last steps as bars of :data:`BAR` pixels, the newest at the right."""

    def __init__(self) -> None:
        self._last: deque[tuple[float, float]] = deque(maxlen=LONGEST)
        self._most = 1e-6

    def strip(self, real: float, imagined: float, width: int) -> Picture:
        """The strip ``(STRIP, width, 3)`` with one more step."""
        self._last.appendleft((real, imagined))
        self._most = max(self._most, abs(real), abs(imagined))
        strip = np.zeros((STRIP, width, 3), np.uint8)
        middle = STRIP // 2
        strip[middle] = 70
        for back, values in enumerate(islice(self._last, width // BAR)):
            x = width - BAR * (back + 1)
            for value, colour, up in zip(values, (REAL, IMAGINED), (True, False), strict=True):
                size = round(abs(value) / self._most * (middle - 2))
                rows = slice(middle - size, middle) if up else slice(middle + 1, middle + 1 + size)
                strip[rows, x : x + BAR - 1] = colour if value >= 0 else LOST
        strip[:, :LABEL] = 0  # no bars behind the words
        for text, colour, y in (("real reward", REAL, 14), ("imagined", IMAGINED, STRIP - 6)):
            cv2.putText(strip, text, (8, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1)
        return strip
