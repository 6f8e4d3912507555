"""The first flag that a run's games reach: how it came about, kept until it has been recorded.

A video needs every frame, and training draws one in four. So what is kept is a save of each game
from where it last began, and the actions since then: the console, sticky actions included, does the
same again. That costs an array a step and a save an episode or restore. After the first flag
nothing is kept any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from gymnasium.vector import VectorWrapper
from numpy.typing import NDArray

from mario_agents.acting.episodes import StepInfo
from mario_agents.playback.video_recorder import (
    FIRST_FLAG_VIDEO,
    LONGEST,
    ActionTrace,
    flag_recorded,
    record_first_flag,
)
from mario_envkit.game.endings import clears_stage
from mario_envkit.snapshots.context import Saved
from mario_envkit.vector import MarioVectorEnv


class FlagWatch(VectorWrapper):
    """Hands over the trace of the first flag that one of the games reaches.

    Longer ways than :data:`~mario_agents.playback.video_recorder.LONGEST` steps are kept from
    somewhere in between.

    Args:
        envs: with SAME_STEP autoreset.
        on_flag: gets the trace, in the step that reached the flag.
    """

    def __init__(self, envs: MarioVectorEnv, on_flag: Callable[[ActionTrace], object]) -> None:
        super().__init__(envs)
        self._slots, self._on_flag = envs.slots, on_flag
        self._watching = True
        self._origins: list[str] = [""] * envs.num_envs
        self._saved: list[Saved] = []
        # Of all games together: (num_envs,) for each of the latest steps.
        self._actions: deque[NDArray[np.int64]] = deque(maxlen=LONGEST)
        self._count = np.zeros(envs.num_envs, np.int64)  # steps since each game was saved

    def trace(self, env: int) -> ActionTrace:
        """How one of the games came to be as it is, while they are watched."""
        count, known = int(self._count[env]), len(self._actions)
        steps = islice(self._actions, known - count, known)
        return ActionTrace(
            self._saved[env], tuple(int(step[env]) for step in steps), self._origins[env]
        )

    def stop(self) -> None:
        """Watch no longer."""
        self._watching = False
        self._saved = []
        self._actions.clear()

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the games, and save where they begin."""
        observations, infos = self.env.reset(seed=seed, options=options)
        if self._watching:
            self._saved = [slot.save() for slot in self._slots]
            self._actions.clear()
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


def _start(infos: Mapping[str, Any], env: int) -> str:
    """Where an episode begins, empty for the start of a level."""
    if "start" not in infos or infos["start"][env] in (None, "true"):
        return ""
    return f"x {int(infos['x_pos'][env])}"


class FirstFlagRecorder:
    """Records the first flag of a run, unless there is such a video, in a thread beside training.

    Args:
        envs: the games.
        env_kwargs: of the games as ``MarioTrain-v0`` takes them.
        directory: of the run's videos.
    """

    def __init__(
        self, envs: MarioVectorEnv, env_kwargs: Mapping[str, Any], directory: Path
    ) -> None:
        self._env_kwargs, self._directory = dict(env_kwargs), directory
        self.envs = FlagWatch(envs, self._keep)
        """The games, watched."""
        self._trace: ActionTrace | None = None
        self._thread: Thread | None = None
        if flag_recorded(directory):
            self.envs.stop()

    def _keep(self, trace: ActionTrace) -> None:
        self._trace = trace

    def tick(self, step: int) -> None:
        """Record a flag that was reached; call it after every round of steps.

        Args:
            step: run-wide agent steps.
        """
        if self._trace is not None:
            trace, self._trace = self._trace, None
            arguments = trace, self._env_kwargs, self._directory, step
            self._thread = Thread(target=record_first_flag, args=arguments, daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Stop watching if another worker's first flag has been recorded."""
        if (self._directory / FIRST_FLAG_VIDEO).exists():
            self.envs.stop()

    def close(self) -> None:
        """Wait for a video that is being made."""
        if self._thread is not None:
            self._thread.join()
