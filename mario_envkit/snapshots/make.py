"""A training environment with snapshots, put together from keyword arguments."""

from __future__ import annotations

import os
from typing import Any

from mario_envkit.registration import TRAIN_DEFAULTS, make_mario
from mario_envkit.snapshots.archive import SnapshotArchive
from mario_envkit.snapshots.wrapper import SnapshotMarioEnvironment


def create_snapshot_mario_env(
    level: Any = (1, 1),
    hotspot_path: str | os.PathLike[str] | None = None,
    checkpoint_interval: int = 500,
    max_restores_without_progress: int = 3,
    *,
    restore: str = "in_episode",
    archive: SnapshotArchive | str | os.PathLike[str] | None = None,
    restore_noise: bool = False,
    hotspots: str = "shared",
    **kwargs: Any,
) -> SnapshotMarioEnvironment:
    """``MarioTrain-v0`` with snapshots: the entry point of ``MarioSnapshot-v0``.

    Args:
        level: "1-1", ``(1, 1)``, and so on, see :class:`~mario_envkit.env.MarioEnv`.
        hotspot_path: see :class:`SnapshotMarioEnvironment`, as all up to ``hotspots``.
        kwargs: what ``MarioTrain-v0`` takes.

    Raises:
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """
    env = make_mario(level=level, **{**TRAIN_DEFAULTS, **kwargs})
    return SnapshotMarioEnvironment(
        env,
        hotspot_path,
        checkpoint_interval,
        max_restores_without_progress,
        restore,
        archive,
        restore_noise,
        hotspots,
    )
