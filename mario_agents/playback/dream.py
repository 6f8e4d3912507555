"""What a world model makes of an episode, beside the game."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import gymnasium
import numpy as np
from numpy.typing import NDArray

from mario_agents.acting.plugin_policy import policy_of
from mario_agents.core.policy import Dream, DreamingPolicy
from mario_agents.core.types import Step
from mario_agents.evaluation.results import EvalEpisode
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
REAL, IMAGINED = (90, 200, 110), (240, 160, 60)


class _Played(NamedTuple):
    """Screens and ``T`` observations of an episode, and its ``T - 1`` actions and rewards."""

    episode: EvalEpisode
    screens: list[Picture]
    obs: NDArray[np.uint8]
    action: NDArray[np.int64]
    reward: NDArray[np.float32]


def film_dream(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    show: Show,
    *,
    greedy: bool,
    seed: int,
    horizon: int,
) -> EvalEpisode:
    """Play an episode, and show a picture for each observation.

    From left to right: the game, the model's own picture, what it expected up to ``horizon - 1``
    steps before, and how far that is off; below, the rewards of the last steps: real ones upwards,
    imagined ones downwards.

    Raises:
        OptionError: if the policy has no world model.
    """
    dreaming = policy_of(policy)
    if not isinstance(dreaming, DreamingPolicy):
        raise OptionError(
            "Only an agent with a world model dreams; --dream needs a run of the trainer dreamer."
        )
    played = _play(policy, env, greedy=greedy, seed=seed)
    dream = dreaming.dream(played.obs, played.action, horizon)
    for number in range(len(played.screens)):
        show(_frame(played, dream, number))
    return played.episode


def _play(policy: Policy, env: gymnasium.Env[Any, Any], *, greedy: bool, seed: int) -> _Played:
    steps: list[Step] = []
    screens: list[Picture] = []
    last: list[Picture] = []

    def see(picture: Picture) -> None:
        last[:] = [picture.copy()]

    game = OneEpisode(env, FrameTap(env, see))
    for _ in play_together(policy, [game], greedy=greedy, seed=seed, sink=steps.append):
        screens += last
    obs = np.stack([step.obs[0] for step in steps] + [steps[-1].final_obs[0]])
    action = np.array([step.action[0] for step in steps])
    reward = np.array([step.reward[0] for step in steps], np.float32)
    return _Played(game.episode(), screens, obs, action, reward)


def _frame(played: _Played, dream: Dream, number: int) -> Picture:
    truth, again, ahead = (
        _panel(each[number]) for each in (played.obs, dream.reconstruction, dream.prediction)
    )
    off = np.abs(ahead.astype(np.int16) - truth).astype(np.uint8)
    said = f"{dream.ahead[number]} steps ahead" if dream.ahead[number] else "looked"
    panels = [_screen(played.screens[number])]
    panels += [
        _titled(panel, title)
        for panel, title in ((again, "reconstruction"), (ahead, said), (off, "difference"))
    ]
    above = np.concatenate(panels, axis=1)
    real = np.concatenate([np.zeros(1, np.float32), played.reward])
    return np.concatenate([above, _rewards(real, dream.reward, number, above.shape[1])])


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


def _rewards(
    real: NDArray[np.float32], imagined: NDArray[np.float32], number: int, width: int
) -> Picture:
    """Bars of 4 pixels for the last steps, the newest at the right."""
    strip = np.zeros((STRIP, width, 3), np.uint8)
    middle, wide = STRIP // 2, 4
    strip[middle] = 70
    most = max(float(np.abs(real).max()), float(np.abs(imagined).max()), 1e-6)
    for back in range(min(number + 1, width // wide)):
        x = width - wide * (back + 1)
        for values, colour, up in ((real, REAL, True), (imagined, IMAGINED, False)):
            value = float(values[number - back])
            size = round(abs(value) / most * (middle - 2))
            shade = colour if value >= 0 else (230, 70, 70)
            rows = slice(middle - size, middle) if up else slice(middle + 1, middle + 1 + size)
            strip[rows, x : x + wide - 1] = shade
    return strip
