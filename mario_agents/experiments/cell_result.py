"""What is known of one cell, as a file that needs the run directory no more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from mario_agents.experiments.cell import Cell, CellFiles
from mario_agents.experiments.measures import Point, points_of
from mario_agents.report.tables import read_table
from mario_agents.run import RunDir
from mario_agents.run.decoding import decode_json
from mario_agents.run.records import PlayedEpisode, read_evaluations, read_standard
from mario_envkit.errors import RunError
from mario_envkit.files import replace_file

T = TypeVar("T")
Status = Literal["finished", "failed", "stopped", "unfinished"]


class Trained(Struct, frozen=True):
    """Training that ended well.

    Attributes:
        spawned: when its process was started, Unix seconds.
        wall_seconds: from there to its end.
        node: of a cluster that it was on; "" is the machine of the command.
    """

    spawned: float
    wall_seconds: float
    node: str = ""


class Success(Struct, frozen=True):
    """Episodes under one condition of the standard."""

    wins: Annotated[int, Meta(ge=0)]
    episodes: Annotated[int, Meta(ge=1)]

    @property
    def rate(self) -> float:
        """Share that reached the flag."""
        return self.wins / self.episodes


class CellResult(Struct, frozen=True, kw_only=True):
    """What is known of a cell.

    Attributes:
        name: of the cell.
        status: "stopped" was given up before its budget was used up; "unfinished" is still
            training, or has not begun.
        error: the last line that it printed, if it failed.
        spawned: when its process was started, Unix seconds.
        wall_seconds: from there to the end of training's process.
        node: of a cluster that it was trained on; "" is the machine of the command.
        steps: agent steps.
        seconds: wall-clock seconds of training, imports and the last evaluation left out.
        points: evaluations while it trained.
        standard: by weights, then by condition; several levels are counted together.
    """

    name: str
    status: Status
    error: str = ""
    spawned: float | None = None
    wall_seconds: float | None = None
    node: str = ""
    steps: int | None = None
    seconds: float | None = None
    points: tuple[Point, ...] = ()
    standard: dict[str, dict[str, Success]] = {}


def write_json(path: Path, value: object) -> None:
    """Write a struct.

    Raises:
        OSError: if the disk refuses.
    """
    raw = msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
    replace_file(path, lambda temporary: temporary.write_bytes(raw))


def read_trained(files: CellFiles) -> Trained | None:
    """How training went, if it has ended well."""
    return _read(files.trained, Trained)


def read_result(files: CellFiles) -> CellResult | None:
    """The stored result, if there is nothing left to do."""
    return _read(files.result, CellResult)


def gather(
    cell: Cell, files: CellFiles, *, status: Status, error: str = "", spawned: float | None = None
) -> CellResult:
    """What the files of a cell say by now.

    Args:
        cell: the cell.
        files: of it.
        status, error: see :class:`CellResult`.
        spawned: of a run that has not ended; one that has knows it itself.

    Raises:
        RunError: if a file is damaged.
    """
    trained = read_trained(files)
    steps, seconds = progress_of(files.run_files)
    return CellResult(
        name=cell.name,
        status=status,
        error=error,
        spawned=trained.spawned if trained else spawned,
        wall_seconds=trained.wall_seconds if trained else None,
        node=trained.node if trained else "",
        steps=steps,
        seconds=seconds,
        points=evaluations_of(files),
        standard=_standard(files),
    )


def progress_of(run: RunDir) -> tuple[int | None, float | None]:
    """Agent steps and seconds of training in the run's newest metrics; None if it does not say."""
    tables = []
    for path in (run.csv_path("coordinator"), *sorted(run.path.glob("worker_*.csv"))):
        try:
            table = read_table(path)
        except (OSError, ValueError):  # a trainer of somebody's own, or it has just begun
            continue
        if len(table):
            tables.append(table)
    steps = max((int(table.columns["step"][-1]) for table in tables), default=None)
    times = [seconds for table in tables if (seconds := table.last("seconds")) == seconds]
    return steps, max(times, default=None)


def evaluations_of(files: CellFiles) -> tuple[Point, ...]:
    """Evaluations so far; none if the run does not keep them.

    Raises:
        RunError: if they cannot be read.
    """
    path = files.run_files.evaluations_path
    try:
        records, _ = read_evaluations(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from error
    return points_of(records)


def _standard(files: CellFiles) -> dict[str, dict[str, Success]]:
    """Successes by weights and condition, levels taken together."""
    found: dict[str, dict[str, Success]] = {}
    for path in sorted(files.home.glob("standard-*.json")):
        try:
            levels = read_standard(path)
        except (OSError, msgspec.DecodeError) as error:
            raise _damaged(path, error) from error
        played: dict[str, list[PlayedEpisode]] = {}
        for conditions in levels.values():
            for name, episodes in conditions.items():
                played.setdefault(name, []).extend(episodes)
        found[path.stem.removeprefix("standard-")] = {
            name: Success(sum(episode.success for episode in episodes), len(episodes))
            for name, episodes in played.items()
        }
    return found


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return decode_json(path.read_bytes(), kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(f"{path} is damaged: {error}; remove it to measure that again.")
