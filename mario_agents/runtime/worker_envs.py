"""The environments of a worker, with snapshots and curricula if they are asked for."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper

from mario_agents.acting.environments import learned_from, make_vector, starts_of
from mario_agents.config import TrainConfig
from mario_agents.config.train_config import STICKY, weights_in
from mario_agents.core.algorithm import Algorithm
from mario_agents.run import RunDir
from mario_agents.run.storage import Deferrable
from mario_agents.runtime.cores import cores_per_worker
from mario_agents.runtime.first_flag import FirstFlagRecorder
from mario_agents.telemetry import Stopwatch
from mario_envkit.closing import close_all
from mario_envkit.curriculum.along import StartsAlong
from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.backward_runs import BackwardRuns
from mario_envkit.curriculum.level_text import resolve_schedule
from mario_envkit.curriculum.schedule import OutcomeSchedule
from mario_envkit.emulator import native
from mario_envkit.errors import CheckpointError, ConfigError
from mario_envkit.snapshots import ArchiveWarning, MarioSnapshotVectorEnv
from mario_envkit.vector import MarioVectorEnv

SNAPSHOT_ID = "mario_envkit:MarioSnapshot-v0"
SYNC_SECONDS = 30.0
"""Seconds after which a worker takes in the deaths and snapshots of the others."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SnapshotUsage:
    """What became of a worker's snapshots.

    Attributes:
        saves, restores: since its games began, all of them together.
        stuck, max_stuck: restores in a row without progress, in the game with the most of them,
            and how many of them make it give up.
        backward: how far a backward curriculum has come, 0 to 1 at the true start; None without.
    """

    saves: int = 0
    restores: int = 0
    stuck: int = 0
    max_stuck: int = 0
    backward: float | None = None


