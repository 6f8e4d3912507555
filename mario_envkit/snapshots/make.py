"""A training environment with snapshots, put together from keyword arguments."""

from __future__ import annotations

import os
from typing import Any

from mario_envkit.curriculum.runs import Run, load_run
from mario_envkit.curriculum.start_states import StartStates
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
    restore_noise: bool = True,
    start_states: float | StartStates | None = None,
    backward: Run | str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> SnapshotMarioEnvironment:
    """``MarioTrain-v0`` with snapshots: the entry point of ``MarioSnapshot-v0``.

    Args:
        level: "1-1", ``(1, 1)``, and so on, see :class:`~mario_envkit.env.MarioEnv`; None is
            "1-1", or the level of the run that ``backward`` gives.
        hotspot_path: see :class:`SnapshotMarioEnvironment`, as all up to ``backward``.
        kwargs: what ``MarioTrain-v0`` takes.

    Raises:
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """
    if backward is not None:
        backward = load_run(backward)
        level = backward.level if level is None else level
        kwargs = {"game": backward.game, "timing": backward.timing, **kwargs}
    env = make_mario(level=(1, 1) if level is None else level, **{**TRAIN_DEFAULTS, **kwargs})
    return SnapshotMarioEnvironment(
        env,
        hotspot_path,
        checkpoint_interval,
        max_restores_without_progress,
        restore,
        archive,
        restore_noise,
        start_states,
        backward,
    )
