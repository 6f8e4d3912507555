"""MarioSnapshotVectorEnv against SyncVectorEnv over single environments with snapshots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv

from mario_envkit.curriculum.hotspot_file import SharedHotspots
from mario_envkit.snapshots import MarioSnapshotVectorEnv, SnapshotArchive
from tests.native.vectors import compare, own_arguments

MODES = ("NextStep", "SameStep", "Disabled")


def make_both(
    num_envs: int,
    *,
    levels: list[Any] | None = None,
    num_threads: int = 2,
    autoreset_mode: str = "NextStep",
    archives: tuple[Any, Any] = (None, None),
    hotspots: tuple[Path | None, SharedHotspots | str] = (None, "shared"),
    **kwargs: Any,
) -> tuple[MarioSnapshotVectorEnv, SyncVectorEnv]:
    """The same environments twice; what they share with others each has for itself."""
    extra = {} if levels is None else {"levels": levels}
    vector = gymnasium.make_vec(
        "MarioSnapshot-v0", num_envs, num_threads=num_threads, autoreset_mode=autoreset_mode,
        archive=archives[0], hotspot_path=hotspots[0], **extra, **kwargs,
    )  # fmt: skip
    assert isinstance(vector, MarioSnapshotVectorEnv)
    kwargs.update(backend="native", archive=archives[1], hotspots=hotspots[1])
    each = [{**kwargs, **own_arguments(i, levels, kwargs)} for i in range(num_envs)]
    singles = SyncVectorEnv(
        [lambda own=own: gymnasium.make("MarioSnapshot-v0", **own) for own in each],
        autoreset_mode=autoreset_mode,
    )
    return vector, singles


def assert_equal_for(
    vector: MarioSnapshotVectorEnv, singles: SyncVectorEnv, steps: int, act: Any, seed: int = 0
) -> dict[str, Any]:
    """Play both; everything they say and every figure is the same. Returns the figures."""
    compare(vector, singles, steps, act, seed)
    theirs = [env.get_wrapper_attr("get_stats")() for env in singles.envs]
    stats = vector.get_stats()
    assert stats["environments"] == theirs
    for i, (handler, env) in enumerate(zip(vector.handlers, singles.envs, strict=True)):
        other = env.get_wrapper_attr("handler").archive
        for our, their in zip(handler.archive, other, strict=True):
            assert our.to_bytes() == their.to_bytes(), f"a snapshot of environment {i}"
    for key in ("total_saves", "total_restores", "total_give_ups"):
        assert stats[key] == sum(own[key] for own in theirs)
    assert (vector.total_saves, vector.total_restores) == (
        stats["total_saves"], stats["total_restores"],
    )  # fmt: skip
    return stats


def walk(num_envs: int, num_actions: int, seed: int) -> Callable[[int], Any]:
    """Mostly to the right with jumps: deaths, pipes, new ground."""
    rng = np.random.default_rng(seed)
    right = [128, 129, 131] if num_actions == 256 else [1, 2, 3, 4]

    def act(number: int) -> Any:
        actions = rng.choice(right, num_envs)
        other = rng.random(num_envs) < 0.25
        actions[other] = rng.integers(0, num_actions, num_envs)[other]
        return actions

    return act


def shared() -> tuple[SnapshotArchive, SnapshotArchive]:
    """An archive for all games of the vector, and one for all single ones."""
    return SnapshotArchive(), SnapshotArchive()