class TimedEnvs(VectorWrapper[Any, Any, Any, Any, Any]):
    """Environments whose steps and resets are measured, as ``time_env``."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], stopwatch: Stopwatch) -> None:
        super().__init__(envs)
        self._stopwatch = stopwatch

    def reset(self, **kwargs: Any) -> Any:
        """Reset, as ``time_env``."""
        with self._stopwatch.measure("time_env"):
            return self.env.reset(**kwargs)

    def step(self, actions: Any) -> Any:
        """Step, as ``time_env``."""
        with self._stopwatch.measure("time_env"):
            return self.env.step(actions)

    def __getattr__(self, name: str) -> Any:
        """What only these environments have."""
        return getattr(self.env, name)


class WorkerEnvs:
    """A worker's environments: those of evaluation, with snapshots if they are wanted.

    Deaths are read from the run's ``death_hotspots.json``, which the main process alone writes.
    Snapshots go to the directory ``snapshots`` of the run, and come from there. That an archive is
    full, or a file was passed over, is told to the log, not to the terminal, as long as the games
    are open.
    """

    def __init__(self, algorithm: Algorithm[Any, Any], config: TrainConfig, run: RunDir) -> None:
        game_kwargs = algorithm.env_kwargs(config)
        kwargs = learned_from(config, game_kwargs)
        # Snapshots are the game's; an algorithm with an environment of its own has its own way.
        self._ours = "id" not in kwargs
        if self._ours and isinstance(config.repeat_action_probability, tuple):
            kwargs = kwargs | {"repeat_action_probability": config.stickiness(config.num_envs)}
        if self._ours and native.is_available():
            kwargs = kwargs | _shared_schedule(kwargs, config.num_envs)
        self._scheduled = config.schedules
        self._with_snapshots = config.snapshots and self._ours
        self._backward: BackwardStarts | BackwardRuns | None = None
        self._arrived = False
        if self._with_snapshots:
            kwargs = (
                kwargs
                | {
                    "id": SNAPSHOT_ID,
                    "hotspot_path": run.hotspots_path,
                    "hotspots": "read",
                    "archive": run.snapshots_path,
                    "max_restores_without_progress": config.max_restores,
                }
                | self._starts(config)
            )
        self._quiet = ExitStack()
        self._quiet.enter_context(_warnings_logged())
        try:
            self._games: VectorEnv[Any, Any, Any] = make_vector(
                kwargs, config.num_envs, **_share_of_cores(config, kwargs)
            )
        except BaseException:
            self._quiet.close()
            raise
        self.envs = self._games
        self._flag_recorder: FirstFlagRecorder | None = None
        if isinstance(self._games, MarioVectorEnv) and self._ours:
            self._flag_recorder = FirstFlagRecorder(self._games, game_kwargs, run.videos_path)
            self.envs = self._flag_recorder.envs
        self._due = time.monotonic() + SYNC_SECONDS
        self._files = Deferrable("The archive of snapshots")

    def follow_schedules(self, step: int) -> None:
        """Let rewards and chance be what the run's schedules say at agent step ``step`` of it."""
        if not (self._scheduled and self._ours):
            return
        values = {name: schedule(step) for name, schedule in self._scheduled.items()}
        if weights := weights_in(values):
            self._change("set_reward_weights", weights)
        if STICKY in values:
            self._change("set_repeat_action_probability", values[STICKY])

    def _change(self, method: str, value: Any) -> None:
        if isinstance(self._games, MarioVectorEnv):
            getattr(self._games, method)(value)
        else:
            assert isinstance(self._games, SyncVectorEnv)
            self._games.call(method, value)

    def tick(self, step: int) -> None:
        """Record the first flag if it was reached, and exchange files with the other workers if it
        is time to; call it often, at run-wide agent step ``step``."""
        if self._flag_recorder is not None:
            self._flag_recorder.tick(step)
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + SYNC_SECONDS
        if self._flag_recorder is not None:
            self._flag_recorder.look()
        if not self._with_snapshots:
            return
        if self._backward is not None and self._backward.done and not self._arrived:
            self._arrived = True
            log.info("The backward curriculum has arrived at the true start, by step %d.", step)
        self._files.attempt(self._exchange)

    def _starts(self, config: TrainConfig) -> dict[str, Any]:
        """Where episodes begin, if not at the start of a level."""
        if config.runs_followed is None:
            return {"start_states": config.start_states} if config.start_states else {}
        starts = starts_of(config)  # one for all games: they move back together
        if not isinstance(starts, StartsAlong):
            self._backward = starts
        return {"start_states": starts}

    def _exchange(self) -> None:
        if isinstance(self._games, MarioSnapshotVectorEnv):
            self._games.sync_files()
        elif isinstance(self._games, SyncVectorEnv):
            self._games.call("sync_files")

    def snapshot_usage(self) -> SnapshotUsage:
        """How snapshots have been used so far; all zero without them."""
        if not self._with_snapshots:
            return SnapshotUsage()
        envs: Any = self._games
        vector = isinstance(envs, MarioSnapshotVectorEnv)
        handlers = envs.handlers if vector else envs.get_attr("handler")
        return SnapshotUsage(
            sum(handler.total_saves for handler in handlers),
            sum(handler.total_restores for handler in handlers),
            max(handler.machine.restores_without_progress for handler in handlers),
            max(handler.machine.rules.max_restores_without_progress for handler in handlers),
            None if self._backward is None else self._backward.progress,
        )

    def state(self) -> dict[str, Any]:
        """How far the level schedules of all games are, and the backward curriculum; JSON-able."""
        backward = None if self._backward is None else self._backward.state()
        levels = [each.state() if hasattr(each, "state") else None for each in self._schedules()]
        return {"levels": levels, "backward": backward}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`, before the games are reset with a seed.

        Raises:
            CheckpointError: if it is of other games.
        """
        try:
            schedules, levels = self._schedules(), state["levels"]
            if len(schedules) == 1:  # runs of older versions did not share them
                levels = levels[:1]
            for schedule, known in zip(schedules, levels, strict=True):
                if known is not None:
                    schedule.restore(known)
            if self._backward is not None:
                self._backward.restore(state["backward"])
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
            raise CheckpointError(
                f"The position in the curriculum does not fit the games of this run: {error}"
            ) from error

    def _schedules(self) -> list[Any]:
        """The level schedule of each game, or the one of all; an environment of somebody else has
        none."""
        if not self._ours:
            return []
        if isinstance(self._games, MarioVectorEnv):
            schedules = [each.schedule for each in self._games.schedules]
            return schedules[:1] if schedules[0] is schedules[-1] else schedules
        assert isinstance(self._games, SyncVectorEnv)
        return list(self._games.get_attr("schedule"))

    def close(self) -> None:
        """Close the environments; waits for a video that is being made.

        Raises:
            ArchiveError: if snapshots could not be written.
        """
        recorder = [] if self._flag_recorder is None else [self._flag_recorder.close]
        close_all(self._games.close, self._quiet.close, *recorder)


@contextmanager
def _warnings_logged() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", ArchiveWarning)
        show = warnings.showwarning

        def hear(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, ArchiveWarning):
                log.info("%s", message)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = hear
        yield


def _shared_schedule(kwargs: Mapping[str, Any], num_envs: int) -> dict[str, Any]:
    """One schedule for all games, where it learns from what they achieve."""
    schedule = resolve_schedule(kwargs["level"], kwargs["game"])
    return {"levels": [schedule] * num_envs} if isinstance(schedule, OutcomeSchedule) else {}


def _share_of_cores(config: TrainConfig, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Workers share the cores: threads that wait for one another must not wait for a core, too."""
    ours = kwargs.get("id", SNAPSHOT_ID) == SNAPSHOT_ID
    if config.workers < 2 or not ours or not native.is_available():
        return {}
    return {"num_threads": cores_per_worker(config)}
