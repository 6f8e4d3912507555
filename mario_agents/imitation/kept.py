"""Demonstrations that stay while a run plays, such as beside a replay buffer.

What a run directory keeps of them is the runs, a few kilobytes; who learns from them plays them
again when it begins. So a resumed run, and workers on other machines, have the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mario_agents.acting.environments import learned_from
from mario_agents.config import ReplayConfig, TrainConfig
from mario_agents.core.algorithm import Algorithm, WorkerContext
from mario_agents.core.types import Step
from mario_agents.imitation.demonstrations import (
    Demonstration,
    Source,
    agent_actions,
    demonstrations,
)
from mario_agents.imitation.steps import Steps
from mario_agents.replay.dataset import ReplayDataset
from mario_agents.replay.storage import Schema, Storage
from mario_agents.replay.with_demonstrations import WithDemonstrations
from mario_agents.run import RunDir
from mario_envkit.curriculum.runs import Run
from mario_envkit.errors import ConfigError, ReplayError, RunError
from mario_envkit.files import replace_text

STORED = Path("demonstrations.jsonl")

Replay = TypeVar("Replay", bound=ReplayDataset)


def write_runs(run: RunDir, runs: Sequence[Run]) -> None:
    """Keep the runs that demonstrations are of in a run directory.

    Raises:
        RunError: if the disk refuses.
    """
    try:
        replace_text(run.demonstrations_path, "".join(each.to_json() for each in runs))
    except OSError as error:
        raise RunError(f"Cannot write {run.demonstrations_path}: {error.strerror}.") from error


def read_runs(algorithm: Algorithm[Any, Any], config: TrainConfig, run: RunDir) -> tuple[Run, ...]:
    """What :func:`write_runs` wrote; none for who keeps no demonstrations.

    Raises:
        RunError: if they are missing or damaged.
    """
    if config.imitate is None or not algorithm.keeps_demonstrations(config):
        return ()
    path = run.demonstrations_path
    try:
        return tuple(Run.from_json(line) for line in path.read_text().splitlines())
    except (OSError, UnicodeDecodeError, ReplayError) as error:
        raise RunError(
            f"The demonstrations {path} cannot be read ({error}); start a new run with --imitate."
        ) from error


def check_size(sources: Sequence[Source], config: TrainConfig) -> None:
    """Check that there is room for each run once.

    Raises:
        ConfigError: if not.
    """
    steps, room = sum(len(source.actions) for source in sources), getattr(config, "demo_size", None)
    if room is not None and steps > room:
        raise ConfigError(
            f"imitate: the runs have {steps} agent steps, and demo_size is {room}: give "
            f"--demo-size {steps} or more, or fewer runs."
        )


def with_demonstrations(
    replay: Callable[[int, Storage | None], Replay],
    context: WorkerContext,
    config: ReplayConfig,
    env_kwargs: Mapping[str, Any],
    obs_shape: tuple[int, ...],
    *,
    batch_size: int,
    extras: Schema | None = None,
) -> Replay | WithDemonstrations:
    """A replay buffer, beside one of demonstrations where the run has some.

    Args:
        replay: makes a buffer with batches of a size: an empty one if the storage is None, else
            one over a storage that is full of demonstrations.
        context: of the worker.
        config, env_kwargs, obs_shape, extras: as of :func:`demonstration_storage`.
        batch_size: of what is learned from at once, of both kinds together.

    Raises:
        ConfigError, ReplayError: if the agent cannot play the demonstrations.
    """
    if not context.demonstrations:
        return replay(batch_size, None)
    kept = demonstration_storage(
        context.demonstrations,
        config,
        env_kwargs,
        obs_shape,
        size=config.demo_size,
        extras=extras,
    )
    share = config.demo_share(batch_size)
    return WithDemonstrations(
        replay(batch_size - share, None),
        replay(batch_size, kept),
        share=share,
        save=config.save_replay,
    )


def demonstration_storage(
    runs: Sequence[Run],
    config: TrainConfig,
    env_kwargs: Mapping[str, Any],
    obs_shape: tuple[int, ...],
    *,
    size: int,
    extras: Schema | None = None,
) -> Storage:
    """Play the runs as :func:`~mario_agents.imitation.demonstrations.demonstrations` does, and keep
    one game after the other, as if a worker with a single environment had played them.

    Args:
        runs: of ``context.demonstrations``.
        config: of the run, whose seed decides on the chance.
        env_kwargs: of its game.
        obs_shape: of an observation.
        size: agent steps at most.
        extras: columns beside those of steps; they are zeros.

    Raises:
        ConfigError, ReplayError: if the agent cannot play them.
    """
    games = _played(runs, config, env_kwargs, size=size, gamma=1.0)
    storage = Storage(
        sum(len(game.action) for game in games),
        1,
        obs_shape,
        stacked=config.frame_stack > 1,
        extras=extras,
    )
    columns = {name: np.zeros((1, *shape), kind) for name, (shape, kind) in (extras or {}).items()}
    for game in games:
        for step in _steps(game, columns):
            storage.add(step, 0)
    return storage


def demonstrated_steps(
    runs: Sequence[Run],
    config: TrainConfig,
    env_kwargs: Mapping[str, Any],
    *,
    size: int,
    gamma: float,
    length: int,
) -> Steps:
    """Play the runs in the same way, and keep what was seen, done and earned.

    Args:
        runs, config, env_kwargs, size: as of :func:`demonstration_storage`.
        gamma: discount for each step.
        length: steps in a row that are learned from together.

    Raises:
        ConfigError, ReplayError: if the agent cannot play them.
    """
    return Steps.of(_played(runs, config, env_kwargs, size=size, gamma=gamma), length)


def _played(
    runs: Sequence[Run],
    config: TrainConfig,
    env_kwargs: Mapping[str, Any],
    *,
    size: int,
    gamma: float,
) -> list[Demonstration]:
    sources = [Source(STORED, run, agent_actions(STORED, run, config)) for run in runs]
    games = learned_from(config, env_kwargs)
    found = demonstrations(sources, games, gamma=gamma, seed=config.seed, most_steps=size)
    return list(found)


def _steps(game: Demonstration, columns: dict[str, Any]) -> Iterator[Step]:
    """Those of a game; the last one reached the flag, after which nothing more comes."""
    last, yes, no = len(game.action) - 1, np.ones(1, np.bool_), np.zeros(1, np.bool_)
    for step, action in enumerate(game.action):
        yield Step(
            obs=game.obs[step : step + 1],
            action=np.array([action]),
            reward=game.reward[step : step + 1],
            terminated=yes if step == last else no,
            truncated=no,
            final_obs=(game.final_obs if step == last else game.obs[step + 1])[None],
            is_first=no if step else yes,
            extras=columns,
        )
