"""The first flag that a run's games reach: how it came about, kept until it has been recorded.

A video needs every frame, and training draws one in four. So what is kept is a save of each game
from where it last began, and the actions since then: the console, sticky actions included, does the
same again. That costs an array a step and a save an episode or restore. After the first flag
nothing is kept any more.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorWrapper
from numpy.typing import NDArray

from mario_agents.acting.environments import make_bare
from mario_agents.acting.episodes import StepInfo
from mario_agents.evaluation.results import EvalEpisode
from mario_agents.playback.camera import FIRST_FLAG, LONGEST, Trajectory, camera, tell_missing
from mario_agents.playback.player import go_back, replay_actions
from mario_agents.run.log_levels import NOTICE
from mario_agents.run.records import PlayedEpisode, Segment, VideoRecord, write_video_record
from mario_envkit.errors import RunError
from mario_envkit.files import locked
from mario_envkit.game.endings import clears_stage
from mario_envkit.snapshots.context import Saved
from mario_envkit.vector import MarioVectorEnv

FIRST_FLAG_VIDEO = "first-flag.mp4"
"""Of the first flag in training."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActionTrace:
    """How a game of training reached the flag: played again, it does the same.

    Attributes:
        saved: the game where it last began.
        actions: since then.
        origin: where that was, such as "a snapshot at x 1200"; empty for the start of a level.
        own: keyword arguments of the game that others of its vector do not have.
        chances: where the chance of a sticky action changed on the way, from which of the actions
            on, and what to.
    """

    saved: Saved
    actions: tuple[int, ...]
    origin: str
    own: Mapping[str, Any] = field(default_factory=dict)
    chances: tuple[tuple[int, float], ...] = ()


class FlagWatch(VectorWrapper):
    """Hands over the trace of the first flag that one of the games reaches.

    Longer ways than :data:`~mario_agents.playback.camera.LONGEST` steps are kept from
    somewhere in between.

    Args:
        envs: with SAME_STEP autoreset.
        on_flag: gets the trace, in the step that reached the flag.
    """

    def __init__(self, envs: MarioVectorEnv, on_flag: Callable[[ActionTrace], object]) -> None:
        super().__init__(envs)
        self._slots, self._on_flag = envs.slots, on_flag
        self._layers = envs.chances.sticky_actions or []
        self._sticky = [layer.repeat_action_probability for layer in self._layers]
        self._watching = True
        self._origins: list[str] = [""] * envs.num_envs
        self._saved: list[Saved] = []
        # Of all games together: (num_envs,) for each of the latest steps.
        self._actions: deque[NDArray[np.int64]] = deque(maxlen=LONGEST)
        self._chances: deque[float] = deque(maxlen=LONGEST)  # while all have the same
        self._count = np.zeros(envs.num_envs, np.int64)  # steps since each game was saved

    def trace(self, env: int) -> ActionTrace:
        """How one of the games came to be as it is, while they are watched."""
        count, known = int(self._count[env]), len(self._actions)
        steps = islice(self._actions, known - count, known)
        return ActionTrace(
            self._saved[env],
            tuple(int(step[env]) for step in steps),
            self._origins[env],
            {"repeat_action_probability": [self._sticky[env]]} if self._differ else {},
            tuple(_changes(islice(self._chances, known - count, known))),
        )

    @property
    def _differ(self) -> bool:
        """Whether some games are more sticky than others; then they stay as they are."""
        return len(set(self._sticky)) > 1

    def stop(self) -> None:
        """Watch no longer."""
        self._watching = False
        self._saved = []
        self._actions.clear()
        self._chances.clear()

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the games, and save where they begin."""
        observations, infos = self.env.reset(seed=seed, options=options)
        if self._watching:
            self._saved = [slot.save() for slot in self._slots]
            self._actions.clear()
            self._chances.clear()
            self._count[:] = 0
            self._origins = [_start(infos, env) for env in range(self.num_envs)]
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step the games, and keep the actions."""
        result = self.env.step(actions)
        if self._watching:
            _, _, terminated, truncated, infos = result
            self._note(np.array(actions, np.int64), terminated | truncated, infos)
        return result

    def _note(
        self, actions: NDArray[np.int64], ended: NDArray[np.bool_], infos: Mapping[str, Any]
    ) -> None:
        self._actions.append(actions)
        if self._layers and not self._differ:
            self._chances.append(self._layers[0].repeat_action_probability)
        self._count += 1
        any_ended = bool(ended.any())
        if any_ended or infos["flag_get"].any():
            info = StepInfo(infos, ended)
            at_flag = clears_stage(info.get("flag_get", False), info.get("ending", ""))
            if at_flag.any():
                self._reached(int(at_flag.argmax()))
                return
        restored, full = infos["snapshot_restored"], self._count == LONGEST
        if not (any_ended or restored.any() or full.any()):
            return
        for env in np.flatnonzero(ended | restored | full).tolist():
            if restored[env]:
                self._begin(env, f"a snapshot at x {int(infos['x_pos'][env])}")
            else:
                self._begin(env, _start(infos, env) if ended[env] else "somewhere on the way")

    def _reached(self, env: int) -> None:
        trace = self.trace(env)
        self.stop()
        self._on_flag(trace)

    def _begin(self, env: int, origin: str) -> None:
        self._saved[env], self._count[env] = self._slots[env].save(), 0
        self._origins[env] = origin


