"""One directory per run: what was asked for, what came out, and a lock while it is trained."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mario_agents.config import absolute_paths, to_plain
from mario_agents.run.lock import sole
from mario_agents.zoo import located
from mario_envkit.command_line import in_words, shell_words
from mario_envkit.errors import RunError
from mario_envkit.files import parse_json, replace_text

CONFIG_NAME = "config.json"
LOCK_NAME = "run.lock"
RUNS_ROOT = Path("runs")


def default_run_path(trainer: str, level: str) -> Path:
    """``runs/<trainer>-<level>-<local time>``, with a number if that is taken already."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{trainer}-{level}-{time.strftime('%Y%m%d-%H%M%S')}")
    path, number = RUNS_ROOT / stem, 1
    while path.exists():
        number += 1
        path = RUNS_ROOT / f"{stem}-{number}"
    return path


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run on disk. Make one with :meth:`create` or :meth:`open`.

    Attributes:
        path: the directory.
        trainer: name of the trainer, as registered.
        version: version of mario-envkit that started the run.
        options: the stored configuration as plain values.
    """

    path: Path
    trainer: str
    version: str
    options: dict[str, Any]

    @classmethod
    def create(cls, path: Path, *, trainer: str, config: Any) -> RunDir:
        """Start a run in a new or empty directory and write its ``config.json``.

        Raises:
            RunError: if the directory is not empty, or cannot be made; nothing is overwritten.
        """
        if not _made_empty(path, "--run-dir"):
            advice = "choose another one with --run-dir"
            if (path / CONFIG_NAME).exists():
                advice += f", or continue the run in it with {shell_words('--resume', path)}"
            raise RunError(f"The run directory {path} is not empty; {advice}.")
        run = cls(path, trainer, _own_version(), to_plain(absolute_paths(config)))
        run._write_config()
        return run

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """An existing run, or an agent of the zoo (``zoo:NAME``).

        Raises:
            RunError: if there is no run in ``path``, or its ``config.json`` is damaged.
        """
        path = located(path)
        file = path / CONFIG_NAME
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            if not path.is_dir():
                raise absent(path) from error
            raise RunError(
                f"The directory {path} is not a run: it has no {CONFIG_NAME}; "
                "name a directory that 'mario-agents train' made."
            ) from error
        except OSError as error:
            raise RunError(f"The run {path} cannot be read. {in_words(error)}") from error
        except ValueError as error:
            raise RunError(f"{file} is damaged: {error!r}.") from error
        try:
            content = parse_json(text)
            trainer, made_by, options = content["trainer"], content["version"], content["config"]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file} is damaged: {error!r}.") from error
        if not (isinstance(trainer, str) and isinstance(options, dict)):
            raise RunError(f"{file} is damaged: 'trainer' must be a name and 'config' a mapping.")
        return cls(path, trainer, str(made_by), options)

    def copied(self, path: Path, options: dict[str, Any]) -> RunDir:
        """The configuration in another directory, new or empty, with other ``options``.

        Raises:
            RunError: if the directory is not empty, or cannot be made.
        """
        if not _made_empty(path, "--out"):
            raise RunError(f"The directory {path} is not empty; choose another one with --out.")
        run = RunDir(path, self.trainer, self.version, options)
        run._write_config()
        return run

    def with_config(self, config: Any) -> RunDir:
        """The same run with other options (see ``config.check_resume``), written to the disk."""
        options = to_plain(absolute_paths(config))
        run = RunDir(self.path, self.trainer, self.version, options)
        run._write_config()
        return run

    def _write_config(self) -> None:
        content = {"trainer": self.trainer, "version": self.version, "config": self.options}
        try:
            replace_text(self.path / CONFIG_NAME, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise RunError(
                f"Cannot write {self.path / CONFIG_NAME}: {error.strerror}; training needs a "
                "directory that is writable, and space in it."
            ) from error

    @property
    def weights_path(self) -> Path:
        """The latest weights."""
        return self.path / "weights.safetensors"

    @property
    def best_path(self) -> Path:
        """The best weights of all evaluations during training."""
        return self.path / "best.safetensors"

    @property
    def imitated_path(self) -> Path:
        """The weights of the whole model with which a run began that imitated something."""
        return self.path / "imitated.safetensors"

    @property
    def demonstrations_path(self) -> Path:
        """The runs that replay buffers hold demonstrations of, one a line."""
        return self.path / "demonstrations.jsonl"

    @property
    def checkpoint_path(self) -> Path:
        """Directory of the run's :class:`~mario_agents.run.checkpoint.CheckpointStore`."""
        return self.path / "checkpoint"

    @property
    def log_path(self) -> Path:
        """The log as text."""
        return self.path / "training.log"

    @property
    def tensorboard_path(self) -> Path:
        """Directory of the TensorBoard events."""
        return self.path / "tensorboard"

    @property
    def hotspots_path(self) -> Path:
        """Where Mario died in the run."""
        return self.path / "death_hotspots.json"

    @property
    def levels_path(self) -> Path:
        """How often each level was completed in training."""
        return self.path / "levels.json"

    @property
    def evaluations_path(self) -> Path:
        """A line for each evaluation made while it trained."""
        return self.path / "evaluations.jsonl"

    @property
    def standard_path(self) -> Path:
        """The latest result of ``mario-agents eval`` by the whole standard."""
        return self.path / "eval.json"

    @property
    def videos_path(self) -> Path:
        """Directory of the recorded games."""
        return self.path / "videos"

    @property
    def snapshots_path(self) -> Path:
        """Directory of the snapshots that all workers share."""
        return self.path / "snapshots"

    def curriculum_path(self, worker: int) -> Path:
        """How far a worker process is in its level schedules and its backward curriculum."""
        return self.path / "curriculum" / f"worker_{worker}.json"

    def csv_path(self, name: str) -> Path:
        """Metrics of one process: ``worker_0``, ``coordinator``."""
        return self.path / f"{name}.csv"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing; two processes never train in one directory.

        See :func:`~mario_agents.run.lock.sole`, on ``run.lock``.

        Raises:
            RunBusy, RunError: if another process holds it, or nobody can.
        """
        busy = (
            f"The run {self.path} is already being trained by {{}}; stop that one first, or start "
            "another run."
        )
        with sole(self.path / LOCK_NAME, busy):
            yield


def absent(path: Path) -> RunError:
    """The error that there is no directory ``path``; names the newest run beside it, for those who
    typed ``runs/RUN`` as it is printed in the documents."""
    try:
        beside = max(path.parent.glob(f"*/{CONFIG_NAME}"), key=lambda file: file.stat().st_mtime)
    except (OSError, ValueError):  # ValueError: there is none
        return RunError(
            f"There is no run directory {path}; name one that 'mario-agents train' made."
        )
    return RunError(
        f"There is no run directory {path}; the newest run in {path.parent} is {beside.parent}."
    )


def _made_empty(path: Path, option: str) -> bool:
    """Make a directory if there is none; whether it is empty."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        return next(path.iterdir(), None) is None
    except OSError as error:
        raise RunError(
            f"Cannot make the run directory {path}: {error.strerror}; choose another one with "
            f"{option}."
        ) from error


def _own_version() -> str:
    try:
        return version("mario-envkit")
    except PackageNotFoundError:  # run from a source tree that was not installed
        return "unknown"
