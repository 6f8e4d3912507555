"""What a run stores of its configuration, and what of that may change when it is resumed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mario_agents.config.train_config import TrainConfig
from mario_agents.zoo import located
from mario_envkit.errors import ConfigError

C = TypeVar("C")


def absolute_paths(config: C) -> C:
    """The same options with all :attr:`TrainConfig.PATHS` absolute, from the current directory.

    Configurations enter through this, and runs and benches store nothing else, so that they can be
    resumed and evaluated from anywhere; ``zoo:NAME`` is the directory of that agent. (Runs of older
    versions with relative paths go on to work from the directory where they were begun.)
    """
    given = {name: getattr(config, name) for name in getattr(type(config), "PATHS", ())}
    changed = {name: _absolute(paths) for name, paths in given.items() if paths}
    return dataclasses.replace(config, **changed) if changed else config  # type: ignore[type-var]


def _absolute(paths: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """One path or several."""
    if isinstance(paths, str):
        return str(located(Path(paths)).absolute())
    return tuple(str(located(Path(path)).absolute()) for path in paths)


def to_plain(config: Any) -> dict[str, Any]:
    """The configuration as plain JSON values by field name."""
    # Field by field: msgspec leaves out defaults that it has not set itself.
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    plain: dict[str, Any] = _as_json(msgspec.to_builtins(values))
    return plain


def _as_json(value: Any) -> Any:
    """Tuples become lists, as they do in a file."""
    if isinstance(value, dict):
        return {name: _as_json(entry) for name, entry in value.items()}
    return [_as_json(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def check_resume(stored: Any, wanted: Any) -> None:
    """Refuse to continue a run under options that would make it another experiment.

    Raises:
        ConfigError: if a field differs that is not in the configuration's ``RESUMABLE``.
    """
    free = getattr(type(stored), "RESUMABLE", TrainConfig.RESUMABLE)
    old, new = to_plain(absolute_paths(stored)), to_plain(absolute_paths(wanted))
    for key in old:
        if key not in free and old[key] != new[key]:
            raise ConfigError(
                f"The run was started with {key} = {old[key]!r} and cannot be resumed with "
                f"{new[key]!r}; leave the option out, or start a new run."
            )
