"""A training environment with snapshots, put together from keyword arguments."""

from __future__ import annotations

import os
from typing import Any

from mario_envkit.arguments import check_keywords
from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.curriculum.runs import Run, load_run
from mario_envkit.curriculum.start_states import StartStates
from mario_envkit.env import MarioEnv
from mario_envkit.registration import TRAIN_DEFAULTS, make_mario
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.wrapper import SnapshotMarioEnvironment


def create_snapshot_mario_env(
    level: Any = None,
    hotspot_path: str | os.PathLike[str] | None = None,
    checkpoint_interval: int = 500,
    max_restores_without_progress: int = 3,
    *,
    restore: str = "in_episode",
    archive: SnapshotArchive | str | os.PathLike[str] | None = None,
    restore_noise: bool = False,
    hotspots: str | SharedHotspots = "shared",
    start_states: float | StartStates | None = None,
    backward: Run | str | os.PathLike[str] | None = None,
    numeric_info: bool = False,
    **kwargs: Any,
) -> SnapshotMarioEnvironment:
    """``MarioTrain-v0`` with snapshots: the entry point of ``MarioSnapshot-v0``.

    Args:
        level: "1-1", ``(1, 1)``, and so on, see :class:`~mario_envkit.env.MarioEnv`; None is
            "1-1", or the level of the run that ``backward`` gives.
        hotspot_path: see :class:`SnapshotMarioEnvironment`, as all up to ``numeric_info``.
        kwargs: what ``MarioTrain-v0`` takes.

    Raises:
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """
    sources = create_snapshot_mario_env, make_mario, MarioEnv
    check_keywords(kwargs, *sources, but=("picture",))
    _, options = with_run(backward, level, kwargs)
    env = make_mario(**options)
    return SnapshotMarioEnvironment(
        env,
        hotspot_path,
        checkpoint_interval,
        max_restores_without_progress,
        restore,
        archive,
        restore_noise,
        hotspots,
        start_states,
        backward,
        numeric_info,
    )


create_snapshot_mario_env.metadata = MarioEnv.metadata  # type: ignore[attr-defined]


def with_run(
    backward: Run | str | os.PathLike[str] | None, level: Any, kwargs: dict[str, Any]
) -> tuple[Run | None, dict[str, Any]]:
    """The run, and all options of the training environment, which may depend on it.

    Raises:
        ReplayError: if the file is not a run.
    """
    run = None if backward is None else load_run(backward)
    if level is None:
        level = (1, 1) if run is None else run.level
    of_run = {} if run is None else {"game": run.game, "timing": run.timing}
    return run, {**TRAIN_DEFAULTS, **of_run, "level": level, **kwargs}
