"""Environments from what a trainer's ``env_kwargs`` say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from mario_agents.config import Paths, TrainConfig
from mario_envkit.curriculum.along import StartsAlong
from mario_envkit.curriculum.backward import BackwardStarts
from mario_envkit.curriculum.backward_runs import BackwardRuns
from mario_envkit.curriculum.level_text import each_level
from mario_envkit.curriculum.paths import places_along
from mario_envkit.curriculum.runs import Run, run_files
from mario_envkit.emulator import native
from mario_envkit.errors import ConfigError, LevelError
from mario_envkit.game.path_progress import PathProgress
from mario_envkit.game.reward_options import weighted
from mario_envkit.registration import make_mario

DEFAULT_ID = "mario_envkit:MarioTrain-v0"


def make_env(env_kwargs: Mapping[str, Any], **overrides: Any) -> gymnasium.Env[Any, Any]:
    """One environment.

    Args:
        env_kwargs: keyword arguments of ``gymnasium.make``; ``id`` names another environment than
            ``MarioTrain-v0``.
        overrides: win over ``env_kwargs``.

    Raises:
        MarioEnvkitError: if the arguments make no sense, or the game cannot be found.
    """
    kwargs = {"id": DEFAULT_ID, **env_kwargs, **overrides}
    return gymnasium.make(**kwargs)


def make_bare(env_kwargs: Mapping[str, Any], **overrides: Any) -> gymnasium.Env[Any, Any]:
    """One game as a vector has many: without the layers that ``gymnasium.make`` puts around it.

    Arguments and errors as in :func:`make_env`, but without ``id``.
    """
    defaults = gymnasium.spec(DEFAULT_ID.rpartition(":")[2]).kwargs
    return make_mario(**{**defaults, "backend": "native", **env_kwargs, **overrides})


def starts_of(config: TrainConfig) -> BackwardStarts | BackwardRuns | StartsAlong:
    """Where episodes begin with the options ``backward`` and ``along``.

    Raises:
        ConfigError: if one names a folder, and levels are played that are no single ones.
        ReplayError: if there is no such run, or a file is none.
    """
    runs, share = followed_runs(config), config.true_starts
    if config.along is not None:
        return StartsAlong(runs, true_starts=share)
    if len(runs) == 1:
        return BackwardStarts(runs[0], true_starts=share)
    return BackwardRuns(runs, true_starts=share)


def followed_runs(config: TrainConfig) -> list[Run]:
    """The runs of the options ``backward`` and ``along``.

    Raises:
        ConfigError, ReplayError: as :func:`starts_of`; a ConfigError too if there is no such
            option, and the reward pays for ground along runs.
    """
    option = "backward" if config.along is None else "along"
    paths = config.runs_followed
    if paths is None:
        raise ConfigError(
            "The reward pays for a path, and there is none: give runs with along or backward, such "
            "as mario-envkit solve finds them, or leave out the weight of path."
        )
    return [run for _, run in runs_of(option, paths, config)]


def learned_from(config: TrainConfig, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of games to learn from: where the reward has a weight for it, it pays for
    ground along the followed runs.

    Args:
        config: which names them.
        env_kwargs: of the games, otherwise.

    Raises:
        ConfigError, ReplayError: as :func:`followed_runs`.
    """
    if not config.pays_for_path or "id" in env_kwargs:
        return dict(env_kwargs)
    runs = followed_runs(config)
    game: Any = make_env(env_kwargs).unwrapped
    with closing(game):
        places = places_along(runs, game)
    reward = weighted(env_kwargs["reward"], env_kwargs["reward_weights"])
    terms = (
        replace(term, places=places) if isinstance(term, PathProgress) else term
        for term in reward.terms
    )
    return {**env_kwargs, "reward": replace(reward, terms=tuple(terms))}


def runs_of(option: str, paths: Paths, config: TrainConfig) -> list[tuple[Path, Run]]:
    """The runs that an option names, with their files: of folders those of the levels that are
    played.

    Raises:
        ConfigError: for a folder, if the full game is played.
        ReplayError: if there is no such run, or a file is none.
    """
    found: list[tuple[Path, Run]] = []
    for path in map(Path, (paths,) if isinstance(paths, str) else paths):
        if not path.is_dir():
            found.append((path, Run.load(path)))
            continue
        try:
            levels = each_level(config.level, config.game)
        except LevelError:
            raise ConfigError(
                f"{option} = {str(path)!r} is a folder, and level = {config.level!r} does not say "
                "which of its runs are meant; give files of runs, or levels like 1-1 or 1-1..1-4."
            ) from None
        found += [(file, Run.load(file)) for file in run_files(path, levels, game=config.game)]
    return found


def make_vector(
    env_kwargs: Mapping[str, Any], num_envs: int, **overrides: Any
) -> VectorEnv[Any, Any, Any]:
    """``num_envs`` environments in this process, stepped together, with SAME_STEP autoreset.

    They are stepped by the native vector where the id has one and it is installed, else one by one.
    Arguments and errors as in :func:`make_env`; ``levels``, one for each of them, take the place of
    ``level``.
    """
    kwargs = {"id": DEFAULT_ID, **env_kwargs, **overrides}
    mode: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP}
    module, _, name = kwargs["id"].rpartition(":")
    if module:
        import_module(module)  # registers the id
    if gymnasium.spec(name).vector_entry_point is not None and native.is_available():
        return gymnasium.make_vec(num_envs=num_envs, **mode, **kwargs)
    if levels := kwargs.pop("levels", None):
        each = [{**kwargs, "level": level} for level in levels]
        return SyncVectorEnv([partial(make_env, one) for one in each], **mode)
    return gymnasium.make_vec(
        num_envs=num_envs, vectorization_mode="sync", vector_kwargs=mode, **kwargs
    )
