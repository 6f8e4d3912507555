"""A training environment with snapshots, put together from keyword arguments."""

from __future__ import annotations

import os
from typing import Any

from mario_envkit.arguments import check_keywords
from mario_envkit.env import MarioEnv
from mario_envkit.registration import TRAIN_DEFAULTS, make_mario
from mario_envkit.snapshots.options import SnapshotOptions
from mario_envkit.snapshots.wrapper import SnapshotMarioEnvironment


def create_snapshot_mario_env(
    level: Any = None,
    hotspot_path: str | os.PathLike[str] | None = None,
    checkpoint_interval: int = 500,
    max_restores_without_progress: int = 3,
    *,
    numeric_info: bool = False,
    **kwargs: Any,
) -> SnapshotMarioEnvironment:
    """``MarioTrain-v0`` with snapshots: the entry point of ``MarioSnapshot-v0``.

    Args:
        level: "1-1", ``(1, 1)``, and so on, see :class:`~mario_envkit.env.MarioEnv`; None is
            "1-1", or the level of the run that ``backward`` gives.
        hotspot_path, checkpoint_interval, max_restores_without_progress: see
            :class:`~mario_envkit.snapshots.options.SnapshotOptions`.
        numeric_info: see :class:`SnapshotMarioEnvironment`.
        kwargs: the other options there, such as ``restore`` and ``archive``, and what
            ``MarioTrain-v0`` takes.

    Raises:
        MarioEnvkitError: a subclass that names the argument that is wrong, and what to do.
    """
    sources = create_snapshot_mario_env, SnapshotOptions, make_mario, MarioEnv
    check_keywords(kwargs, *sources, but=("picture",))
    of_snapshots = {
        "hotspot_path": hotspot_path,
        "checkpoint_interval": checkpoint_interval,
        "max_restores_without_progress": max_restores_without_progress,
    }
    options, rest = SnapshotOptions.taken_from({**of_snapshots, **kwargs})
    env = make_mario(**training_options(options, level, rest))
    return SnapshotMarioEnvironment(env, **options.as_kwargs(), numeric_info=numeric_info)


create_snapshot_mario_env.metadata = MarioEnv.metadata  # type: ignore[attr-defined]


def training_options(
    options: SnapshotOptions, level: Any, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """All options of the training environment, which may depend on a run to learn along."""
    run = options.run
    if level is None:
        level = (1, 1) if run is None else run.level
    of_run = {} if run is None else {"game": run.game, "timing": run.timing}
    return {**TRAIN_DEFAULTS, **of_run, "level": level, **kwargs}