def _changes(chances: Iterable[float]) -> Iterator[tuple[int, float]]:
    """Where a chance is another one than at the step before, the first step included."""
    before = None
    for step, chance in enumerate(chances):
        if chance != before:
            yield step, chance
        before = chance


def _start(infos: Mapping[str, Any], env: int) -> str:
    """Where an episode begins, empty for the start of a level."""
    if "start" not in infos or infos["start"][env] in (None, "true"):
        return ""
    return f"x {int(infos['x_pos'][env])}"


def record_first_flag(
    trace: ActionTrace, env_kwargs: Mapping[str, Any], directory: Path, step: int
) -> Path | None:
    """Record the first flag of a run once more, unless another worker has; returns the video.

    A video that cannot be made is told of in the log.

    Args:
        trace: how it was reached.
        env_kwargs: of the game, as ``MarioTrain-v0`` takes them.
        directory: of the run's videos.
        step: run-wide agent steps.
    """
    video = directory / FIRST_FLAG_VIDEO
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with locked(video):
            if video.exists():
                return None
            episode, path = _record_trace(trace, env_kwargs, video)
            occasion = f"{FIRST_FLAG}, in training" + (trace.origin and f" from {trace.origin}")
            record = VideoRecord(step, (occasion,), (), PlayedEpisode.of(episode), path)
            write_video_record(video, record)
    except Exception as error:  # of an encoder that is not ours, for instance
        tell_missing("There is no video of the first flag", error)
        return None
    log.log(NOTICE, "%s, at step %d: see %s", occasion.capitalize(), step, video)
    return video


def _record_trace(
    trace: ActionTrace, env_kwargs: Mapping[str, Any], video: Path
) -> tuple[EvalEpisode, tuple[Segment, ...]]:
    env = make_bare(env_kwargs, render_mode="rgb_array")
    try:
        go_back(env, trace.saved)
        trajectory = Trajectory()
        last: dict[str, Any] = {}

        def visit(info: Mapping[str, Any]) -> None:
            trajectory.visit(info)
            last.update(info)

        with camera(env, video) as tap:
            episode = replay_actions(env, as_sticky(env, trace), tap=tap, visit=visit)
            if not clears_stage(last["flag_get"], last["ending"]):
                raise RunError("the game went another way when it was played again.")
    finally:
        env.close()
    return episode, trajectory.segments


def as_sticky(env: gymnasium.Env[Any, Any], trace: ActionTrace) -> Iterator[int]:
    """The actions of a trace; before each the game is made as sticky as it was then."""
    chances = dict(trace.chances)
    for step, action in enumerate(trace.actions):
        if step in chances:
            env.get_wrapper_attr("set_repeat_action_probability")(chances[step])
        yield action
